"""Physical plans as of tables too big to broadcast, final before they run, and what is in them."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager

from pyspark.sql import DataFrame, SparkSession

from tests.conftest import having

STATIC = {"spark.sql.adaptive.enabled": "false", "spark.sql.autoBroadcastJoinThreshold": "-1"}


def static_plans(spark: SparkSession) -> AbstractContextManager[None]:
    return having(spark, STATIC)


def plan_of(frame: DataFrame) -> str:
    return str(frame._jdf.queryExecution().executedPlan().toString())


def count(plan: str, node: str) -> int:
    """How often a node of exactly this name stands in a plan."""
    return len(re.findall(rf"\b{node}\b", plan))
