"""What the challengers see of a row, against a plain reading; how they are tuned; and whether they are honest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score
from xgboost import XGBClassifier

from strata.models import fit_binning
from strata.models.boosting.challenger import Challenger, fit_challenger
from strata.models.boosting.tuning import RECIPES

pytestmark = pytest.mark.oracle

FEATURES = ["a.b", "region", "flat", "many"]
FEW = {name: RECIPES[name] for name in ("shallow", "deep")}


@pytest.fixture(scope="module")
def cases():
    """Risk turns with ``a.b`` (no trend holds), depends on codes and on a text, and two numbers act together."""
    rng = np.random.default_rng(12)
    n = 3000
    rate = rng.normal(size=n).round(2)
    code = rng.choice([-9.0, -8.0, 0.0], n, p=[0.1, 0.1, 0.8])
    region = rng.choice(["north", "south", "east", None], n, p=[0.4, 0.3, 0.2, 0.1])
    many = rng.integers(0, 120, n)
    logit = np.where(code == -9, 1.5, np.where(code == -8, -1.5, 1.5 * np.abs(rate) - 1)) + (region == "east") - 1.2
    frame = pd.DataFrame({"a.b": np.where(code == 0, rate, code), "region": region, "flat": -9.0})
    frame["many"] = [f"m{i}" for i in many]
    return frame.assign(bad=(rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int), id=np.arange(n))


@pytest.fixture(scope="module")
def rows(spark, cases):
    schema = "`a.b` double, region string, flat double, many string, bad int, id int"
    return spark.createDataFrame(cases.astype(object), schema).cache()


@pytest.fixture(scope="module")
def binning(rows):
    return fit_binning(rows, target="bad", features=FEATURES, special_values={"a.b": [-9, -8, -7], "flat": [-9]})


@pytest.fixture(scope="module")
def free(rows, binning):
    return fit_challenger(rows, binning, FEATURES, target="bad", reasons=2, recipes=FEW)


@pytest.fixture(scope="module")
def monotone(rows, binning):
    return fit_challenger(rows, binning, FEATURES, target="bad", is_monotone=True, recipes=FEW)


def test_the_free_one_sees_numbers_as_they_are_and_levels_apart(rows, cases, free):
    told = rows.select("id", *free.columns()).toPandas().sort_values("id", ignore_index=True)
    by_label = {name.split(": ", 1)[1]: told[name] for name in told.columns if name != "id"}
    assert by_label["a.b"].tolist() == cases["a.b"].tolist()
    assert by_label["region = east"][cases["region"].notna()].tolist() == (
        (cases["region"] == "east")[cases["region"].notna()].astype(float).tolist()
    )
    assert by_label["region = east"][cases["region"].isna()].isna().all()
    assert "many by WOE" in by_label and not free.boosting.spec.trends
    assert free.features == tuple(FEATURES)


def test_the_monotone_one_sees_texts_as_woe_and_specials_where_their_risk_is(rows, cases, binning, monotone):
    told = rows.select("id", *monotone.columns()).toPandas().sort_values("id", ignore_index=True)
    told.columns = [name.split(": ", 1)[-1] for name in told.columns]
    woe = {
        level: w for g, w in zip(binning.features["region"].bins.groups, binning.features["region"].woe) for level in g
    }
    filled = cases["region"].notna()
    assert told["region"][filled].tolist() == cases["region"].map(woe)[filled].tolist()
    ordinary = ~cases["a.b"].isin([-9, -8])
    assert told["a.b"][ordinary].tolist() == cases["a.b"][ordinary].tolist()
    bins = binning.features["a.b"]
    codes = bins.bins.codes(told["a.b"])
    for special in (-9.0, -8.0):
        own = bins.woe[bins.bins.ordinary + bins.bins.specials.index(special)]
        nearest = min(range(bins.bins.ordinary), key=lambda code, own=own: abs(bins.woe[code] - own))
        assert set(codes[cases["a.b"] == special]) == {nearest}
    assert told["flat"].isna().all()
    grid = pd.DataFrame({"a.b": np.linspace(-3, 3, 60), "region": "north", "flat": -9.0, "many": "m1"})
    steps = np.diff(monotone.score_pandas(grid)["probability"])
    assert (steps >= 0).all() or (steps <= 0).all()


def test_every_form_scores_a_raw_row_alike(spark, rows, cases, free, monotone):
    for model in (free, monotone):
        again = Challenger.from_json(model.to_json())
        assert again == model
        asked = cases.assign(many=np.where(cases["id"] % 7 == 0, "never seen", cases["many"]))
        schema = "`a.b` double, region string, flat double, many string, bad int, id int"
        scored = model.score(spark.createDataFrame(asked.astype(object), schema)).toPandas().sort_values("id")
        local = again.score_pandas(asked)
        np.testing.assert_allclose(scored["probability"], local["probability"], rtol=1e-6)
        for name in model.reason_columns:
            assert scored[name].tolist() == local[name].tolist()
    assert set(scored.columns) >= set(cases.columns)


def test_reasons_and_importance_speak_of_features_not_of_levels(free, cases):
    assert set(free.importance()["feature"]) == set(FEATURES)
    assert free.importance()["gain_share"].sum() == pytest.approx(1)
    told = free.score_pandas(cases)
    assert set(told["reason_1"].dropna()) <= set(FEATURES) and "a.b" in set(told["reason_1"])


def test_it_is_no_worse_than_plain_xgboost_and_freedom_is_worth_something(spark, rows, cases, binning, free, monotone):
    rng = np.random.default_rng(99)
    part = rng.random(len(cases)) < 0.7
    train, test = cases[part], cases[~part]
    schema = "`a.b` double, region string, flat double, many string, bad int, id int"
    data = spark.createDataFrame(train.astype(object), schema)
    bins = fit_binning(data, target="bad", features=FEATURES, special_values={"a.b": [-9, -8], "flat": [-9]})
    ours = fit_challenger(data, bins, FEATURES, target="bad", recipes=FEW)
    bound = fit_challenger(data, bins, FEATURES, target="bad", is_monotone=True, recipes=FEW)
    hot = pd.get_dummies(cases[FEATURES], dummy_na=True, dtype=float)
    theirs = XGBClassifier(n_estimators=200, learning_rate=0.1, max_depth=4, n_jobs=1).fit(hot[part], train["bad"])
    areas = [roc_auc_score(test["bad"], model.score_pandas(test)["probability"]) for model in (ours, bound)]
    assert areas[0] > roc_auc_score(test["bad"], theirs.predict_proba(hot[~part])[:, 1]) - 0.005
    assert areas[0] > areas[1] + 0.03


def test_trials_are_judged_on_rows_held_out_and_the_best_is_taken(rows, cases, binning, free):
    assert [trial.recipe for trial in free.trials] == [*FEW] and free.judged_on == "4 folds"
    best = min(free.trials, key=lambda trial: trial.log_loss)
    assert [trial.chosen for trial in free.trials] == [trial is best for trial in free.trials]
    assert free.boosting.spec.trees == best.trees and free.boosting.spec.max_depth == FEW[best.recipe]["max_depth"]
    learnt = log_loss(cases["bad"], free.score_pandas(cases)["probability"])
    assert learnt < best.log_loss < log_loss(cases["bad"], np.full(len(cases), cases["bad"].mean()))


def test_with_time_the_latest_quarter_judges(rows, binning):
    moved = rows.selectExpr("*", "date_add(date'2024-01-01', id) AS opened")
    found = fit_challenger(
        moved, binning, ["a.b"], target="bad", time="opened", recipes={"shallow": RECIPES["shallow"]}
    )
    assert found.judged_on == "latest quarter"


def test_weights_have_no_unit_and_weight_0_is_no_row(spark, rows, cases, binning):
    rng = np.random.default_rng(5)
    weighted = cases.assign(w=rng.choice([0.5, 1.0, 3.0], len(cases)))
    ghosts = weighted.assign(bad=1 - weighted["bad"], w=0.0)
    schema = "`a.b` double, region string, flat double, many string, bad int, id int, w double"

    def fitted(frame):
        data = spark.createDataFrame(frame.astype(object), schema)
        one = {"shallow": RECIPES["shallow"]}
        return fit_challenger(data, binning, ["a.b", "region"], target="bad", weight="w", recipes=one)

    base = fitted(weighted)
    for frame in (weighted.assign(w=weighted["w"] * 1024), pd.concat([weighted, ghosts])):
        other = fitted(frame)
        assert other.boosting.spec == base.boosting.spec
        np.testing.assert_allclose(other.score_pandas(cases)["probability"], base.score_pandas(cases)["probability"])


def test_infinite_numbers_whole_groups_and_raw_rows_of_any_type(spark, cases):
    """An infinite number is beyond all others; few groups are no folds; what can't be scored is refused by name."""
    rng = np.random.default_rng(3)
    frame = cases.assign(far=np.where(rng.random(len(cases)) < 0.05, np.inf, rng.normal(size=len(cases))))
    frame["branch"] = rng.integers(0, 3, len(cases)).astype(str)
    data = spark.createDataFrame(frame[["far", "region", "branch", "bad"]].astype(object),
                                 "far double, region string, branch string, bad int")  # fmt: skip
    bins = fit_binning(data, target="bad", features=["far", "region"])
    one = {"shallow": RECIPES["shallow"]}
    found = fit_challenger(data, bins, ["far", "region"], target="bad", group="branch", recipes=one)
    assert np.isfinite(found.trials[0].auc) and Challenger.from_json(found.to_json()) == found
    asked = pd.DataFrame({"far": pd.array([np.inf, 1e300, None], dtype="Float64"), "region": ["east", None, "west"]})
    risk = found.score_pandas(asked)["probability"]
    assert np.isfinite(risk).all() and found.score_pandas(asked.assign(far=[1e300, np.inf, None]))[
        "probability"
    ].tolist() == risk.tolist()  # fmt: skip
    with pytest.raises(ValueError, match="the data have no column 'far'"):
        found.score(data.drop("far"))
    with pytest.raises(TypeError, match="'far' is date"):
        found.score(data.selectExpr("region", "date'2024-01-01' AS far"))
    bound = fit_challenger(data, bins, ["far", "region"], target="bad", is_monotone=True, like=found)
    assert bound.boosting.spec.trees == found.boosting.spec.trees and bound.trials == found.trials
