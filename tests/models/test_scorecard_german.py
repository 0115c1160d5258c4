"""German credit: information values on which all methods agree, and the regression against scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from strata.models import Scorecard, ScorecardSpec, cross_validate, fit_binning, fit_scorecard
from strata.models.evaluation.discrimination import auc
from strata.models.evaluation.score_table import score_table

pytestmark = pytest.mark.golden

FILE = Path(__file__).parents[1] / "data" / "german_credit" / "german.csv.gz"
TARGET = "creditability"


@pytest.fixture(scope="module")
def loans():
    frame = pd.read_csv(FILE)
    return frame.assign(id=np.arange(len(frame)))


@pytest.fixture(scope="module")
def data(spark, loans):
    return spark.createDataFrame(loans).coalesce(2).cache()


@pytest.fixture(scope="module")
def card(data, loans):
    features = [name for name in loans.columns if name not in (TARGET, "id")]
    return fit_scorecard(data, ScorecardSpec(TARGET, features, event="bad", min_iv=0.0, penalty=0.0))


def test_information_values_of_natural_categories(data):
    expected = {"status_of_existing_checking_account": 0.666012, "property": 0.112638, "housing": 0.083293}
    binning = fit_binning(data, target=TARGET, event="bad", features=list(expected))
    assert {name: round(iv, 6) for name, iv in binning.iv.items()} == expected
    housing = binning.table("housing").set_index("bin")
    assert housing["count"].to_dict() == {"own": 713, "rent": 179, "for free": 108}
    assert housing.loc["rent", "woe"] == pytest.approx(np.log((109 / 700) / (70 / 300)))
    assert housing["iv"].sum() == pytest.approx(binning.iv["housing"])


def test_coefficients_are_those_of_scikit_learn(card, data, loans):
    woes = card.binning.transform(data).orderBy("id").toPandas()
    x = woes[[f"{name}_woe" for name in card.features]].to_numpy()
    bad = (loans[TARGET] == "bad").to_numpy(int)
    theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=5000).fit(x, bad)
    ours = [card.coefficients[name] for name in card.features]
    np.testing.assert_allclose(ours, theirs.coef_[0], atol=2e-5)
    assert card.coefficients["(intercept)"] == pytest.approx(theirs.intercept_[0], abs=2e-5)
    # Standard errors by the textbook formula at their coefficients.
    risk = theirs.predict_proba(x)[:, 1]
    design = np.column_stack([np.ones(len(x)), x])
    errors = np.sqrt(np.diag(np.linalg.inv((design * (risk * (1 - risk))[:, None]).T @ design)))
    np.testing.assert_allclose([card.standard_errors[n] for n in ("(intercept)", *card.features)], errors, rtol=1e-4)
    scored = card.score(data).orderBy("id").toPandas()
    assert np.abs(scored["probability"] - risk).max() < 0.03
    assert roc_auc_score(bad, scored["probability"]) == pytest.approx(roc_auc_score(bad, risk), abs=0.002)


def test_every_candidate_has_a_verdict_and_a_reason(card, loans):
    table = card.selection_table()
    assert len(table) == 20 and (table["reason"].str.len() > 0).all()
    assert set(table.loc[table["kept"], "feature"]) == set(card.features)
    assert all(card.coefficients[name] < 0 for name in card.features)


def test_odds_double_every_pdo_and_base_odds_stand_at_the_base_score(card, data):
    scored = card.score(data).select("score", "probability").distinct().toPandas()
    odds = np.log((1 - scored["probability"]) / scored["probability"])
    np.testing.assert_allclose(scored["score"], 600 + 20 / np.log(2) * (odds - np.log(50)), rtol=1e-9)


def test_json_gives_an_equal_scorecard_back(card):
    again = Scorecard.from_json(card.to_json())
    assert again == card and again.to_json() == card.to_json()


def test_honest_cross_validation_lies_in_the_published_range(data, loans, card):
    spec = ScorecardSpec(TARGET, card.features, event="bad", min_iv=0.0, penalty=0.0)
    validation = cross_validate(data, spec, group="id", folds=5, repeats=1, seed=1)
    # Published .783 ± .022 (standard deviation over folds); bins fitted before the split give .836.
    assert 0.755 < validation.interval("auc").value < 0.81
    assert validation.predictions.count() == 1000
    assert validation.predictions.select("id").distinct().count() == 1000
    assert (validation.folds["test_bads"] == 60).all() and (validation.folds["test_rows"] == 200).all()
    rows = validation.predictions.toPandas()
    folds = rows.groupby("fold")[["bad", "probability"]].apply(lambda f: roc_auc_score(f["bad"], f["probability"]))
    np.testing.assert_allclose(folds, validation.folds["auc"])
    assert auc(score_table(validation.predictions, target="bad")) == pytest.approx(
        roc_auc_score(rows["bad"], rows["probability"])
    )
