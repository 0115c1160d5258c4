"""What binning owes to chance, to the scale of weights and to long decimals: against simulation and plain formulas."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom

from strata.models import Binning, ScorecardSpec, fit_binning, fit_scorecard
from strata.models.binning.edge_rounding import digits, short_between
from strata.models.binning.level_shrinkage import level_variation, shrunk_counts
from strata.models.binning.monotone_merge import woe_iv
from strata.models.binning.woe_binning import BinningRules, bin_rows
from strata.models.samples import training
from strata.models.samples.training_local import local_training
from strata.models.samples.training_rows import Source

pytestmark = pytest.mark.oracle


def local(frame, kinds):
    """A training set on the driver without Spark: features f0, f1, …"""
    names = tuple(f"f{i}" for i in range(len(kinds)))
    source = Source(None, "bad", names, tuple(kinds), ((),) * len(kinds))  # type: ignore[arg-type]
    return local_training(source, frame.assign(period="", weight=frame.get("weight", 1.0)))


def test_a_text_of_800_levels_of_noise_tells_nothing():
    values = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows = rng.integers(6_000, 40_000)
        frame = pd.DataFrame({"f0": rng.integers(0, 800, rows).astype(str), "bad": rng.random(rows) < 0.15})
        binned = bin_rows(local(frame, ["text"]), BinningRules()).features["f0"]
        values.append(binned.honest_iv)
    assert np.mean(values) < 0.005 and np.quantile(values, 0.9) < 0.01
    assert sum(value >= ScorecardSpec("bad", ["f0"]).min_iv for value in values) <= 0.05 * len(values)


def test_two_levels_are_believed_as_two_bins_of_a_number_are():
    goods, bads = [("rent", 600), ("own", 300)], [("rent", 60), ("own", 40)]
    cells = [(level, side, n) for side, part in ((0, goods), (1, bads)) for level, n in part]
    frame = pd.DataFrame(
        {"f0": [x for x, _, n in cells for _ in range(n)], "bad": [y for _, y, n in cells for _ in range(n)]}
    )
    as_number = frame.assign(f1=(frame["f0"] == "own").astype(float))
    text, number = bin_rows(local(as_number, ["text", "number"]), BinningRules()).features.values()
    assert text.chance_iv == 0 and text.honest_iv == pytest.approx(number.iv)
    noise = frame.assign(f0=np.random.default_rng(9).integers(0, 15, len(frame)).astype(str))
    binned = bin_rows(local(noise, ["text"]), BinningRules()).features["f0"]
    assert binned.iv > 0.05 and binned.honest_iv < 0.01


def test_a_text_of_many_levels_that_differ_keeps_its_information():
    rng = np.random.default_rng(3)
    risk = np.clip(rng.beta(2, 8, 100), 0.02, 0.9)
    level = rng.integers(0, 100, 30_000)
    frame = pd.DataFrame({"f0": level.astype(str), "bad": rng.random(30_000) < risk[level]})
    binned = bin_rows(local(frame, ["text"]), BinningRules()).features["f0"]
    rate = risk.mean()
    truth = np.mean((risk / rate - (1 - risk) / (1 - rate)) * np.log((risk / rate) / ((1 - risk) / (1 - rate))))
    assert 0.75 * truth < binned.honest_iv < 1.02 * truth


def test_shrinking_is_the_beta_binomial_model():
    rng = np.random.default_rng(5)
    count = rng.integers(5, 400, 500)
    bad = betabinom(count, 3, 12).rvs(random_state=rng)
    good = count - bad
    assert level_variation(good, bad) == pytest.approx(1 / 16, rel=0.2)
    variation = level_variation(good, bad)
    prior, mean = (1 - variation) / variation, bad.sum() / count.sum()
    expected = (bad + prior * mean) / (count + prior)
    goods, bads = shrunk_counts(good.astype(float), bad.astype(float))
    np.testing.assert_allclose(bads / count, expected)
    np.testing.assert_allclose(goods + bads, count)
    alike = rng.binomial(count, 0.2)
    goods, bads = shrunk_counts((count - alike).astype(float), alike.astype(float))
    assert np.ptp(bads / count) < 0.1 * np.ptp(alike / count)


def test_few_levels_have_their_plain_woe_and_unseen_ones_are_neutral(spark):
    rng = np.random.default_rng(6)
    level = rng.choice(["a", "b", "c", "rare"], 2000, p=[0.5, 0.3, 0.195, 0.005])
    bad = (rng.random(2000) < np.where(level == "a", 0.1, 0.3)).astype(int)
    data = spark.createDataFrame(pd.DataFrame({"x": level, "bad": bad}))
    binned = fit_binning(data, target="bad", features=["x"]).features["x"]
    counts = pd.crosstab(level, bad)
    for group, woe in zip(binned.bins.groups, binned.woe):
        good, bads = counts.loc[list(group)].sum()
        assert woe == pytest.approx(np.log(good / (bad == 0).sum() / (bads / (bad == 1).sum())))
    assert {level for group in binned.bins.groups for level in group} == {"a", "b", "c", "rare"}
    asked = spark.createDataFrame([("never seen",), ("rare",), (None,)], "x string")
    woes = [row["x_woe"] for row in Binning({"x": binned}).transform(asked).collect()]
    assert woes[0] == 0 and woes[1] != 0 and woes[2] == 0


def shortest(low, high):
    """By trying: the fewest digits, then the largest."""
    low, high = Decimal(repr(low)), Decimal(repr(high))
    for exponent in range(17, -18, -1):
        step = Decimal(1).scaleb(exponent)
        found = (high / step).to_integral_value("ROUND_FLOOR") * step
        if low < found <= high:
            return float(found)
    return float(high)


def test_the_shortest_decimal_between_two_values_is_found():
    rng = np.random.default_rng(7)
    pairs = np.sort(np.round(rng.normal(scale=rng.choice([0.01, 1, 1e4, 1e9], (3000, 1)), size=(3000, 2)), 6), axis=1)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    found = short_between(pairs[:, 0], pairs[:, 1])
    assert ((found > pairs[:, 0]) & (found <= pairs[:, 1])).all()
    assert found.tolist() == [shortest(*pair) for pair in pairs.tolist()]
    assert digits(np.array([30.0, 34.5, 0.025, -1200.0, 1e-7, 0.0])).tolist() == [1, 3, 2, 2, 1, 1]
    assert short_between(np.array([0.1]), np.array([0.1 + 0.2])).tolist() == [0.3]


def test_edges_of_a_staircase_are_the_steps(monkeypatch):
    x = np.random.default_rng(2).uniform(20, 40, 40_000)
    bad = np.random.default_rng(3).random(40_000) < np.select([x < 30, x < 34.5], [0.1, 0.25], 0.5)
    rows = local(pd.DataFrame({"f0": x, "bad": bad}), ["number"])
    assert bin_rows(rows, BinningRules(max_bins=3)).features["f0"].bins.edges == (30.0, 34.5)


def test_edges_are_short_and_cost_nearly_nothing(monkeypatch):
    lengths = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = rng.normal(45, 12, 4000)
        bad = rng.random(4000) < 1 / (1 + np.exp(1.5 + (x - 45) / 12))
        rows = local(pd.DataFrame({"f0": x, "bad": bad}), ["number"])
        binned = bin_rows(rows, BinningRules(trend="auto")).features["f0"]
        with monkeypatch.context() as patched:
            patched.setattr("strata.models.binning.edge_rounding.PRICES", 0)
            exact = bin_rows(rows, BinningRules(trend="auto")).features["f0"]
        assert binned.iv >= 0.995 * exact.iv
        lengths += [digits(part.bins.edge_array).mean() for part in (binned, exact)]
        counts = np.histogram(x, [-np.inf, *binned.bins.edges, np.inf])[0]
        assert np.add(binned.good, binned.bad)[: len(counts)].tolist() == counts.tolist()
        assert counts.min() >= 200 and (np.diff(binned.woe[: len(counts)]) > 0).all()
    assert np.mean(lengths[::2]) < np.mean(lengths[1::2]) - 0.5


def weighted_cases(seed):
    rng = np.random.default_rng(seed)
    rows = 700
    x, level = (
        rng.normal(50, 12, rows).round(2),
        rng.choice(["own", "rent", "other", None], rows, p=[0.5, 0.3, 0.1, 0.1]),
    )
    risk = 1 / (1 + np.exp(1.4 + 0.05 * (x - 50) - (level == "rent")))
    bad = (rng.random(rows) < risk).astype(int)
    return pd.DataFrame(
        {"x": x, "level": level, "noise": rng.integers(0, 5, rows), "bad": bad, "w": rng.choice([0.5, 1, 3], rows)}
    )


@pytest.mark.parametrize("rows_on_driver", [50_000, 100])
def test_the_scale_of_weights_changes_nothing_and_weight_0_is_no_row(spark, monkeypatch, rows_on_driver):
    monkeypatch.setattr(training, "LOCAL_ROWS", rows_on_driver)
    frame = weighted_cases(1)
    spec = ScorecardSpec("bad", ["x", "level", "noise"], weight="w", min_bads=3)
    ghosts = frame.assign(bad=1 - frame["bad"], x=frame["x"] + 0.001, level="ghost", w=0.0)
    others = {
        "thousand": (frame.assign(w=frame["w"] * 1000), 1000),
        "share": (frame.assign(w=frame["w"] / 1000), 0.001),
        "ghosts": (pd.concat([frame, ghosts]), 1),
    }
    base = fit_scorecard(spark.createDataFrame(frame), spec)
    for name, (rows, scale) in others.items():
        card = fit_scorecard(spark.createDataFrame(rows), spec)
        assert card.points == base.points, name
        assert {f: b.bins for f, b in card.binning.features.items()} == {
            f: b.bins for f, b in base.binning.features.items()
        }
        for feature, value in base.binning.iv.items():
            assert card.binning.iv[feature] == pytest.approx(value, rel=1e-9), name
            assert sum(card.binning.features[feature].good) == pytest.approx(
                scale * sum(base.binning.features[feature].good)
            )
        for feature, error in base.standard_errors.items():
            assert card.standard_errors[feature] == pytest.approx(error, rel=1e-6), name
        assert [v[:3] for v in card.selection] == [v[:3] for v in base.selection]


def test_a_pure_bin_is_smoothed_by_half_a_row_whatever_a_row_weighs():
    good, bad = np.array([30.0, 60.0]), np.array([0.0, 30.0])
    plain = woe_iv(good, bad, 90, 30)
    np.testing.assert_allclose(woe_iv(good / 1000, bad / 1000, 0.09, 0.03, 0.001), plain)
    assert plain[0][0] == pytest.approx(np.log((30.5 / 90) / (0.5 / 30)))
