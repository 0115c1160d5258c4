"""What drops are worth: against a plain cross-validation by scikit-learn, and on a rule that throws the signal away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from strata.models import ScorecardSpec
from strata.models.binning.woe_binning import bin_rows
from strata.models.samples import training
from strata.models.scorecard.drop_worth import TOGETHER, drop_worth
from strata.models.scorecard.scorecard import fit_binned

pytestmark = pytest.mark.oracle

FEATURES = ["strong", "twin", "weak", "noise", "banned"]


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(11)
    n = 4000
    strong, weak, noise, banned = (rng.choice(list("abcd"), n) for _ in range(4))
    scores = {"a": -1.2, "b": -0.3, "c": 0.4, "d": 1.1}
    logit = -1.4 + pd.Series(strong).map(scores) + 0.4 * pd.Series(weak).map(scores) + pd.Series(banned).map(scores)
    bad = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    twin = np.where(rng.random(n) < 0.97, strong, "a")
    return pd.DataFrame({"strong": strong, "twin": twin, "weak": weak, "noise": noise, "banned": banned, "bad": bad})


def worth(data, **given):
    spec = ScorecardSpec("bad", FEATURES, forbidden=["banned"], **given)
    rows = training.training(spec.source(data))
    binning = bin_rows(rows, spec.binning_rules)
    card = fit_binned(rows, spec, binning)
    found = drop_worth(rows, binning, card.selection, spec.binning_rules, spec.selection_rules)
    return card, {drop.rule: drop for drop in found}


def out_of_fold(cases, names):
    """WOE by plain counts and a regression, five folds of scikit-learn."""
    areas = []
    fold = np.random.default_rng(1).integers(0, 5, len(cases))
    for k in range(5):
        train, test = cases[fold != k], cases[fold == k]
        columns = []
        for name in names:
            counts = pd.crosstab(train[name], train["bad"])
            woe = np.log((counts[0] / counts[0].sum()) / (counts[1] / counts[1].sum()))
            columns.append((train[name].map(woe), test[name].map(woe)))
        x, unseen = (np.column_stack([column[side] for column in columns]) for side in (0, 1))
        areas.append(roc_auc_score(test["bad"], LogisticRegression().fit(x, train["bad"]).decision_function(unseen)))
    return np.mean(areas)


@pytest.mark.parametrize("rows_on_driver", [50_000, 100])
def test_a_rule_that_throws_signal_away_is_found_out(spark, cases, monkeypatch, rows_on_driver):
    monkeypatch.setattr(training, "LOCAL_ROWS", rows_on_driver)
    card, found = worth(spark.createDataFrame(cases), min_iv=0.3)
    assert card.features == ("strong",) and set(found) == {"iv", "correlation", TOGETHER}
    assert found["correlation"].features == ("twin",) and set(found["iv"].features) == {"weak", "noise"}
    together = found[TOGETHER]
    assert together.auc_without == pytest.approx(out_of_fold(cases, ["strong"]), abs=0.01)
    assert together.auc_with == pytest.approx(out_of_fold(cases, ["strong", "twin", "weak", "noise"]), abs=0.01)
    assert together.cost > 0.01 and found["iv"].cost > 0.01 and abs(found["correlation"].cost) < 0.005
    iv = sum(card.binning.features[name].honest_iv for name in ("weak", "noise"))
    assert found["iv"].information == pytest.approx(iv)


def test_drops_that_cost_nothing_and_the_business_list_are_not_blamed(spark, cases):
    card, found = worth(spark.createDataFrame(cases))
    assert "banned" not in card.features and all("banned" not in drop.features for drop in found.values())
    assert abs(found[TOGETHER].cost) < 0.005


def test_few_bads_say_nothing_and_noise_is_not_costly(spark, cases):
    few = pd.concat([cases[cases["bad"] == 0], cases[cases["bad"] == 1].head(40)])
    assert worth(spark.createDataFrame(few), min_iv=0.3)[1] == {}
    rng = np.random.default_rng(2)
    small = cases.sample(500, random_state=3).assign(noise=rng.choice(list("abcd"), 500))
    _, found = worth(spark.createDataFrame(small.assign(weak=small["noise"], twin=small["noise"])), min_iv=0.25)
    assert all(not drop.is_costly for drop in found.values())
