"""The Spark session: Delta and GraphFrames ready, quiet, workers on the running interpreter."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from importlib.resources import files

from pyspark import SparkContext
from pyspark.sql import SparkSession

from strata.conf.settings import Settings
from strata.jobs.runtime.install import jar_paths, java_home

# A log of Delta's with some hundred files is no work for fifty tasks.
SMALL_TABLES: Mapping[str, str] = {"spark.databricks.delta.snapshotPartitions": "2"}
DRIVER_JVM = "spark.driver.extraJavaOptions"
# Small jobs compile more code than they run: room for it, and no collector threads beside two busy cores.
JVM = "-XX:+UseParallelGC -XX:ReservedCodeCacheSize=512m"
# Where tables are small, compiling takes longer than what it saves: a third of the time of an ingest of 100,000 rows.
SMALL_DATA: Mapping[str, str] = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
SMALL_DATA_JVM = "-XX:TieredStopAtLevel=1"
# Only what needs a person: without this file Spark talks at every start.
LOG_SETTINGS = files("strata.conf").joinpath("log4j2.properties")
# What starts the Python workers: without Spark's archives on their path they begin their tasks sooner.
WORKERS = "strata.jobs.runtime.python_daemon"
DEFAULT_TIMEZONE = "Asia/Shanghai"


def engine_settings() -> dict[str, str]:
    """What every session needs, one that spark-submit makes too: ``conf/spark.properties``, where the reasons stand."""
    lines = files("strata.conf").joinpath("spark.properties").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines if not line.startswith("#"))


def local_session(
    *,
    cores: int | None = None,
    memory: str = "6g",
    timezone: str = DEFAULT_TIMEZONE,
    shuffle_partitions: int = 4,
    master: str | None = None,
    small_data: bool = False,
    conf: Mapping[str, str] | None = None,
) -> SparkSession:
    """Start, or return, a session on this machine with Delta and GraphFrames.

    The session time zone is pinned to the bank's, because every bank day is cut there.
    ``master`` may name a standalone cluster on this machine instead of ``local[cores]``;
    ``small_data`` compiles little: a session starts sooner and is quicker on tables of less than a few hundred
    thousand rows, slower on larger ones. ``conf`` adds or overrides Spark settings. Raises ``SetupError`` naming the
    command to run when the jars have not been fetched.
    """
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    if home := java_home():
        os.environ["JAVA_HOME"] = home
    builder = SparkSession.builder.appName("strata").master(master or f"local[{cores or '*'}]")
    engine = engine_settings()
    compiler = [SMALL_DATA_JVM] if small_data else []
    settings = {
        **engine,
        "spark.jars": ",".join(str(jar) for jar in jar_paths()),
        "spark.driver.memory": memory,
        DRIVER_JVM: " ".join([f"-Dlog4j2.configurationFile={LOG_SETTINGS} {JVM}", *compiler, engine[DRIVER_JVM]]),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.python.daemon.module": WORKERS,
        "spark.sql.session.timeZone": timezone,
        "spark.sql.shuffle.partitions": str(shuffle_partitions),
        **SMALL_TABLES,
        **(SMALL_DATA if small_data else {}),
        "spark.sql.warehouse.dir": tempfile.gettempdir() + "/strata-warehouse",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Without the page nobody reads what is kept for it: plans of a thousand queries, as texts.
        "spark.sql.ui.retainedExecutions": "20",
        "spark.ui.retainedJobs": "50",
        "spark.ui.retainedStages": "50",
        "spark.ui.retainedTasks": "1000",
        **(conf or {}),
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def open_session(settings: Settings) -> SparkSession:
    """The session that spark-submit has prepared, else one on this machine."""
    if SparkContext._active_spark_context or _submitted():
        spark = SparkSession.builder.getOrCreate()
        spark.conf.set("spark.sql.session.timeZone", settings.bank_timezone)
        return spark
    local = settings.spark
    return local_session(
        cores=local.cores,
        memory=local.memory,
        timezone=settings.bank_timezone,
        shuffle_partitions=local.shuffle_partitions,
        small_data=local.small_data,
        conf={"spark.ui.enabled": str(local.ui).lower()},
    )


def _submitted() -> bool:
    """Whether spark-submit started this process: it leaves a gateway port behind."""
    return "PYSPARK_GATEWAY_PORT" in os.environ
