"""Strata itself, run as its peers are: bins of a book in Parquet, or bulk scoring of it by SQL and by pyfunc."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow.pyfunc
from common import answer, job
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.jobs import local_session
from strata.jobs.runtime.pyfunc import save_pyfunc
from strata.models import Scorecard, ScorecardSpec, fit_binning, fit_scorecard

GIVEN = job()
TRAINED_ON = 50_000
TIMED_ROUNDS = 3


def bin_all(data: DataFrame) -> dict[str, Any]:
    """Seconds of reading and binning together, information value by feature."""
    start = time.monotonic()
    binning = fit_binning(
        data, target=GIVEN["target"], features=GIVEN["features"], special_values=GIVEN["specials"], **GIVEN["options"]
    )
    return {"seconds": time.monotonic() - start, "iv": binning.iv}


def score_all(spark: SparkSession, data: DataFrame) -> dict[str, Any]:
    """Seconds of scoring all rows into nothing: ``Scorecard.score``, ``to_sql`` and MLflow's UDF of one card.

    And of reading them into nothing, which is part of each of those.
    """
    card = _card(data)
    data.createOrReplaceTempView("book")
    found = {
        "features": len(card.features),
        "read_seconds": _drained(lambda: data),
        "score_seconds": _drained(lambda: card.score(data)),
        "bare_seconds": _drained(lambda: replace(card, reasons=0).score(data)),
        "sql_seconds": _drained(lambda: spark.sql(f"SELECT *, {card.to_sql()} FROM book")),
    }
    with tempfile.TemporaryDirectory() as folder:
        save_pyfunc(card, f"{folder}/model")
        udf = mlflow.pyfunc.spark_udf(spark, f"{folder}/model", env_manager="local")
        inputs = F.struct(*card.features)
        return found | {"pyfunc_seconds": _drained(lambda: data.withColumn("scored", udf(inputs)))}


def _card(data: DataFrame) -> Scorecard:
    """Every feature is in it, whatever the figures say."""
    features = GIVEN["features"]
    spec = ScorecardSpec(GIVEN["target"], features, special_values=GIVEN["specials"], forced=features, min_iv=0.0)
    return fit_scorecard(data.limit(TRAINED_ON), spec)


def _drained(make: Callable[[], DataFrame]) -> float:
    """Seconds to compute every column of every row into Spark's noop sink: a median, after a round to warm up."""
    seconds = []
    for _ in range(1 + TIMED_ROUNDS):
        start = time.monotonic()
        make().write.format("noop").mode("overwrite").save()
        seconds.append(time.monotonic() - start)
    return statistics.median(seconds[1:])


def _python_peak() -> int:
    """The most bytes that this process, the driver's Python, has had resident; the JVM and the workers are others."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024


def main() -> None:
    """Start the session, which is timed apart, and do the job."""
    start = time.monotonic()
    spark = local_session(cores=2)
    session = time.monotonic() - start
    data = spark.read.parquet(GIVEN["data"]).select(GIVEN["target"], *GIVEN["features"])
    found = bin_all(data) if GIVEN["task"] == "binning" else score_all(spark, data)
    answer(GIVEN, found | {"session_seconds": session, "python_peak_bytes": _python_peak()})
    spark.stop()


if __name__ == "__main__":
    main()
