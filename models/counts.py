"""The counts table: for every feature, pre-bin and period the weight of goods and of bads, in one pass.

Everything that a scorecard learns is a sum over rows of something small: counts of bins, a Gramian, a
gradient and a Hessian. A ``Training`` adds such sums up wherever its rows are: ``training_local`` on the
driver, ``training_spark`` in batches, of which the driver sees the sums alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from strata.models.binning_bins import Codes, FeatureBins
from strata.models.binning_rows import Source

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Item = TypeVar("Item")
Answer = TypeVar("Answer")
MOST_LEVELS, MOST_EDGES, MOST_EDGES_BY_PERIOD = 200, 1_000, 200
MOST_PERIODS = 120
RARE_SHARE, RARE_ROWS = 0.002, 20


class Block(NamedTuple):
    """Some rows: codes (rows × features), bad (0/1) and weight."""

    codes: Codes
    bad: Floats
    weight: Floats


BlockSum = Callable[[Block], Floats]


class Coded(Protocol):
    """Rows whose features are codes of bins."""

    def sums(self, make: BlockSum) -> Floats:
        """The sum over all blocks of the vector that ``make`` gives for a block."""

    def release(self) -> None:
        """Let go of what was cached."""


@dataclass(frozen=True)
class Totals:
    """Rows and weights of a training set, and the names of its periods in order (one empty name without any)."""

    rows: int
    good: float
    bad: float
    periods: tuple[str, ...] = ("",)

    @property
    def weight(self) -> float:
        """Weight of all rows (their number when unweighted)."""
        return self.good + self.bad


class Training(Protocol):
    """A training set, wherever its rows are."""

    @property
    def source(self) -> Source:
        """The checked columns."""

    @property
    def totals(self) -> Totals:
        """Rows and weights."""

    def candidates(self, min_share: float) -> tuple[FeatureBins, ...]:
        """Pre-bins of every feature, made without a look at the outcome."""

    def counts(self, bins: Sequence[FeatureBins]) -> list[Floats]:
        """The counts table: for each feature an array (period, code, good or bad) of weights; one pass."""

    def coded(self, bins: Sequence[FeatureBins]) -> Coded:
        """The rows as codes of ``bins``, in their order, kept for several passes."""

    def side_by_side(self, make: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """``make`` of every item, in their order; ``items`` are small, a few per feature at most."""


class Outcomes(NamedTuple):
    """What counting needs of some rows beside their codes; ``weight`` is None when all are 1."""

    bad: Integers
    weight: Floats | None
    period: Integers
    periods: int


def count_codes(codes: Codes, size: int, rows: Outcomes) -> Floats:
    """Weights by (period, code, good or bad), flat."""
    place = (rows.period * size + codes) * 2 + rows.bad
    return np.bincount(place, rows.weight, rows.periods * size * 2).astype(np.float64)


def count_numbers(part: FeatureBins, values: Floats) -> Floats:
    """Rows by code of the numbers of one class, NaN for missing.

    One sort and a search for every edge: a sixth of the time of a search for every value.
    """
    ordered = np.sort(values)
    filled = int(ordered.searchsorted(np.nan))
    ends = np.concatenate([[0], ordered.searchsorted(part.edges), [filled]])
    counts = np.zeros(part.size)
    counts[: part.ordinary], counts[part.missing] = np.diff(ends), len(values) - filled
    for i, special in enumerate(part.specials):
        found = ordered.searchsorted(special, "right") - ordered.searchsorted(special)
        counts[np.searchsorted(part.edges, special, "right")] -= found
        counts[part.ordinary + i] += found
    return counts


def split_counts(flat: Floats, bins: Sequence[FeatureBins], periods: int) -> list[Floats]:
    """The counts of all features on end as one array (period, code, good or bad) a feature."""
    ends = np.cumsum([0, *(part.size * periods * 2 for part in bins)])
    pairs = zip(ends[:-1], ends[1:], bins, strict=True)
    return [flat[a:b].reshape(periods, part.size, 2) for a, b, part in pairs]


def check_rows(given: Source, nulls: int, wrong: int, weights: int, no_period: int) -> None:
    """Raise ``ValueError`` for rows without a sound outcome, weight or period."""
    if nulls:
        raise ValueError(f"target: {given.target!r} is null in {nulls} rows; drop them or give them an outcome")
    if wrong:
        raise ValueError(f"target: {given.target!r} is neither 0 nor 1 in {wrong} rows; name the bad value with event=")
    if weights:
        raise ValueError(f"weight: {given.weight!r} is null, negative or not finite in {weights} rows")
    if no_period:
        raise ValueError(f"period: {given.period!r} is null in {no_period} rows")


def check_totals(given: Source, totals: Totals) -> None:
    """Raise ``ValueError`` unless there are goods and bads, and periods few enough to be counted apart."""
    if totals.rows == 0:
        raise ValueError("data: there are no rows to train on")
    if totals.bad <= 0 or totals.good <= 0:
        lacking = "bad" if totals.bad <= 0 else "good"
        raise ValueError(f"target: {given.target!r} has no {lacking} row; check the column and event={given.event!r}")
    if len(totals.periods) > MOST_PERIODS:
        raise ValueError(f"period: {given.period!r} has over {MOST_PERIODS} values; round it to months or quarters")


def most_edges(totals: Totals) -> int:
    """Candidate edges of a number: fewer where each is counted in every period."""
    return MOST_EDGES if len(totals.periods) == 1 else MOST_EDGES_BY_PERIOD


def empty_bins(given: Source, i: int) -> FeatureBins:
    """The bins of feature ``i`` before any edge or group is known."""
    return FeatureBins(given.features[i], given.kinds[i], specials=given.specials[i])


def level_bins(empty: FeatureBins, shares: Sequence[tuple[str, float]], min_share: float, rows: int) -> FeatureBins:
    """One group per common level, the rare ones together in the last.

    ``shares`` are of all ``rows``. A level is rare with under 20 rows or 0.2 % of them (with ``min_share`` at the
    most), or when 200 others are more common: its own risk would say nothing. Merging sees to ``min_share``.
    """
    least = min(min_share, max(RARE_SHARE, RARE_ROWS / rows))
    ranked = sorted((level for level in shares if level[1] >= least - 1e-12), key=lambda level: (-level[1], level[0]))
    common = sorted(level for level, _ in ranked[:MOST_LEVELS])
    rare = len(shares) > len(common)
    groups = (*[(level,) for level in common], *([()] if rare or not common else []))
    return replace(empty, groups=groups, rest=len(groups) - 1 if rare or not common else None)
