"""Files where Spark sees them: paths and file systems of Hadoop, the local one among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession


def absolute(location: str) -> str:
    """A location without its last slash; a local one absolute, for Spark SQL takes no other."""
    return location.rstrip("/") if "://" in location else str(Path(location).absolute())


def hadoop_path(spark: SparkSession, *parts: Any) -> Any:
    """Hadoop's path of a text, or of a path and what lies in it."""
    return spark.sparkContext._jvm.org.apache.hadoop.fs.Path(*parts)


def file_system(spark: SparkSession, location: str) -> tuple[Any, Any]:
    """The file system that ``location`` is on, and its path."""
    path = hadoop_path(spark, location)
    return path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()), path
