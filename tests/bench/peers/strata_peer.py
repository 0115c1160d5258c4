"""Strata itself, run as its peers are: bins of a book in Parquet, or bulk scoring of it by SQL and by pyfunc."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
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


def bin_all(data: DataFrame) -> dict[str, Any]:
    """Seconds of reading and binning together, information value by feature."""
    start = time.monotonic()
    binning = fit_binning(
        data, target=GIVEN["target"], features=GIVEN["features"], special_values=GIVEN["specials"], **GIVEN["options"]
    )
    return {"seconds": time.monotonic() - start, "iv": binning.iv}


def score_all(spark: SparkSession, data: DataFrame) -> dict[str, Any]:
    """Seconds of scoring all rows into nothing: ``Scorecard.score``, ``to_sql`` and MLflow's UDF of one card."""
    card = _card(data)
    data.createOrReplaceTempView("book")
    found = {
        "features": len(card.features),
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
    """Seconds to compute every column of every row, written to Spark's noop sink; after one round to warm up."""
    for _ in range(2):
        start = time.monotonic()
        make().write.format("noop").mode("overwrite").save()
    return time.monotonic() - start


def main() -> None:
    """Start the session, which is timed apart, and do the job."""
    start = time.monotonic()
    spark = local_session(cores=2)
    session = time.monotonic() - start
    data = spark.read.parquet(GIVEN["data"]).select(GIVEN["target"], *GIVEN["features"])
    found = bin_all(data) if GIVEN["task"] == "binning" else score_all(spark, data)
    answer(GIVEN, found | {"session_seconds": session})
    spark.stop()


if __name__ == "__main__":
    main()
