"""Random cases as tables that Spark and DuckDB both read, and answers read back; times around odd days of a zone."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from tests.property import Answers, Case, Columns, Reading

INSTANT = pa.timestamp("us", tz="UTC")
KINDS = {
    "string": pa.string(),
    "int": pa.int32(),
    "boolean": pa.bool_(),
    "double": pa.float64(),
    "decimal": pa.decimal128(12, 2),
    "date": pa.date32(),
    "timestamp": INSTANT,
}
Kinds = Mapping[str, Mapping[str, str]]
"""For each table its columns and their kinds; the first table is the spine."""
# Days with 23 or 25 hours; at midnight in Sao Paulo and Beirut, where the day begins at 1 or its last hour comes twice.
ODD_DAYS = {
    "Europe/Prague": ("1994-03-27", "1994-09-25"),
    "America/Sao_Paulo": ("2017-10-15", "2018-02-18"),
    "Asia/Beirut": ("2015-03-29", "2015-10-25"),
    "Asia/Shanghai": ("1991-04-14", "1991-09-15", "2024-02-29"),
}
HOURS = (0, 0, 0, 0, 1, 2, 2.5, 3, 12, 23, 23.5)
MICROSECOND, HOUR = timedelta(microseconds=1), timedelta(hours=1)


def moment(rng: random.Random, zone: str, kind: str) -> datetime:
    """A time of few different hours, so that ties are common, in the days around a change of clocks; a date's is 0."""
    day = datetime.fromisoformat(rng.choice(ODD_DAYS[zone])) + timedelta(days=rng.choice((-1, 0, 0, 1, 1, 2, 5, 8)))
    hours = 0 if kind == "date" else rng.choice(HOURS)
    return (day + timedelta(hours=hours)).replace(tzinfo=ZoneInfo(zone), fold=rng.choice((0, 0, 1)))


def who(rng: random.Random) -> tuple[str | None, int | None]:
    """A key of two columns, mostly the same one, so that rows meet; sometimes a part is missing."""
    return rng.choice(("a",) * 12 + ("b", "b", None)), rng.choice((1,) * 12 + (2, 2, None))


def with_dates(kinds: Mapping[str, str], dates: Sequence[str]) -> dict[str, str]:
    """The kinds of a table's columns when ``dates`` are dates."""
    return {column: "date" if column in dates else kind for column, kind in kinds.items()}


def as_kinds(rows: list[tuple], kinds: Mapping[str, str]) -> list[tuple]:
    """Rows whose times have become the dates they fall on, in the columns that are dates."""
    return [
        tuple(value.date() if value and kind == "date" else value for value, kind in zip(row, kinds.values()))
        for row in rows
    ]


def names(kinds: Kinds) -> Columns:
    return {table: list(columns) for table, columns in kinds.items()}


def by_spark(spark: SparkSession, kinds: Kinds, engine: Callable[[dict[str, DataFrame]], DataFrame]) -> Reading:
    """A reading by one Spark job; ``engine`` gets the tables with ``case``, and the spine with ``row`` too."""

    def read(cases: Sequence[Case]) -> Answers:
        with TemporaryDirectory() as folder:
            # Files, because pandas takes NaN for null and loses decimals and dates, and rows lose an hour that repeats.
            for name, table in _tables(cases, kinds).items():
                pq.write_table(table, f"{folder}/{name}.parquet")
            frames = {name: spark.read.parquet(f"{folder}/{name}.parquet") for name in kinds}
            engine(frames).coalesce(1).write.parquet(f"{folder}/answers")
            return _answers(pq.read_table(f"{folder}/answers"), len(cases))

    return read


def by_sql(zone: str, kinds: Kinds, sql: str) -> Reading:
    """A reading by one DuckDB query on the same tables; its dates become timestamps at midnight in ``zone``."""

    def read(cases: Sequence[Case]) -> Answers:
        with duckdb.connect() as database:
            database.execute(f"SET TimeZone = '{zone}'")
            for name, table in _tables(cases, kinds).items():
                database.register(name, table)
            return _answers(database.sql(sql).to_arrow_table(), len(cases))

    return read


def _tables(cases: Sequence[Case], kinds: Kinds) -> dict[str, pa.Table]:
    """All rows of each table with their case, those of the spine with their place in it."""
    spine = next(iter(kinds))
    tables = {}
    for name, columns in kinds.items():
        fields = {"case": "int", "row": "int", **columns}
        rows = [(number, place, *row) for number, case in enumerate(cases) for place, row in enumerate(case[name])]
        values = zip(*rows, strict=True) if rows else [()] * len(fields)
        table = pa.table({field: pa.array(column, KINDS[fields[field]]) for field, column in zip(fields, values)})
        tables[name] = table if name == spine else table.drop_columns("row")
    return tables


def _answers(table: pa.Table, cases: int) -> Answers:
    # Spark writes timestamps without a zone, in UTC; DuckDB gives them in its own.
    kinds = {field.name: INSTANT if pa.types.is_timestamp(field.type) else field.type for field in table.schema}
    rows = table.cast(pa.schema(kinds)).sort_by([("case", "ascending"), ("row", "ascending")]).to_pylist()
    answers: Answers = [[] for _ in range(cases)]
    for row in rows:
        answers[row["case"]].append(row)
    return answers
