"""The lasso against scikit-learn's, its folds and rule against a plain walk, and what a scorecard records of it."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import functions as F
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from strata.models import Scorecard, ScorecardSpec, fit_scorecard
from strata.models.binning.bin_counts import Block
from strata.models.samples import training
from strata.models.samples.training_local import LocalCoded
from strata.models.scorecard.lasso import FOLDS, choose_lasso, deal_folds
from strata.models.scorecard.logistic import SeparatedError

pytestmark = pytest.mark.oracle


def rows_and_woes(seed, rows=1500, features=8):
    """Coded rows of weights 1 to 3 of which the first three features, with one twin, tell the outcome."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 5, (rows, features)).astype(np.int16)
    codes[:, 3] = np.where(rng.random(rows) < 0.8, codes[:, 0], codes[:, 3])
    woes = {i: np.sort(rng.normal(0, 0.8, 5)) for i in range(features)}
    logit = -1.5 - sum(woes[i][codes[:, i]] * (0.9 - 0.25 * i) for i in range(3))
    bad = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    return Block(codes, bad, rng.integers(1, 4, rows).astype(float)), woes


def saga(block, woes, penalty, rows=slice(None)):
    """Intercept and coefficients of scikit-learn at the same penalty."""
    x = np.stack([woe[block.codes[rows, i]] for i, woe in woes.items()], axis=1)
    model = LogisticRegression(l1_ratio=1, solver="saga", C=1 / penalty, tol=1e-8, max_iter=20_000, random_state=0)
    model.fit(x, block.bad[rows], sample_weight=block.weight[rows])
    return np.concatenate([model.intercept_, model.coef_[0]])


def smooth(block, woes, penalty, rows):
    """The same by SciPy, each coefficient as a difference of two that are not negative.

    Where all coefficients are near 0, scikit-learn stops before its intercept has settled: after how many steps,
    hangs on the order in which it draws the rows.
    """
    x = np.stack([woe[block.codes[rows, i]] for i, woe in woes.items()], axis=1)
    bad, weight, n = block.bad[rows], block.weight[rows], len(woes)

    def loss(beta):
        logit = beta[0] + x @ (beta[1 : n + 1] - beta[n + 1 :])
        slope = weight * (1 / (1 + np.exp(-logit)) - bad)
        pull = np.concatenate([[slope.sum()], x.T @ slope + penalty, -(x.T @ slope) + penalty])
        return weight @ (np.logaddexp(0, logit) - bad * logit) + penalty * beta[1:].sum(), pull

    bounds = [(None, None)] + [(0, None)] * (2 * n)
    found = minimize(loss, np.zeros(2 * n + 1), jac=True, bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-8})
    return np.concatenate([found.x[:1], found.x[1 : n + 1] - found.x[n + 1 :]])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_coefficients_are_those_of_scikit_learn(seed):
    block, woes = rows_and_woes(seed)
    found = choose_lasso(LocalCoded(block), woes, np.zeros(len(woes), bool), seed=seed)
    theirs = saga(block, woes, found.penalty)
    np.testing.assert_allclose(found.beta, theirs, atol=1e-3)
    assert ((found.beta == 0) == (np.abs(theirs) < 1e-4)).all()
    assert (found.beta == 0).any() and found.beta[1] < 0


def test_the_penalty_is_the_largest_within_one_error_of_the_best():
    block, woes = rows_and_woes(4, rows=600, features=5)
    found = choose_lasso(LocalCoded(block), woes, np.zeros(5, bool), seed=9)
    fold, deviances = deal_folds(block, 9), []
    for penalty in found.penalties[::6]:
        parts = []
        for k in range(FOLDS):
            train, test = fold != k, fold == k
            share = block.weight[train].sum() / block.weight.sum()
            beta = smooth(block, woes, penalty * share, train)
            logit = beta[0] + sum(beta[1 + i] * woe[block.codes[test, i]] for i, woe in woes.items())
            loss = np.logaddexp(0, logit) - block.bad[test] * logit
            parts.append(2 * np.average(loss, weights=block.weight[test]))
        deviances.append((np.mean(parts), np.std(parts, ddof=1) / np.sqrt(FOLDS)))
    expected = np.array(deviances)
    np.testing.assert_allclose(found.deviance[::6], expected[:, 0], atol=1e-4)
    np.testing.assert_allclose(found.error[::6], expected[:, 1], atol=1e-4)
    best = found.deviance.argmin()
    within = found.penalties[found.deviance <= found.deviance[best] + found.error[best]]
    assert found.penalty == within.max() > found.penalties[best]


def test_folds_hold_goods_and_bads_evenly_and_hang_on_the_seed():
    block, _ = rows_and_woes(5)
    fold = deal_folds(block, 1)
    for side in (0, 1):
        sizes = np.bincount(fold[block.bad == side], minlength=FOLDS)
        assert sizes.max() - sizes.min() <= 1
    assert (fold == deal_folds(block, 1)).all() and (fold != deal_folds(block, 2)).any()


def test_an_unpenalised_feature_stays_and_may_not_separate():
    block, woes = rows_and_woes(6)
    noise = np.array([False] * 7 + [True])
    assert choose_lasso(LocalCoded(block), woes, noise).beta[-1] != 0
    codes = block.codes.copy()
    codes[:, 7] = np.where(block.bad == 1, 0, 4)
    with pytest.raises(SeparatedError, match="forced"):
        choose_lasso(LocalCoded(block._replace(codes=codes)), woes, noise)


@pytest.fixture(scope="module")
def data(spark):
    rows = spark.range(0, 4000, 1, 1).select(
        "id", *[F.expr(f"double(pmod(xxhash64(id, {i}), 20))").alias(f"x{i}") for i in range(6)]
    )
    risk = F.expr("1 / (1 + exp(2.2 - x0 / 8 - x1 / 14))")
    return rows.withColumn("bad", (F.expr("pmod(xxhash64(id, 99), 1000) / 1000") < risk).cast("int")).cache()


def test_a_scorecard_records_what_the_lasso_dropped(data, monkeypatch):
    names = [f"x{i}" for i in range(6)]
    spec = ScorecardSpec("bad", names, min_iv=0.0, selection="lasso", forced=["x5"])
    card = fit_scorecard(data, spec)
    dropped = {verdict.feature: verdict for verdict in card.selection if verdict.stage == "lasso"}
    assert {"x0", "x1", "x5"} <= set(card.features) and dropped and not {"x0", "x1", "x5"} & set(dropped)
    assert all(one.reason.startswith("lasso: coefficient is 0 at penalty ") for one in dropped.values())
    plain = fit_scorecard(data, ScorecardSpec("bad", list(card.features), min_iv=0.0, forced=["x5"]))
    assert card.coefficients == pytest.approx(plain.coefficients, abs=1e-6), "what is left is fitted unshrunk"
    assert Scorecard.from_json(card.to_json()) == card
    monkeypatch.setattr(training, "LOCAL_ROWS", 100)
    there = fit_scorecard(data, spec)
    assert {"x0", "x1", "x5"} <= set(there.features) and len(there.features) < 6


def test_an_unknown_selection_is_refused_by_name():
    with pytest.raises(ValueError, match="selection: 'ridge' is none of stepwise, lasso"):
        ScorecardSpec("bad", ["x"], selection="ridge")
