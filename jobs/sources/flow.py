"""The way of a delivery through the lake: land, judge, account, gate, write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from hashlib import sha256
from pathlib import Path

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from strata.conf.feeds import Format
from strata.conf.settings import Settings
from strata.jobs.runtime.catalog import contract_of
from strata.jobs.runtime.errors import GateError, InputError
from strata.jobs.runtime.parallel import at_once
from strata.jobs.runtime.run import Context
from strata.jobs.runtime.tables import Lake
from strata.jobs.runtime.tokens import load_key, tokeniser
from strata.jobs.sources import cleaning
from strata.jobs.sources.deliveries import Delivery, deliveries, drops, stem
from strata.jobs.sources.formats import check_header
from strata.jobs.sources.landing import land
from strata.jobs.sources.mapping import TableMapping

EMBEDDED, LANDED = "embedded", "landing"
# Where the key may be made at the first run: a person's own machine and tests, never a cluster.
OWN_MACHINE = ("local", "test", "simulated")
FILE = ("_source", "_origin", "_sha256")

# From the lake, the judged postings and the accounts of all files to ``transaction_coverage``.
Coverage = Callable[[Lake, DataFrame, Sequence[Row]], DataFrame]


@dataclass(frozen=True)
class Source:
    """A bank as it is delivered: mappings, where postings are whole, embedded files, and which files a file replaces.

    Without a ``folder`` of embedded files it has dated folders in the landing folder, and a kind of which no
    file has come yet is an empty table.
    """

    mappings: tuple[TableMapping, ...]
    coverage: Coverage
    folder: Path | None = None
    replaces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[str, Format]:
        """Kinds of files with their format."""
        return {mapping.kind: mapping.format for mapping in self.mappings}

    @property
    def writes(self) -> tuple[str, ...]:
        """Bronze and silver tables that the mappings read and make."""
        return (*(f"bronze_{kind}" for kind in self.kinds), *(mapping.table for mapping in self.mappings))


def found(source: Source, settings: Settings) -> list[Delivery]:
    """The embedded files that no file of the user's replaces, then the user's. Raises ``InputError``."""
    if source.folder is None:
        return _dropped(source, settings)
    own = deliveries(Path(settings.landing), LANDED, source.kinds) if settings.landing else []
    gone = _replaced(source, (file.stem for file in own))
    return [file for file in deliveries(source.folder, EMBEDDED, source.kinds) if file.stem not in gone] + own


def _dropped(source: Source, settings: Settings) -> list[Delivery]:
    if not settings.landing:
        raise InputError("landing: this bank has no embedded files, so name the folder of its drops with --landing")
    files = drops(Path(settings.landing), LANDED, source.kinds)
    if not files:
        raise InputError(f"landing {settings.landing}: no file in it yet; put each into the folder of its drop's day")
    return files


def _replaced(source: Source, own: Iterable[str]) -> set[str]:
    """Embedded files, by name without endings, that stop counting once the user delivers ``own``."""
    return {gone for name in own for gone in (name, *source.replaces.get(name, ()))}


def fingerprint(source: Source, settings: Settings) -> str:
    """A hash of names and contents of all files; a delivery that can't be read has one of its own."""
    try:
        files = found(source, settings)
    except InputError as wrong:
        return str(wrong)
    return sha256("".join(f"{file.name}{file.sha256}" for file in files).encode()).hexdigest()


def arrive(context: Context, source: Source) -> list[Row]:
    """Find the files, check all headers, land what bronze doesn't have; returns all files that bronze has."""
    with context.progress.step("find files and check headers") as step:
        files = found(source, context.settings)
        missing = [kind for kind in source.kinds if not any(file.kind == kind for file in files)]
        if missing and source.folder:
            raise InputError(f"{missing[0]}.asc: no such file; it is neither embedded nor in the landing folder")
        at_once(check_header, files)
        step.says(f"{len(files)} files")
    with context.progress.step("land in bronze") as step:
        fresh = sum(at_once(lambda kind: land(context, kind, [f for f in files if f.kind == kind]), source.kinds))
        step.says(f"{fresh} new, {len(files) - fresh} already landed")
        here = landed(context, source)
        if none := [kind for kind in source.kinds if not any(file.kind == kind for file in here)]:
            step.says(f"no rows yet of {', '.join(none)}")
        return here


def landed(context: Context, source: Source) -> list[Row]:
    """The files in bronze with kind and rows, a row a file: one scan of a few columns of each bronze table."""
    parts = (
        context.lake.read(f"bronze_{kind}").groupBy(F.lit(kind).alias("kind"), *FILE).agg(F.count("*").alias("rows_in"))
        for kind in source.kinds
    )
    return reduce(DataFrame.unionByName, parts).collect()


def judge(context: Context, source: Source, files: Sequence[Row]) -> dict[str, DataFrame]:
    """Every bronze row judged, by silver table, kept: each is used for accounts, quarantine and silver.

    Cut off from how it was made, for with dozens of tables that refer to each other Spark spends minutes on comparing
    plans with cached ones. The space is given back when nobody holds the tables any more.
    """
    gone = _replaced_hashes(source, files)
    key = load_key(context.settings.token_key_file, make=context.settings.env in OWN_MACHINE)
    token = tokeniser(context.spark, key)
    rows: dict[str, DataFrame] = {}
    known: dict[str, DataFrame] = {}
    for mapping in source.mappings:
        bronze = context.lake.read(mapping.bronze)
        judged = cleaning.judged(mapping, bronze, known, replaced=gone, token=token)
        rows[mapping.table] = judged.localCheckpoint(eager=False)
        known[mapping.table] = cleaning.accepted(rows[mapping.table], mapping.table)
    return rows


def _replaced_hashes(source: Source, files: Sequence[Row]) -> list[str]:
    """Hashes of embedded files that a landed file has replaced."""
    gone = _replaced(source, (stem(file._source) for file in files if file._origin == LANDED))
    return [file._sha256 for file in files if file._origin == EMBEDDED and stem(file._source) in gone]


def account(context: Context, rows: Mapping[str, DataFrame]) -> list[Row]:
    """Count what became of every row, a row a file and table, and prove the sums against bronze."""
    with context.progress.step("parse, check, settle duplicates") as step:
        counted = reduce(DataFrame.unionByName, (cleaning.accounts(part, name) for name, part in rows.items()))
        files = counted.orderBy("table_name", "_delivery").collect()
        total = {verdict: sum(file[f"rows_{verdict}"] for file in files) for verdict in cleaning.VERDICTS}
        step.says(", ".join(f"{count:,} {verdict}" for verdict, count in total.items()))
    return files


def quarantine(context: Context, rows: Mapping[str, DataFrame], files: Sequence[Row]) -> None:
    """Write refused rows where there are any; empty a table whose rows have since been put right."""
    with context.progress.step("quarantine") as step:
        broken = {f"quarantine_{file.table_name}" for file in files if file.rows_quarantined}
        refused = {f"quarantine_{name}": cleaning.refused(part) for name, part in rows.items()}
        tables = {name: part for name, part in refused.items() if name in broken or context.lake.exists(name)}
        for written in context.lake.replace_all(tables):
            step.says(f"{written.name} {written.rows:,}")


def gate(context: Context, files: Sequence[Row]) -> None:
    """Raises ``GateError`` naming file, row and column when too much of a file was refused.

    That is more than a share of its rows, and more rows than a small number: in a file of
    few rows one broken row is a large share and no sign that the file as a whole is wrong.
    """
    gates = context.settings.gates
    for file in files:
        total = file.rows_out + file.rows_quarantined + file.rows_duplicate
        if file.rows_quarantined > max(gates.quarantine_share * total, gates.quarantine_rows):
            raise GateError(
                f"{file._source}: {file.rows_quarantined:,} of {total:,} rows break the contract of {file.table_name} "
                f"(gate {gates.quarantine_share:.1%}), so silver stays as it was; first: {file.first_reason}; "
                f"all stand in quarantine_{file.table_name}"
            )


def publish(context: Context, rows: Mapping[str, DataFrame]) -> None:
    """Replace each silver table by its accepted rows."""
    with context.progress.step("silver") as step:
        accepted = {name: cleaning.accepted(part, name) for name, part in rows.items()}
        for written in context.lake.replace_all(accepted):
            step.says(f"{written.name} {written.rows:,}")


def cover(context: Context, source: Source, rows: Mapping[str, DataFrame], files: Sequence[Row]) -> None:
    """Replace ``transaction_coverage`` by what the files that count promise."""
    with context.progress.step("silver transaction_coverage") as step:
        spans = source.coverage(context.lake, rows["transaction"], files)
        written = context.lake.replace("transaction_coverage", spans)
        step.says(f"{written.rows:,} spans")


def prove(context: Context, landed_files: Sequence[Row], files: Sequence[Row]) -> None:
    """Write the accounts. Rows in are counted in bronze, on another way than the rest: the CHECK compares."""
    rows_in = {(file._source, file._sha256): file.rows_in for file in landed_files}
    values = [
        (f._source, f.table_name, f._sha256, rows_in[f._source, f._sha256])
        + (f.rows_out, f.rows_quarantined, f.rows_duplicate, f._ingest_id)
        for f in files
    ]
    with context.progress.step("accounts") as step:
        context.lake.replace("ops_ingest", context.spark.createDataFrame(values, contract_of("ops_ingest").schema_ddl))
        step.says(f"{len(values)} files and tables: rows in = out + quarantined + duplicate")
