"""Uplift models against known effects, and the Qini curve against a slow reading of its definition."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from strata.models import Uplift, UpliftSpec, fit_uplift, qini
from strata.models.uplift.meta_learners import LEARNERS
from strata.models.uplift.uplift_table import UpliftTable

pytestmark = pytest.mark.oracle

ROWS = 4_000
FEATURES = ["age", "balance", "district", "noise"]


def experiment(rows: int = ROWS, seed: int = 5, *, chosen: bool = False) -> pd.DataFrame:
    """A response that the treatment raises for the old and in the north, missing balances; ``chosen``: by balance."""
    rng = np.random.default_rng(seed)
    age, balance = rng.uniform(20, 70, rows), rng.normal(size=rows)
    district = rng.choice(["north", "south", "east"], rows)
    chance = 1 / (1 + np.exp(-1.2 * balance)) if chosen else np.full(rows, 0.4)
    treated = (rng.uniform(size=rows) < chance).astype(int)
    effect = 0.3 * (age > 45) * (district == "north") + 0.1 * (age > 45)
    response = (rng.uniform(size=rows) < 0.2 + 0.05 * (balance > 0) + treated * effect).astype(int)
    balance[rng.uniform(size=rows) < 0.05] = np.nan
    table = {"age": age, "balance": balance, "district": district, "noise": rng.normal(size=rows)}
    return pd.DataFrame({"id": np.arange(rows)} | table | {"treated": treated, "bought": response, "effect": effect})


@pytest.fixture(scope="module")
def people(spark):
    return spark.createDataFrame(experiment()).cache()


@pytest.fixture(scope="module")
def fitted(people):
    return fit_uplift(people, UpliftSpec("bought", "treated", FEATURES))


def slow_curves(outcome, treated, order):
    """Both curves at the end of each run of equal ``order``, counted row by row."""
    ranked = sorted(zip(order, outcome, treated, strict=True), key=lambda row: -row[0])
    n, y, points = [0, 0], [0.0, 0.0], [(0.0, 0.0, 0.0)]
    for place, (value, gained, arm) in enumerate(ranked, 1):
        n[int(arm)] += 1
        y[int(arm)] += gained
        if place == len(ranked) or ranked[place][0] != value:
            gain = (y[1] / n[1] - y[0] / n[0]) * place / len(ranked) if min(n) else 0.0
            points.append((place, gain, y[1] - (y[0] * n[1] / n[0] if n[0] else 0.0)))
    return np.array(points).T


def slow_area(x, y):
    """Trapezoids above the line to the end."""
    return sum((b - a) * (c + d) / 2 for a, b, c, d in zip(x, x[1:], y, y[1:], strict=False)) - x[-1] * y[-1] / 2


@pytest.mark.parametrize("amounts", [False, True])
def test_qini_is_that_of_its_definition(spark, amounts):
    rng = np.random.default_rng(3)
    treated = rng.integers(0, 2, 700)
    uplift = np.round(rng.normal(size=700), 1)
    response = rng.gamma(2.0, size=700) if amounts else (rng.uniform(size=700) < 0.3 + 0.1 * uplift * treated) * 1.0
    table = pd.DataFrame({"y": response, "t": treated, "u": uplift})
    found = qini(spark.createDataFrame(table), outcome="y", treatment="t", uplift="u")
    places, gains, counts = slow_curves(response, treated, uplift)
    perfect = slow_curves(response, treated, np.where(treated == 1, response, -response))
    assert found.curve["share"].to_numpy() == pytest.approx(places / 700, abs=1e-12)
    assert found.curve["gain"].to_numpy() == pytest.approx(gains, abs=1e-12)
    assert found.ate == pytest.approx(response[treated == 1].mean() - response[treated == 0].mean(), abs=1e-12)
    assert found.area == pytest.approx(slow_area(places / 700, gains), abs=1e-12)
    expected = slow_area(places, counts) / slow_area(perfect[0], perfect[2])
    assert found.normalised == pytest.approx(expected, abs=1e-12)
    k = 7
    assert found.at(places[k] / 700) == pytest.approx(gains[k] / (places[k] / 700), abs=1e-12)
    for figure in (found.ate, found.area, found.normalised, found.at(0.3)):
        assert figure.low < figure < figure.high


def test_intervals_are_as_wide_as_repeated_experiments(spark):
    """The standard deviation over 200 fresh experiments is what one experiment says of itself, to a fifth."""
    rng = np.random.default_rng(11)
    areas, ates, tops = [], [], []
    for _ in range(200):
        uplift, treated = rng.uniform(size=1_000), rng.integers(0, 2, 1_000)
        response = (rng.uniform(size=1_000) < 0.2 + 0.2 * uplift * treated) * 1.0
        places, gains, _ = slow_curves(response, treated, uplift)
        areas.append(slow_area(places / 1_000, gains))
        ates.append(gains[-1])
        tops.append(gains[300] / 0.3)
    table = pd.DataFrame({"y": response, "t": treated, "u": uplift})
    found = qini(spark.createDataFrame(table), outcome="y", treatment="t", uplift="u")
    for figure, repeated in ((found.area, areas), (found.ate, ates), (found.at(0.3), tops)):
        assert (figure.high - figure.low) / (2 * 1.96) == pytest.approx(np.std(repeated), rel=0.2)


def test_weights_are_as_many_rows_in_value(spark):
    table = experiment(800).assign(u=lambda rows: rows["age"].round(), w=lambda rows: 1 + rows["id"] % 3)
    doubled = table.loc[table.index.repeat(table["w"])]
    names = {"outcome": "bought", "treatment": "treated", "uplift": "u"}
    found = qini(spark.createDataFrame(table), **names, weight="w")
    expected = qini(spark.createDataFrame(doubled), **names)
    for name in ("ate", "area", "normalised"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-12)
    # A weight of 3 is one row of three times the say, not three rows: it is known less well.
    assert found.ate.high > expected.ate.high


def test_net_gain_is_the_largest_over_shares(spark):
    table = experiment(2_000)
    found = qini(spark.createDataFrame(table), outcome="bought", treatment="treated", uplift="effect")
    share, net = found.best_share(cost=0.05, value=1.0)
    shares = np.linspace(0, 1, 101)
    nets = np.interp(shares, found.curve["share"], found.curve["gain"]) - 0.05 * shares
    assert net == pytest.approx(nets.max()) and share == shares[nets.argmax()] and 0 < share < 1


def test_a_table_joins_neighbours_and_keeps_sums():
    sums = np.random.default_rng(1).uniform(0.5, 1, (5, 2, 1_000))
    whole = UpliftTable(np.linspace(1, -1, 1_000), sums)
    joined = whole.joined(50)
    assert len(joined.uplift) <= 50 and (np.diff(joined.uplift) < 0).all()
    assert joined.sums.sum(axis=-1) == pytest.approx(sums.sum(axis=-1))
    assert whole.joined(1_000) is whole


@pytest.mark.parametrize("learner", LEARNERS)
def test_each_learner_finds_the_effect(people, fitted, learner):
    spec = UpliftSpec("bought", "treated", FEATURES, learner=learner, recipe="strict")
    model = fitted if learner == "x" else fit_uplift(people, spec)
    scored = model.score(people).select("uplift", "effect").toPandas()
    assert np.corrcoef(scored["uplift"], scored["effect"])[0, 1] > 0.85
    assert scored["uplift"].mean() == pytest.approx(scored["effect"].mean(), abs=0.03)


def test_amounts_have_effects_in_amounts(people):
    spent = people.withColumn("spent", 100 * F.col("bought") + 5)
    model = fit_uplift(spent, UpliftSpec("spent", "treated", FEATURES, recipe="strict"))
    scored = model.score(spent).select("uplift", "effect").toPandas()
    assert np.corrcoef(scored["uplift"], scored["effect"])[0, 1] > 0.85
    assert scored["uplift"].mean() == pytest.approx(100 * scored["effect"].mean(), abs=3)


def test_no_effect_is_found_where_there_is_none(spark):
    table = experiment()
    drawn = np.random.default_rng(9).permutation(table["treated"])
    blind = spark.createDataFrame(table.assign(treated=drawn, bought=(table["balance"].fillna(0) > 0.8) * 1))
    model = fit_uplift(blind, UpliftSpec("bought", "treated", FEATURES))
    losses = {trial.recipe: trial.r_loss for trial in model.trials}
    assert losses["constant"] <= min(losses.values()) * 1.001
    assert model.score(blind).select(F.stddev("uplift")).head()[0] < 0.03


def test_order_and_partitions_do_not_matter(spark, people, fitted):
    shuffled = spark.createDataFrame(experiment().sample(frac=1, random_state=2)).repartition(5)
    again = fit_uplift(shuffled, fitted.spec)
    assert again.to_json() == fitted.to_json()
    names = {"outcome": "bought", "treatment": "treated", "uplift": "uplift"}
    first, second = qini(fitted.score(people), **names), qini(again.score(shuffled), **names)
    assert (first.ate, first.area, first.normalised, first.at(0.3)) == (
        second.ate, second.area, second.normalised, second.at(0.3),
    )  # fmt: skip
    assert first.area.high == second.area.high


def test_many_parts_are_one_model(people, fitted, monkeypatch):
    monkeypatch.setattr("strata.models.uplift.uplift_training.CELLS_IN_ONE_TASK", 20_000)
    parts = fit_uplift(people, UpliftSpec("bought", "treated", FEATURES, recipe="strict"))
    assert len(parts.effect.terms) == 2 * 2
    scored = parts.score(people).select("uplift", "effect").toPandas()
    assert np.corrcoef(scored["uplift"], scored["effect"])[0, 1] > 0.8


def test_json_gives_the_same_scores(people, fitted):
    read = Uplift.from_json(fitted.to_json())
    assert read == fitted
    scored = fitted.score(people).select("id", "uplift").toPandas().set_index("id")["uplift"]
    again = read.score(people.drop("bought", "treated")).select("id", "uplift").toPandas().set_index("id")["uplift"]
    assert scored.sort_index().tolist() == again.sort_index().tolist()
    for text in ("[]", "{", json.dumps({"format": "strata-scorecard-1"})):
        with pytest.raises(ValueError, match="text: this"):
            Uplift.from_json(text)


def test_drivers_are_the_features_that_move_it(people, fitted):
    drivers = fitted.drivers(people.limit(1_000))
    assert sorted(drivers["feature"]) == sorted(FEATURES)
    assert set(drivers["feature"][:2]) == {"age", "district"} and (drivers["mean"] >= 0).all()


def test_a_chosen_treatment_needs_its_propensity(spark):
    people = spark.createDataFrame(experiment(chosen=True)).cache()
    model = fit_uplift(people, UpliftSpec("bought", "treated", FEATURES, observational=True, recipe="strict"))
    assert model.overlap is not None and 0.7 < model.overlap.auc < 0.85
    chance = model.propensity(people)
    weighed = model.score(people).withColumn("w", 1 / F.when(F.col("treated") == 1, chance).otherwise(1 - chance))
    names = {"outcome": "bought", "treatment": "treated", "uplift": "uplift"}
    plain, corrected = qini(weighed, **names), qini(weighed, **names, weight="w")
    truth = experiment(chosen=True)["effect"].mean()
    assert abs(corrected.ate - truth) < abs(plain.ate - truth)
    assert corrected.ate.low < truth < corrected.ate.high


BAD_SPECS = {
    "features: give a list": {"features": "age"},
    "features: the outcome or treatment 'bought'": {"features": ["age", "bought"]},
    "features: a feature is named twice": {"features": ["age", "age"]},
    "treatment: 'bought' is the outcome too": {"treatment": "bought"},
    "learner: 's' is none of x, t": {"learner": "s"},
    "recipe: 'wild' is none of additive": {"recipe": "wild"},
    "clip: 0.5 is not between": {"clip": 0.5},
}


@pytest.mark.parametrize("sentence", BAD_SPECS)
def test_a_spec_that_cannot_be_fitted_is_refused(sentence):
    given = {"outcome": "bought", "treatment": "treated", "features": FEATURES} | BAD_SPECS[sentence]
    with pytest.raises(ValueError, match=sentence):
        UpliftSpec(**given)


BAD_ROWS = {
    "features: the data have no column 'wealth'": {"features": ["wealth"]},
    "treatment: column 'district' is not a number": {"treatment": "district", "features": ["age"]},
    "treatment: column 'few' has 10 treated rows; at least 50": {"treatment": "few"},
    "treatment: column 'three' is neither 0 nor 1 in": {"treatment": "three"},
    "outcome: column 'holes' is null or not finite in 10 rows": {"outcome": "holes"},
    "outcome: column 'rare' has 3 rows that differ": {"outcome": "rare"},
    "learner: 'class' needs outcomes of 0 and 1": {"outcome": "age", "learner": "class", "features": ["noise"]},
}


@pytest.mark.parametrize("sentence", BAD_ROWS)
def test_rows_that_cannot_be_learnt_from_are_refused(people, sentence):
    given = {"outcome": "bought", "treatment": "treated", "features": FEATURES} | BAD_ROWS[sentence]
    few = F.col("id") < 10
    rows = people.withColumns(
        {
            "few": few.cast("int"),
            "three": F.col("id") % 3,
            "holes": F.when(~few, F.col("bought")),
            "rare": (F.col("id") < 3).cast("int"),
        }
    )
    with pytest.raises(ValueError, match=sentence):
        fit_uplift(rows, UpliftSpec(**given))
    with pytest.raises(TypeError, match="data must be a Spark DataFrame"):
        fit_uplift(experiment(10), UpliftSpec(**given))


def test_rows_that_cannot_be_measured_are_refused(people, fitted):
    scored = people.withColumn("u", F.when(F.col("id") > 0, F.col("age")))
    names = {"outcome": "bought", "treatment": "treated"}
    with pytest.raises(ValueError, match="neither 0 nor 1, in 1 rows"):
        qini(scored, **names, uplift="u")
    with pytest.raises(ValueError, match="has rows of one arm only"):
        qini(people.where("treated = 1"), **names, uplift="age")
    with pytest.raises(ValueError, match="share: 0 is not above 0"):
        qini(people, **names, uplift="age").at(0)
    with pytest.raises(ValueError, match="data: the data have no column 'age'"):
        fitted.score(people.drop("age"))
