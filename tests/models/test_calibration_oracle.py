"""Recalibration against scikit-learn's logistic regression on the logit, on a card built by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from strata.models import Binning, Scorecard
from strata.models.binning.feature_bins import FeatureBins
from strata.models.binning.woe_binning import BinnedFeature
from strata.models.evaluation.discrimination import auc, calibration_line
from strata.models.evaluation.score_table import ScoreTable
from strata.models.scorecard.points_scale import Points, Scale
from strata.models.scorecard.recalibration import prior_corrected, recalibrated

pytestmark = pytest.mark.oracle

EDGES = tuple(np.linspace(-2, 2, 9))
COEFFICIENTS = {"(intercept)": -2.0, "a": -1.0, "b": -0.6}


def card_by_hand(goods=9_000.0, bads=1_000.0):
    """Two features of ten bins whose WOE falls with their value; points as ``fit_scorecard`` makes them."""
    scale, woe = Scale(), tuple(float(x) for x in (*np.linspace(1.8, -1.8, 10), 0.0))
    binned = {
        name: BinnedFeature(FeatureBins(name, "number", EDGES), (1.0,) * 11, (1.0,) * 11, woe, (0.0,) * 11)
        for name in "ab"
    }
    points = {name: tuple(round(scale.points(COEFFICIENTS[name] * w)) for w in woe) for name in "ab"}
    base = round(scale.offset + scale.points(COEFFICIENTS["(intercept)"]))
    errors, record = dict.fromkeys(COEFFICIENTS, 0.05), {"rows": goods + bads, "good": goods, "bad": bads}
    return Scorecard(
        "bad", scale, 2, Binning(binned), Points(base, points), COEFFICIENTS, errors, errors, -1.0, (), record
    )


def logit(p):
    return np.log(p / (1 - p))


def population(card, intercept, slope, rows=20_000, seed=0):
    """Applicants whose true log-odds are intercept + slope x those of the card: features, outcome."""
    rng = np.random.default_rng(seed)
    people = pd.DataFrame(rng.normal(size=(rows, 2)), columns=["a", "b"])
    odds = np.exp(intercept + slope * logit(probability(card, people)))
    return people, (rng.random(rows) < odds / (1 + odds)).astype(int)


def probability(card, people):
    return card.score_pandas(people)["probability"].to_numpy()


@pytest.mark.parametrize(("intercept", "slope"), [(0.7, 0.6), (-0.5, 1.4), (0.0, 1.0)])
def test_the_new_card_says_what_a_regression_on_the_logit_says(intercept, slope):
    card = card_by_hand()
    people, bad = population(card, intercept, slope)
    p = probability(card, people)
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(p)[:, None], bad)
    found = recalibrated(card, ScoreTable.of(bad, p))
    expected = theirs.predict_proba(logit(p)[:, None])[:, 1]
    # Whole points: base and two bins round by up to half a point each.
    assert np.abs(logit(probability(found, people)) - logit(expected)).max() <= 1.51 / card.scale.factor
    assert probability(found, people).mean() == pytest.approx(bad.mean(), rel=0.02)
    again = calibration_line(ScoreTable.of(bad, probability(found, people)))
    assert again == pytest.approx((0, 1), abs=0.04)
    record = (found.training["recalibration_intercept"], found.training["recalibration_slope"])
    assert record == pytest.approx((theirs.intercept_[0], theirs.coef_[0, 0]), abs=1e-3)
    for name in "ab":
        assert found.coefficients[name] == pytest.approx(record[1] * card.coefficients[name])
        assert found.standard_errors[name] == pytest.approx(record[1] * 0.05)
    assert found.coefficients["(intercept)"] == pytest.approx(record[0] - 2.0 * record[1])


def test_the_intercept_alone_moves_everybody_by_the_same_points():
    card = card_by_hand()
    people, bad = population(card, 0.8, 1.0, rows=2_000)
    table = ScoreTable.of(bad, probability(card, people))
    found = recalibrated(card, table, slope=False)
    moved = found.score_pandas(people)["score"] - card.score_pandas(people)["score"]
    assert moved.nunique() == 1 and found.points.by_feature == card.points.by_feature
    # The maximum likelihood of an intercept matches the mean.
    intercept = calibration_line(table, slope=False)[0]
    assert 1 / (1 + np.exp(-intercept - logit(table.risk))) @ (table.good + table.bad) == pytest.approx(bad.sum())
    assert moved.iloc[0] == round(-card.scale.factor * intercept)
    assert auc(ScoreTable.of(bad, probability(found, people))) == auc(table)
    assert found.training["recalibration_slope"] == 1.0


def test_scale_grades_and_json_stay_what_they_are():
    card = card_by_hand()
    people, bad = population(card, 0.7, 0.6, rows=5_000)
    found = recalibrated(card, ScoreTable.of(bad, probability(card, people)))
    assert found.scale == card.scale and found.binning == card.binning and found.target == card.target
    assert found.scale.probability(np.array(600.0)) == pytest.approx(1 / 51)
    scored = found.score_pandas(people)
    assert (scored.loc[scored["grade"] == "A", "probability"] <= 0.01).all()
    back = Scorecard.from_json(found.to_json())
    assert back == found and back.score_pandas(people).equals(scored)
    assert card == card_by_hand(), "the card that was given must not change"


def test_recalibrations_add_up():
    card = card_by_hand()
    first, second = (population(card, *line, rows=5_000, seed=3) for line in ((0.5, 0.8), (-0.4, 1.1)))
    once = recalibrated(card, ScoreTable.of(first[1], probability(card, first[0])))
    twice = recalibrated(once, ScoreTable.of(second[1], probability(once, second[0])))
    direct = recalibrated(card, ScoreTable.of(second[1], probability(card, second[0])))
    gap = logit(probability(twice, second[0])) - logit(probability(direct, second[0]))
    assert np.abs(gap).max() <= 4.51 / card.scale.factor
    for part in ("intercept", "slope"):
        name = f"recalibration_{part}"
        assert twice.training[name] == pytest.approx(direct.training[name], abs=0.05)


def test_prior_correction_undoes_the_draw():
    people, bad = population(card_by_hand(), 0.0, 1.0, rows=40_000)
    truth = card_by_hand(float((bad == 0).sum()), float(bad.sum()))
    # A card fitted to all bads and a tenth of the goods has the log-odds of everybody plus ln 10.
    goods, bads = (bad == 0).sum() / 10, float(bad.sum())
    drawn = drawn_card(truth, np.log(10), goods, bads)
    assert probability(drawn, people).mean() > 3 * bad.mean()
    found = prior_corrected(drawn, bad.mean())
    assert (
        np.abs(logit(probability(found, people)) - logit(probability(truth, people))).max() <= 1.01 / found.scale.factor
    )
    assert probability(found, people).mean() == pytest.approx(bad.mean(), rel=0.03)
    assert Scorecard.from_json(found.to_json()) == found
    with pytest.raises(ValueError, match=r"moved already \(prior_bad_rate\)"):
        prior_corrected(found, 0.1)
    with pytest.raises(ValueError, match="bad_rate: 1.5"):
        prior_corrected(drawn, 1.5)


def drawn_card(card, intercept, goods, bads):
    base = round(card.points.base + card.scale.points(intercept))
    return replace(card, points=Points(base, card.points.by_feature), training={"good": goods, "bad": bads})


def test_a_card_that_ranks_the_wrong_way_is_refused():
    card = card_by_hand()
    people, bad = population(card, -2.0, -0.5, rows=5_000)
    table = ScoreTable.of(bad, probability(card, people))
    with pytest.raises(ValueError, match="table: the risk falls where the card says it rises"):
        recalibrated(card, table)
    with pytest.raises(ValueError, match="probabilities"):
        recalibrated(card, ScoreTable.of([0, 1, 0], [-600, -500, -550]))
