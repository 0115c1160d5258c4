"""Strata's feature engine, run as its peers are."""

from __future__ import annotations

from features_common import job, timed_twice
from pyspark.sql import DataFrame, SparkSession

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


def read(spark: SparkSession, table: str) -> DataFrame:
    """One of the tables."""
    return spark.read.parquet(f"{GIVEN['folder']}/{table}")


def session() -> SparkSession:
    """The product's own, on two cores."""
    return local_session(cores=2)


if __name__ == "__main__":
    timed_twice(GIVEN, session, {"windows": windows, "states": states}[GIVEN["task"]])
