"""Sums and deviations of doubles against fractions, and different values of stretches against sets."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from strata.features.engine.exact_sums import Limbs, deviation_of, limbs_of, squares_of, total_of
from strata.features.engine.window_distinct import Different, count_below


def _summed(values: np.ndarray) -> Limbs:
    limbs = limbs_of(values)
    assert all((np.abs(part) < 2**33).all() for part in limbs.parts)
    return Limbs(limbs.lowest, [np.array([part.sum()]) for part in limbs.parts])


def _deviation(values: np.ndarray) -> float:
    return float(deviation_of(np.array([len(values)]), _summed(values), *map(_summed, squares_of(values)))[0])


def _spread(rng: np.random.Generator, digits: int) -> np.ndarray:
    """Up to 40 doubles over ``digits`` powers of ten each way, of which two cancel out and one is zero."""
    values = rng.normal(size=int(rng.integers(3, 40))) * 10.0 ** rng.integers(-digits, digits, 1)[0]
    values *= 10.0 ** rng.integers(-3, 3, len(values))
    values[:2] = -values[2], 0.0
    return values


@pytest.mark.parametrize("digits", [1, 4, 15, 290])
def test_sums_are_exact_and_rounded_once(digits):
    rng = np.random.default_rng(digits)
    for _ in range(100):
        values = np.round(_spread(rng, digits), 2) if digits < 5 else _spread(rng, digits)
        sums = _summed(values)
        high, low = total_of(sums.lowest, sums.parts)
        assert high[0] == math.fsum(values)
        lacks = sum(map(Fraction, values.tolist()), Fraction(0)) - Fraction(float(high[0]))
        assert abs(lacks - Fraction(float(low[0]))) <= abs(lacks) * Fraction(2) ** -40


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e9, 1.7e15])
def test_deviations_lose_no_digit_however_large_the_mean(mean):
    rng = np.random.default_rng(7)
    for _ in range(50):
        values = mean + rng.normal(size=int(rng.integers(2, 40)))
        exact = [Fraction(value) for value in values.tolist()]
        centre = sum(exact) / len(exact)
        wanted = math.sqrt(sum((value - centre) ** 2 for value in exact) / (len(exact) - 1))
        assert math.isclose(_deviation(values), wanted, rel_tol=1e-12)
    assert _deviation(np.full(3, mean + 0.1)) == 0


def test_different_values_are_those_of_sets():
    rng = np.random.default_rng(5)
    for _ in range(200):
        groups = rng.integers(0, 8, int(rng.integers(0, 60)))
        different = Different(groups)
        first, end = rng.integers(0, len(groups) + 1, (2, 30))
        assert different.count(first, end).tolist() == [len(set(groups[a:b].tolist())) for a, b in zip(first, end)]
        asked, end = rng.integers(0, 10, 30), np.maximum(first, end)
        held = [group in groups[a:b] for group, a, b in zip(asked, first, end)]
        assert different.holds(asked, first, end).tolist() == held
        limits = rng.integers(0, 10, 30)
        assert count_below(groups, end, limits).tolist() == [(groups[:b] < k).sum() for b, k in zip(end, limits)]
