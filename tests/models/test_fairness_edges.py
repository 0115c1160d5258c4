"""Fairness: groups without approvals, without outcomes, and what is refused."""

from datetime import date

import pytest
from pyspark.sql import functions as F

from strata.models.evaluation.fairness import age_band, fairness_report


def test_fairness_group_without_approvals_has_a_finite_interval(spark):
    rows = [("a", True)] * 40 + [("b", False)] * 40
    table = fairness_report(
        spark.createDataFrame(rows, "team string, approved boolean"), attributes=["team"], approved="approved"
    )
    told = {row["group"]: row for row in table.collect()}
    assert told["b"]["adverse_impact_ratio"] == 0
    assert 0 < told["b"]["adverse_impact_ratio_low"] < told["b"]["adverse_impact_ratio_high"] < 0.8
    assert told["b"]["verdict"] == "adverse"
    assert told["a"]["bad_rate"] is None and told["a"]["adverse_impact_ratio"] == 1
    assert table.columns[:3] == ["attribute", "group", "count"]


def test_fairness_age_bands_turn_on_the_birthday(spark):
    births = [date(1960, 6, 15), date(1960, 6, 16), date(1980, 1, 1), date(1920, 6, 15), date(1970, 6, 15), None]
    people = spark.createDataFrame([(birth,) for birth in births], "birth date")
    bands = people.select(age_band(F.col("birth"), F.lit(date(1990, 6, 15))).alias("band"))
    assert [row["band"] for row in bands.collect()] == ["30-39", "20-29", "0-19", "70+", "20-29", None]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"attributes": []}, "attributes: give a list"),
        ({"attributes": "team"}, "attributes: give a list"),
        ({"attributes": ["age"]}, "attributes: the decided cases have no column 'age'"),
        ({"approved": "yes"}, "approved: the decided cases have no column 'yes'"),
        ({"approved": "team"}, "approved: column 'team' is not true or false"),
        ({"bad": "team"}, "bad: column 'team' is not a number"),
        ({"confidence": 95}, "confidence: give a share between 0 and 1"),
    ],
)
def test_fairness_refuses_in_one_sentence(spark, arguments, words):
    rows = spark.createDataFrame([("a", True)], "team string, approved boolean")
    with pytest.raises(ValueError, match=f"^{words}"):
        fairness_report(rows, **{"attributes": ["team"], "approved": "approved", **arguments})
