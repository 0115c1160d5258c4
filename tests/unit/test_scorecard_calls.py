"""What the doors refuse and how they say it; edges of data; the analyst's own bins and choices."""

from __future__ import annotations

import pytest

from strata.models import Binning, Scorecard, ScorecardSpec, cross_validate, fit_binning, fit_scorecard


@pytest.fixture(scope="module")
def rows(spark):
    made = [(i, i % 10, float(i % 7), "xyz"[i % 3], int(i % 10 + i % 4 > 8), None) for i in range(300)]
    return spark.createDataFrame(made, "id int, a int, b double, t string, bad int, day date").coalesce(1).cache()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"target": "nobody"}, ValueError, "target: the data have no column 'nobody'"),
        ({"features": ["a", "nobody"]}, ValueError, "features: the data have no column 'nobody'"),
        ({"features": ["a", "a"]}, ValueError, "'a' is named twice"),
        ({"features": []}, ValueError, "features"),
        ({"features": "a"}, ValueError, "features: give a list"),
        ({"features": ["a", "bad"]}, ValueError, "'bad' is the target"),
        ({"features": ["day"]}, TypeError, "'day' is date"),
        ({"target": "t"}, ValueError, "name its bad value with event="),
        ({"target": "b", "features": ["a"]}, ValueError, "'b' is neither 0 nor 1 in"),
        ({"target": "t", "event": "q"}, ValueError, "no bad row"),
        ({"special_values": ["NA"]}, ValueError, "'NA' fits no feature"),
        ({"special_values": {"a": ["x"]}}, ValueError, "not of the type of 'a'"),
        ({"special_values": [float("nan")]}, ValueError, "missing has its own bin"),
        ({"trend": "up"}, ValueError, "trend: 'up'"),
        ({"max_bins": 0}, ValueError, "max_bins"),
        ({"min_share": 1.5}, ValueError, "min_share"),
        ({"splits": {"a": [3, 2]}}, ValueError, "must be finite and rise"),
        ({"splits": {"zz": [3]}}, ValueError, "splits: 'zz'"),
        ({"weight": "id", "features": ["id"]}, ValueError, "weight"),
    ],
)
def test_a_wrong_argument_is_named(rows, change, error, words):
    arguments = {"target": "bad", "features": ["a", "b"]} | change
    with pytest.raises(error, match=words):
        fit_binning(rows, **arguments)


def test_null_targets_and_wrong_tables_are_refused(rows):
    with pytest.raises(ValueError, match="'bad' is null in 30 rows"):
        fit_binning(rows.selectExpr("a", "if(a = 3, null, bad) AS bad"), target="bad", features=["a"])
    with pytest.raises(TypeError, match="data must be a Spark DataFrame"):
        fit_binning([1], target="bad", features=["a"])
    with pytest.raises(ValueError, match="format"):
        Scorecard.from_json('{"format": "other"}')
    with pytest.raises(ValueError, match="not JSON"):
        Binning.from_json("{")


def test_an_analysts_splits_stand_as_they_are(rows):
    splits = {"a": [2.5, 5], "t": [["x", "z"], ["*"]]}
    binning = fit_binning(rows, target="bad", features=["a", "t"], splits=splits)
    assert binning.table("a")["bin"].tolist() == ["[-inf, 2.5)", "[2.5, 5)", "[5, inf)"]
    assert binning.table("a")["count"].tolist() == [90, 60, 150]
    assert binning.table("t")["count"].tolist() == [200, 100]
    assert binning.trends()["a"] == 1


def test_pure_bins_are_smoothed_and_neutral_bins_are_zero(rows):
    table = fit_binning(rows, target="bad", features=["a"], splits={"a": [2, 50]}).table("a")
    import math

    goods, bads = table["count_good"].sum(), table["count_bad"].sum()
    first = table.iloc[0]
    assert first["count_bad"] == 0
    assert first["woe"] == pytest.approx(math.log(((first["count_good"] + 0.5) / goods) / (0.5 / bads)))
    assert table.iloc[2]["count"] == 0 and table.iloc[2]["woe"] == 0


def test_event_names_the_bad_value(rows):
    text = rows.selectExpr("a", "b", "if(bad = 1, 'default', 'paid') AS outcome")
    by_event = fit_binning(text, target="outcome", event="default", features=["a", "b"])
    assert by_event == fit_binning(rows, target="bad", features=["a", "b"])


def test_forced_stay_forbidden_go_and_reasons_say_why(rows):
    data = rows.selectExpr("*", "a * 2 AS twice", "1 AS constant")
    features = ["a", "b", "t", "twice", "constant"]
    card = fit_scorecard(data, ScorecardSpec("bad", features, forced=["b"], forbidden=["t"]))
    verdicts = card.selection_table().set_index("feature")
    assert verdicts["stage"].to_dict() == {
        "a": "kept", "b": "kept", "t": "business", "twice": "correlation", "constant": "iv",
    }  # fmt: skip
    assert verdicts.loc["b", "reason"] == "forced" and "with a" in verdicts.loc["twice", "reason"]
    with pytest.raises(ValueError, match="none survives the selection"):
        fit_scorecard(data, ScorecardSpec("bad", ["constant"]))
    with pytest.raises(ValueError, match="forced: 'q' is not among"):
        ScorecardSpec("bad", ["a"], forced=["q"])


def test_too_many_folds_are_refused(rows):
    with pytest.raises(ValueError, match="too many"):
        cross_validate(rows.where("bad = 0 or a = 9"), ScorecardSpec("bad", ["a"]), group="a", folds=5, repeats=1)
