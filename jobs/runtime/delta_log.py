"""What a Delta table's log says of its versions, read as the files they are (Delta protocol): no Spark job.

``DESCRIBE HISTORY`` answers the same with a job of its own each time, which a run of many small tables
pays dozens of times.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pyspark.sql import SparkSession

from strata.jobs.runtime.hadoop import file_system, hadoop_path

COMMIT = re.compile(r"^(\d{20})\.json$")


def latest_version(spark: SparkSession, path: str) -> int | None:
    """The newest committed version of the table at ``path``; ``None`` when there is none."""
    return max(_commits(spark, path), default=None)


def oldest_version(spark: SparkSession, path: str) -> int | None:
    """The oldest version whose commit is still in the log; earlier ones have been cleaned away."""
    return min(_commits(spark, path), default=None)


def rows_written(spark: SparkSession, path: str, version: int) -> int:
    """The output rows that the commit ``version`` reports; 0 for DDL, which is the last when nothing was to write."""
    actions = _actions(spark, path, version)
    commit = next(action["commitInfo"] for action in actions if "commitInfo" in action)
    return int(commit.get("operationMetrics", {}).get("numOutputRows", 0))


def slice_stands(spark: SparkSession, path: str, version: int, newest: int) -> bool:
    """Whether no commit after ``version`` has replaced the slice that it wrote; not where the log has lost one."""
    kept = set(_commits(spark, path))
    later = range(version + 1, newest + 1)
    if not kept.issuperset({version, *later}):
        return False
    mine = _predicate(spark, path, version)
    return all(_predicate(spark, path, one) not in (mine, None) for one in later)


def _predicate(spark: SparkSession, path: str, version: int) -> str | None:
    """The condition under which a commit replaced rows; ``None`` where it replaced or changed the whole table."""
    commit = next(action["commitInfo"] for action in _actions(spark, path, version) if "commitInfo" in action)
    return commit.get("operationParameters", {}).get("predicate")


def _commits(spark: SparkSession, path: str) -> list[int]:
    fs, folder = _log(spark, path)
    if not fs.exists(folder):
        return []
    found = (COMMIT.match(entry.getPath().getName()) for entry in fs.listStatus(folder))
    return [int(name.group(1)) for name in found if name]


def _actions(spark: SparkSession, path: str, version: int) -> list[dict[str, Any]]:
    fs, folder = _log(spark, path)
    stream = fs.open(hadoop_path(spark, folder, f"{version:020d}.json"))
    try:
        text = spark.sparkContext._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
    finally:
        stream.close()
    return [json.loads(line) for line in text.splitlines()]


def _log(spark: SparkSession, path: str) -> tuple[Any, Any]:
    return file_system(spark, f"{path}/_delta_log")
