"""Scores of any number of rows as one bounded table: the weight of goods and of bads at each distinct risk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.models.samples.training_rows import column, require_column

Floats = NDArray[np.float64]
MOST_SCORES = 100_000


@dataclass(frozen=True)
class ScoreTable:
    """Distinct risks in rising order with the weight of goods and bads at each; ``exact`` when none were joined."""

    risk: Floats
    good: Floats
    bad: Floats
    exact: bool = True

    def __post_init__(self) -> None:
        if not (self.good.sum() > 0 and self.bad.sum() > 0):
            raise ValueError("target: there must be goods and bads to measure how they are told apart")

    @staticmethod
    def of(bad: ArrayLike, risk: ArrayLike, weight: ArrayLike | None = None) -> ScoreTable:
        """From arrays of rows: ``bad`` 0/1, ``risk`` higher for riskier (a probability, or minus a score)."""
        y, x = np.asarray(bad, np.float64), np.asarray(risk, np.float64)
        w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
        if np.isnan(x).any() or not np.isin(y, (0.0, 1.0)).all():
            raise ValueError("risk, bad: risks must be numbers and outcomes 0 or 1")
        values, place = np.unique(x, return_inverse=True)
        goods, bads = (np.bincount(place, part, len(values)).astype(np.float64) for part in (w * (1 - y), w * y))
        return ScoreTable(values, goods, bads)

    @property
    def rows(self) -> float:
        """Weight of all rows."""
        return float(self.good.sum() + self.bad.sum())

    @property
    def bad_rate(self) -> float:
        """Share of bads."""
        return float(self.bad.sum()) / self.rows


def score_table(data: DataFrame, *, target: str, risk: str = "probability", weight: str | None = None) -> ScoreTable:
    """Group rows by their risk: one shuffle of distinct risks (one more scan when there are over 100,000).

    ``target`` is 0/1, ``risk`` a number that is higher for the riskier. Up to 100,000 distinct risks the
    table is exact; above, risks are joined on a grid of that many cells, whose mean stands for them. Raises
    ``ValueError`` naming a column that is absent, or the first that has nulls, NaN or outcomes not 0/1.
    """
    for role, name in (("target", target), ("risk", risk), *([("weight", weight)] if weight else [])):
        require_column(data, role, name)
    rows = data.select(
        column(target).cast("double").alias("bad"),
        column(risk).cast("double").alias("risk"),
        (column(weight).cast("double") if weight else F.lit(1.0)).alias("weight"),
    )
    grouped = _grouped(rows, F.col("risk")).limit(MOST_SCORES + 1).toPandas()
    exact = len(grouped) <= MOST_SCORES
    if not exact:
        ends = rows.agg(F.min("risk").alias("low"), F.max("risk").alias("high")).head()
        assert ends is not None
        cell = F.floor((F.col("risk") - ends["low"]) / ((ends["high"] - ends["low"]) / MOST_SCORES))
        grouped = _grouped(rows, cell).toPandas()
    if wrong := grouped["wrong"].sum():
        raise ValueError(f"{target!r} or {risk!r} is null, NaN or not 0/1 in {int(wrong)} rows")
    grouped = grouped.sort_values("risk")
    risks, goods, bads = (grouped[name].to_numpy(np.float64) for name in ("risk", "good", "bad"))
    return ScoreTable(risks, goods, bads, exact)


def _grouped(rows: DataFrame, by: Column) -> DataFrame:
    sound = F.col("bad").isin(0.0, 1.0) & F.col("risk").isNotNull() & ~F.isnan("risk") & F.col("weight").isNotNull()
    return (
        rows.groupBy(by.alias("cell"))
        .agg(
            # The mean of equal numbers can miss them by a rounding; a threshold must be one of them.
            F.greatest(F.least(F.avg("risk"), F.max("risk")), F.min("risk")).alias("risk"),
            F.sum(F.col("weight") * (1 - F.col("bad"))).alias("good"),
            F.sum(F.col("weight") * F.col("bad")).alias("bad"),
            F.count_if(~F.coalesce(sound, F.lit(False))).alias("wrong"),
        )
        .drop("cell")
    )
