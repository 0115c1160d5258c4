"""The merging programme against every possible division of small random pre-bins."""

from __future__ import annotations

import time
from itertools import combinations, product

import numpy as np
import pytest

from strata.models.merge import TRENDS, MergeRules, is_trend, merge, woe_iv


def divisions(m):
    for k in range(m):
        yield from ((0, *cut) for cut in combinations(range(1, m), k))


def brute_force(good, bad, total_good, total_bad, rules_list):
    """The best value per rule set and the fewest bins that reach it, by trying every division."""
    best = [(-np.inf, 0)] * len(rules_list)
    for starts in divisions(len(good)):
        g, b = np.add.reduceat(good, starts), np.add.reduceat(bad, starts)
        if (g + b <= 0).any():
            continue
        woe, iv = woe_iv(g, b, total_good, total_bad)
        value = float(iv.sum())
        for n, rules in enumerate(rules_list):
            allowed = (
                len(starts) <= rules.max_bins
                and (g + b >= rules.min_count).all()
                and (b >= rules.min_bads).all()
                and is_trend(-woe, rules.trend)
            )
            if allowed and value > best[n][0] + 1e-10:
                best[n] = (value, len(starts))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_equals_brute_force_for_every_combination_of_rules(seed):
    rng = np.random.default_rng(seed)
    checked = 0
    for _ in range(70):
        m = int(rng.integers(1, 8))
        good = rng.integers(0, rng.choice([3, 20, 200]), m).astype(float)
        bad = rng.integers(0, rng.choice([2, 5, 60]), m).astype(float)
        if rng.random() < 0.3:
            good[rng.integers(m)] = bad[rng.integers(m)] = 0.0
        total_good, total_bad = good.sum() + rng.integers(1, 9), bad.sum() + rng.integers(1, 4)
        count = (good + bad).sum()
        rules = [
            MergeRules(max_bins=k, min_count=share * count, min_bads=bads, trend=trend)
            for k, share, bads, trend in product((1, 2, 4, 7), (0.0, 0.15), (0, 2), TRENDS)
        ]
        for expected, rule in zip(brute_force(good, bad, total_good, total_bad, rules), rules, strict=True):
            answer = merge(good, bad, total_good, total_bad, rule)
            if expected[0] == -np.inf:
                assert answer.starts == (0,), (good, bad, rule)
            else:
                assert answer.iv == pytest.approx(expected[0], abs=1e-9), (good, bad, rule)
                assert len(answer.starts) == expected[1], (good, bad, rule)
            checked += 1
    assert checked > 5000


def test_the_answer_itself_keeps_the_rules():
    rng = np.random.default_rng(11)
    for trend in TRENDS:
        good, bad = rng.integers(0, 50, 80).astype(float), rng.integers(0, 9, 80).astype(float)
        total = (good + bad).sum()
        rules = MergeRules(max_bins=5, min_count=0.08 * total, min_bads=6, trend=trend)
        starts = merge(good, bad, good.sum(), bad.sum(), rules).starts
        g, b = np.add.reduceat(good, starts), np.add.reduceat(bad, starts)
        woe, _ = woe_iv(g, b, good.sum(), bad.sum())
        assert 1 < len(starts) <= 5 and (g + b).min() >= 0.08 * total and b.min() >= 6
        assert is_trend(-woe, trend)


def test_two_hundred_pre_bins_take_well_under_a_second():
    rng = np.random.default_rng(3)
    good, bad = rng.integers(50, 150, 200).astype(float), rng.integers(0, 40, 200).astype(float)
    for trend in TRENDS:
        start = time.process_time()
        merge(good, bad, good.sum(), bad.sum(), MergeRules(min_count=0.05 * (good + bad).sum(), trend=trend))
        assert time.process_time() - start < 1.0
