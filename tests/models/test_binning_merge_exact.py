"""The merging programme against every possible division of small random pre-bins."""

from __future__ import annotations

import time
from itertools import combinations, pairwise, product

import numpy as np
import pytest

from strata.models.binning.monotone_merge import TIE, TRENDS, MergeRules, Periods, merge, merge_finely, woe_iv

pytestmark = pytest.mark.oracle


def is_trend(risk, trend):
    """Whether the risks of consecutive bins follow ``trend`` (``auto``: up or down all the way)."""
    steps = [b - a for a, b in pairwise(risk)]
    if trend == "none":
        return True
    if trend == "ascending":
        return all(s >= -TIE for s in steps)
    if trend == "descending":
        return all(s <= TIE for s in steps)
    if trend == "auto":
        return is_trend(risk, "ascending") or is_trend(risk, "descending")
    turns = range(len(risk))
    first, second = ("ascending", "descending") if trend == "peak" else ("descending", "ascending")
    return any(is_trend(risk[: t + 1], first) and is_trend(risk[t:], second) for t in turns)


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


def unstable_value(starts, good, bad, totals, by_period, stability):
    """Information less what lies in periods of the other sign, bin by bin and in plain words."""
    ends, value = [*starts[1:], len(good)], 0.0
    for a, b in zip(starts, ends, strict=True):
        g, x = good[a:b].sum(), bad[a:b].sum()
        woe, iv = woe_iv(np.array([g]), np.array([x]), *totals)
        flipped = 0.0
        for goods, bads, all_good, all_bad in by_period:
            own_g, own_x = goods[a:b].sum(), bads[a:b].sum()
            if own_g + own_x > 0 and (own_g / all_good - own_x / all_bad) * (g / totals[0] - x / totals[1]) < 0:
                flipped += own_g + own_x
        value += iv[0] * (1 - stability * flipped / (g + x))
    return value, woe


@pytest.mark.parametrize("seed", range(3))
def test_stability_equals_brute_force(seed):
    rng = np.random.default_rng(100 + seed)
    told_apart = 0
    for _ in range(60):
        m, periods = int(rng.integers(2, 8)), int(rng.integers(2, 5))
        goods = rng.integers(1, 60, (periods, m)).astype(float)
        bads = rng.integers(1, 25, (periods, m)).astype(float)
        good, bad = goods.sum(axis=0), bads.sum(axis=0)
        totals = good.sum(), bad.sum()
        by_period = list(zip(goods, bads, goods.sum(axis=1), bads.sum(axis=1), strict=True))
        given = Periods(goods, bads, goods.sum(axis=1), bads.sum(axis=1))
        plain = {}
        for stability, trend in product((0.0, 0.5, 1.0), TRENDS):
            best = max(
                unstable_value(starts, good, bad, totals, by_period, stability)[0]
                for starts in divisions(m)
                if len(starts) <= 4
                and is_trend(-woe_iv(np.add.reduceat(good, starts), np.add.reduceat(bad, starts), *totals)[0], trend)
            )
            answer = merge(good, bad, *totals, MergeRules(max_bins=4, trend=trend, stability=stability), given)
            assert answer.iv == pytest.approx(best, abs=1e-9), (goods, bads, trend, stability)
            plain[stability, trend] = answer.starts
        told_apart += any(plain[1.0, trend] != plain[0.0, trend] for trend in TRENDS)
    assert told_apart > 10


@pytest.mark.parametrize("trend", ["auto", "peak", "none"])
def test_many_pre_bins_are_merged_nearly_exactly_and_never_worse_than_two_hundred(trend):
    rng = np.random.default_rng(21)
    for size in (201, 430, 700):
        risk = np.clip(np.linspace(0.02, 0.3, size) + rng.normal(0, 0.03, size), 0.001, 0.9)
        good = rng.poisson(60, size).astype(float)
        bad = rng.binomial(good.astype(int), risk).astype(float)
        total = good.sum(), bad.sum()
        rules = MergeRules(max_bins=6, min_count=0.05 * (good + bad).sum(), trend=trend)
        found, best = merge_finely(good, bad, *total, rules), merge(good, bad, *total, rules)
        step = -(-size // 200)
        coarse = merge(
            np.add.reduceat(good, range(0, size, step)), np.add.reduceat(bad, range(0, size, step)), *total, rules
        )
        assert coarse.iv - 1e-12 <= found.iv <= best.iv + 1e-12 and found.iv >= 0.999 * best.iv
        g, b = np.add.reduceat(good, found.starts), np.add.reduceat(bad, found.starts)
        woe, iv = woe_iv(g, b, *total)
        assert iv.sum() == pytest.approx(found.iv) and (g + b).min() >= rules.min_count and is_trend(-woe, trend)
