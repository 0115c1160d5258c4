"""From log-odds to points: scale, grades, reasons, and the SQL of a score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strata.models.binning.woe_binning import BinnedFeature
from strata.models.readings.raw_values import UNREADABLE, raw_values
from strata.models.scorecard.sql_export import Dialect, Lost, case_sql

Array = NDArray[Any]


@dataclass(frozen=True)
class Scale:
    """``base_score`` points stand for odds of ``base_odds`` goods to one bad; ``pdo`` points more double them.

    ``grades`` are names with the probability of bad up to which each reaches, the last is for the rest.
    """

    base_score: float = 600.0
    base_odds: float = 50.0
    pdo: float = 20.0
    grades: tuple[tuple[str, float], ...] = (
        ("A", 0.01),
        ("B", 0.02),
        ("C", 0.05),
        ("D", 0.10),
        ("E", 0.20),
        ("F", 1.0),
    )

    def check(self) -> None:
        """Raise ``ValueError`` naming what cannot be."""
        for name in ("base_odds", "pdo"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: {getattr(self, name)!r} is not a number above 0")
        limits = [limit for _, limit in self.grades]
        if not limits or limits[-1] != 1.0 or limits != sorted(set(limits)) or limits[0] <= 0:
            raise ValueError("grades: the probabilities must rise from above 0 to 1")

    @property
    def factor(self) -> float:
        """Points per unit of ln(odds of good)."""
        return self.pdo / math.log(2)

    @property
    def offset(self) -> float:
        """Points at even odds."""
        return self.base_score - self.factor * math.log(self.base_odds)

    def points(self, log_odds_of_bad: float) -> float:
        """Points that a contribution to the log-odds of bad is worth, without the offset."""
        return -self.factor * log_odds_of_bad

    def probability(self, score: Array) -> Array:
        """Probability of bad at a score."""
        answer: Array = 1.0 / (1.0 + np.exp((score - self.offset) / self.factor))
        return answer

    def score_at(self, probability: float) -> float:
        """The score at a probability of bad below 1."""
        return self.offset + self.factor * math.log((1 - probability) / probability)

    @property
    def floors(self) -> list[float]:
        """The least score of each grade but the last, falling."""
        return [self.score_at(limit) for _, limit in self.grades[:-1]]


@dataclass(frozen=True)
class Points:
    """Whole points of every bin of every kept feature, in the order of the codes, and those of nobody's bin."""

    base: int
    by_feature: Mapping[str, tuple[int, ...]]

    def best(self, name: str, binned: BinnedFeature) -> int:
        """The most points attainable: over the bins that had rows in training."""
        filled = [p for p, g, b in zip(self.by_feature[name], binned.good, binned.bad, strict=True) if g + b > 0]
        return max(filled)

    def lost(self, name: str, binned: BinnedFeature) -> list[int]:
        """Points lost against the best attainable, by code, never below 0."""
        best = self.best(name, binned)
        return [max(best - p, 0) for p in self.by_feature[name]]


def score_sql(
    points: Points, features: Mapping[str, BinnedFeature], scale: Scale, reasons: int, dialect: Dialect
) -> dict[str, str]:
    """SQL of the columns score, probability, grade, reason_1..n, by name.

    Each names input columns only, so that a table's own ``score`` can't be taken for ours; what they repeat
    Spark computes once a row (common subexpressions of one projection).
    """
    score = _sum_sql(points, features, dialect)
    offset, factor = dialect.double(scale.offset), dialect.double(scale.factor)
    risk = f"1E0 / (1E0 + exp(({score} - {offset}) / {factor}))"
    lost = [Lost(binned.bins, points.lost(name, binned)) for name, binned in features.items()]
    named = {f"reason_{n}": text for n, text in enumerate(dialect.reasons(lost, reasons), start=1)}
    return {"score": score, "probability": risk, "grade": _grade_sql(score, scale, dialect)} | named


def _sum_sql(points: Points, features: Mapping[str, BinnedFeature], dialect: Dialect) -> str:
    parts = [
        case_sql(binned.bins, [str(value) for value in points.by_feature[name]], dialect)
        for name, binned in features.items()
    ]
    return f"({' + '.join([str(points.base), *parts])})"


def _grade_sql(score: str, scale: Scale, dialect: Dialect) -> str:
    *others, (last, _) = scale.grades
    floors = zip(others, scale.floors, strict=True)
    whens = [f"WHEN {score} >= {dialect.double(floor)} THEN {dialect.text(name)}" for (name, _), floor in floors]
    return f"CASE {' '.join(whens)} ELSE {dialect.text(last)} END" if whens else dialect.text(last)


def score_rows(
    rows: pd.DataFrame,
    points: Points,
    features: Mapping[str, BinnedFeature],
    scale: Scale,
    reasons: int,
    unreadable: float = UNREADABLE,
) -> pd.DataFrame:
    """The columns score, probability, grade, reason_1..n of rows on the driver; no loop over rows.

    Texts that can't be read as numbers are as in ``raw_values``.
    """
    score = np.full(len(rows), points.base, dtype=np.int64)
    lost = np.zeros((len(rows), len(features)), dtype=np.int32)
    for turn, (name, binned) in enumerate(features.items()):
        codes = binned.bins.codes(raw_values(rows[name], binned.bins, unreadable))
        score += np.asarray(points.by_feature[name], np.int64)[codes]
        lost[:, turn] = np.asarray(points.lost(name, binned), np.int32)[codes]
    added = {"score": score, "probability": scale.probability(score), "grade": _grades(score, scale)}
    return pd.DataFrame(added | _reasons(lost, tuple(features), reasons), index=rows.index)


def _grades(scores: Array, scale: Scale) -> Array:
    names = np.array([name for name, _ in scale.grades], dtype=object)
    answer: Array = names[np.searchsorted(-np.array(scale.floors), -scores)]
    return answer


def _reasons(lost: Array, features: Sequence[str], wanted: int) -> dict[str, Array]:
    """``lost`` has a row a case and a column a feature; reasons beyond the features are null."""
    order = np.argsort(-lost, axis=1, kind="stable")[:, :wanted]
    worst = np.full((len(lost), wanted), len(features))
    worst[:, : order.shape[1]] = np.where(np.take_along_axis(lost, order, axis=1) > 0, order, len(features))
    named = np.array([*features, None], dtype=object)[worst]
    return {f"reason_{n + 1}": named[:, n] for n in range(wanted)}
