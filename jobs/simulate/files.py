"""Raw files in dated folders: CSV, JSON lines and Parquet, one file a feed and drop.

Written beside the landing folder and moved into it when whole: a killed run leaves no half file there, and a rerun
writes the same rows in the same order again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.conf.banks import Feed
from strata.conf.tables import SILVER
from strata.jobs.runtime.hadoop import file_system, hadoop_path
from strata.jobs.simulate.delivery import DROP, FAULT, FEEDS, VARIANT, garblings

SEPARATOR = ";"
CSV = {"sep": SEPARATOR, "quote": '"', "escape": '"', "emptyValue": "", "nullValue": ""}
MOMENT = "yyyy-MM-dd'T'HH:mm:ss"
NO_UTF8 = "FF"
KIND = "_kind"
# Feeds of text in one write: more would make its plan long.
TOGETHER = 5


@dataclass(frozen=True)
class Landing:
    """The landing folder, on any file system that Spark can write to."""

    folder: str

    @property
    def parent(self) -> str:
        """The folder it lies in."""
        return self.folder.rsplit("/", 1)[0]

    def staging(self, feeds: Sequence[Feed]) -> str:
        """Where a shipment's files are written before they are whole."""
        return f"{self.parent}/_staging/{feeds[0].kind}"

    def file(self, feed: Feed, day: str) -> str:
        """Where a feed's file of a day's drop lies."""
        return f"{self.folder}/{day}/{feed.kind}.{feed.format}"


def clear(spark: SparkSession, landing: Landing) -> None:
    """Remove the files of all feeds, so that those of an earlier simulation don't stay between the new ones."""
    path, fs = _files(spark, landing)
    for feed in FEEDS:
        for found in fs.globStatus(path(landing.file(feed, "*"))) or ():
            fs.delete(found.getPath(), False)


def lines(feed: Feed, rows: DataFrame) -> DataFrame:
    """What a feed's files hold: ``value`` lines for CSV and JSON lines, typed columns for Parquet; faults are put in.

    Beside them ``_kind``, ``_drop``, ``_variant`` and, by its name, ``_fault``.
    """
    faults = F.array(*(F.lit(way.fault) for way in garblings(feed)))
    fault = F.coalesce(F.element_at(faults, F.col(FAULT) + 1), F.lit("none"))
    tags = [F.lit(feed.kind).alias(KIND), DROP, VARIANT, fault.alias(FAULT)]
    if feed.format == "parquet":
        return rows.select(*(value.alias(name) for name, value in _typed(feed).items()), *tags)
    return rows.select(_line(feed).alias("value"), *tags)


def _line(feed: Feed) -> Column:
    texts = {name: _text(F.col(name), kind) for name, kind in feed.types(SILVER[feed.fill.table]).items()}
    for number, way in enumerate(garblings(feed)):
        if way.column:
            texts[way.column] = F.when(F.col(FAULT) == number, F.lit(way.text)).otherwise(texts[way.column])
    fields = F.struct(*(text.alias(name) for name, text in texts.items()))
    line = F.to_csv(fields, CSV) if feed.format == "csv" else F.to_json(fields)
    for number, way in enumerate(garblings(feed)):
        if way.column is None:
            line = F.when(F.col(FAULT) == number, _broken_line(way.fault, line)).otherwise(line)
    return line


def _typed(feed: Feed) -> dict[str, Column]:
    """Faults are put in as far as types allow."""
    kinds = feed.types(SILVER[feed.fill.table])
    values = {name: F.col(name) for name in kinds}
    for number, way in enumerate(garblings(feed)):
        if way.column:
            wrong = F.lit(way.text).cast(kinds[way.column])
            values[way.column] = F.when(F.col(FAULT) == number, wrong).otherwise(values[way.column])
    return values


def _text(value: Column, kind: str) -> Column:
    return F.date_format(value, MOMENT) if kind == "timestamp" else value.cast("string")


def _broken_line(fault: str, line: Column) -> Column:
    """A line with a field too few, one that stops short, or one with a byte that is no UTF-8."""
    if fault == "fields":
        return F.regexp_replace(line, f"{SEPARATOR}[^{SEPARATOR}]*$", "")
    if fault == "cut":
        return F.regexp_replace(line, ".{4}$", "")
    return F.concat(line, F.unhex(F.lit(NO_UTF8)).cast("string"))


def shipments(feeds: Sequence[Feed]) -> list[list[Feed]]:
    """Which feeds are written together: lines of text a few at a time, for a job costs seconds; Parquet feeds alone."""
    text = [feed for feed in feeds if feed.format != "parquet"]
    together = [text[first : first + TOGETHER] for first in range(0, len(text), TOGETHER)]
    return [*together, *([feed] for feed in feeds if feed.format == "parquet")]


def land(spark: SparkSession, feeds: Sequence[Feed], rows: DataFrame, days: list[date], landing: Landing) -> int:
    """Write the ``lines`` of a shipment's feeds, which are of the drops of ``days``; returns how many files came of it.

    One shuffle by feed and drop: a task writes a file, in an order that nothing depends on but the rows.
    """
    rows = rows.drop(VARIANT, FAULT)
    if "value" in rows.columns:
        rows = rows.withColumn("_head", F.lit(False)).unionByName(_headers(spark, feeds, days))
        order: list[Column] = [F.desc("_head"), F.xxhash64("value"), F.col("value")]
    else:
        order = [F.xxhash64(*(name for name in rows.columns if name not in (KIND, DROP)))]
    tasks = min(len(days) * len(feeds), 2 * spark.sparkContext.defaultParallelism)
    laid = rows.repartition(tasks, KIND, DROP).sortWithinPartitions(KIND, DROP, *order).drop("_head")
    staged = landing.staging(feeds)
    laid.write.mode("overwrite").partitionBy(KIND, DROP).format("text" if "value" in laid.columns else "parquet").save(
        staged
    )
    return _move(spark, feeds, landing)


def header(feed: Feed) -> str:
    """The first line of a CSV file."""
    return SEPARATOR.join(feed.header)


def _headers(spark: SparkSession, feeds: Sequence[Feed], days: list[date]) -> DataFrame:
    rows = [(header(feed), feed.kind, day, True) for feed in feeds if feed.format == "csv" for day in days]
    return spark.createDataFrame(rows, f"value string, {KIND} string, {DROP} date, _head boolean")


def _move(spark: SparkSession, feeds: Sequence[Feed], landing: Landing) -> int:
    """Move the staged files into their days' folders; a file with a header alone isn't sent."""
    path, fs = _files(spark, landing)
    staged, moved = landing.staging(feeds), 0
    for feed in feeds:
        nothing = len(header(feed)) + 1 if feed.format == "csv" else 0
        for found in fs.globStatus(path(f"{staged}/{KIND}={feed.kind}/{DROP}=*/part-*")):
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
    """What makes Hadoop's paths, and the landing folder's file system: the local one without its checksum files."""
    fs, _ = file_system(spark, landing.folder)
    return partial(hadoop_path, spark), fs.getRawFileSystem() if landing.folder.startswith("/") else fs
