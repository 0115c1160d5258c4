"""Signs of coefficients: right ones by default, any where right ones cost, and what that is measured by."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from strata.models import ScorecardSpec, fit_scorecard
from strata.models.evaluation.discrimination import auc
from strata.models.evaluation.score_table import ScoreTable
from strata.models.samples import training

pytestmark = pytest.mark.oracle

ROWS = 6000


@pytest.fixture(scope="module")
def near_doubles():
    """Risk is in what two near-doubles differ in: each alone rises with it, beside the other one falls."""
    rng = np.random.default_rng(5)
    common, own = rng.normal(size=ROWS), rng.normal(size=ROWS)
    limit, used = common + 0.5 * own, common - 0.1 * own
    logit = -1.5 + 0.4 * common + 1.5 * own
    bad = (rng.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(int)
    return pd.DataFrame({"limit": limit, "used": used, "other": rng.normal(size=ROWS), "bad": bad})


@pytest.fixture(scope="module")
def plain():
    """Each feature tells something of its own."""
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(2, ROWS))
    bad = (rng.random(ROWS) < 1 / (1 + np.exp(1.5 - a - 0.5 * b))).astype(int)
    return pd.DataFrame({"a": a, "b": b, "twin": a + 0.3 * rng.normal(size=ROWS), "bad": bad})


def fitted(spark, rows, **given):
    features = [name for name in rows if name != "bad"]
    return fit_scorecard(spark.createDataFrame(rows), ScorecardSpec("bad", features, **given))


def area(card, rows):
    return auc(ScoreTable.of(rows["bad"], card.score_pandas(rows)["probability"]))


@pytest.mark.parametrize("rows_on_driver", [50_000, 100])
def test_right_signs_are_given_up_where_they_cost(spark, near_doubles, monkeypatch, rows_on_driver):
    monkeypatch.setattr(training, "LOCAL_ROWS", rows_on_driver)
    right, auto = fitted(spark, near_doubles, signs="right"), fitted(spark, near_doubles)
    assert right.turned == () and all(right.coefficients[name] < 0 for name in right.features)
    assert auto.turned == ("used",) and {"limit", "used"} <= set(auto.features)
    assert area(auto, near_doubles) > area(right, near_doubles) + 0.02
    reasons = {verdict.feature: verdict.reason for verdict in auto.selection}
    assert reasons["used"].startswith("kept against its own WOE: right signs would cost 0.")
    assert reasons["limit"] == "kept"


def test_any_sign_without_a_question(spark, near_doubles):
    card = fitted(spark, near_doubles, signs="any")
    assert card.turned == ("used",)
    assert {verdict.reason for verdict in card.selection if verdict.kept} == {"kept"}
    assert card.coefficients == pytest.approx(fitted(spark, near_doubles).coefficients)


def test_right_signs_stay_where_they_cost_nothing(spark, plain):
    auto = fitted(spark, plain)
    assert auto == fitted(spark, plain, signs="right")
    assert auto.turned == () and "twin" not in auto.features


def test_few_bads_say_nothing_about_signs(spark, near_doubles):
    few = pd.concat([near_doubles[near_doubles["bad"] == side].head(many) for side, many in ((0, 1000), (1, 45))])
    assert fitted(spark, few).turned == ()


def test_a_sign_that_is_none_is_refused():
    with pytest.raises(ValueError, match="signs: 'wrong' is none of auto, right, any"):
        ScorecardSpec("bad", ["a"], signs="wrong")
