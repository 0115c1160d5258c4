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
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from strata.conf.banks import CLOCKS, NEXT_MORNING
from strata.conf.contracts import Table
from strata.jobs.sources.formats import UNREADABLE, line_fault
from strata.jobs.sources.mapping import TEXTS, Field, TableMapping, literal, text_of, texts_of

ORIGIN = ("_source", "_sha256", "_delivery", "_row", "_ingest_id")
OUT, QUARANTINED, DUPLICATE = VERDICTS = "out", "quarantined", "duplicate"
DROP = r"^(\d{4}-\d{2}-\d{2})/"
# How a reference to nothing is told, and reasons that say nothing else.
IS_NOT_IN = "' is not in "
ORPHANED = rf" row \d+: ([^:;]+: '[^;]*{IS_NOT_IN}\w+(; )?)+$"
NO_FAULTS = "CAST(array() AS array<struct<column: string, words: string>>)"
SHOWN = 40  # characters of a refused value that a message repeats


def judged(
    parts: Sequence[tuple[TableMapping, DataFrame]],
    known: Mapping[str, DataFrame],
    *,
    replaced: Collection[str],
) -> DataFrame:
    """Every bronze row of one silver table once: columns, where it came from, ``verdict``, ``column_name``, ``why``.

    ``parts`` are the feeds that fill the table, each with its bronze rows. ``known`` are the silver rows of the
    referenced tables by name, ``replaced`` the hashes of files that no longer count. SQL must know the function that
    makes tokens (``mapping.TOKEN``). Shuffles: one by the key of each reference (a broadcast while that table is
    small) and one by the table's own identity.
    """
    contract = parts[0][0].contract
    faulty = [_faulty(mapping, bronze, known, number) for number, (mapping, bronze) in enumerate(parts)]
    rows = reduce(DataFrame.unionByName, faulty)
    return _with_verdict(rows, contract, replaced, keeps_versions=parts[0][0].fill.keeps_versions)


def _faulty(mapping: TableMapping, bronze: DataFrame, known: Mapping[str, DataFrame], number: int) -> DataFrame:
    """The rows of one feed as silver columns, with ``faults`` and the feed's ``number``."""
    typed = _typed(mapping, bronze)
    for column, reference in mapping.fill.references.items():
        typed = _with_reference(typed, column, mapping.keys[column], reference.brings, known[reference.table])
    dated = typed.withColumn("event_ts", F.expr(mapping.fill.event or "NULL").cast("timestamp"))
    clocked = dated.withColumn("known_ts", F.expr(mapping.fill.known).cast("timestamp"))
    faults = f"{_faults(mapping)} AS faults"
    return clocked.selectExpr(*_quoted(mapping.contract.names), *ORIGIN, f"{number} AS _feed", faults)


def _quoted(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]


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


def _typed(mapping: TableMapping, bronze: DataFrame) -> DataFrame:
    """The fields and the other silver columns, the delivered texts for messages, what breaks the line."""
    feed = mapping.feed
    marked = bronze.selectExpr(
        "*",
        texts_of(feed),
        "_line = encode(CAST(_line AS string), 'UTF-8') AS is_readable",
        f"to_date(regexp_extract(_source, {literal(DROP)}, 1)) AS dropped_on",
    ).withColumn("broken", F.when(~F.col("_is_whole"), line_fault(feed, F.col("_line").cast("string"))))
    return marked.select(
        *(field.column() for field in mapping.fields),
        *(F.expr(sql) for sql in _undelivered(mapping)),
        *(TEXTS, "_line", "is_readable", "broken", "dropped_on"),
        F.expr(f"CAST(date_add(dropped_on, 1) AS timestamp) AS {NEXT_MORNING}"),
        *ORIGIN,
    )


def _undelivered(mapping: TableMapping) -> list[str]:
    """The silver columns that the files don't have, as nulls."""
    present = {*CLOCKS, *(field.name for field in mapping.fields)}
    absent = (column for column in mapping.contract.columns if column.name not in present)
    return [f"CAST(NULL AS {column.type}) AS `{column.name}`" for column in absent]


def _with_reference(rows: DataFrame, column: str, key: str, brings: Sequence[str], known: DataFrame) -> DataFrame:
    """Whether the referenced row is known, as ``has_<column>``, and what its latest version brings."""
    brought = [F.max_by(name, "known_ts").alias(name) for name in brings]
    found = known.groupBy(F.col(key).alias(column)).agg(F.lit(True).alias(_flag(column)), *brought)
    return rows.join(found, on=column, how="left")


def _flag(column: str) -> str:
    return f"has_{column}"


def _faults(mapping: TableMapping) -> str:
    """What is wrong with a row, as SQL: an array of (column, words); empty for a good row.

    A line that can't be split or read is told as that alone; row rules are tested when all fields are good.
    """
    meant = literal(f"is not {mapping.feed.encoding.upper()}")
    encoding = _compact([_encoding_fault(name, meant) for name in mapping.feed.header])
    fields = _compact([_field_fault(field) for field in mapping.fields])
    rules = _compact(_rule_faults(mapping))
    # Another encoding than UTF-8 was read when the file was staged, and what it couldn't read stands there as such.
    unread = f"contains(CAST(_line AS string), {literal(UNREADABLE)})" if mapping.feed.encoding != "utf-8" else "false"
    return (
        f"CASE WHEN NOT is_readable OR {unread} THEN"
        f" CASE WHEN size({encoding}) > 0 THEN {encoding} ELSE array({_fault(None, meant)}) END"
        f" WHEN broken IS NOT NULL THEN array({_fault(None, 'broken')})"
        f" WHEN size({fields}) > 0 THEN {fields} ELSE {rules} END"
    )


def _fault(column: str | None, words: str) -> str:
    """One fault; ``words`` are SQL."""
    if column is None:
        return f"named_struct('column', CAST(NULL AS string), 'words', {words})"
    return f"named_struct('column', {literal(column)}, 'words', concat({literal(column + ': ')}, {words}))"


def _when(condition: str, column: str | None, words: str) -> str:
    return f"CASE WHEN {condition} THEN {_fault(column, words)} END"


def _compact(faults: list[str]) -> str:
    listed = f"array({', '.join(faults)})" if faults else NO_FAULTS
    return f"array_distinct(filter({listed}, fault -> fault IS NOT NULL))"


def _encoding_fault(raw: str, meant: str) -> str:
    return _when(f"contains({text_of(raw)}, {literal(UNREADABLE)})", raw, meant)


def _field_fault(field: Field) -> str:
    """Given but not understood, or not given though it is needed."""
    cases = []
    if field.raw is not None:
        given = text_of(field.raw)
        end = literal(f"' is not {field.expected}")
        shown = f"concat('\\'', substring({given}, 1, {SHOWN}), {end})"
        cases.append(f"WHEN `{field.name}` IS NULL AND {given} IS NOT NULL THEN {_fault(field.raw, shown)}")
    if field.needed:
        missing = _fault(field.raw or field.name, "'is missing'")
        cases.append(f"WHEN `{field.name}` IS NULL THEN {missing}")
    return f"CASE {' '.join(cases)} END" if cases else "NULL"


def _rule_faults(mapping: TableMapping) -> list[str]:
    raw = {field.name: field.raw for field in mapping.fields if field.raw}
    rules = [
        _when(f"NOT ({check.sql})", _first_column(check.sql, raw), literal(check.reason))
        for check in mapping.contract.checks
    ]
    orphans = [
        _when(
            f"{_flag(column)} IS NULL AND `{column}` IS NOT NULL",
            raw.get(column, column),
            f"concat('\\'', {_shown(mapping, column)}, {literal(IS_NOT_IN + reference.table)})",
        )
        for column, reference in mapping.fill.references.items()
    ]
    return [*rules, *orphans]


def _shown(mapping: TableMapping, column: str) -> str:
    """A value that refers to nothing, as it was delivered: what is made of it would mean nothing to its sender."""
    source = mapping.fill.sources(mapping.contract)[column]
    if source.id is None:
        return f"CAST(`{column}` AS string)"
    parts = ", ".join(text_of(part) for part in source.parts(column))
    return f"concat_ws({literal(source.join)}, {parts})"


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
