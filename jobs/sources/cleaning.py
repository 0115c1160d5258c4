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
from collections.abc import Collection, Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from strata.conf.banks import CLOCKS, NEXT_MORNING
from strata.conf.contracts import Table
from strata.jobs.sources.formats import UNREADABLE, line_fault
from strata.jobs.sources.mapping import Field, TableMapping, Texts, Token

ORIGIN = ("_source", "_sha256", "_delivery", "_row", "_ingest_id")
OUT, QUARANTINED, DUPLICATE = VERDICTS = "out", "quarantined", "duplicate"
DROP = r"^(\d{4}-\d{2}-\d{2})/"
# How a reference to nothing is told, and reasons that say nothing else.
IS_NOT_IN = "' is not in "
ORPHANED = rf" row \d+: ([^:;]+: '[^;]*{IS_NOT_IN}\w+(; )?)+$"
SHOWN = 40  # characters of a refused value that a message repeats


def judged(
    parts: Sequence[tuple[TableMapping, DataFrame]],
    known: Mapping[str, DataFrame],
    *,
    replaced: Collection[str],
    token: Token,
) -> DataFrame:
    """Every bronze row of one silver table once: columns, where it came from, ``verdict``, ``column_name``, ``why``.

    ``parts`` are the feeds that fill the table, each with its bronze rows. ``known`` are the silver rows of the
    referenced tables by name, ``replaced`` the hashes of files that no longer count. Shuffles: one by the key of each
    reference (a broadcast while that table is small) and one by the table's own identity.
    """
    contract = parts[0][0].contract
    faulty = [_faulty(mapping, bronze, known, token, number) for number, (mapping, bronze) in enumerate(parts)]
    rows = reduce(DataFrame.unionByName, faulty)
    return _with_verdict(rows, contract, replaced, keeps_versions=parts[0][0].fill.keeps_versions)


def _faulty(
    mapping: TableMapping, bronze: DataFrame, known: Mapping[str, DataFrame], token: Token, number: int
) -> DataFrame:
    """The rows of one feed as silver columns, with ``faults`` and the feed's ``number``."""
    typed = _typed(mapping, bronze, token)
    for column, reference in mapping.fill.references.items():
        typed = _with_reference(typed, column, mapping.keys[column], reference.brings, known[reference.table])
    dated = typed.withColumn("event_ts", F.expr(mapping.fill.event or "NULL").cast("timestamp"))
    clocked = dated.withColumn("known_ts", F.expr(mapping.fill.known).cast("timestamp"))
    faults = _faults(mapping).alias("faults")
    return clocked.select(*mapping.contract.names, *ORIGIN, F.lit(number).alias("_feed"), faults)


def accepted(rows: DataFrame, contract: Table) -> DataFrame:
    """The judged rows that go to silver, with the contract's columns."""
    return rows.where(F.col("verdict") == OUT).select(*contract.names)


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
    """One row per file: rows by verdict, those refused only for what they refer to, the first reason for a refusal."""

    def count(verdict: str) -> Column:
        return F.count_if(F.col("verdict") == verdict)

    first = F.min_by("why", F.when(F.col("verdict") == QUARANTINED, F.col("_row")))
    is_orphan = (F.col("verdict") == QUARANTINED) & F.col("why").rlike(ORPHANED)
    return rows.groupBy("_source", "_sha256", "_delivery", "_ingest_id").agg(
        F.lit(table).alias("table_name"),
        count(OUT).alias("rows_out"),
        count(QUARANTINED).alias("rows_quarantined"),
        count(DUPLICATE).alias("rows_duplicate"),
        F.count_if(is_orphan).alias("rows_orphaned"),
        first.alias("first_reason"),
    )


def _typed(mapping: TableMapping, bronze: DataFrame, token: Token) -> DataFrame:
    """The fields and the other silver columns, the delivered ones as ``raw`` for messages, what breaks the line."""
    texts = Texts(mapping.feed, token)
    readable = F.col("_line") == F.encode(F.col("_line").cast("string"), "UTF-8")
    broken = F.when(~F.col("_is_whole"), line_fault(mapping.feed, F.col("_line").cast("string")))
    dropped = F.to_date(F.regexp_extract("_source", DROP, 1))
    return bronze.select(
        *(field.parse(texts).alias(field.name) for field in mapping.fields),
        *_undelivered(mapping),
        F.struct(*(texts[name].alias(name) for name in mapping.feed.header)).alias("raw"),
        readable.alias("is_readable"),
        broken.alias("broken"),
        dropped.alias("dropped_on"),
        F.date_add(dropped, 1).cast("timestamp").alias(NEXT_MORNING),
        *ORIGIN,
    )


def _undelivered(mapping: TableMapping) -> list[Column]:
    """The silver columns that the files don't have, as nulls."""
    present = {*CLOCKS, *(field.name for field in mapping.fields)}
    return [
        F.lit(None).cast(column.type).alias(column.name)
        for column in mapping.contract.columns
        if column.name not in present
    ]


def _with_reference(rows: DataFrame, column: str, key: str, brings: Sequence[str], known: DataFrame) -> DataFrame:
    """Whether the referenced row is known, as ``has_<column>``, and what its latest version brings."""
    brought = [F.max_by(name, "known_ts").alias(name) for name in brings]
    found = known.groupBy(F.col(key).alias(column)).agg(F.lit(True).alias(_flag(column)), *brought)
    return rows.join(found, on=column, how="left")


def _flag(column: str) -> str:
    return f"has_{column}"


def _faults(mapping: TableMapping) -> Column:
    """What is wrong with a row: an array of (column, words); empty for a good row.

    A line that can't be split or read is told as that alone; row rules are tested when all fields are good.
    """
    meant = f"is not {mapping.feed.encoding.upper()}"
    encoding = _compact([_encoding_fault(name, meant) for name in mapping.feed.header])
    unreadable = F.when(F.size(encoding) > 0, encoding).otherwise(F.array(_fault(None, F.lit(meant))))
    fields = _compact([_field_fault(field, mapping.contract) for field in mapping.fields])
    rules = _compact(_rule_faults(mapping))
    # Another encoding than UTF-8 was read when the file was staged, and what it couldn't read stands there as such.
    is_readable = F.col("is_readable")
    if mapping.feed.encoding != "utf-8":
        is_readable = is_readable & ~F.col("_line").cast("string").contains(UNREADABLE)
    return (
        F.when(~is_readable, unreadable)
        .when(F.col("broken").isNotNull(), F.array(_fault(None, F.col("broken"))))
        .when(F.size(fields) > 0, fields)
        .otherwise(rules)
    )


def _fault(column: str | None, words: Column) -> Column:
    prefix = F.lit(f"{column}: " if column else "")
    return F.struct(F.lit(column).cast("string").alias("column"), F.concat(prefix, words).alias("words"))


def _compact(faults: list[Column]) -> Column:
    return F.filter(F.array(*faults), lambda fault: fault.isNotNull())


def _encoding_fault(raw: str, meant: str) -> Column:
    return F.when(F.col(f"raw.`{raw}`").contains(UNREADABLE), _fault(raw, F.lit(meant)))


def _field_fault(field: Field, contract: Table) -> Column:
    """Given but not understood, or not given though silver needs it."""
    given, value = F.col(f"raw.`{field.raw}`") if field.raw else F.lit(None), F.col(field.name)
    optional = any(column.nullable for column in contract.columns if column.name == field.name)
    shown = F.concat(F.lit("'"), F.substring(given, 1, SHOWN), F.lit(f"' is not {field.expected}"))
    fault = F.when(value.isNull() & given.isNotNull(), _fault(field.raw, shown))
    return fault if optional else fault.when(value.isNull(), _fault(field.raw or field.name, F.lit("is missing")))


def _rule_faults(mapping: TableMapping) -> list[Column]:
    raw = {field.name: field.raw for field in mapping.fields if field.raw}
    rules = [
        F.when(~F.expr(check.sql), _fault(_first_column(check.sql, raw), F.lit(check.reason)))
        for check in mapping.contract.checks
    ]
    orphans = [
        F.when(
            F.col(_flag(column)).isNull() & F.col(column).isNotNull(),
            _fault(
                raw.get(column, column),
                F.concat(F.lit("'"), _shown(mapping, column), F.lit(f"{IS_NOT_IN}{reference.table}")),
            ),
        )
        for column, reference in mapping.fill.references.items()
    ]
    return [*rules, *orphans]


def _shown(mapping: TableMapping, column: str) -> Column:
    """A value that refers to nothing, as it was delivered: what is made of it would mean nothing to its sender."""
    source = mapping.fill.sources(mapping.contract)[column]
    if source.id is None:
        return F.col(column).cast("string")
    return F.concat_ws(source.join, *(F.col(f"raw.`{part}`") for part in source.parts(column)))


def _first_column(sql: str, raw: Mapping[str, str]) -> str | None:
    return next((raw[word] for word in re.findall(r"\w+", sql) if word in raw), None)


def _with_verdict(rows: DataFrame, contract: Table, replaced: Collection[str], *, keeps_versions: bool) -> DataFrame:
    """Settle equal keys. All windows lie within the identity, so they share its shuffle."""
    identity = [name for name in contract.key if name != "known_ts"]
    place = [*identity, "known_ts"] if keeps_versions else identity
    won = _with_winner(_marked(rows.repartition(*identity), contract, place, replaced), place)
    repeats = _repeats_earlier(identity) if keeps_versions else F.lit(False)
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
    in_file = Window.partitionBy(*place, "_feed", "_delivery")
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
    newest = Window.partitionBy(*place).orderBy(_candidate().desc(), F.desc("_delivery"), F.desc("_feed"), "_row")
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
