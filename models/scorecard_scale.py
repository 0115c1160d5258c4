"""From log-odds to points: scale, grades, and the SQL of a score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strata.models.binning import BinnedFeature
from strata.models.export import case_sql, number_sql, text_sql

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


def score_sql(points: Points, features: Mapping[str, BinnedFeature], scale: Scale, reasons: int) -> dict[str, str]:
    """Spark SQL of the columns score, probability, grade, reason_1..n, by name.

    Each names input columns only, so that a table's own ``score`` can't be taken for ours; what they repeat
    Spark computes once a row (common subexpressions of one projection).
    """
    score = _sum_sql(points, features)
    risk = f"1D / (1D + exp(({score} - {number_sql(scale.offset)}) / {number_sql(scale.factor)}))"
    worst = _losses_sql(points, features)
    named = {f"reason_{n + 1}": f"get({worst}, {n}).feature" for n in range(reasons)}
    return {"score": score, "probability": risk, "grade": _grade_sql(score, scale)} | named


def _sum_sql(points: Points, features: Mapping[str, BinnedFeature]) -> str:
    parts = [
        case_sql(binned.bins, [str(value) for value in points.by_feature[name]]) for name, binned in features.items()
    ]
    return f"({' + '.join([str(points.base), *parts])})"


def _losses_sql(points: Points, features: Mapping[str, BinnedFeature]) -> str:
    """What each feature lost, the greatest loss first; of equal losses the first in the scorecard's order."""
    parts = [_loss_sql(turn, name, points, binned) for turn, (name, binned) in enumerate(features.items())]
    nothing = "named_struct('lost', 0, 'turn', 0, 'feature', CAST(NULL AS STRING))"
    return f"sort_array(array({', '.join(parts or [nothing])}), false)"


def _loss_sql(turn: int, name: str, points: Points, binned: BinnedFeature) -> str:
    label, nothing = text_sql(name), "CAST(NULL AS STRING)"
    structs = [
        f"named_struct('lost', {lost}, 'turn', {-turn}, 'feature', {label if lost > 0 else nothing})"
        for lost in points.lost(name, binned)
    ]
    return case_sql(binned.bins, structs)


def _grade_sql(score: str, scale: Scale) -> str:
    *others, last = scale.grades
    whens = [f"WHEN {score} >= {number_sql(scale.score_at(limit))} THEN {text_sql(name)}" for name, limit in others]
    return f"CASE {' '.join(whens)} ELSE {text_sql(last[0])} END" if whens else text_sql(last[0])


def grade_of(scores: Array, scale: Scale) -> list[str]:
    """Grades of scores on the driver."""
    floors = [scale.score_at(limit) for _, limit in scale.grades[:-1]]
    names: Sequence[str] = [name for name, _ in scale.grades]
    return [names[sum(score < floor for floor in floors)] for score in scores]
