"""Cut-offs against counting rows at every threshold; two grades crossed against pandas."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from strata.models.evaluation import cutoffs
from strata.models.evaluation.cutoffs import Economics, best_cut_off, cut_off_at, strategy_table, two_way
from strata.models.evaluation.score_table import ScoreTable, score_table

pytestmark = pytest.mark.oracle

MONEY = Economics(profit_per_good=1_000, loss_per_bad=4_000, cost_per_application=50)


def case(seed):
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(1, 4, 300), 2) * 0.98 + 0.01
    return (rng.random(300) < p).astype(int), p, rng.integers(1, 4, 300).astype(float)


def row_by_hand(y, p, w, threshold):
    yes = p <= threshold
    good, bad = w * (y == 0), w * (y == 1)
    profit = 1_000 * good[yes].sum() - 4_000 * bad[yes].sum() - 50 * w.sum()
    return {
        "approved": w[yes].sum(),
        "approval_rate": w[yes].sum() / w.sum(),
        "bad_rate": bad[yes].sum() / w[yes].sum() if yes.any() else math.nan,
        "bad_refused_rate": bad[~yes].sum() / bad.sum(),
        "good_refused_rate": good[~yes].sum() / good.sum(),
        "profit": profit,
        "profit_per_application": profit / w.sum(),
    }


def test_every_row_is_what_counting_gives():
    for seed in range(5):
        y, p, w = case(seed)
        found = strategy_table(ScoreTable.of(y, p, w), economics=MONEY)
        assert found["threshold"].tolist() == [-math.inf, *np.unique(p)]
        expected = pd.DataFrame([row_by_hand(y, p, w, t) for t in found["threshold"]])
        pd.testing.assert_frame_equal(found[expected.columns.tolist()], expected, check_exact=False)


def test_the_cut_offs_are_those_of_a_search_over_all_thresholds():
    for seed in range(20):
        y, p, w = case(seed)
        strategy = strategy_table(ScoreTable.of(y, p, w), economics=MONEY)
        rows = {t: row_by_hand(y, p, w, t) for t in np.unique(p)}
        most = max(row["profit"] for row in rows.values())
        assert best_cut_off(strategy)["threshold"] == min(t for t, row in rows.items() if row["profit"] == most)
        for name, rate in (("approval_rate", 0.4), ("bad_rate", 0.15)):
            loosest = max(t for t, row in rows.items() if row[name] <= rate)
            assert cut_off_at(strategy, **{name: rate})["threshold"] == loosest
        now = strategy.iloc[len(strategy) // 2]
        assert cut_off_at(strategy, approval_rate=now["approval_rate"])["threshold"] == now["threshold"]


def test_equal_profits_take_the_stricter_and_a_loss_everywhere_approves_nobody():
    # Approving the second part earns 4 x 1 and loses 1 x 4.
    table = ScoreTable(np.array([0.1, 0.2, 0.3]), np.array([9.0, 4.0, 1.0]), np.array([1.0, 1.0, 9.0]))
    strategy = strategy_table(table, economics=Economics(1, 4))
    assert strategy["profit"].tolist() == [0, 5, 5, -30]
    assert best_cut_off(strategy)["threshold"] == 0.1
    assert best_cut_off(strategy_table(table, economics=Economics(1, 40)))["approved"] == 0


def test_the_interval_of_profit_is_that_of_resampled_applications():
    y, p, _ = case(3)
    found, rng = strategy_table(ScoreTable.of(y, p), economics=MONEY).iloc[20], np.random.default_rng(1)
    payoff = np.where(p <= found["threshold"], np.where(y == 1, -4_000, 1_000), 0) - 50
    drawn = rng.choice(payoff, (5_000, len(y))).mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=0.06 * (high - low))


def test_minus_a_score_is_a_risk():
    score, y = np.array([500, 500, 600, 700, 700]), np.array([1, 0, 0, 0, 1])
    strategy = strategy_table(ScoreTable.of(y, -score), economics=Economics(1, 1))
    at = cut_off_at(strategy, approval_rate=0.7)
    assert -at["threshold"] == 600 and at["approved"] == (score >= 600).sum()


def test_what_cannot_be_is_refused():
    strategy = strategy_table(ScoreTable.of([1, 0, 0, 1], [0.1, 0.1, 0.2, 0.3]), economics=Economics(1, 1))
    with pytest.raises(ValueError, match="loss_per_bad: -1"):
        Economics(1, -1)
    with pytest.raises(ValueError, match="profit_per_good: nan"):
        Economics(math.nan, 1)
    with pytest.raises(ValueError, match="approval_rate: no cut-off keeps it at 0.4; .*: 0.5"):
        cut_off_at(strategy, approval_rate=0.4)
    with pytest.raises(ValueError, match="bad_rate: no cut-off keeps it at 0.1"):
        cut_off_at(strategy, bad_rate=0.1)
    for wrong in ({}, {"approval_rate": 0.5, "bad_rate": 0.5}):
        with pytest.raises(ValueError, match="give one of the two"):
            cut_off_at(strategy, **wrong)


def test_a_threshold_from_spark_approves_the_rows_that_it_counts(spark):
    # The mean of many equal tenths is not a tenth.
    p = np.repeat([0.1, 0.3, 0.7], [11, 13, 9])
    data = spark.createDataFrame([(float(x), i % 2) for i, x in enumerate(p)], "probability double, bad int")
    for _, row in strategy_table(score_table(data, target="bad"), economics=MONEY).iterrows():
        assert (p <= row["threshold"]).sum() == row["approved"]


GRADES = "grade string, branch double, bad int"


def test_two_grades_crossed_are_what_pandas_counts(spark):
    rng = np.random.default_rng(8)
    branches = [1.0, 2.0, 10.0, None, math.nan]
    rows = [
        ("ABC"[rng.integers(3)], branches[rng.integers(5)], [0, 1, None][rng.choice(3, p=[0.7, 0.2, 0.1])])
        for _ in range(400)
    ]
    found = two_way(
        spark.createDataFrame([*rows, ("D", 1.0, None)], GRADES), rows="grade", columns="branch", target="bad"
    )
    assert found.index.tolist() == ["A", "B", "C", "D"] and found["count"].columns.tolist() == [1, 2, 10, "missing"]
    frame = pd.DataFrame([*rows, ("D", 1.0, None)], columns=["grade", "branch", "bad"])
    frame["branch"] = frame["branch"].astype(object).where(frame["branch"].notna(), "missing")
    for (grade, branch), part in frame.groupby(["grade", "branch"]):
        assert found.loc[grade, ("count", branch)] == len(part)
        assert found.loc[grade, ("known", branch)] == part["bad"].notna().sum()
        assert found.loc[grade, ("bads", branch)] == part["bad"].sum()
        assert found.loc[grade, ("bad_rate", branch)] == pytest.approx(part["bad"].mean(), nan_ok=True)
    assert found["count"].to_numpy().sum() == 401 and found.loc["D", ("count", 2.0)] == 0


def test_a_matrix_has_bounds_and_sound_outcomes(spark, monkeypatch):
    data = spark.createDataFrame([("A", 1.0, 0), ("B", 2.0, 1), ("C", 3.0, 1)], GRADES)
    monkeypatch.setattr(cutoffs, "MOST_CELLS", 8)
    with pytest.raises(ValueError, match="'grade' by 'branch' has more than 8 cells"):
        two_way(data, rows="grade", columns="branch", target="bad")
    with pytest.raises(ValueError, match="target: 'branch' is neither 0, 1 nor null in 2 rows"):
        two_way(data, rows="grade", columns="bad", target="branch")
    with pytest.raises(ValueError, match="columns: the data have no column 'x'"):
        two_way(data, rows="grade", columns="x", target="bad")
