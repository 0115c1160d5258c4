"""Verdicts on GraphFrames that a lake keeps, for the installation that they were passed on."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from strata.graph.algorithms import graphframes_calls
from strata.graph.algorithms.graphframes_calls import USED, Verdict
from strata.jobs.runtime.hadoop import read_text, write_text

CLASS = "org.graphframes.GraphFrame"


def kept_verdicts(spark: SparkSession, root: str) -> tuple[Verdict, ...]:
    """The verdicts on all used calls that this installation has passed; none where it has to be tried."""
    place = _place(spark, root)
    try:
        text = read_text(spark, place) if place else None
        found = tuple(Verdict(**one) for one in json.loads(text or "[]"))
    except (Py4JJavaError, ValueError, TypeError):  # Half written, or not by us.
        return ()
    return found if {one.call for one in found if one.trusted} >= set(USED) else ()


def keep_verdicts(spark: SparkSession, root: str, verdicts: Sequence[Verdict]) -> None:
    """Keep what has passed; of a jar whose file can't be found nothing is kept."""
    if place := _place(spark, root):
        write_text(spark, place, json.dumps([asdict(one) for one in verdicts]))


def _place(spark: SparkSession, root: str) -> str | None:
    """The file for this installation: jar, Python package, versions of Spark and Java, and the self-test itself."""
    jar = _jar(spark)
    if jar is None:
        return None
    java = spark.sparkContext._jvm.java.lang.System.getProperty("java.version")
    parts = (jar.read_bytes(), version("graphframes-py"), spark.version, java, inspect.getsource(graphframes_calls))
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part if isinstance(part, bytes) else str(part).encode()).digest())
    return f"{root}/_checks/graphframes-{digest.hexdigest()[:16]}.json"


def _jar(spark: SparkSession) -> Path | None:
    """The jar that the driver has loaded GraphFrames from."""
    jvm = spark.sparkContext._jvm
    loaded = jvm.java.lang.Thread.currentThread().getContextClassLoader().loadClass(CLASS)
    source = loaded.getProtectionDomain().getCodeSource()
    path = Path(source.getLocation().getPath()) if source else None
    return path if path and path.is_file() else None
