"""What the doors refuse and how they say it; edges of data; the analyst's own bins and choices."""

from __future__ import annotations

import json

import pytest

from strata.models import Binning, Scorecard, ScorecardSpec, cross_validate, fit_binning, fit_scorecard
from strata.models.binning.feature_bins import FeatureBins
from strata.models.samples.development_sample import LabelRules, target_meaning


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


@pytest.mark.parametrize("event", [True, "true", "True", "TRUE", 1, "1"])
def test_a_boolean_target_takes_its_event_however_it_is_written(rows, event):
    flags = rows.selectExpr("a", "b", "bad = 1 AS late")
    wanted = fit_binning(rows, target="bad", features=["a"])
    assert fit_binning(flags, target="late", features=["a"], event=event) == wanted
    turned = fit_binning(rows.selectExpr("a", "1 - bad AS bad"), target="bad", features=["a"])
    assert fit_binning(flags, target="late", features=["a"], event=False) == turned
    assert "'true' (" in target_meaning(flags, LabelRules("late", event=event)).split(" is bad")[0]


@pytest.mark.parametrize(
    ("target", "event", "words"),
    [
        ("bad", "late", "event: 'late' is no number, but the target 'bad' is int; its values are"),
        ("bad", float("nan"), "event: nan is no number, but the target 'bad' is int; its values are"),
        ("flag", "late", "event: 'late' is neither true nor false, which the target 'flag' is made of; its values are"),
    ],
)
def test_an_event_of_another_type_is_refused_with_the_values_there_are(rows, target, event, words):
    data = rows.selectExpr("a", "bad", "bad = 1 AS flag")
    for call in (
        lambda: fit_binning(data, target=target, features=["a"], event=event),
        lambda: target_meaning(data, LabelRules(target, event=event)),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert words in str(caught.value) and str(caught.value).count("event") == 1


def test_labels_of_bins_are_exact_and_no_two_are_the_same():
    number = FeatureBins("n", "number", (0.1 + 0.2, 5.0, 1600000000001.0), specials=(9999999999998.0, 9999999999999.0))
    assert number.labels() == [
        "[-inf, 0.30000000000000004)", "[0.30000000000000004, 5)", "[5, 1600000000001)", "[1600000000001, inf)",
        "special 9999999999998", "special 9999999999999", "missing",
    ]  # fmt: skip
    groups = (("A", "B"), ("A | B",), ("missing", "unseen"), (), (), ("", " x", '"'), ("special 1", "specialist"))
    text = FeatureBins("t", "text", groups=groups, specials=("1", "missing"), rest=5)
    assert text.labels() == [
        "A | B", '"A | B"', '"missing" | "unseen"', "(no level)", "(no level 2)",
        '"" | " x" | "\\"" | (rare or unseen)', '"special 1" | specialist',
        "special 1", 'special "missing"', "missing", "unseen",
    ]  # fmt: skip
    assert len(set(text.labels())) == text.size


def test_infinite_specials_and_edges_are_kept_in_json(spark):
    inf = float("inf")
    made = [(inf if i % 4 == 0 else -inf if i % 4 == 1 else float(i % 7), int(i % 3 == 0)) for i in range(300)]
    rows = spark.createDataFrame(made, "x double, y int")
    card = fit_scorecard(rows, ScorecardSpec("y", ["x"], special_values=[inf, -inf], forced=["x"]))
    again = Scorecard.from_json(card.to_json())
    assert again == card and again.binning.features["x"].bins.specials == (inf, -inf)
    assert Binning.from_json(card.binning.to_json()) == card.binning
    assert {"special inf", "special -inf"} <= set(card.points_table()["bin"])
    edges = FeatureBins("x", "number", (-inf, 1.0, inf))
    assert FeatureBins.from_dict(json.loads(json.dumps(edges.to_dict(), allow_nan=False))) == edges
