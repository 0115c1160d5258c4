"""Bronze to silver: one engine for every table. It judges each row and loses none.

A row is ``out`` (in silver), ``quarantined`` (breaks the contract; why stands beside it) or
``duplicate`` (its key is in silver from another row). The rules for equal keys:

- the same content again, in the same or another file: duplicate;
- other content in a later file: a correction, so the later wins and the earlier is the duplicate;
- other content in the same file: nobody can say which is right, so all rows of the key in that file
  are quarantined;
- every row of a file that was replaced as a whole by a user's own is a duplicate.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from strata.conf.contracts import Table
from strata.jobs.runtime.catalog import contract_of
from strata.jobs.sources.landing import header
from strata.jobs.sources.mapping import Field, TableMapping, Texts, Token

ORIGIN = ("_source", "_sha256", "_delivery", "_row", "_ingest_id")
OUT, QUARANTINED, DUPLICATE = VERDICTS = "out", "quarantined", "duplicate"
# What the decoder puts in place of bytes that are no UTF-8.
UNREADABLE = "\ufffd"
SHOWN = 40  # characters of a refused value that a message repeats


def judged(
    mapping: TableMapping,
    bronze: DataFrame,
    known: Mapping[str, DataFrame],
    *,
    replaced: Collection[str],
    token: Token,
) -> DataFrame:
    """Every bronze row once: silver columns, where it came from, ``verdict``, ``column_name`` and ``reason``.

    ``known`` are the silver rows of the referenced tables, ``replaced`` the hashes of files that no
    longer count. Two shuffles: by the key of each reference (a broadcast while that table is small)
    and by the table's own key.
    """
    contract = contract_of(mapping.table)
    typed = _typed(mapping, bronze, token)
    for reference in mapping.references:
        typed = _with_reference(typed, reference.table, reference.column, reference.brings, known)
    dated = typed.withColumn("event_ts", F.expr(mapping.event).cast("timestamp"))
    clocked = dated.withColumn("known_ts", F.expr(mapping.known).cast("timestamp"))
    faults = clocked.withColumn("faults", _faults(mapping, contract))
    return _with_verdict(faults, contract, replaced)


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
        "reason",
        "_ingest_id",
    )


def accounts(rows: DataFrame, table: str) -> DataFrame:
    """One row a file: how many rows came to which verdict, and the first reason for a refusal."""

    def count(verdict: str) -> Column:
        return F.count_if(F.col("verdict") == verdict)

    first = F.min_by("reason", F.when(F.col("verdict") == QUARANTINED, F.col("_row")))
    return rows.groupBy("_source", "_sha256", "_delivery", "_ingest_id").agg(
        F.lit(table).alias("table_name"),
        count(OUT).alias("rows_out"),
        count(QUARANTINED).alias("rows_quarantined"),
        count(DUPLICATE).alias("rows_duplicate"),
        first.alias("first_reason"),
    )


def _typed(mapping: TableMapping, bronze: DataFrame, token: Token) -> DataFrame:
    """The silver columns, the delivered ones as ``raw`` for messages, and whether the line can be trusted."""
    texts = Texts(mapping.missing, token)
    readable = F.col("_line") == F.encode(F.col("_line").cast("string"), "UTF-8")
    return bronze.select(
        *(field.parse(texts).alias(field.name) for field in mapping.fields),
        F.struct(*(texts[name].alias(name) for name in header(mapping.kind))).alias("raw"),
        readable.alias("is_readable"),
        F.col("_is_whole").alias("is_whole"),
        *ORIGIN,
    )


def _with_reference(
    rows: DataFrame, table: str, column: str, brings: tuple[str, ...], known: Mapping[str, DataFrame]
) -> DataFrame:
    key = contract_of(table).key[0]
    found = known[table].select(F.col(key).alias(column), *brings, F.lit(True).alias(f"in_{table}"))
    return rows.join(found, on=column, how="left")


def _faults(mapping: TableMapping, contract: Table) -> Column:
    """What is wrong with a row: an array of (column, words); empty for a good row.

    A line that can't be split or read is told as that alone; row rules are tested when all fields are good.
    """
    names = header(mapping.kind)
    broken = F.array(_fault(None, F.lit(f"the line does not have {len(names)} fields")))
    encoding = _compact([_encoding_fault(name) for name in names])
    unreadable = F.when(F.size(encoding) > 0, encoding).otherwise(F.array(_fault(None, F.lit("is not UTF-8"))))
    fields = _compact([_field_fault(field, contract) for field in mapping.fields])
    rules = _compact(_rule_faults(mapping, contract))
    return (
        F.when(~F.col("is_readable"), unreadable)
        .when(~F.col("is_whole"), broken)
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
            F.col(f"in_{reference.table}").isNull(),
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


def _with_verdict(rows: DataFrame, contract: Table, replaced: Collection[str]) -> DataFrame:
    """Settle equal keys; the windows share one shuffle by key."""
    key = list(contract.key)
    content = F.xxhash64(*(F.col(name) for name in contract.names if name not in key))
    counts = F.lit(False) if not replaced else F.col("_sha256").isin(*replaced)
    marked = rows.withColumn("is_replaced", counts)
    marked = marked.withColumn("is_good", (F.size("faults") == 0) & ~F.col("is_replaced")).withColumn(
        "content", F.when(F.col("is_good"), content)
    )
    in_file = Window.partitionBy(*key, "_delivery")
    torn = marked.withColumn("is_torn", F.min("content").over(in_file) != F.max("content").over(in_file))
    torn = torn.withColumn("is_torn", F.col("is_good") & F.coalesce("is_torn", F.lit(False)))
    candidate = F.col("is_good") & ~F.col("is_torn")
    newest = Window.partitionBy(*key).orderBy(candidate.desc(), F.desc("_delivery"), "_row")
    ranked = torn.withColumn("rank", F.row_number().over(newest))
    verdict = (
        F.when(F.col("is_replaced"), DUPLICATE)
        .when(~candidate, QUARANTINED)
        .when(F.col("rank") == 1, OUT)
        .otherwise(DUPLICATE)
    )
    return _with_reason(ranked.withColumn("verdict", verdict), contract)


def _with_reason(rows: DataFrame, contract: Table) -> DataFrame:
    conflict = F.concat(
        F.lit(f"{', '.join(contract.key)} "),
        F.concat_ws(", ", *(F.col(name).cast("string") for name in contract.key)),
        F.lit(" stands in this file more than once, with different content"),
    )
    words = F.when(F.col("is_torn"), conflict).otherwise(F.array_join("faults.words", "; "))
    place = F.concat("_source", F.lit(" row "), F.col("_row").cast("string"), F.lit(": "), words)
    return rows.select(
        *contract.names,
        *ORIGIN,
        "verdict",
        F.when(F.col("verdict") == QUARANTINED, F.try_element_at("faults.column", F.lit(1))).alias("column_name"),
        F.when(F.col("verdict") == QUARANTINED, place).alias("reason"),
    )
