"""Outcomes and splits against plain pandas: what is learnt from, what isn't, and which side each row is on."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from strata.models.samples.development_sample import (
    LabelRules,
    split_at_random,
    split_by_time,
    split_rows_at_random,
    target_meaning,
    vintage,
)

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(4)
    n = 3000
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "person": rng.integers(0, 900, n),
            "opened": [date(2023, 1, 31) + timedelta(days=int(d)) for d in rng.integers(0, 700, n)],
            "outcome": rng.choice(["bad", "good", "late", "fraud"], n, p=[0.1, 0.8, 0.07, 0.03]),
        }
    )


@pytest.fixture(scope="module")
def data(spark, cases):
    return spark.createDataFrame(cases).cache()


def test_states_are_those_of_pandas(data, cases):
    rules = LabelRules("outcome", "bad", ("late",), "opened", 12, date(2024, 10, 31))
    told = data.withColumn("state", rules.state(data)).toPandas().sort_values("id")["state"]
    # A month end stays a month end: 31 January and twelve months, 29 February and twelve months.
    ended = [(pd.Timestamp(day) + pd.DateOffset(months=12)).date() <= date(2024, 10, 31) for day in cases["opened"]]
    expected = np.where(
        cases["outcome"] == "late",
        "indeterminate",
        np.where(~np.array(ended), "immature", np.where(cases["outcome"] == "bad", "bad", "good")),
    )
    assert told.tolist() == expected.tolist()
    assert {"indeterminate", "immature", "bad", "good"} == set(expected)


def test_a_missing_outcome_is_unknown(spark):
    rows = spark.createDataFrame([(1,), (0,), (None,)], "y int")
    assert [r.s for r in rows.select(LabelRules("y").state(rows).alias("s")).collect()] == ["bad", "good", "unknown"]


def test_the_test_is_the_last_part_and_no_day_is_split(data, cases):
    state = LabelRules("outcome", "bad", ("late",)).state(data)
    part, cut = split_by_time(data, state, "opened")
    told = data.withColumn("part", part).toPandas().sort_values("id")
    learnt = cases[cases["outcome"] != "late"]
    shares = {day: (learnt["opened"] >= day).mean() for day in sorted(set(learnt["opened"]))[1:]}
    assert abs(shares[cut] - 0.3) == pytest.approx(min(abs(share - 0.3) for share in shares.values()))
    expected = np.where(cases["outcome"] == "late", "indeterminate", np.where(cases["opened"] >= cut, "test", "train"))
    assert told["part"].tolist() == expected.tolist()


def test_a_random_split_keeps_groups_strata_and_itself(data, cases):
    state = LabelRules("outcome", "bad", ("late",)).state(data)
    told = split_at_random(data, state, keys=["person"], seed=7).toPandas()
    learnt = told[told["__split"].isin(["train", "test"])]
    assert set(told[told["outcome"] == "late"]["__split"]) == {"indeterminate"} and len(told) == len(cases)
    assert learnt.groupby("person")["__split"].nunique().max() == 1
    assert (learnt["__split"] == "test").mean() == pytest.approx(0.3, abs=0.02)
    again = split_at_random(data.repartition(5), state, keys=["person"], seed=7).toPandas()
    assert told.set_index("id")["__split"].sort_index().equals(again.set_index("id")["__split"].sort_index())
    other = split_at_random(data, state, keys=["person"], seed=8).toPandas()
    assert not told.set_index("id")["__split"].sort_index().equals(other.set_index("id")["__split"].sort_index())


def test_single_rows_are_stratified_to_the_row(data):
    state = LabelRules("outcome", "bad").state(data)
    told = split_at_random(data, state, keys=["id"], seed=7).toPandas()
    for _, part in told.groupby(told["outcome"] == "bad"):
        assert abs((part["__split"] == "test").sum() - 0.3 * len(part)) <= 1


def test_equal_rows_stay_together_but_patterns_are_parted_and_weights_do_not_matter(spark):
    rng = np.random.default_rng(2)
    n = 2000
    few = pd.DataFrame({"risk": rng.choice(["low", "high"], n), "home": rng.choice(["rent", "own"], n)})
    few["bad"] = (rng.random(n) < np.where(few["risk"] == "high", 0.4, 0.1)).astype(int)
    copies = pd.DataFrame({"risk": [f"copy {i % 150}" for i in range(600)], "home": "rent", "bad": 0})
    frame = pd.concat([few, copies], ignore_index=True).assign(w=rng.choice([0.5, 2.0], n + 600))
    told = {}
    for scale in (1.0, 1000.0):
        data = spark.createDataFrame(frame.assign(w=frame["w"] * scale))
        rows, parted = split_rows_at_random(data, LabelRules("bad").state(data), ignore=["w"], seed=3)
        told[scale] = rows.toPandas()
        assert parted == n and len(told[scale]) == n + 600
    found = told[1.0]
    for _, part in found.groupby("bad"):
        assert (part["__split"] == "test").mean() == pytest.approx(0.3, abs=0.005)
    for _, part in found[found["risk"].isin(["low", "high"])].groupby(["risk", "home"]):
        assert (part["__split"] == "test").mean() == pytest.approx(0.3, abs=0.08)
    assert found[found["risk"].str.startswith("copy")].groupby("risk")["__split"].nunique().max() == 1
    keys = ["risk", "home", "bad", "w", "__split"]
    counts = [t.assign(w=t["w"] / scale).groupby(keys).size() for scale, t in told.items()]
    pd.testing.assert_series_equal(*counts)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (LabelRules("outcome"), "'outcome' is 'good' .* name the bad value with event"),
        (LabelRules("outcome", "worse"), "'outcome' is never 'worse'; it is 'good'"),
        (LabelRules("outcome", "bad", ("early",)), "indeterminate: 'outcome' is never 'early'"),
        (LabelRules("id"), "'id' has more than 20 values"),
        (LabelRules("nothing"), "no column 'nothing'"),
        (LabelRules("outcome", "bad", ("good", "late", "fraud")), "'outcome' has one class"),
    ],
)
def test_a_target_without_two_classes_is_told(data, rules, words):
    with pytest.raises(ValueError, match=words):
        target_meaning(data, rules)


def test_what_the_values_mean_is_told(spark, data):
    told = target_meaning(data, LabelRules("outcome", "bad", ("late",)))
    assert "'bad' (" in told.split(" is bad")[0] and "'good' (" in told and "'fraud' (" in told and "'late'" not in told
    numbers = spark.createDataFrame([(1.0,), (0.0,), (0.0,)], "y double")
    assert target_meaning(numbers, LabelRules("y")) == "'1.0' (1 rows) is bad, '0.0' (2 rows) is good"
    flags = spark.createDataFrame([(True,), (False,)], "y boolean")
    assert "'true' (1 rows) is bad" in target_meaning(flags, LabelRules("y"))
    codes = spark.createDataFrame([(1,), (2,), (2,)], "y int")
    assert "'2' (2 rows) is bad" in target_meaning(codes, LabelRules("y", "2"))
    with pytest.raises(ValueError, match="null in 1 rows"):
        target_meaning(spark.createDataFrame([(1,), (0,), (None,)], "y int"), LabelRules("y"))


@pytest.mark.parametrize(
    ("column", "words"), [("outcome", "'outcome' is string"), ("same", "1 distinct values"), ("holes", "null in")]
)
def test_a_time_that_cannot_split_is_told(data, column, words):
    rows = data.withColumns({"same": F.lit(5), "holes": F.when(F.col("id") > 5, F.col("id"))})
    with pytest.raises(ValueError, match=words):
        split_by_time(rows, LabelRules("outcome", "bad").state(rows), column)


def test_vintages_are_as_fine_as_their_number_allows(data):
    def named(most):
        return {r.v for r in data.select(vintage(data, "opened", most=most).alias("v")).distinct().collect()}

    assert "2023-02" in named(24) and len(named(24)) == 24
    assert "2023Q1" in named(12) and "2023" in named(3)
    assert vintage(data, "id")._jc.toString() == "CAST(id AS STRING)"
