"""Reject inference where the truth is known: simulated applicants, an old policy, rejects without an outcome."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from strata.models import ScorecardSpec, fit_scorecard
from strata.models.scorecard import reject_inference as rejects
from strata.models.scorecard.reject_inference import fuzzy, parcelling, parcels, sensitivity

pytestmark = pytest.mark.oracle

SPEC = ScorecardSpec("bad", ["a", "b", "t"], special_values={"a": [-9]}, min_share=0.005, min_bads=1, max_p_value=None)
SCHEMA = "id int, a double, b double, t string, w double, bad int, truth int"


def applicants(rows, hidden, seed):
    """Risk grows with a, b, t and something unseen; the old policy refuses by a, b, noise and ``hidden`` x that."""
    rng = np.random.default_rng(seed)
    seen, unseen = np.round(np.clip(rng.normal(size=(rows, 2)), -2, 2)), rng.normal(size=rows)
    text = rng.choice(["x", "y", "z", "rare"], rows, p=[0.5, 0.3, 0.197, 0.003])
    a, b = seen.T
    odds = np.exp(-2.2 + 0.8 * a + 0.6 * b + 0.5 * (text == "y") + 0.7 * unseen)
    truth = (rng.random(rows) < odds / (1 + odds)).astype(int)
    special = rng.random(rows) < 0.05
    # Where a is not told, the old policy did not see it either.
    policy = np.where(special, 0.0, a) + 0.5 * b + hidden * unseen + rng.normal(size=rows)
    refused = policy > np.quantile(policy, 0.6)
    known = np.where(refused, None, truth.astype(object))
    weight = rng.integers(1, 4, rows).astype(float)
    return pd.DataFrame(
        {
            "id": range(rows),
            "a": np.where(special, -9.0, a),
            "b": b,
            "t": text,
            "w": weight,
            "bad": known,
            "truth": truth,
        }
    )


class World:
    """Applicants in pandas and Spark, and the card of those whom the old policy let in."""

    def __init__(self, spark, rows, hidden, seed=0):
        self.frame = applicants(rows, hidden, seed)
        plain = [
            tuple(x.item() if hasattr(x, "item") else x for x in row) for row in self.frame.itertuples(index=False)
        ]
        self.data = spark.createDataFrame(plain, SCHEMA).coalesce(1).cache()
        self.card = fit_scorecard(self.data.where("bad IS NOT NULL"), SPEC)
        self.refused = self.frame["bad"].isna().to_numpy()
        self.probability = self.card.score_pandas(self.frame)["probability"].to_numpy()


@pytest.fixture(scope="module")
def at_random(spark):
    """The old policy refused by what the card sees, and chance."""
    return World(spark, 8_000, hidden=0.0, seed=2)


@pytest.fixture(scope="module")
def not_at_random(spark):
    """The old policy also saw, as an experienced officer does, what no column tells."""
    return World(spark, 5_000, hidden=1.0)


def riskier(p, factor):
    return factor * p / (1 - p + factor * p)


@pytest.mark.parametrize(("factor", "weight"), [(1.0, None), (2.5, "w")])
def test_fuzzy_splits_every_reject_in_two_and_loses_nothing(at_random, factor, weight):
    frame, refused = at_random.frame, at_random.refused
    found = fuzzy(at_random.data, card=at_random.card, target="bad", weight=weight, factor=factor)
    assert (
        found.columns == [*at_random.data.columns, "weight", "inferred"]
        and found.schema["bad"] == at_random.data.schema["bad"]
    )
    rows = found.toPandas()
    assert len(rows) == (~refused).sum() + 2 * refused.sum()
    share = frame["w"] if weight else pd.Series(1.0, frame.index)
    np.testing.assert_allclose(rows.groupby("id")["weight"].sum(), share, rtol=1e-12)
    known = rows[~rows["inferred"]].set_index("id").sort_index()
    assert (known["bad"] == frame.loc[~refused, "bad"].astype(int)).all() and known.index.is_unique
    guessed = rows[rows["inferred"]].pivot(index="id", columns="bad", values="weight")
    assert set(guessed.index) == set(np.flatnonzero(refused))
    expected = (share * riskier(at_random.probability, factor))[refused]
    np.testing.assert_allclose(guessed[1], expected, rtol=1e-9)
    np.testing.assert_allclose(guessed[0], share[refused] - expected, rtol=1e-9)
    assert (rows.groupby("id")["a"].first() == frame["a"]).all()


def bands_by_hand(world, factor, bands):
    """The card's rejects by falling score, cut where their middle passes a tenth, equal scores together."""
    scores = world.card.score_pandas(world.frame)["score"].to_numpy()
    w, refused = world.frame["w"].to_numpy(), world.refused
    total, band = w[refused].sum(), {}
    for score in np.unique(scores[refused]):
        above, here = w[refused & (scores > score)].sum(), w[refused & (scores == score)].sum()
        band[score] = int((above + here / 2) / total * bands)
    of_reject = np.array([band[score] for score in scores[refused]])
    mean = [
        np.average(world.probability[refused][of_reject == k], weights=w[refused][of_reject == k])
        for k in sorted(set(of_reject))
    ]
    places = np.searchsorted(sorted(set(of_reject)), of_reject)
    return places, riskier(np.array(mean), factor)


def test_parcels_are_bands_of_rejects_with_the_odds_times_the_factor(at_random):
    table = parcels(at_random.data, card=at_random.card, target="bad", weight="w", factor=1.5, bands=6)
    places, rates = bands_by_hand(at_random, 1.5, 6)
    np.testing.assert_allclose(table["inferred_bad_rate"], rates, rtol=1e-9)
    scores = at_random.card.score_pandas(at_random.frame)["score"].to_numpy()
    w, bad = at_random.frame["w"].to_numpy(), at_random.frame["bad"]
    for k, row in table.iterrows():
        inside = (scores >= row["low"]) & (scores <= row["high"])
        assert row["rejects"] == w[at_random.refused][places == k].sum() == w[inside & at_random.refused].sum()
        known = inside & ~at_random.refused
        assert row["accepted"] == w[known].sum()
        assert row["known_bad_rate"] == pytest.approx((w[known] * bad[known]).sum() / w[known].sum())


def test_parcelling_gives_every_reject_one_outcome_and_the_same_on_any_partitioning(at_random):
    world, arguments = at_random, {"card": at_random.card, "target": "bad", "id": "id", "weight": "w", "bands": 6}
    rows = parcelling(world.data, **arguments, factor=1.5).toPandas().sort_values("id", ignore_index=True)
    assert (rows["id"] == world.frame["id"]).all() and (rows["weight"] == world.frame["w"]).all()
    assert (rows["inferred"] == world.refused).all() and rows["bad"].isin([0, 1]).all()
    assert (rows.loc[~world.refused, "bad"] == world.frame.loc[~world.refused, "bad"].astype(int)).all()
    places, rates = bands_by_hand(world, 1.5, 6)
    guessed = rows.loc[world.refused, "bad"].to_numpy()
    hashed = world.data.selectExpr("id", "pmod(xxhash64(0, string(id)), 9007199254740992) / 9007199254740992D AS u")
    drawn = hashed.toPandas().sort_values("id")["u"].to_numpy()[world.refused]
    assert (guessed == (drawn < rates[places])).all()
    for k, rate in enumerate(rates):
        part = guessed[places == k]
        assert abs(part.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / len(part))
    again = parcelling(world.data.repartition(5, "b"), **arguments, factor=1.5).toPandas()
    assert (again.sort_values("id", ignore_index=True)["bad"] == rows["bad"]).all()
    other = parcelling(world.data, **arguments, factor=1.5, seed=1).toPandas().sort_values("id", ignore_index=True)
    assert (other["bad"] != rows["bad"]).any()
    more = parcelling(world.data, **arguments, factor=3.0).toPandas().sort_values("id", ignore_index=True)
    assert (more["bad"] >= rows["bad"]).all() and more["bad"].sum() > rows["bad"].sum()


def test_fuzzy_at_factor_one_teaches_nothing_new(at_random):
    """The refit says what the card of the accepted said, up to whole points and WOE of another population."""
    rows = fuzzy(at_random.data, card=at_random.card, target="bad")
    again = fit_scorecard(rows, rejects._kept(SPEC, at_random.card))
    assert {name: b.bins for name, b in again.kept.items()} == {name: b.bins for name, b in at_random.card.kept.items()}
    assert {"rare", "x", "y", "z"} == {level for group in again.kept["t"].bins.groups for level in group}
    assert again.kept["a"].bins.specials == (-9.0,)
    gap = again.score_pandas(at_random.frame)["probability"] - at_random.probability
    assert np.abs(gap).mean() < 0.005 and np.abs(gap).max() < 0.05


def test_missing_at_random_is_inferred_about_right(at_random):
    truth = at_random.frame.loc[at_random.refused, "truth"].mean()
    inferred = at_random.probability[at_random.refused].mean()
    accepted = at_random.frame.loc[~at_random.refused, "truth"].mean()
    assert truth > 2 * accepted, "the rejects must be another population"
    assert inferred == pytest.approx(truth, abs=0.03)


def test_what_the_policy_saw_and_the_card_does_not_stays_as_bias(not_at_random):
    """The accepted-only card says far too little for the rejects; no factor 1 mends that, in either way."""
    world = not_at_random
    truth = world.frame.loc[world.refused, "truth"].mean()
    table = parcels(world.data, card=world.card, target="bad")
    for inferred in (
        world.probability[world.refused].mean(),
        np.average(table["inferred_bad_rate"], weights=table["rejects"]),
    ):
        assert inferred < truth - 0.08
    # The bias does not show where anybody can look: the accepted in the same bands are as the card says.
    known = table[table["accepted"] > 100]
    assert np.average(known["known_bad_rate"] - known["inferred_bad_rate"], weights=known["accepted"]) < 0.02


@pytest.mark.parametrize("method", ["fuzzy", "parcelling"])
def test_sensitivity_tells_what_the_factor_decides(not_at_random, method):
    world, more = not_at_random, {"id": "id"} if method == "parcelling" else {}
    found = sensitivity(world.data, SPEC, factors=(1.0, 3.0), method=method, **more)
    first, same, worse = (row for _, row in found.iterrows())
    assert np.isnan(first["factor"]) and found["factor"].tolist()[1:] == [1.0, 3.0]
    for name, mask in (("accepted", ~world.refused), ("rejects", world.refused)):
        assert first[f"{name}_probability"] == pytest.approx(world.probability[mask].mean(), rel=1e-9)
    assert first["probability"] == pytest.approx(world.probability.mean(), rel=1e-9)
    bad = world.frame.loc[~world.refused, "bad"].astype(int)
    assert first["auc"] == pytest.approx(roc_auc_score(bad, world.probability[~world.refused]), abs=1e-9)
    for name in world.card.features:
        assert first[f"coefficient_{name}"] == world.card.coefficients[name]
    if method == "fuzzy":
        guessed = riskier(world.probability[world.refused], 3.0)
        assert worse["inferred_bads"] == pytest.approx(guessed.sum(), rel=1e-9)
        assert worse["inferred_bad_rate"] == pytest.approx(guessed.mean(), rel=1e-9)
    assert same["rejects_probability"] == pytest.approx(first["rejects_probability"], abs=0.02)
    assert worse["inferred_bads"] > 1.5 * same["inferred_bads"]
    for name in ("rejects_probability", "probability"):
        assert worse[name] > same[name] + 0.03
    # The accepted can't tell one factor from another.
    assert found["auc"].max() - found["auc"].min() < 0.02


def test_sensitivity_measures_on_other_rows_when_there_are_some(not_at_random):
    world = not_at_random
    half = world.data.where("id % 2 = 0")
    found = sensitivity(world.data, SPEC, factors=(), evaluate=half).iloc[0]
    mask = ~world.refused & (world.frame["id"] % 2 == 0)
    assert found["auc"] == pytest.approx(
        roc_auc_score(world.frame.loc[mask, "bad"].astype(int), world.probability[mask])
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "x"}, "target: the data have no column 'x'"),
        ({"target": "t"}, "target: 't' is not a number"),
        ({"weight": "x"}, "weight: the data have no column 'x'"),
        ({"factor": 0}, "factor: 0 is not"),
        ({"bands": 0}, "bands: 0 is not"),
        ({"id": "x"}, "id: the data have no column 'x'"),
    ],
)
def test_wrong_arguments_are_named(at_random, change, words):
    with pytest.raises(ValueError, match=words):
        parcelling(at_random.data, **({"card": at_random.card, "target": "bad", "id": "id"} | change))


def test_unfit_data_are_refused(at_random):
    data, arguments = at_random.data, {"card": at_random.card, "target": "bad"}
    with pytest.raises(ValueError, match="there is a column 'weight' already"):
        fuzzy(data.withColumnRenamed("w", "weight"), **arguments)
    with pytest.raises(ValueError, match="'bad' is never null, so nobody was rejected"):
        parcelling(data.where("bad IS NOT NULL"), **arguments, id="id")
    with pytest.raises(ValueError, match=f"id: 'id' is null in {at_random.refused.sum()} rejected rows"):
        parcelling(data.selectExpr("if(bad IS NULL, null, id) AS id", "a", "b", "t", "bad"), **arguments, id="id")
    with pytest.raises(ValueError, match="method: 'magic'"):
        sensitivity(data, SPEC, method="magic")
    with pytest.raises(ValueError, match="never null"):
        sensitivity(data.where("bad IS NOT NULL"), SPEC)
