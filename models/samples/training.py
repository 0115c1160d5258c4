"""Bring a training set to where it is summed: to the driver while it is small, else it stays in Spark."""

from __future__ import annotations

from strata.models.binning.bin_counts import Training
from strata.models.samples.training_local import local_training
from strata.models.samples.training_rows import Source
from strata.models.samples.training_spark import spark_training

LOCAL_ROWS, LOCAL_CELLS = 50_000, 3_000_000


def training(given: Source) -> Training:
    """The rows of ``given``: read once when there are at most 50,000 of them and 3 million cells.

    Raises ``ValueError`` when the target has a null or a value that is neither 0 nor 1, when one class is
    absent, when a weight is null, negative or not finite, or a period is null or there are over 120.
    """
    most = max(1, min(LOCAL_ROWS, LOCAL_CELLS // (len(given.features) + 2)))
    rows = given.rows()
    # Counting the first rows reads no column; fetching too many wide ones would take longer than all else.
    few = rows.select("bad").limit(most + 1).count() <= most
    return local_training(given, rows.toPandas()) if few else spark_training(given, rows)
