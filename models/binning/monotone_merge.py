"""The exact merging of pre-bins: a dynamic programme over (last bin, number of bins), on bounded counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Trend = Literal["auto", "ascending", "descending", "peak", "valley", "none"]
TRENDS: tuple[str, ...] = ("auto", "ascending", "descending", "peak", "valley", "none")
Floats = NDArray[np.float64]

Integers = NDArray[np.int64]
MOST_EXACT = 200
PURE = 0.5
"""Added to the goods and the bads of a bin that lacks one of them."""
TIE = 1e-12


@dataclass(frozen=True)
class MergeRules:
    """What merged bins must satisfy; counts are weights when rows are weighted.

    ``trend`` speaks of risk (the bad rate) along the feature: ascending means that it never falls.
    ``auto`` is the better of ascending and descending. ``stability`` (0 to 1) lessens the value of a bin by that
    share of itself times the share of its rows that lie in periods where its WOE has the other sign. ``unit`` is the
    weight of one row, in which 0.5 rows are added to pure bins.
    """

    max_bins: int = 6
    min_count: float = 0.0
    min_bads: float = 0.0
    trend: str = "auto"
    stability: float = 0.0
    unit: float = 1.0


class Merged(NamedTuple):
    """Where bins start (index of their first pre-bin, the first is 0) and their value, less instability."""

    starts: tuple[int, ...]
    iv: float


def woe_iv(good: Floats, bad: Floats, total_good: float, total_bad: float, unit: float = 1.0) -> tuple[Floats, Floats]:
    """WOE ``ln(share of goods / share of bads)`` and information value of bins, elementwise.

    A bin with no good or no bad gets half a row (of weight ``unit``) added to both; an empty bin tells nothing: 0
    and 0.
    """
    pure = np.where((good <= 0) | (bad <= 0), PURE * unit, 0.0)
    good_share, bad_share = (good + pure) / total_good, (bad + pure) / total_bad
    full = (good + bad) > 0
    woe = np.where(full, np.log(good_share / bad_share), 0.0)
    return woe, np.where(full, (good_share - bad_share) * woe, 0.0)


class Periods(NamedTuple):
    """The same counts period by period, (period, pre-bin), and the totals of each period's rows."""

    good: Floats
    bad: Floats
    total_good: Floats
    total_bad: Floats


def merge(
    good: Floats,
    bad: Floats,
    total_good: float,
    total_bad: float,
    rules: MergeRules,
    periods: Periods | None = None,
    cost: Floats | None = None,
) -> Merged:
    """Merge ordered pre-bins so that the value is the largest that ``rules`` allow.

    ``good`` and ``bad`` are counts of the m pre-bins in order; the totals are of all rows, missing and
    special ones too; ``periods`` are needed for ``rules.stability`` alone; ``cost`` (m) is what it costs to begin a bin
    with each pre-bin, taken from the value (that of the first is never paid). Exact: O(max_bins · m² log m), and
    O(periods · m²) for stability. Of equal values the one with fewer bins wins. When no division satisfies the
    rules the answer is one bin.
    """
    pieces = _Pieces.of(good, bad, total_good, total_bad, rules)
    if rules.stability and periods:
        left = 1 - rules.stability * _flipped(good, bad, total_good, total_bad, periods)
        allowed = np.isfinite(pieces.value)
        pieces = replace(pieces, value=np.where(allowed, np.where(allowed, pieces.value, 0.0) * left, -np.inf))
    if cost is not None:
        pieces = replace(pieces, value=pieces.value - np.concatenate([[0.0], cost[1:]])[:, None])
    if rules.trend == "auto":
        up, down = (_best(pieces, rules.max_bins, trend) for trend in ("ascending", "descending"))
        return down if down.iv > up.iv + TIE else up
    return _best(pieces, rules.max_bins, rules.trend)


def merge_finely(
    good: Floats, bad: Floats, total_good: float, total_bad: float, rules: MergeRules, periods: Periods | None = None
) -> Merged:
    """``merge`` of any number of pre-bins: exact up to 200 of them.

    Above, every k-th boundary is merged exactly first; then, exactly again, the boundaries within k of those that
    were chosen and the outermost two that ``min_count`` allows. So the answer is never worse than on 200
    pre-bins, and in practice within a thousandth of the best there is.
    """

    def on(boundaries: Integers) -> Merged:
        goods, bads = (np.add.reduceat(counts, boundaries, axis=-1) for counts in (good, bad))
        by_period = periods and Periods(
            np.add.reduceat(periods.good, boundaries, axis=-1),
            np.add.reduceat(periods.bad, boundaries, axis=-1),
            periods.total_good,
            periods.total_bad,
        )
        found = merge(goods, bads, total_good, total_bad, rules, by_period)
        return Merged(tuple(int(boundaries[start]) for start in found.starts), found.iv)

    size = len(good)
    if size <= MOST_EXACT:
        return merge(good, bad, total_good, total_bad, rules, periods)
    step = -(-size // MOST_EXACT)
    coarse = on(np.arange(0, size, step))
    filled = np.cumsum(good + bad)
    outermost = (
        np.searchsorted(filled, rules.min_count) + 1,
        np.searchsorted(filled, filled[-1] - rules.min_count, "right"),
    )
    near = {start + offset for start in coarse.starts[1:] for offset in range(-step, step + 1)} | set(
        map(int, outermost)
    )
    return on(np.array([0, *sorted(place for place in near if 0 < place < size)]))


@dataclass(frozen=True)
class _Pieces:
    """Every run of pre-bins [i, j]: its value (−inf when not allowed) and its risk (−WOE)."""

    value: Floats
    risk: Floats

    @staticmethod
    def of(good: Floats, bad: Floats, total_good: float, total_bad: float, rules: MergeRules) -> _Pieces:
        run_good, run_bad = _runs(good), _runs(bad)
        upper = np.triu(np.ones(run_good.shape, dtype=bool))
        woe, iv = woe_iv(run_good, run_bad, total_good, total_bad, rules.unit)
        slack = 1e-9 * rules.unit
        enough = (run_good + run_bad >= rules.min_count - slack) & (run_bad >= rules.min_bads - slack)
        filled = run_good + run_bad > 0
        return _Pieces(np.where(upper & enough & filled, iv, -np.inf), -woe)

    def whole(self, starts: tuple[int, ...]) -> float:
        ends = (*starts[1:], len(self.value))
        return float(sum(self.value[a, b - 1] for a, b in zip(starts, ends, strict=True)))


def _runs(counts: Floats) -> Floats:
    """Sums of all runs of pre-bins [i, j]; 0 below the diagonal."""
    ends = np.concatenate([[0.0], np.cumsum(counts)])
    return np.triu(ends[None, 1:] - ends[:-1, None])


def _flipped(good: Floats, bad: Floats, total_good: float, total_bad: float, periods: Periods) -> Floats:
    """Of every run the share of its rows that lie in periods where its WOE has the other sign."""
    side = np.sign(_runs(good) * total_bad - _runs(bad) * total_good)
    flipped = np.zeros_like(side)
    for goods, bads, all_good, all_bad in zip(*periods, strict=True):
        run_good, run_bad = _runs(goods), _runs(bads)
        other = np.sign(run_good * all_bad - run_bad * all_good) * side < 0
        flipped += np.where(other, run_good + run_bad, 0.0)
    count = _runs(good + bad)
    return np.divide(flipped, count, out=np.zeros_like(count), where=count > 0)


def _best(pieces: _Pieces, max_bins: int, trend: str) -> Merged:
    risk = -pieces.risk if trend in ("descending", "valley") else pieces.risk
    phases = 2 if trend in ("peak", "valley") else 1
    table = _Table.solve(pieces.value, risk, max_bins, phases, constrained=trend != "none")
    starts = table.starts()
    if starts is None:
        return Merged((0,), 0.0)
    return Merged(starts, pieces.whole(starts))


@dataclass(frozen=True)
class _Table:
    """``best[p, k, i, j]``: the best value of k+1 bins ending in [i, j], in phase p (0 rising, 1 falling).

    Which chain a bin stands behind is not kept: it is found again for the few bins of the answer.
    """

    best: Floats
    risk: Floats
    constrained: bool

    @staticmethod
    def solve(value: Floats, risk: Floats, max_bins: int, phases: int, *, constrained: bool) -> _Table:
        m = len(value)
        table = _Table(np.full((phases, min(max_bins, m), m, m), -np.inf), risk, constrained)
        table.best[0, 0, 0] = value[0]
        for i in range(1, m):
            for phase in range(phases):
                table._extend(phase, i, value[i, i:])
        return table

    def _extend(self, phase: int, i: int, value: Floats) -> None:
        """Add the bins that start at ``i`` behind the best chain that each may follow, a prefix maximum."""
        ending, before, _ = self._behind(phase, i)
        if np.isfinite(ending).any():
            allowed, top = self._allowed(phase, before, self.risk[i, i:]), np.maximum.accumulate(ending, axis=1)
            self.best[phase, 1:, i, i:] = np.where(allowed > 0, top[:, allowed - 1], -np.inf) + value

    def _behind(self, phase: int, i: int) -> tuple[Floats, Floats, Integers]:
        """The chains that end at ``i`` − 1, by rising risk of their last bin (falling in phase 1).

        Their values (number of bins, chain), those risks (negative in phase 1), and the starts of the last bins, to
        which ``i`` is added for chains that fall already.
        """
        ending, before = self.best[0, :-1, :i, i - 1], self.risk[:i, i - 1]
        if phase == 1:
            ending = np.concatenate([ending, self.best[1, :-1, :i, i - 1]], axis=1)
            before = -np.tile(before, 2)
        order = np.argsort(before, kind="stable")
        return ending[:, order], before[order], order

    def _allowed(self, phase: int, before: Floats, risks: Floats) -> Integers:
        """How many of the chains behind, in their order, a bin of each of ``risks`` may follow."""
        if phase == 0 and not self.constrained:
            return np.full(len(risks), len(before))
        return before.searchsorted((-risks if phase == 1 else risks) + TIE, side="right")

    def starts(self) -> tuple[int, ...] | None:
        """The starts of the best chain that covers everything, or None when there is none."""
        ends = self.best[:, :, :, -1]
        peak = ends.max()
        if not np.isfinite(peak):
            return None
        by_depth = np.swapaxes(ends, 0, 1)
        k, phase, i = (int(x) for x in np.argwhere(by_depth >= peak - TIE)[0])
        j, found = by_depth.shape[2] - 1, [i]
        while k:
            ending, before, start = self._behind(phase, i)
            allowed = int(self._allowed(phase, before, self.risk[i, j : j + 1])[0])
            label = int(start[ending[k - 1, :allowed].argmax()])
            phase, k, j = (1 if phase == 1 and label >= i else 0), k - 1, i - 1
            i = label if label < i else label - i
            found.append(i)
        return tuple(reversed(found))
