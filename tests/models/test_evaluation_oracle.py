"""Measures against scikit-learn, SciPy, textbook DeLong and plain loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from strata.models.evaluation import score_table as score_tables
from strata.models.evaluation.discrimination import (
    auc,
    auc_interval,
    brier,
    calibration_line,
    calibration_table,
    gains_table,
    gini,
    ks,
    measures,
    psi,
    roc_points,
)
from strata.models.evaluation.score_table import ScoreTable, score_table
from strata.models.validation.cross_validation import fold_interval

pytestmark = pytest.mark.oracle


def random_case(seed, ties):
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 4, 400)
    p = np.round(p, 1) * 0.98 + 0.01 if ties else p
    return (rng.random(400) < p**0.7).astype(int), p


@pytest.mark.parametrize("ties", [False, True])
def test_measures_equal_the_libraries(ties):
    for seed in range(30):
        y, p = random_case(seed, ties)
        table = ScoreTable.of(y, p)
        assert auc(table) == pytest.approx(roc_auc_score(y, p), abs=1e-12)
        assert gini(table) == pytest.approx(2 * roc_auc_score(y, p) - 1, abs=1e-12)
        assert ks(table) == pytest.approx(ks_2samp(p[y == 1], p[y == 0]).statistic, abs=1e-12)
        assert brier(table) == pytest.approx(brier_score_loss(y, p), abs=1e-12)
        w = np.random.default_rng(seed).integers(1, 5, 400)
        assert auc(ScoreTable.of(y, p, w)) == pytest.approx(roc_auc_score(y, p, sample_weight=w), abs=1e-12)


def test_delong_equals_the_definition():
    y, p = random_case(1, True)
    bads, goods = p[y == 1], p[y == 0]
    wins = (bads[:, None] > goods[None, :]) + 0.5 * (bads[:, None] == goods[None, :])
    variance = wins.mean(axis=1).var(ddof=1) / len(bads) + wins.mean(axis=0).var(ddof=1) / len(goods)
    found = auc_interval(ScoreTable.of(y, p))
    middle = np.log(found.value / (1 - found.value))
    half = 1.959964 * np.sqrt(variance) / (found.value * (1 - found.value))
    assert found.low == pytest.approx(1 / (1 + np.exp(half - middle)), rel=1e-6)
    assert found.high == pytest.approx(1 / (1 + np.exp(-half - middle)), rel=1e-6)


def test_curves_and_tables():
    y, p = random_case(2, True)
    table = ScoreTable.of(y, p)
    fpr, tpr, _ = roc_curve(y, p, drop_intermediate=False)
    points = roc_points(table)
    np.testing.assert_allclose(points["false_positive_rate"], fpr)
    np.testing.assert_allclose(points["true_positive_rate"], tpr)
    calibrated, gains = calibration_table(table), gains_table(table)
    assert calibrated["count"].sum() == 400 and gains["bads"].sum() == y.sum()
    assert (calibrated["mean_probability"] * calibrated["count"]).sum() == pytest.approx(p.sum())
    assert gains["share_of_bads"].iloc[-1] == 1 and gains["lift"].iloc[-1] == 1 and gains["lift"].iloc[0] > 1
    logit = np.log(p / (1 - p))[:, None]
    theirs = LogisticRegression(C=np.inf, tol=1e-12).fit(logit, y)
    assert calibration_line(table) == pytest.approx((theirs.intercept_[0], theirs.coef_[0, 0]), abs=1e-4)


def test_stability_index():
    a, b = [10, 20, 70], [30, 20, 50]
    assert psi(a, b) == pytest.approx(0.2 * np.log(3) + -0.2 * np.log(5 / 7))
    assert psi(a, [1, 2, 7]) == pytest.approx(0, abs=1e-12)
    assert psi([5, 0, 5], [5, 5, 0]) > 0.25
    with pytest.raises(ValueError, match="same cells"):
        psi([1, 2], [1, 2, 3])


def test_a_spark_table_equals_the_arrays_exactly_and_on_the_grid(spark, monkeypatch):
    y, p = random_case(3, False)
    data = spark.createDataFrame([(int(a), float(b)) for a, b in zip(y, p)], "bad int, probability double")
    exact = score_table(data, target="bad")
    assert exact.exact and measures(exact) == pytest.approx(measures(ScoreTable.of(y, p)))
    monkeypatch.setattr(score_tables, "MOST_SCORES", 300)
    joined = score_table(data, target="bad")
    assert not joined.exact and len(joined.risk) <= 301
    assert measures(joined) == pytest.approx(measures(exact), abs=0.005)
    with pytest.raises(ValueError, match="1 rows"):
        score_table(data.union(spark.sql("SELECT 0, double('nan')")), target="bad")
    with pytest.raises(ValueError, match="goods and bads"):
        score_table(data.where("bad = 1"), target="bad")


def test_intervals_of_few_folds_end_where_the_measure_does():
    folds = pd.DataFrame({"auc": [0.6, 1.0, 0.7, 1.0, 0.5], "ks": [0.1, 0.2, 0.1, 0.9, 0.1]})
    folds = folds.assign(test_rows=24, train_rows=96)
    for measure in ("auc", "ks"):
        found, values = fold_interval(folds, measure), folds[measure]
        half = 2.7764451 * values.std() * (1 / 5 + 1 / 4) ** 0.5
        assert found.value == pytest.approx(values.mean())
        assert found.low == pytest.approx(max(values.mean() - half, 0))
        assert found.high == pytest.approx(min(values.mean() + half, 1))
    assert fold_interval(folds, "auc").high == 1 and fold_interval(folds, "ks").low == 0
