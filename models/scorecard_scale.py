"""From log-odds to points: scale, grades, and the SQL of a score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from strata.models.binning import BinnedFeature
from strata.models.export import case_sql, number_sql, text_sql


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

    def probability(self, score: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        """Probability of bad at a score."""
        answer: np.ndarray = 1.0 / (1.0 + np.exp((score - self.offset) / self.factor))  # type: ignore[type-arg]
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


def score_sql(points: Points, features: Mapping[str, BinnedFeature], scale: Scale, reasons: int) -> str:
    """One item of a Spark SELECT list that gives the columns score, probability, grade, reason_1..n.

    ``inline`` over an array of one struct adds exactly one row's columns; the bins of a row are looked up
    once, in the argument of ``transform``, which stands in for a ``LET``.
    """
    parts = [_part_sql(k, name, points, binned) for k, (name, binned) in enumerate(features.items())]
    empty = "named_struct('lost', 0, 'turn', 0, 'feature', CAST(NULL AS STRING), 'points', 0)"
    looked_up = f"array({', '.join(parts or [empty])})"
    score = f"aggregate(p, {points.base}, (total, x) -> total + x.points)"
    rest = [f"get(sort_array(p, false), {n}).feature AS reason_{n + 1}" for n in range(reasons)]
    risk = f"1D / (1D + exp((score - {number_sql(scale.offset)}) / {number_sql(scale.factor)}))"
    return (
        f"inline(transform(transform(array({looked_up}), p -> struct({score} AS score, p AS p)), "
        f"s -> struct(s.score AS score, {risk.replace('score', 's.score', 1)} AS probability, "
        f"{_grade_sql(scale)} AS grade{''.join(', ' + r.replace('(p,', '(s.p,') for r in rest)})))"
    )


def _part_sql(turn: int, name: str, points: Points, binned: BinnedFeature) -> str:
    """Of several features that lost the same the first in the scorecard's order is the earlier reason."""
    lost, label = points.lost(name, binned), text_sql(name)

    def write(code: int) -> str:
        reason = label if lost[code] > 0 else "CAST(NULL AS STRING)"
        return (
            f"named_struct('lost', {lost[code]}, 'turn', {-turn}, 'feature', {reason}, "
            f"'points', {points.by_feature[name][code]})"
        )

    return case_sql(binned.bins, (), write)


def _grade_sql(scale: Scale) -> str:
    whens = [
        f"WHEN s.score >= {number_sql(scale.score_at(limit))} THEN {text_sql(name)}" for name, limit in scale.grades[:-1]
    ]
    return f"CASE {' '.join(whens)} ELSE {text_sql(scale.grades[-1][0])} END" if whens else text_sql(scale.grades[-1][0])


def grade_of(scores: np.ndarray, scale: Scale) -> list[str]:  # type: ignore[type-arg]
    """Grades of scores on the driver."""
    floors = [scale.score_at(limit) for _, limit in scale.grades[:-1]]
    names: Sequence[str] = [name for name, _ in scale.grades]
    return [names[sum(score < floor for floor in floors)] for score in scores]
