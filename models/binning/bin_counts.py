"""The counts table: for every feature, pre-bin and period the weight of goods and of bads, in one pass.

Everything that a scorecard learns is a sum over rows of something small: counts of bins, a Gramian, a
gradient and a Hessian. A ``Training`` adds such sums up wherever its rows are: ``training_local`` on the
driver, ``training_spark`` in batches, of which the driver sees the sums alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from strata.models.binning.feature_bins import Codes, FeatureBins, number_edges
from strata.models.samples.training_rows import Source

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Item = TypeVar("Item")
Answer = TypeVar("Answer")
MOST_LEVELS, MOST_EDGES, MOST_EDGES_BY_PERIOD = 200, 1_000, 200
MOST_LISTED = 1_000
MOST_PERIODS = 120
RARE_SHARE, RARE_ROWS = 0.002, 20


class Block(NamedTuple):
    """Some rows: codes (rows × features), bad (0/1) and weight, which is 1 on average over the training set."""

    codes: Codes
    bad: Floats
    weight: Floats


BlockSum = Callable[[Block], Floats]
Edit = Callable[[FeatureBins], FeatureBins]
"""Another's bins in the place of candidates, or the very same ones."""


class Counted(NamedTuple):
    """Bins of a feature and their counts table: weights by (period, code, good or bad)."""

    bins: FeatureBins
    counts: Floats


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

    @property
    def unit(self) -> float:
        """Mean weight of a row: what is meant in rows (0.5 added to a pure bin, a penalty) is multiplied by it.

        So the scale of the weights changes nothing but the counts that are shown.
        """
        return self.weight / self.rows


class Training(Protocol):
    """A training set, wherever its rows are."""

    @property
    def source(self) -> Source:
        """The checked columns."""

    @property
    def totals(self) -> Totals:
        """Rows and weights."""

    def pre_bins(self, min_share: float, edit: Edit) -> list[Counted]:
        """Pre-bins of every feature, made without a look at the outcome and then edited, with their exact counts."""

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


def count_table(codes: Codes, size: int, rows: Outcomes) -> Floats:
    """Weights by (period, code, good or bad)."""
    place = (rows.period * size + codes) * 2 + rows.bad
    flat = np.bincount(place, rows.weight, rows.periods * size * 2).astype(np.float64)
    return flat.reshape(rows.periods, size, 2)


def count_numbers(part: FeatureBins, values: Floats) -> Floats:
    """Rows by code of the numbers of one class, NaN for missing.

    One sort and a search for every edge: a sixth of the time of a search for every value.
    """
    ordered = np.sort(values)
    filled = int(ordered.searchsorted(np.nan))
    ends = np.concatenate([[0], ordered.searchsorted(part.edge_array), [filled]])
    counts = np.zeros(part.size)
    counts[: part.ordinary], counts[part.missing] = np.diff(ends), len(values) - filled
    for i, special in enumerate(part.specials):
        found = ordered.searchsorted(special, "right") - ordered.searchsorted(special)
        counts[part.edge_array.searchsorted(special, "right")] -= found
        counts[part.ordinary + i] += found
    return counts


class Faults(NamedTuple):
    """Rows without a sound outcome (null, or neither 0 nor 1), weight or period."""

    nulls: int
    wrong: int
    weights: int
    no_period: int


def checked_totals(given: Source, faults: Faults, rows: int, good: float, bad: float, periods: Iterable[str]) -> Totals:
    """The totals; ``ValueError`` for faulty rows, without goods or bads, and for more periods than can be counted."""
    _check_rows(given, *faults)
    totals = Totals(int(rows), float(good), float(bad), tuple(sorted(periods, key=in_time)))
    _check_totals(given, totals)
    return totals


def in_time(period: str) -> tuple[float, str]:
    """The order of periods: numbers such as 9 and 10 by their value, names such as 2024-09 and 2024Q3 as they are."""
    try:
        return float(period), ""
    except ValueError:
        return 0.0, period


def _check_rows(given: Source, nulls: int, wrong: int, weights: int, no_period: int) -> None:
    if nulls:
        raise ValueError(f"target: {given.target!r} is null in {nulls} rows; drop them or give them an outcome")
    if wrong:
        raise ValueError(f"target: {given.target!r} is neither 0 nor 1 in {wrong} rows; name the bad value with event=")
    if weights:
        raise ValueError(f"weight: {given.weight!r} is null, negative or not finite in {weights} rows")
    if no_period:
        raise ValueError(f"period: {given.period!r} is null in {no_period} rows")


def _check_totals(given: Source, totals: Totals) -> None:
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


def number_bins(given: Source, i: int, values: Floats, most: int) -> FeatureBins:
    """Candidate bins of feature ``i``, a number, from ``values`` of it (NaN for missing): ``most`` edges."""
    ordinary = values[~np.isnan(values) & ~np.isin(values, given.specials[i])]
    return replace(_empty_bins(given, i), edges=number_edges(ordinary, most))


def level_bins(
    given: Source,
    i: int,
    weights: Mapping[str | None, float],
    min_share: float,
    totals: Totals,
    *,
    all_levels: bool = True,
) -> FeatureBins:
    """Candidate bins of feature ``i``, a text: one group per common level, the rare ones together in the last.

    ``weights`` are of levels, None for missing. A level is rare with under 20 rows or 0.2 % of all (with
    ``min_share`` at the most), or when 200 others are more common: its own risk would say nothing. Merging sees to
    ``min_share``. Of a text with over ``MOST_LISTED`` levels, or when ``weights`` don't have ``all_levels``, the rare
    ones are not kept by name: they are unseen.
    """
    specials = given.specials[i]
    ordinary = {level: weight for level, weight in weights.items() if level is not None and level not in specials}
    least = min(min_share, max(RARE_SHARE, RARE_ROWS / totals.rows)) - 1e-12
    ranked = sorted((-weight, level) for level, weight in ordinary.items() if weight / totals.weight >= least)
    common = sorted(level for _, level in ranked[:MOST_LEVELS])
    listed = all_levels and len(ordinary) <= MOST_LISTED
    rare = tuple(sorted(ordinary.keys() - set(common))) if listed else ()
    groups = (*[(level,) for level in common], *([rare] if rare else []))
    return replace(_empty_bins(given, i), groups=groups or ((),))


def _empty_bins(given: Source, i: int) -> FeatureBins:
    reading = given.readings.get(given.features[i]) if given.kinds[i] == "number" else None
    return FeatureBins(given.features[i], given.kinds[i], specials=given.specials[i], reading=reading)
