"""The columns of Parquet files as Spark can read them, known from the footers before any row is read.

Spark refuses a whole file for one column of a type that it lacks. So the columns that it can read are named to it;
times in nanoseconds are read as integers and become microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.jobs.runtime.errors import InputError
from strata.models.samples.training_rows import column, quoted

NANOS = "spark.sql.legacy.parquet.nanosAsLong"
PACKINGS = ("BROTLI", "LZO")  # that Spark has no code for
INTEGERS: Mapping[tuple[int, bool], T.DataType] = {
    (8, True): T.ByteType(),
    (16, True): T.ShortType(),
    (32, True): T.IntegerType(),
    (64, True): T.LongType(),
    (8, False): T.ShortType(),
    (16, False): T.IntegerType(),
    (32, False): T.LongType(),
    (64, False): T.DecimalType(20, 0),
}
PLAIN: Mapping[str, T.DataType] = {
    "BOOLEAN": T.BooleanType(),
    "INT32": T.IntegerType(),
    "INT64": T.LongType(),
    "INT96": T.TimestampType(),
    "FLOAT": T.FloatType(),
    "DOUBLE": T.DoubleType(),
}
TEXTS = ("String", "Enum", "JSON")
MOST_DIGITS = 38
# Logical types that make Spark 3.5 fail at the footer itself, whichever columns are asked for.
KNOWN = ("None", "Null", "Int", "Decimal", "Date", "Time", "Timestamp", "UUID", "BSON", "Interval", "Map", "List")


@dataclass(frozen=True)
class ParquetColumns:
    """``readable`` columns with their types in Spark, what the ``others`` hold, which are times in ``nanos``.

    ``nanos`` maps a column to whether it is an instant (True) or a wall clock's time (False).
    """

    readable: Mapping[str, T.DataType]
    others: Mapping[str, str]
    nanos: Mapping[str, bool]
    refused: bool

    @property
    def schema(self) -> T.StructType:
        """The readable columns, for Spark to read no others."""
        return T.StructType([T.StructField(name, kind) for name, kind in self.readable.items()])


def parquet_columns(files: Sequence[Path]) -> ParquetColumns:
    """What the footers of all files say. Raises ``InputError`` naming the file and column that Spark can't read."""
    first, *others = files
    found = _columns(first)
    for path in others:
        _check_alike(first, found, path, _columns(path))
    return found


def _columns(path: Path) -> ParquetColumns:
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as wrong:
        raise InputError(f"{path}: is no whole Parquet file; write it again ({_one_line(wrong)})") from None
    packing = next((name for name in PACKINGS if name in _packings(footer)), None)
    if packing:
        raise InputError(f"{path}: is packed with {packing}, which Spark can't unpack; write it with snappy or zstd")
    readable: dict[str, T.DataType] = {}
    others: dict[str, str] = {}
    nanos: dict[str, bool] = {}
    refused = False
    for place in range(len(footer.schema)):
        leaf = footer.schema.column(place)
        logical = json.loads(leaf.logical_type.to_json())
        word = str(logical["Type"])
        if word not in (*KNOWN, *TEXTS):
            raise InputError(
                f"{path}: column {leaf.path!r} is {word}, and Spark can't read a file that has one; "
                "write it as another type, such as float32 for float16"
            )
        kind = _spark_type(leaf, logical)
        refused = refused or (kind is None and not _is_binary(leaf, word))
        if leaf.path != leaf.name:
            others[leaf.path.split(".")[0]] = "nested"
        elif kind is None:
            others[leaf.path] = _word(leaf, logical)
        else:
            readable[leaf.path] = kind
            if logical.get("timeUnit") == "nanoseconds":
                nanos[leaf.path] = bool(logical["isAdjustedToUTC"])
    return ParquetColumns(readable, others, nanos, refused)


def _packings(footer: Any) -> set[str]:
    groups = (footer.row_group(at) for at in range(min(footer.num_row_groups, 1)))
    return {group.column(at).compression for group in groups for at in range(group.num_columns)}


def _is_binary(leaf: Any, word: str) -> bool:
    """Bytes without a meaning: Spark reads them, and they are left out."""
    return "BYTE_ARRAY" in leaf.physical_type and word in ("None", "BSON")


def _spark_type(leaf: Any, logical: Mapping[str, Any]) -> T.DataType | None:
    """The type that Spark gives a leaf; None when it has none or when it is bytes."""
    word = logical["Type"]
    if word in TEXTS:
        return T.StringType()
    if word == "Int":
        return INTEGERS[logical["bitWidth"], logical["isSigned"]]
    if word == "Decimal":
        fits = logical["precision"] <= MOST_DIGITS
        return T.DecimalType(logical["precision"], logical["scale"]) if fits else None
    if word == "Date":
        return T.DateType()
    if word == "Timestamp":
        if logical["timeUnit"] == "nanoseconds":
            return T.LongType()
        return T.TimestampType() if logical["isAdjustedToUTC"] else T.TimestampNTZType()
    return PLAIN.get(leaf.physical_type) if word in ("None", "Null") else None


def _word(leaf: Any, logical: Mapping[str, Any]) -> str:
    word = logical["Type"]
    if word == "Decimal":
        return f"decimal of {logical['precision']} digits"
    return "binary" if _is_binary(leaf, word) else "time of day" if word == "Time" else str(word).lower()


def _check_alike(first: Path, found: ParquetColumns, path: Path, here: ParquetColumns) -> None:
    kinds = {**found.readable, **found.others}
    own = {**here.readable, **here.others}
    for name in (*kinds, *own):
        if name not in kinds or name not in own:
            has, lacks = (first.name, path) if name in kinds else (path.name, first)
            raise InputError(f"{lacks}: has no column {name!r}, which {has} has; write all files with the same columns")
        if kinds[name] != own[name] or found.nanos.get(name) != here.nanos.get(name):
            words = [str(getattr(kind, "simpleString", lambda kind=kind: kind)()) for kind in (own[name], kinds[name])]
            raise InputError(
                f"{path}: column {name!r} is {words[0]}, in {first.name} it is {words[1]}; write them alike"
            )


def read_parquet(spark: SparkSession, path: str, columns: ParquetColumns) -> DataFrame:
    """The rows with the columns that Spark can read, nested and binary ones among them unless others stop it."""
    # Days before 1582 and times before 1900 are what they say: other writers than old Sparks use today's calendar.
    reader = spark.read.option("datetimeRebaseMode", "CORRECTED").option("int96RebaseMode", "CORRECTED")
    if columns.nanos:
        # Asked for in the session, because Spark looks there whenever it plans a read of these rows.
        spark.conf.set(NANOS, "true")
    rows = (reader.schema(columns.schema) if columns.refused else reader).parquet(path)
    times = {name: _time(name, is_instant) for name, is_instant in columns.nanos.items()}
    return rows.select(*(times.get(name, column(name)).alias(name) for name in rows.columns))


def _time(name: str, is_instant: bool) -> Column:
    """Nanoseconds since 1970 as a time of whole microseconds, rounded down."""
    nanos = quoted(name)
    micros = f"({nanos} - pmod({nanos}, 1000)) div 1000"
    if is_instant:
        return F.expr(f"timestamp_micros({micros})")
    seconds = f"CAST(CAST({micros} AS DECIMAL(18, 0)) * 0.000001BD AS DECIMAL(18, 6))"
    return F.expr(f"TIMESTAMP_NTZ'1970-01-01 00:00:00' + make_dt_interval(0, 0, 0, {seconds})")


def _one_line(wrong: Exception) -> str:
    return str(wrong).strip().splitlines()[0] if str(wrong).strip() else type(wrong).__name__
