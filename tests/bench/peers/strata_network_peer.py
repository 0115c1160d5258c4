"""Strata's graph room, run as its peers are."""

from __future__ import annotations

from features_common import job, timed_twice
from pyspark.sql import DataFrame, SparkSession

from strata.graph import connected_components, pagerank, personalised_pagerank
from strata.jobs import local_session

GIVEN = job()
WALK = {"damping": GIVEN["damping"], "iterations": GIVEN["iterations"]}


def components(vertices: DataFrame, edges: DataFrame) -> DataFrame:
    """The smallest id of every vertex's component."""
    return connected_components(vertices, edges)


def ranks(vertices: DataFrame, edges: DataFrame) -> DataFrame:
    """PageRank from everywhere."""
    return pagerank(vertices, edges, **WALK)


def ranks_from_seeds(vertices: DataFrame, edges: DataFrame) -> DataFrame:
    """PageRank from all seeds together."""
    return personalised_pagerank(vertices, edges, seeds=GIVEN["seeds"], **WALK)


def answered(spark: SparkSession) -> DataFrame:
    """The task's answer on the two tables."""
    task = {"components": components, "pagerank": ranks, "personalised": ranks_from_seeds}[GIVEN["task"]]
    return task(*(spark.read.parquet(f"{GIVEN['folder']}/{table}") for table in ("vertices", "edges")))


def session() -> SparkSession:
    """The product's own, on two cores."""
    return local_session(cores=2)


if __name__ == "__main__":
    timed_twice(GIVEN, session, answered)
