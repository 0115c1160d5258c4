"""The way of a delivery through the lake: stage, validate, count, gate, write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from hashlib import sha256
from pathlib import Path

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from strata.conf.banks import Bank
from strata.conf.settings import Settings
from strata.jobs.runtime.errors import GateError, InputError
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.parallel import at_once
from strata.jobs.runtime.tokens import load_key, tokeniser
from strata.jobs.sources import cleaning
from strata.jobs.sources.coverage import covered_spans
from strata.jobs.sources.deliveries import Delivery, deliveries, drops, stem
from strata.jobs.sources.formats import check_header
from strata.jobs.sources.landing import land
from strata.jobs.sources.mapping import TOKEN, mappings_of
from strata.jobs.table_catalog import contract_of

EMBEDDED, LANDED = "embedded", "landing"
# Where the key may be made at the first run: a person's own machine and tests, never a cluster.
OWN_MACHINE = ("local", "test", "simulated")
FILE = ("_source", "_origin", "_sha256")


def found(bank: Bank, settings: Settings) -> list[Delivery]:
    """The bank's files in the landing folder, and those that come with it unless one of the user's replaces them.

    Raises ``InputError``.
    """
    own = _own(bank, settings)
    if bank.embedded is None:
        return own
    gone = _replaced(bank, (file.stem for file in own))
    embedded = deliveries(bank.folder / bank.embedded, EMBEDDED, bank.feeds)
    return [file for file in embedded if file.stem not in gone] + own


def _own(bank: Bank, settings: Settings) -> list[Delivery]:
    if not settings.landing:
        if bank.embedded:
            return []
        raise InputError(
            f"landing: name the folder of the files of bank {bank.name}, with --landing or in its bank.yml"
        )
    look = drops if bank.layout == "dated" else deliveries
    files = look(Path(settings.landing), LANDED, bank.feeds)
    if not files and not bank.embedded:
        where = "put each into the folder of its drop's day" if bank.layout == "dated" else "put the bank's files there"
        raise InputError(f"landing {settings.landing}: no file in it yet; {where}")
    return files


def _replaced(bank: Bank, own: Iterable[str]) -> set[str]:
    """Embedded files, by name without endings, that stop counting once the user delivers ``own``."""
    said = bank.deliveries
    return {gone for name in own for gone in (name, *(said[name].replaces if name in said else ()))}


def fingerprint(bank: Bank, settings: Settings) -> str:
    """A hash of names and contents of all files; a delivery that can't be read has one of its own."""
    try:
        files = found(bank, settings)
    except InputError as wrong:
        return str(wrong)
    return sha256("".join(f"{file.name}{file.sha256}" for file in files).encode()).hexdigest()


def stage(context: Context, bank: Bank) -> list[Row]:
    """Find the files, check all headers, land what bronze doesn't have; returns all files that bronze has."""
    with context.progress.step("find files and check headers") as step:
        files = found(bank, context.settings)
        missing = [feed.kind for feed in bank.feeds if not any(file.feed == feed for file in files)]
        if missing and bank.embedded:
            raise InputError(f"{missing[0]}.asc: no such file; it is neither embedded nor in the landing folder")
        at_once(check_header, files)
        step.says(f"{len(files)} files")
    with context.progress.step("land in bronze") as step:
        fresh = sum(at_once(lambda feed: land(context, feed, [f for f in files if f.feed == feed]), bank.feeds))
        step.says(f"{fresh} new, {len(files) - fresh} already landed")
        here = landed(context, bank)
        if none := [feed.kind for feed in bank.feeds if not any(file.kind == feed.kind for file in here)]:
            step.says(f"no rows yet of {', '.join(none)}")
        return here


def landed(context: Context, bank: Bank) -> list[Row]:
    """The files in bronze with kind and rows, one row per file: one scan of a few columns of each bronze table."""
    parts = (
        context.lake.read(feed.bronze).groupBy(F.lit(feed.kind).alias("kind"), *FILE).agg(F.count("*").alias("rows_in"))
        for feed in bank.feeds
    )
    return reduce(DataFrame.unionByName, parts).collect()


def validate(context: Context, bank: Bank, files: Sequence[Row]) -> dict[str, DataFrame]:
    """Every bronze row judged, by silver table, kept: each is used for accounts, quarantine and silver.

    Cut off from how it was made, for with dozens of tables that refer to each other Spark spends minutes on comparing
    plans with cached ones. The space is given back when nobody holds the tables any more.
    """
    gone = _replaced_hashes(bank, files)
    key = load_key(context.settings.token_key_file, make=context.settings.env in OWN_MACHINE)
    context.spark.udf.register(TOKEN, tokeniser(context.spark, key))
    mappings = mappings_of(bank)
    rows: dict[str, DataFrame] = {}
    known: dict[str, DataFrame] = {}

    def judge(table: str) -> DataFrame:
        parts = [(one, context.lake.read(one.feed.bronze)) for one in mappings if one.table == table]
        try:
            return cleaning.judged(parts, known, replaced=gone).localCheckpoint(eager=False)
        except (AnalysisException, ParseException) as wrong:
            feeds = ", ".join(f"feeds/{one.feed.kind}.yml" for one, _ in parts)
            raise InputError(f"{feeds}: tables.{table}: Spark can't read its SQL: {_sentence(wrong)}") from None

    for tables in bank.ranks:
        rows |= zip(tables, at_once(judge, tables), strict=True)
        known |= {table: cleaning.accepted(rows[table], bank.silver[table]) for table in tables}
    return rows


def _sentence(wrong: Exception) -> str:
    return " ".join(str(wrong).split("==")[0].split("\n\n")[0].split())[:300]


def _replaced_hashes(bank: Bank, files: Sequence[Row]) -> list[str]:
    """Hashes of embedded files that a landed file has replaced."""
    gone = _replaced(bank, (stem(file._source) for file in files if file._origin == LANDED))
    return [file._sha256 for file in files if file._origin == EMBEDDED and stem(file._source) in gone]


def count_rows(context: Context, rows: Mapping[str, DataFrame]) -> list[Row]:
    """What became of every row, one row per file and table."""
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


def gate(context: Context, bank: Bank, files: Sequence[Row]) -> None:
    """Raises ``GateError`` naming file, row and column when too much of a file was refused.

    That is more than a share of its rows, and more rows than a small number: in a file of few rows one broken row is a
    large share and no sign that the file as a whole is wrong. The message begins where it began: with the first table,
    in the order in which tables refer to each other, then with what refers to its refused rows.
    """
    broken = sorted(
        (file for file in files if _is_over(context.settings, file, file.rows_quarantined)),
        key=lambda file: (
            not _is_over(context.settings, file, file.rows_quarantined - file.rows_orphaned),
            bank.tables.index(file.table_name),
        ),
    )
    if not broken:
        return
    root, gates = broken[0], context.settings.gates
    raise GateError(
        f"{root._source}: {root.rows_quarantined:,} of {_total(root):,} rows break the contract of {root.table_name} "
        f"(gate {gates.quarantine_share:.1%}), so silver stays as it was; first: {root.first_reason}; "
        f"all stand in quarantine_{root.table_name}{_consequences(root, files)}"
    )


def _is_over(settings: Settings, file: Row, refused: int) -> bool:
    return bool(refused > max(settings.gates.quarantine_share * _total(file), settings.gates.quarantine_rows))


def _total(file: Row) -> int:
    return int(file.rows_out + file.rows_quarantined + file.rows_duplicate)


def _consequences(root: Row, files: Sequence[Row]) -> str:
    """Rows of other tables that are refused only because they refer to what isn't there."""
    others = [file for file in files if file.table_name != root.table_name and file.rows_orphaned]
    if not others:
        return ""
    rows, tables = sum(file.rows_orphaned for file in others), len({file.table_name for file in others})
    return f"; in consequence {rows:,} rows of {tables} other tables refer to nothing"


def publish(context: Context, bank: Bank, rows: Mapping[str, DataFrame]) -> None:
    """Replace each silver table by its accepted rows."""
    with context.progress.step("silver") as step:
        accepted = {name: cleaning.accepted(part, bank.silver[name]) for name, part in rows.items()}
        for written in context.lake.replace_all(accepted):
            step.says(f"{written.name} {written.rows:,}")


def record_coverage(context: Context, bank: Bank, rows: Mapping[str, DataFrame], files: Sequence[Row]) -> None:
    """Replace ``transaction_coverage`` by what the files that count promise, where the bank delivers postings."""
    if not {"transaction", "account"} <= set(rows):
        return
    with context.progress.step("silver transaction_coverage") as step:
        spans = covered_spans(bank, context.lake, rows["transaction"], files)
        written = context.lake.replace("transaction_coverage", spans)
        step.says(f"{written.rows:,} spans")


def reconcile(context: Context, landed_files: Sequence[Row], files: Sequence[Row]) -> None:
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
