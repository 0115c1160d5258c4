"""What a Delta table's log says of its versions, read as the files they are (Delta protocol): no Spark job.

``DESCRIBE HISTORY`` answers the same with a job of its own each time, which a run of many small tables
pays dozens of times.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pyspark.sql import SparkSession

COMMIT = re.compile(r"^(\d{20})\.json$")


def latest_version(spark: SparkSession, path: str) -> int | None:
    """The newest committed version of the table at ``path``; ``None`` when there is none."""
    fs, folder = _log(spark, path)
    if not fs.exists(folder):
        return None
    found = (COMMIT.match(entry.getPath().getName()) for entry in fs.listStatus(folder))
    return max((int(name.group(1)) for name in found if name), default=None)


def rows_written(spark: SparkSession, path: str, version: int) -> int | None:
    """The output rows that the commit ``version`` reports; ``None`` when it wrote none (DDL)."""
    fs, folder = _log(spark, path)
    stream = fs.open(spark.sparkContext._jvm.org.apache.hadoop.fs.Path(folder, f"{version:020d}.json"))
    try:
        text = spark.sparkContext._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
    finally:
        stream.close()
    actions = (json.loads(line) for line in text.splitlines())
    metrics = next((a["commitInfo"].get("operationMetrics", {}) for a in actions if "commitInfo" in a), {})
    return int(metrics["numOutputRows"]) if "numOutputRows" in metrics else None


def _log(spark: SparkSession, path: str) -> tuple[Any, Any]:
    folder = spark.sparkContext._jvm.org.apache.hadoop.fs.Path(path, "_delta_log")
    return folder.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()), folder
