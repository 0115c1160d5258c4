"""Raw files in dated folders: CSV, JSON lines and Parquet, one file a feed and drop.

Written beside the landing folder and moved into it when whole: a killed run leaves no half file there, and a rerun
writes the same bytes again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.conf.feeds import FEEDS, Feed
from strata.conf.tables import SILVER
from strata.jobs.simulate.delivery import DROP, FAULT, garblings

SEPARATOR = ";"
CSV = {"sep": SEPARATOR, "quote": '"', "escape": '"', "emptyValue": "", "nullValue": ""}
MOMENT = "yyyy-MM-dd'T'HH:mm:ss"
NO_UTF8 = "FF"


@dataclass(frozen=True)
class Landing:
    """The landing folder, on any file system that Spark can write to."""

    folder: str

    @property
    def parent(self) -> str:
        """The folder it lies in."""
        return self.folder.rsplit("/", 1)[0]

    def staging(self, feed: Feed) -> str:
        """Where a feed's files are written before they are whole."""
        return f"{self.parent}/_staging/{feed.kind}"

    def file(self, feed: Feed, day: str) -> str:
        """Where a feed's file of a day's drop lies."""
        return f"{self.folder}/{day}/{feed.kind}.{feed.format}"


def clear(spark: SparkSession, landing: Landing) -> None:
    """Remove the files of all feeds, so that those of an earlier simulation don't stay between the new ones."""
    path, fs = _files(spark, landing)
    for feed in FEEDS:
        for found in fs.globStatus(path(landing.file(feed, "*"))) or ():
            fs.delete(found.getPath(), False)


def text_lines(feed: Feed, rows: DataFrame) -> DataFrame:
    """``value`` lines with ``_drop``, for CSV and JSON lines; faults are put in."""
    texts = {name: _text(F.col(name), kind) for name, kind in feed.types(SILVER[feed.table]).items()}
    for number, way in enumerate(garblings(feed)):
        if way.column:
            texts[way.column] = F.when(F.col(FAULT) == number, F.lit(way.text)).otherwise(texts[way.column])
    fields = F.struct(*(text.alias(name) for name, text in texts.items()))
    line = F.to_csv(fields, CSV) if feed.format == "csv" else F.to_json(fields)
    for number, way in enumerate(garblings(feed)):
        if way.column is None:
            line = F.when(F.col(FAULT) == number, _broken_line(way.fault, line)).otherwise(line)
    return rows.select(line.alias("value"), DROP)


def _text(value: Column, kind: str) -> Column:
    return F.date_format(value, MOMENT) if kind == "timestamp" else value.cast("string")


def _broken_line(fault: str, line: Column) -> Column:
    """A line with a field too few, one that stops short, or one with a byte that is no UTF-8."""
    if fault == "fields":
        return F.regexp_replace(line, f"{SEPARATOR}[^{SEPARATOR}]*$", "")
    if fault == "cut":
        return F.regexp_replace(line, ".{4}$", "")
    return F.concat(line, F.unhex(F.lit(NO_UTF8)).cast("string"))


def typed_rows(feed: Feed, rows: DataFrame) -> DataFrame:
    """Typed columns with ``_drop``, for Parquet; faults are put in as far as types allow."""
    kinds = feed.types(SILVER[feed.table])
    values = {name: F.col(name) for name in kinds}
    for number, way in enumerate(garblings(feed)):
        if way.column:
            wrong = F.lit(way.text).cast(kinds[way.column])
            values[way.column] = F.when(F.col(FAULT) == number, wrong).otherwise(values[way.column])
    return rows.select(*(value.alias(name) for name, value in values.items()), DROP)


def land(spark: SparkSession, feed: Feed, rows: DataFrame, days: list[date], landing: Landing) -> int:
    """Write the rows of one feed, which are of the drops of ``days``; returns how many files came of it.

    One shuffle by drop: a task writes a drop's rows, in an order that nothing depends on but the rows.
    """
    if feed.format == "parquet":
        shaped = typed_rows(feed, rows)
        order: list[Column] = [F.xxhash64(*(column for column in shaped.columns if column != DROP))]
    else:
        shaped = text_lines(feed, rows).withColumn("_head", F.lit(False))
        if feed.format == "csv":
            shaped = shaped.unionByName(_headers(spark, feed, days))
        order = [F.desc("_head"), F.xxhash64("value"), F.col("value")]
    laid = shaped.repartition(max(1, min(len(days), 16)), DROP).sortWithinPartitions(DROP, *order).drop("_head")
    writer = laid.write.mode("overwrite").partitionBy(DROP)
    if feed.format == "parquet":
        writer.parquet(landing.staging(feed))
    else:
        writer.text(landing.staging(feed))
    return _move(spark, feed, landing)


def header(feed: Feed) -> str:
    """The first line of a CSV file."""
    return SEPARATOR.join(feed.delivered(SILVER[feed.table]))


def _headers(spark: SparkSession, feed: Feed, days: list[date]) -> DataFrame:
    rows = spark.createDataFrame([(day,) for day in days], f"{DROP} date")
    return rows.select(F.lit(header(feed)).alias("value"), DROP, F.lit(True).alias("_head"))


def _move(spark: SparkSession, feed: Feed, landing: Landing) -> int:
    """Move the staged files into their days' folders; a file with a header alone isn't sent."""
    path, fs = _files(spark, landing)
    staged = landing.staging(feed)
    nothing = len(header(feed)) + 1 if feed.format == "csv" else 0
    moved = 0
    for found in fs.globStatus(path(f"{staged}/{DROP}=*/part-*")):
        day = found.getPath().getParent().getName().split("=", 1)[1]
        target = path(landing.file(feed, day))
        fs.mkdirs(target.getParent())
        fs.delete(target, False)
        if found.getLen() > nothing:
            fs.rename(found.getPath(), target)
            moved += 1
    fs.delete(path(staged), True)
    return moved


def _files(spark: SparkSession, landing: Landing) -> tuple[Any, Any]:
    """Hadoop's class of paths, and the file system of the landing folder: the local one without its checksum files."""
    path = spark.sparkContext._jvm.org.apache.hadoop.fs.Path
    fs = path(landing.folder).getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    return path, fs.getRawFileSystem() if landing.folder.startswith("/") else fs
