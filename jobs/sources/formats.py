"""What stands in a delivered file, by format: its header, and its rows as text with the line they come from.

Whatever the format, bronze has text: the same forms that a CSV would have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from io import TextIOWrapper
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.window import Window

from strata.conf.banks import Feed
from strata.jobs.runtime.errors import InputError
from strata.jobs.sources.deliveries import Delivery, opened

BOM = "\ufeff"
# What a decoder puts in place of bytes that it can't read.
UNREADABLE = "\ufffd"
# A staged file lies in the folder of its hash, in dated folders also of its day.
PLACE = r"/([0-9a-f]{64}(?:/\d{4}-\d{2}-\d{2})?)/[^/]+$"
# Enough digits for the shortest text of any double, and no exponent.
PLAIN = f"0.{'#' * 340}"
SHOWN = 40  # characters of an unknown key that a message repeats

Shape = tuple[tuple[str, str, str], ...]


def check_header(delivery: Delivery) -> None:
    """Raises ``InputError`` naming the file and the column that is missing, not expected or out of place.

    JSON has no header: there each line is judged by its keys.
    """
    if delivery.format == "csv":
        _check_csv(delivery)
    if delivery.format == "parquet":
        _check_parquet(delivery)


def _check_csv(delivery: Delivery) -> None:
    feed = delivery.feed
    if not feed.csv.header:
        return
    number = feed.csv.skip_lines + 1
    with opened(delivery.path) as content, TextIOWrapper(content, feed.encoding, "replace", newline="") as text:
        first = next(islice(text, number - 1, None), "").removeprefix(BOM)
    if UNREADABLE in first:
        raise InputError(f"{delivery.name}: row {number}: the header is not {feed.encoding.upper()}")
    parts = first.strip("\r\n").split(feed.csv.separator)
    found = [name.strip().strip(feed.csv.quote or None) for name in parts]
    wanted = feed.header
    moved = [name for name, here in zip(found, wanted, strict=False) if name != here] or found[len(wanted) :]
    problems = {**_differences(found, wanted), "out of place": moved}
    _refuse(f"{delivery.name}: row {number}", problems, f"the header must be {feed.csv.separator.join(wanted)}")


def _check_parquet(delivery: Delivery) -> None:
    found, wanted = shape(delivery.path, delivery.name), delivery.feed.header
    problems = _differences([name for name, _, _ in found], wanted)
    problems["of a type that can't be read"] = [name for name, *kind in found if not _is_readable(*kind)]
    known = "text, whole numbers, decimals, floats, booleans, days, timestamps of at most microseconds"
    _refuse(delivery.name, problems, f"the columns must be {', '.join(wanted)}, each one of: {known}")


def _differences(found: Sequence[str], wanted: Sequence[str]) -> dict[str, list[str]]:
    return {
        "missing": [name for name in wanted if name not in found],
        "not expected": [name for name in found if name not in wanted],
    }


def _refuse(where: str, problems: Mapping[str, Sequence[str]], remedy: str) -> None:
    for problem, names in problems.items():
        if names:
            raise InputError(f"{where}: column {names[0]!r} is {problem}; {remedy}")


def shape(path: Path, name: str) -> Shape:
    """The columns of a Parquet file: path of the name, physical type, logical type.

    Raises ``InputError`` when it is no Parquet.
    """
    try:
        schema = pq.read_metadata(path).schema
    except (pa.ArrowInvalid, OSError) as wrong:
        raise InputError(f"{name}: can't be read as Parquet: {str(wrong).splitlines()[0]}; deliver it again") from None
    columns = (schema.column(place) for place in range(len(schema)))
    return tuple((column.path, column.physical_type, str(column.logical_type)) for column in columns)


def _is_readable(physical: str, logical: str) -> bool:
    """Text or a number: no bytes, times of day, nanoseconds (Spark has none), or columns of nulls without a type."""
    if "nanoseconds" in logical or logical.startswith(("Time(", "Null")):
        return False
    return "BYTE_ARRAY" not in physical or logical.startswith(("String", "Decimal"))


def staged_rows(spark: SparkSession, feed: Feed, staged: Mapping[str, Shape]) -> DataFrame:
    """The rows of staged files of one feed: the header's text columns, ``_line``, ``_is_whole``, ``_place``, ``_row``.

    ``staged`` are the paths, each with its Parquet columns (none for other formats).
    """
    if feed.format == "csv":
        return fields(feed, lines(spark, staged))
    if feed.format == "json":
        return objects(feed, lines(spark, staged))
    alike = {columns: [path for path in staged if staged[path] == columns] for columns in set(staged.values())}
    return reduce(DataFrame.unionByName, (cells(feed, spark.read.parquet(*paths)) for paths in alike.values()))


def lines(spark: SparkSession, paths: Iterable[str]) -> DataFrame:
    """The lines of files: ``_value`` (bytes kept), ``_place`` (the folder the file lies in), ``_row`` from 1.

    Two scans: Spark splits a big plain file into blocks, so the lines of each block are counted first,
    and a line's number is its place in its block after all lines of the blocks before.
    """
    numbered = (
        spark.read.text(list(paths))
        .select("value", "_metadata.file_path", F.col("_metadata.file_block_start").alias("block"))
        .select(
            F.col("value").alias("_value"),
            F.regexp_extract("file_path", PLACE, 1).alias("_place"),
            "block",
            F.monotonically_increasing_id().alias("at"),
        )
    )
    before = Window.partitionBy("_place").orderBy("block").rowsBetween(Window.unboundedPreceding, -1)
    blocks = (
        numbered.groupBy("_place", "block")
        .agg(F.min("at").alias("first"), F.count("*").alias("rows"))
        .select("_place", "block", "first", F.coalesce(F.sum("rows").over(before), F.lit(0)).alias("before"))
    )
    row = F.col("at") - F.col("first") + F.col("before") + 1
    return numbered.join(F.broadcast(blocks), on=["_place", "block"], how="inner").select(
        "_value", "_place", row.alias("_row")
    )


def fields(feed: Feed, delivered: DataFrame) -> DataFrame:
    """Split ``_value`` into the header's text columns; lines above the rows, and with nothing in them, are no rows.

    A line with another number of fields is kept with ``_is_whole`` false.
    """
    names, layout = feed.header, feed.csv
    schema = ", ".join(f"`{name}` STRING" for name in (*names, "_broken"))
    above = layout.skip_lines + layout.header
    filled = delivered.where((F.col("_row") > above) & (F.trim("_value") != ""))
    if above == 0:
        marked = (F.col("_row") == 1) & F.col("_value").startswith(BOM)
        filled = filled.withColumn("_value", F.when(marked, F.expr("substring(_value, 2)")).otherwise(F.col("_value")))
    if layout.ignore_lines:
        filled = filled.where(~F.col("_value").rlike(layout.ignore_lines))
    dialect = {"sep": layout.separator, "quote": layout.quote, "escape": layout.escape}
    parsed = filled.withColumn("raw", F.from_csv("_value", schema, {**dialect, "columnNameOfCorruptRecord": "_broken"}))
    return parsed.select(
        *(F.col(f"raw.`{name}`") for name in names),
        F.col("_value").cast("binary").alias("_line"),
        F.col("raw._broken").isNull().alias("_is_whole"),
        "_place",
        "_row",
    )


def objects(feed: Feed, delivered: DataFrame) -> DataFrame:
    """Take the header's text columns out of one JSON object a line; a missing key is null, empty lines are no rows.

    A line that is something else, or has other keys, is kept with ``_is_whole`` false.
    """
    schema = ", ".join(f"`{name}` STRING" for name in feed.header)
    filled = delivered.where(F.trim("_value") != "")
    parsed = filled.withColumn("raw", F.from_json("_value", schema))
    return parsed.select(
        *(_as_written(name).alias(name) for name in feed.header),
        F.col("_value").cast("binary").alias("_line"),
        _object_fault(feed, F.col("_value")).isNull().alias("_is_whole"),
        "_place",
        "_row",
    )


def _as_written(key: str) -> Column:
    """A fraction digit for digit: Spark takes it through a double and would show 12345678.90 as 1.23456789E7."""
    parsed = F.col(f"raw.`{key}`")
    written = F.regexp_extract("_value", rf'"{re.escape(key)}"\s*:\s*(-?\d[\d.eE+-]*)', 1)
    # Not that of a key of the same name further in.
    is_same = written.cast("double") == parsed.cast("double")
    return F.when(parsed.contains(".") & is_same, written).otherwise(parsed)


def line_fault(feed: Feed, line: Column) -> Column:
    """What is wrong with a line that isn't whole, in words."""
    if feed.format == "json":
        return _object_fault(feed, line)
    return F.lit(f"the line does not have {len(feed.header)} fields")


def _object_fault(feed: Feed, line: Column) -> Column:
    """Why a line isn't one JSON object with keys of the header; null when it is."""
    names = feed.header
    keys = F.json_object_keys(line)
    unknown = F.array_except(keys, F.array(*(F.lit(name) for name in names)))
    # Between brackets, for a parser stops at the end of the first object, whatever follows.
    is_one = F.json_array_length(F.concat(F.lit("["), line, F.lit("]"))) == 1
    told = F.concat(F.lit("'"), F.substring(unknown[0], 1, SHOWN), F.lit(f"' is not one of the {len(names)} keys"))
    return (
        F.when(keys.isNull() | ~F.coalesce(is_one, F.lit(False)), F.lit("the line is not one JSON object"))
        .when(F.size(unknown) > 0, told)
        .when(F.size(keys) > F.size(F.array_distinct(keys)), F.lit("a key stands in the line more than once"))
    )


def cells(feed: Feed, delivered: DataFrame) -> DataFrame:
    """The header's columns of Parquet rows as text, the row as JSON in place of a line, ``_row`` from 1."""
    names = feed.header
    return delivered.select(
        *(_as_text(delivered.schema[name]).alias(name) for name in names),
        F.to_json(F.struct(*(F.col(f"`{name}`") for name in names))).cast("binary").alias("_line"),
        F.lit(True).alias("_is_whole"),
        F.regexp_extract("_metadata.file_path", PLACE, 1).alias("_place"),
        (F.col("_metadata.row_index") + 1).alias("_row"),
    )


def _as_text(field: T.StructField) -> Column:
    """A value in the form that a CSV has: days and times as ISO, numbers without exponent."""
    value, kind = F.col(f"`{field.name}`"), field.dataType
    if isinstance(kind, T.FloatType):
        value = value.cast("string").cast("double")  # the shortest text, not the digits of the wider type
    if isinstance(kind, T.FractionalType):
        return F.call_function("format_number", value, F.lit(PLAIN))
    if isinstance(kind, T.TimestampNTZType):
        return F.translate(value.cast("string"), " ", "T")
    if isinstance(kind, T.TimestampType):
        # An instant: with its offset it is one also in the hour that comes twice, and for a feed of another zone.
        return F.concat(F.translate(value.cast("string"), " ", "T"), F.date_format(value, "xxx"))
    return value.cast("string")
