"""Files where Spark sees them: paths and file systems of Hadoop, the local one among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
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


def read_text(spark: SparkSession, location: str) -> str | None:
    """The content of a small file in UTF-8; ``None`` when there is no such file."""
    fs, path = file_system(spark, location)
    try:
        stream = fs.open(path)
    except Py4JJavaError:
        if fs.exists(path):
            raise
        return None
    try:
        return str(spark.sparkContext._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
    finally:
        stream.close()


def write_text(spark: SparkSession, location: str, text: str) -> None:
    """Make or replace a small file; a reader may meet it half written."""
    fs, path = file_system(spark, location)
    stream = fs.create(path, True)
    stream.write(bytearray(text.encode()))
    stream.close()
