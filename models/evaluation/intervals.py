"""A figure with its interval, and the intervals of shares and of their differences."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Z_95 = 1.959963984540054


class Interval(NamedTuple):
    """A figure with the ends of its interval and how they were found."""

    value: float
    low: float
    high: float
    method: str


def wilson(hits: ArrayLike, cases: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Both ends of Wilson's interval of the share hits / cases; NaN without cases. Weights count as rows."""
    k, n, z = np.asarray(hits, np.float64), np.asarray(cases, np.float64), NormalDist().inv_cdf((1 + level) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = k / n
        middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def newcombe(bads: float, cases: float, other_bads: float, other_cases: float, *, level: float = 0.95) -> Interval:
    """Difference of two independent shares with the square-and-add Wilson interval.

    Method 10 of Newcombe, Statistics in Medicine 17 (1998) 873-890. NaN when either has no cases.
    """
    method = f"Newcombe {100 * level:g} %"
    if cases <= 0 or other_cases <= 0:
        return Interval(math.nan, math.nan, math.nan, method)
    a, b = bads / cases, other_bads / other_cases
    (a_low, b_low), (a_high, b_high) = wilson([bads, other_bads], [cases, other_cases], level=level)
    low, high = math.hypot(a - a_low, b_high - b), math.hypot(a_high - a, b - b_low)
    return Interval(a - b, a - b - low, a - b + high, method)
