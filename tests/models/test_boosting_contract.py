"""The boosted challenger: what it refuses, that it repeats itself, and that its text is the model."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from strata.models.boosting.trees import Boosting, BoostingSpec, fit_boosting

FEATURES = ("late_cnt", "balance_amt", "tenure_days")
SPEC = BoostingSpec(target="is_bad", features=FEATURES, trends={"late_cnt": 1, "balance_amt": -1}, trees=25)


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(3)
    late, balance, tenure = rng.poisson(1.0, 400), rng.normal(10, 4, 400), rng.integers(1, 900, 400)
    risk = 1 / (1 + np.exp(2.4 - 0.9 * late + 0.25 * (balance - 10)))
    frame = pd.DataFrame({"late_cnt": late, "balance_amt": balance, "tenure_days": tenure.astype(float)})
    frame["is_bad"] = (rng.random(400) < risk).astype(int)
    frame.loc[::9, "balance_amt"] = np.nan
    frame["case_id"] = np.arange(400)
    return frame


@pytest.fixture(scope="module")
def trained(spark, cases):
    return fit_boosting(spark.createDataFrame(cases), SPEC)


def test_boosting_is_one_model_whatever_the_order_and_partitions(spark, cases, trained):
    shuffled = spark.createDataFrame(cases.sample(frac=1, random_state=5)).repartition(3)
    assert fit_boosting(shuffled, SPEC).booster_json == trained.booster_json


def test_boosting_text_is_the_whole_model(spark, cases, trained):
    read = Boosting.from_json(trained.to_json())
    assert read == trained
    rows = spark.createDataFrame(cases)
    pd.testing.assert_frame_equal(
        read.score(rows).toPandas().sort_values("case_id", ignore_index=True),
        trained.score(rows).toPandas().sort_values("case_id", ignore_index=True),
    )


def test_boosting_score_replaces_columns_of_its_names(spark, cases, trained):
    rows = spark.createDataFrame(cases.assign(probability=9.0))
    scored = trained.score(rows)
    expected = [*cases.columns, "probability", "reason_1", "reason_2", "reason_3"]
    assert scored.columns == expected
    assert scored.agg({"probability": "max"}).first()[0] < 1


def test_boosting_reasons_only_name_what_raises_the_risk(spark, cases, trained):
    rows = spark.createDataFrame(cases)
    told = trained.contributions(trained.score(rows)).toPandas()
    for row in told.to_dict("records"):
        parts = {name: row[f"contribution_{name}"] for name in FEATURES}
        adverse = sorted((name for name in FEATURES if parts[name] > 0), key=lambda name: -parts[name])
        assert [row[f"reason_{rank}"] for rank in (1, 2, 3) if row[f"reason_{rank}"]] == adverse


def test_boosting_importance_shares_add_up(trained):
    table = trained.importance()
    assert set(table["feature"]) == set(FEATURES)
    assert table["gain_share"].sum() == pytest.approx(1)
    assert table["gain_share"].is_monotonic_decreasing
    assert table.loc[0, "feature"] != "tenure_days"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.drop(columns="is_bad"), "data: column 'is_bad' is missing"),
        (lambda rows: rows.assign(is_bad="no"), "data: column 'is_bad' is not a number"),
        (lambda rows: rows.assign(is_bad=2), "400 rows that are neither 0 nor 1"),
        (lambda rows: rows.assign(is_bad=0), "400 goods and 0 bads"),
        (lambda rows: rows.drop(columns="late_cnt"), "data: column 'late_cnt' is missing"),
        (lambda rows: rows.assign(late_cnt="many"), "data: column 'late_cnt' is not a number"),
    ],
)
def test_boosting_refuses_in_one_sentence(spark, cases, change, words):
    with pytest.raises(ValueError, match=words):
        fit_boosting(spark.createDataFrame(change(cases)), SPEC)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"features": ("is_bad",)}, "among the features"),
        ({"features": ("a", "a")}, "named twice"),
        ({"features": ("a",), "trends": {"b": 1}}, "'b' is not a feature"),
        ({"features": ("a",), "trends": {"a": 2}}, "trends"),
        ({"features": ("a",), "depth": 3}, "depth"),
    ],
)
def test_boosting_spec_is_checked(fields, words):
    with pytest.raises(ValidationError, match=words):
        BoostingSpec(target="is_bad", **fields)


def test_boosting_refuses_texts_that_are_no_models(trained):
    other = json.loads(trained.to_json())
    other["spec"]["features"] = ["late_cnt", "balance_amt", "salary_amt"]
    for text in ("", "{}", "[1]", json.dumps({"kind": "x"}), json.dumps(other), trained.booster_json):
        with pytest.raises(ValueError, match="^text: this is not a"):
            Boosting.from_json(text)


def test_boosting_takes_any_name_and_weights(spark, cases):
    odd = {"late_cnt": "late [cnt]", "balance_amt": "a.b<c", "tenure_days": "it's `odd`"}
    renamed = cases.rename(columns=odd).assign(w=1 + cases["case_id"] % 3)
    # Without a penalty in rows, for weights have no unit: only their proportions count.
    spec = BoostingSpec(
        target="is_bad", features=tuple(odd.values()), weight="w", trees=25, l2=0.0, min_child_weight=0.0
    )
    told = fit_boosting(spark.createDataFrame(renamed), spec).score(spark.createDataFrame(renamed)).toPandas()
    assert set(told["reason_1"].dropna()) <= set(odd.values())
    repeated = cases.loc[cases.index.repeat(renamed["w"])]
    plain = fit_boosting(
        spark.createDataFrame(repeated), spec.model_copy(update={"features": FEATURES, "weight": None})
    )
    expected = plain.score(spark.createDataFrame(cases)).toPandas()
    both = told.merge(expected, on="case_id")
    np.testing.assert_allclose(both["probability_x"], both["probability_y"], atol=0.02)


def test_boosting_scores_on_the_driver_as_in_spark(spark, cases, trained):
    expected = trained.score(spark.createDataFrame(cases)).toPandas().sort_values("case_id", ignore_index=True)
    told = trained.score_pandas(cases)
    np.testing.assert_array_equal(told["probability"], expected["probability"])
    assert told["reason_1"].fillna("").tolist() == expected["reason_1"].fillna("").tolist()
