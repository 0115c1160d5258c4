"""Bronze to silver: one engine for every table. It judges each row and loses none.

A row is ``out`` (in silver), ``quarantined`` (breaks the contract; ``why`` stands beside it) or
``duplicate`` (its key is in silver from another row). The rules for equal keys:

- the same content again, in the same or another file: duplicate;
- other content in a later file: a correction, so the later wins and the earlier is the duplicate;
- other content in the same file: nobody can say which is right, so all rows of the key in that file
  are quarantined;
- every row of a file that was replaced as a whole by a user's own is a duplicate.

A mapping that keeps versions has ``known_ts`` in the key: rows of one identity (the rest of the key) that the bank
knew at different times all stay, so that a question as of an earlier time finds the earlier one. Only a later-known
row that says the same as the one before it is a duplicate: a re-delivery is no new version.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from strata.conf.contracts import Table
from strata.conf.feeds import CLOCKS
from strata.jobs.runtime.catalog import contract_of
from strata.jobs.sources.formats import header, line_fault
from strata.jobs.sources.mapping import Field, Reference, TableMapping, Texts, Token

ORIGIN = ("_source", "_sha256", "_delivery", "_row", "_ingest_id")
OUT, QUARANTINED, DUPLICATE = VERDICTS = "out", "quarantined", "duplicate"
# What the decoder puts in place of bytes that are no UTF-8.
UNREADABLE = "\ufffd"
DROP = r"^(\d{4}-\d{2}-\d{2})/"
SHOWN = 40  # characters of a refused value that a message repeats


def judged(
    mapping: TableMapping,
    bronze: DataFrame,
    known: Mapping[str, DataFrame],
    *,
    replaced: Collection[str],
    token: Token,
) -> DataFrame:
    """Every bronze row once: silver columns, where it came from, ``verdict``, ``column_name`` and ``why``.

    ``known`` are the silver rows of the referenced tables, ``replaced`` the hashes of files that no
    longer count. Shuffles: one by the key of each reference (a broadcast while that table is small)
    and one by the table's own identity.
    """
    contract = contract_of(mapping.table)
    typed = _typed(mapping, bronze, token)
    for reference in mapping.references:
        typed = _with_reference(typed, reference, known[reference.table])
    dated = typed.withColumn("event_ts", F.expr(mapping.event).cast("timestamp"))
    clocked = dated.withColumn("known_ts", F.expr(mapping.known).cast("timestamp"))
    faults = clocked.withColumn("faults", _faults(mapping, contract))
    return _with_verdict(faults, mapping, contract, replaced)


def accepted(rows: DataFrame, table: str) -> DataFrame:
    """The judged rows that go to silver, with the contract's columns."""
    return rows.where(F.col("verdict") == OUT).select(*contract_of(table).names)


def refused(rows: DataFrame) -> DataFrame:
    """The judged rows that go to quarantine, in the shape of its contract."""
    return rows.where(F.col("verdict") == QUARANTINED).select(
        F.col("_source").alias("source_file"),
        F.col("_sha256").alias("content_sha256"),
        F.col("_row").alias("row"),
        "column_name",
        F.col("why").alias("reason"),
        "_ingest_id",
    )


def accounts(rows: DataFrame, table: str) -> DataFrame:
    """One row a file: how many rows came to which verdict, and the first reason for a refusal."""

    def count(verdict: str) -> Column:
        return F.count_if(F.col("verdict") == verdict)

    first = F.min_by("why", F.when(F.col("verdict") == QUARANTINED, F.col("_row")))
    return rows.groupBy("_source", "_sha256", "_delivery", "_ingest_id").agg(
        F.lit(table).alias("table_name"),
        count(OUT).alias("rows_out"),
        count(QUARANTINED).alias("rows_quarantined"),
        count(DUPLICATE).alias("rows_duplicate"),
        first.alias("first_reason"),
    )


def _typed(mapping: TableMapping, bronze: DataFrame, token: Token) -> DataFrame:
    """The fields and the other silver columns, the delivered ones as ``raw`` for messages, what breaks the line."""
    texts = Texts(mapping.missing, token)
    readable = F.col("_line") == F.encode(F.col("_line").cast("string"), "UTF-8")
    broken = F.when(~F.col("_is_whole"), line_fault(mapping.kind, mapping.format, F.col("_line").cast("string")))
    return bronze.select(
        *(field.parse(texts).alias(field.name) for field in mapping.fields),
        *_undelivered(mapping),
        F.struct(*(texts[name].alias(name) for name in header(mapping.kind))).alias("raw"),
        readable.alias("is_readable"),
        broken.alias("broken"),
        F.to_date(F.regexp_extract("_source", DROP, 1)).alias("dropped_on"),
        *ORIGIN,
    )


def _undelivered(mapping: TableMapping) -> list[Column]:
    """The silver columns that the files don't have: the mapping's constants, else null."""
    present = {*CLOCKS, *(field.name for field in mapping.fields)}
    return [
        F.expr(mapping.constants.get(column.name, "NULL")).cast(column.type).alias(column.name)
        for column in contract_of(mapping.table).columns
        if column.name not in present
    ]


def _with_reference(rows: DataFrame, reference: Reference, known: DataFrame) -> DataFrame:
    """Whether the referenced row is known, as ``has_<column>``, and what its latest version brings."""
    key = contract_of(reference.table).key[0]
    brought = [F.max_by(name, "known_ts").alias(name) for name in reference.brings]
    found = known.groupBy(F.col(key).alias(reference.column)).agg(F.lit(True).alias(_flag(reference)), *brought)
    return rows.join(found, on=reference.column, how="left")


def _flag(reference: Reference) -> str:
    return f"has_{reference.column}"


def _faults(mapping: TableMapping, contract: Table) -> Column:
    """What is wrong with a row: an array of (column, words); empty for a good row.

    A line that can't be split or read is told as that alone; row rules are tested when all fields are good.
    """
    names = header(mapping.kind)
    encoding = _compact([_encoding_fault(name) for name in names])
    unreadable = F.when(F.size(encoding) > 0, encoding).otherwise(F.array(_fault(None, F.lit("is not UTF-8"))))
    fields = _compact([_field_fault(field, contract) for field in mapping.fields])
    rules = _compact(_rule_faults(mapping, contract))
    return (
        F.when(~F.col("is_readable"), unreadable)
        .when(F.col("broken").isNotNull(), F.array(_fault(None, F.col("broken"))))
        .when(F.size(fields) > 0, fields)
        .otherwise(rules)
    )


def _fault(column: str | None, words: Column) -> Column:
    prefix = F.lit(f"{column}: " if column else "")
    return F.struct(F.lit(column).cast("string").alias("column"), F.concat(prefix, words).alias("words"))


def _compact(faults: list[Column]) -> Column:
    return F.filter(F.array(*faults), lambda fault: fault.isNotNull())


def _encoding_fault(raw: str) -> Column:
    return F.when(F.col(f"raw.`{raw}`").contains(UNREADABLE), _fault(raw, F.lit("is not UTF-8")))


def _field_fault(field: Field, contract: Table) -> Column:
    """Given but not understood, or not given though silver needs it."""
    given, value = F.col(f"raw.`{field.raw}`"), F.col(field.name)
    optional = any(column.nullable for column in contract.columns if column.name == field.name)
    shown = F.concat(F.lit("'"), F.substring(given, 1, SHOWN), F.lit(f"' is not {field.expected}"))
    fault = F.when(value.isNull() & given.isNotNull(), _fault(field.raw, shown))
    return fault if optional else fault.when(value.isNull(), _fault(field.raw, F.lit("is missing")))


def _rule_faults(mapping: TableMapping, contract: Table) -> list[Column]:
    raw = {field.name: field.raw for field in mapping.fields}
    rules = [
        F.when(~F.expr(check.sql), _fault(_first_column(check.sql, raw), F.lit(check.reason)))
        for check in contract.checks
    ]
    orphans = [
        F.when(
            F.col(_flag(reference)).isNull() & F.col(reference.column).isNotNull(),
            _fault(
                raw[reference.column],
                F.concat(F.lit("'"), F.col(reference.column).cast("string"), F.lit(f"' is not in {reference.table}")),
            ),
        )
        for reference in mapping.references
    ]
    return [*rules, *orphans]


def _first_column(sql: str, raw: Mapping[str, str]) -> str | None:
    return next((raw[word] for word in re.findall(r"\w+", sql) if word in raw), None)


def _with_verdict(rows: DataFrame, mapping: TableMapping, contract: Table, replaced: Collection[str]) -> DataFrame:
    """Settle equal keys. All windows lie within the identity, so they share its shuffle."""
    identity = [name for name in contract.key if name != "known_ts"]
    place = [*identity, "known_ts"] if mapping.keeps_versions else identity
    won = _with_winner(_marked(rows.repartition(*identity), contract, place, replaced), place)
    repeats = _repeats_earlier(identity) if mapping.keeps_versions else F.lit(False)
    verdict = (
        F.when(F.col("is_replaced"), DUPLICATE)
        .when(~_candidate(), QUARANTINED)
        .when(F.col("has_won") & ~repeats, OUT)
        .otherwise(DUPLICATE)
    )
    return _with_reason(won.withColumn("verdict", verdict), contract, place)


def _marked(rows: DataFrame, contract: Table, place: list[str], replaced: Collection[str]) -> DataFrame:
    """Which rows are replaced, which are good, and which are at odds with another of the same place and file."""
    is_replaced = F.lit(False) if not replaced else F.col("_sha256").isin(*replaced)
    is_good = (F.size("faults") == 0) & ~is_replaced
    content = F.when(is_good, _content(contract, place))
    marked = rows.withColumns({"is_replaced": is_replaced, "is_good": is_good, "content": content})
    in_file = Window.partitionBy(*place, "_delivery")
    at_odds = F.min("content").over(in_file) != F.max("content").over(in_file)
    return marked.withColumn("at_odds", F.coalesce(at_odds, F.lit(False)))


def _candidate() -> Column:
    return F.col("is_good") & ~F.col("at_odds")


def _content(contract: Table, place: list[str]) -> Column:
    """A hash of all but the place. It is told where nulls are, for it passes over them."""
    said = [column for column in contract.columns if column.name not in place]
    nulls = (F.col(column.name).isNull() for column in said if column.nullable)
    return F.xxhash64(*(F.col(column.name) for column in said), *nulls)


def _with_winner(rows: DataFrame, place: list[str]) -> DataFrame:
    """Whether a row is the one of its place that counts: the latest delivered candidate, the first in its file."""
    newest = Window.partitionBy(*place).orderBy(_candidate().desc(), F.desc("_delivery"), "_row")
    return rows.withColumn("has_won", _candidate() & (F.row_number().over(newest) == 1))


def _repeats_earlier(identity: list[str]) -> Column:
    """Whether a row says what the last winner known before it says.

    That one may be a repetition itself: then it says what the version before it says.
    """
    earlier = Window.partitionBy(*identity).orderBy("known_ts").rowsBetween(Window.unboundedPreceding, -1)
    said = F.last(F.when(F.col("has_won"), F.col("content")), ignorenulls=True).over(earlier)
    return F.coalesce(said == F.col("content"), F.lit(False))


def _with_reason(rows: DataFrame, contract: Table, place: list[str]) -> DataFrame:
    conflict = F.concat(
        F.lit(f"{', '.join(place)} "),
        F.concat_ws(", ", *(F.col(name).cast("string") for name in place)),
        F.lit(" stands in this file more than once, with different content"),
    )
    words = F.when(F.col("is_good") & F.col("at_odds"), conflict).otherwise(F.array_join("faults.words", "; "))
    where = F.concat("_source", F.lit(" row "), F.col("_row").cast("string"), F.lit(": "), words)
    return rows.select(
        *contract.names,
        *ORIGIN,
        "verdict",
        F.when(F.col("verdict") == QUARANTINED, F.try_element_at("faults.column", F.lit(1))).alias("column_name"),
        F.when(F.col("verdict") == QUARANTINED, where).alias("why"),
    )
