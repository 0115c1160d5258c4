"""Strata's feature engine, run as its peers are."""

from __future__ import annotations

from functools import reduce

from features_common import job, timed_twice
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.features import point_in_time_join, windowed_aggregates
from strata.jobs import local_session

GIVEN = job()


def windows(spark: SparkSession) -> DataFrame:
    """The spine with every window and aggregate of amount."""
    return windowed_aggregates(
        read(spark, "spine"),
        read(spark, "events"),
        key="customer_id",
        at="at",
        event_ts="event_ts",
        known_ts="known_ts" if GIVEN["known"] else None,
        days=GIVEN["days"],
        aggs={"amount": GIVEN["aggs"]},
    )


def states(spark: SparkSession) -> DataFrame:
    """The spine with the columns of every table."""
    spine, tables = read(spark, "spine"), GIVEN["tables"]
    joined = point_in_time_join(
        spine,
        {table: read(spark, table) for table in tables},
        key="customer_id",
        at="at",
        valid_from="valid_from",
        known_ts="known_ts" if GIVEN["known"] else None,
    )
    return joined.select(*spine.columns, *(f"{table}__{name}" for table in tables for name in GIVEN["columns"]))


def meet(spark: SparkSession) -> DataFrame:
    """No answer, only what each plan must do that brings facts to the spine: one shuffle by key and a sort by time."""
    tables, moment = (["events"], "event_ts") if GIVEN["task"] == "windows" else (GIVEN["tables"], "valid_from")
    spine = read(spark, "spine")
    facts = reduce(DataFrame.unionByName, (read(spark, table).withColumnRenamed(moment, "at") for table in tables))
    stacked = spine.unionByName(facts, allowMissingColumns=True)
    met = stacked.repartition("customer_id").sortWithinPartitions("customer_id", "at")
    # A place that only the sorted rows have, and every column: nothing can be left out before the shuffle.
    placed = met.withColumn("place", F.monotonically_increasing_id())
    unused = [F.col(name).isNull() for name in facts.columns if name not in spine.columns]
    whole = F.col("row").isNotNull() | ((F.col("place") < 0) & reduce(Column.__or__, unused))
    return placed.where(whole).select(*spine.columns)


def read(spark: SparkSession, table: str) -> DataFrame:
    """One of the tables."""
    return spark.read.parquet(f"{GIVEN['folder']}/{table}")


def session() -> SparkSession:
    """The product's own, on two cores."""
    return local_session(cores=2)


if __name__ == "__main__":
    ways = {"windows": windows, "states": states, "meet": meet}
    timed_twice(GIVEN, session, ways[GIVEN["way"] or GIVEN["task"]])
