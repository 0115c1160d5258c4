"""Edges that people write down: the shortest decimals that divide rows as well as the exact values would."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from strata.models.binning.monotone_merge import Merged

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
MOST_DIGITS = 17
# The share of a feature's information value that rounder edges may cost.
MOST_LOST = 0.005
# Candidates beside each chosen edge and of each number of digits that are tried in its place.
NEIGHBOURS, PRICES, FALL = 4, 16, 0.7


class Merge(Protocol):
    """Merges a feature's pre-bins: the best bins that start at some of ``begin``, and their value less their cost."""

    def __call__(self, begin: Integers, cost: Floats | None = None) -> Merged:
        """``cost`` is of beginning a bin at each of ``begin``."""


def short_between(low: Floats, high: Floats) -> Floats:
    """For each pair the decimal of fewest digits that is above ``low`` and at most ``high``.

    Of those with as few digits it is the largest. Where ``low`` and ``high`` are neighbouring values of a column, the
    answer divides its rows exactly as ``high`` does. Example: (29.98, 30.13] gives 30, (0.12, 0.1377] gives 0.13.
    """
    answer, open_ = high.copy(), np.ones(len(high), bool)
    for exponent in range(MOST_DIGITS, -MOST_DIGITS - 1, -1):
        scale = 10.0 ** abs(exponent)
        with np.errstate(over="ignore", invalid="ignore"):
            short = np.floor(high / scale) * scale if exponent >= 0 else np.floor(high * scale) / scale
        found = open_ & (short > low) & (short <= high)
        answer[found], open_ = short[found], open_ & ~found
    return answer + 0.0  # no −0


def digits(edges: Floats) -> Integers:
    """Significant digits of each edge in its shortest decimal form: 30 has one, 34.5 three, 0.025 two."""
    plain = (f"{edge!r}".partition("e")[0].replace(".", "").replace("-", "").strip("0") for edge in edges.tolist())
    return np.array([max(len(text), 1) for text in plain], np.int64)


def at_round_edges(edges: Floats, filled: Integers, best: Merged, merged: Merge) -> Merged:
    """The best bins moved to edges of fewer digits, as far as 0.5 % of the information value bears it.

    ``edges`` are the candidates, each below the pre-bin that follows it; ``filled`` the pre-bins with rows. A digit is
    given a price, and the bins are merged exactly again among candidates near the chosen edges. Of falling prices the
    first is taken whose bins keep 99.5 % of the information.
    """
    if len(best.starts) < 2 or best.iv <= 0:
        return best
    begin = np.concatenate([[0], filled[1:]])
    lengths = np.concatenate([[0], digits(edges[begin[1:] - 1])])
    near = _near(begin, lengths, best.starts)
    begin, lengths = begin[near], lengths[near]
    # Digits beyond the usual number cost and those below it pay, so that the number of bins is not what is priced.
    usual = lengths[np.isin(begin, best.starts[1:])].mean()
    beyond = dict(zip(begin.tolist(), (lengths - usual).tolist(), strict=True))
    for step in range(PRICES):
        price = 2 * MOST_LOST * best.iv * FALL**step
        found = merged(begin, price * (lengths - usual))
        value = found.iv + price * sum(beyond[start] for start in found.starts[1:])
        if value >= (1 - MOST_LOST) * best.iv:
            return Merged(found.starts, value)
    return best


def _near(begin: Integers, lengths: Integers, starts: tuple[int, ...]) -> Integers:
    """Places in ``begin``: of each start, and of the nearest others of each smaller number of digits on both sides."""
    chosen = np.searchsorted(begin, starts)
    kept = set(chosen.tolist())
    for before, place, after in zip(chosen[:-1], chosen[1:], [*chosen[2:], len(begin)], strict=True):
        for size in range(1, int(lengths[place])):
            short = np.flatnonzero(lengths[before + 1 : after] == size) + before + 1
            kept |= set(short[short < place][-NEIGHBOURS:].tolist()) | set(short[short > place][:NEIGHBOURS].tolist())
    return np.array(sorted(kept), np.int64)
