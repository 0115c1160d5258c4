"""What is wrong in a bank's folder, what the bank can fill, and what is missing for the rest: one page of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from strata.conf.banks import Bank, Problem, read_bank
from strata.conf.contracts import Table
from strata.features.definitions.lineage import origins
from strata.features.definitions.view import FeatureView
from strata.features.views import account_views, customer_views, is_feature_filled, is_filled, own_views
from strata.jobs.runtime.errors import InputError
from strata.jobs.sources.bank_setup.file_sample import SampledFile, sample_file
from strata.jobs.sources.deliveries import Delivery, deliveries, drops
from strata.models.model_spec import ModelSpec
from strata.models.specs import STANDARD, bank_models, unfilled

WIDTH = 110
ARE_DECLARED, ARE_READ = 2, 3


@dataclass(frozen=True)
class Checked:
    """The page of a check, and the exit code: 0, 2 when a declaration is wrong, 3 when a file can't be read so."""

    text: str
    exit_code: int


def check_bank(folder: Path, landing: Path | None) -> Checked:
    """Read the declarations and a sample of the newest file of each feed; no session is started."""
    bank, problems = read_bank(folder)
    if bank is None or problems:
        return Checked("\n".join(_problem_lines(folder, problems)), ARE_DECLARED)
    lines = [f"bank {bank.name}: {bank.title}, {bank.zone}", f"  {len(bank.feeds)} feeds are declared without a fault"]
    files, faults = _file_lines(bank, landing)
    return Checked("\n".join([*lines, "", *files, "", *filled_lines(bank)]), ARE_READ if faults else 0)


def _problem_lines(folder: Path, problems: Sequence[Problem]) -> Iterator[str]:
    yield f"{folder}: {len(problems)} {'problem' if len(problems) == 1 else 'problems'} in the declarations"
    yield from (f"  {problem}" for problem in problems)


def _file_lines(bank: Bank, landing: Path | None) -> tuple[list[str], bool]:
    """The files that were looked at, and whether one of them can't be read as declared."""
    try:
        files = list(_newest(bank, landing))
    except InputError as wrong:
        return [f"files: {wrong}"], True
    if not files:
        where = f"none in {landing} yet" if landing else "no landing folder is named (--landing, or in bank.yml)"
        return [f"files: {where}"], False
    sampled = [sample_file(bank, file) for file in files]
    lines = ["files (the newest of each feed, its first 1,000 rows)"]
    for one in sampled:
        lines += _sampled_lines(one)
    if absent := sorted({feed.kind for feed in bank.feeds} - {file.kind for file in files}):
        lines += _listed("  none yet of", absent)
    if tried := _unlooked(bank):
        lines.append(f"  SQL and functions are tried by the first ingest: {', '.join(tried)}")
    return lines, any(one.fault or one.unread for one in sampled)


def _unlooked(bank: Bank) -> list[str]:
    """Fields whose values SQL or a function of the bank's own makes."""
    return [
        f"{fill.table}.{name}"
        for _, fill in bank.fills
        for name, field in fill.fields.items()
        if field.sql is not None or field.python is not None
    ]


def _newest(bank: Bank, landing: Path | None) -> Iterator[Delivery]:
    found: list[Delivery] = []
    if bank.embedded:
        found += deliveries(bank.folder / bank.embedded, "embedded", bank.feeds)
    if landing is not None:
        look = drops if bank.layout == "dated" else deliveries
        found += look(landing, "landing", bank.feeds)
    for feed in bank.feeds:
        if own := [file for file in found if file.feed == feed]:
            yield max(own, key=lambda file: (file.origin == "landing", str(file.day or ""), file.name))


def _sampled_lines(file: SampledFile) -> list[str]:
    if file.fault:
        return [f"  {file.name}: {file.fault}"]
    if not file.unread:
        return [f"  {file.name}: {file.rows:,} rows read as declared"]
    told = [f"  {file.name}: {file.rows:,} rows"]
    for one in file.unread:
        what = f"{one.table}.{one.field}" if one.table else "lines"
        told.append(f"    {what}: {one.count:,} can't be read; first in row {one.row}: {one.first}")
    return told


def filled_lines(bank: Bank) -> list[str]:
    """What the bank fills and what it lacks: tables with their columns, views with their features, models."""
    offered = (*account_views(), *customer_views(), *own_views(bank))
    views = [view for view in offered if view.entity.name in bank.entities]
    filled = [view for view in views if is_filled(view, bank)]
    models = bank_models(bank)
    return [*_fillable(bank, filled, models), "", *_missing(bank, [v for v in views if v not in filled], models)]


def _fillable(bank: Bank, views: Sequence[FeatureView], models: Sequence[ModelSpec]) -> list[str]:
    """The tables with their columns, these views with their features, the network and these models."""
    lines = ["can be filled"]
    for name in bank.tables:
        columns = [column for column in bank.silver[name].names if bank.fills_column(name, column)]
        lacking = [column for column in bank.silver[name].names if column not in columns]
        without = f", without {', '.join(lacking)}" if lacking else ""
        lines += _wrapped(f"  table {name}: {len(columns)} of {len(bank.silver[name].names)} columns{without}")
    for view in views:
        features = [feature for feature in view.features if is_feature_filled(feature, view, bank)]
        lines.append(f"  view {view.name}: {len(features)} of {len(view.features)} features")
    lines.append(f"  network of {bank.network}")
    for spec in models:
        decides = "; decides its cases" if spec.decision else ""
        lines += _wrapped(f"  model {spec.name}: {spec.title}{decides}")
    return lines


def _missing(bank: Bank, views: Sequence[FeatureView], models: Sequence[ModelSpec]) -> list[str]:
    """Of the standard models other than ``models``, and of ``views``, what nobody fills."""
    lines = ["missing for the rest"]
    known = {model.name for model in models}
    for spec in (spec for spec in STANDARD if spec.name not in known):
        lines += _wrapped(f"  model {spec.name}: {', '.join(unfilled(spec, bank))}")
    for view in views:
        lines += _wrapped(f"  view {view.name}: {', '.join(_lacking(view, bank))}")
    if len(lines) == 1:
        lines.append("  nothing: all views of the bank's entities and all models can be filled")
    return lines


def _lacking(view: FeatureView, bank: Bank) -> list[str]:
    """The tables that a view needs and nobody fills, else the columns."""
    if tables := [f"table {name}" for name in view.tables if name not in bank.tables]:
        return tables
    needed = [origin for feature in view.features for origin in origins(feature, view, bank.silver)]
    lacking = (one for one in dict.fromkeys(needed) if not bank.fills_column(one.table, one.column))
    return [f"{one.table}.{one.column}" for one in lacking]


def column_lines(contract: Table) -> list[str]:
    """What a silver table needs: its columns with types, units and allowed values."""
    lines = [f"{contract.name}: {contract.grain}", *_wrapped(contract.description), ""]
    for column in contract.columns:
        need = "may be null" if column.nullable else "needed"
        unit = f" ({column.unit})" if column.unit else ""
        protected = "; protected: for fairness reports alone" if column.protected else ""
        personal = f"; personal: {column.personal}" if str(column.personal) != "none" else ""
        said = f"{column.description}{unit}{personal}{protected}"
        lines.append(f"  {column.name:<24} {column.type:<14} {need:<12} {said}")
    lines += ["", f"key: {', '.join(contract.key)}"]
    return [*lines, *(f"rule: {check.sql}  (else: {check.reason})" for check in contract.checks)]


def _listed(start: str, names: Iterable[str]) -> list[str]:
    return _wrapped(f"{start} {', '.join(names)}")


def _wrapped(text: str) -> list[str]:
    """The text in lines of a readable width; those after the first are indented."""
    return wrap(text, WIDTH, subsequent_indent=" " * 6, break_on_hyphens=False)
