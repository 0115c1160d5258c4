"""Periods: counts by vintage against pandas, PSI against its formula, and what the selection makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from strata.models import Binning, ScorecardSpec, fit_binning, fit_scorecard
from strata.models.binning.feature_bins import FeatureBins
from strata.models.binning.woe_binning import BinnedFeature, PeriodCounts
from strata.models.evaluation.discrimination import psi, psi_noise
from strata.models.samples import training
from strata.models.scorecard.vintage_drift import find_drift, stretches

pytestmark = pytest.mark.oracle

FEATURES = ["steady", "drifting", "turning", "level"]


@pytest.fixture(scope="module")
def cases():
    """``drifting`` moves in the last quarter; ``turning`` changes its meaning between the quarters."""
    rng = np.random.default_rng(8)
    n = 4000
    quarter = rng.integers(0, 4, n)
    steady, level = rng.normal(size=n), rng.choice(["a", "b", "c"], n)
    turning = rng.normal(size=n)
    means = np.where(turning < 0, 0.4, np.where(quarter < 2, 1.6, -1.0))
    logit = steady + means * turning + (level == "a") - 1.5
    bad = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    drifting = rng.normal(size=n) + 0.8 * bad + 2.0 * (quarter == 3)
    names = np.array(["2025Q1", "2025Q2", "2025Q3", "2025Q4"])[quarter]
    return pd.DataFrame(
        {"bad": bad, "quarter": names, "steady": steady, "drifting": drifting, "turning": turning, "level": level}
    )


@pytest.fixture(scope="module")
def data(spark, cases):
    return spark.createDataFrame(cases).cache()


def test_counts_by_period_are_those_of_pandas(data, cases, monkeypatch):
    for rows_on_driver in (50_000, 100):
        monkeypatch.setattr(training, "LOCAL_ROWS", rows_on_driver)
        binned = fit_binning(data, target="bad", features=FEATURES, period="quarter")
        for name in ("steady", "level"):
            feature = binned.features[name]
            cases["code"] = feature.bins.codes(cases[name])
            expected = cases.groupby(["quarter", "code"])["bad"].agg(["size", "sum"])
            for part in feature.periods:
                for code, (good, bad) in enumerate(zip(part.good, part.bad, strict=True)):
                    size, bads = expected.loc[(part.period, code)] if (part.period, code) in expected.index else (0, 0)
                    assert (good + bad, bad) == (size, bads)
        assert Binning.from_json(binned.to_json()) == binned
        table = binned.stability("steady")
        assert table["count"].sum() == len(cases) and table.groupby("period")["share"].sum().round(9).eq(1).all()
    with pytest.raises(ValueError, match="binned without period="):
        fit_binning(data, target="bad", features=["steady"]).stability("steady")


def test_the_largest_shift_is_that_of_the_psi_against_the_other_periods(data, cases):
    feature = fit_binning(data, target="bad", features=["drifting"], period="quarter").features["drifting"]
    cases["code"] = feature.bins.codes(cases["drifting"])
    expected = {}
    for quarter in cases["quarter"].unique():
        counts = pd.crosstab(cases["code"], cases["quarter"] == quarter)
        assert (counts > 0).all(axis=None)
        own, rest = (counts[side] / counts[side].sum() for side in (True, False))
        expected[quarter] = ((own - rest) * np.log(own / rest)).sum()
    # A limit above all PSIs: neither the halves nor chance are asked about.
    shift = find_drift(feature, 99.0).shift
    assert shift.period == max(expected, key=expected.get) == "2025Q4"
    assert shift.psi == pytest.approx(expected["2025Q4"], rel=1e-9)


def test_noise_is_what_chance_stays_under(spark):
    rng = np.random.default_rng(2)
    over = 0
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    for _ in range(2000):
        a, b = rng.multinomial(900, shares), rng.multinomial(600, shares)
        over += psi(a, b) > psi_noise(a, b, level=0.95)
    assert 0.035 < over / 2000 < 0.065


def test_a_shifting_feature_stays_while_its_risk_keeps_its_sign(data):
    card = fit_scorecard(data, ScorecardSpec("bad", FEATURES, period="quarter"))
    assert "drifting" in card.features
    found = find_drift(card.binning.features["drifting"], 0.25)
    assert found.movement == "shifted" and found.later_auc.low > 0.5
    assert "PSI" in found.sentence and "2025Q4" in found.sentence and "chance alone stays under" in found.sentence


def test_it_goes_by_its_psi_when_that_is_asked_and_may_be_forced(data):
    strict = {"period": "quarter", "drift": "shifted"}
    card = fit_scorecard(data, ScorecardSpec("bad", FEATURES, **strict))
    verdict = next(v for v in card.selection if v.feature == "drifting")
    assert verdict.stage == "drift" and "against" in verdict.reason
    assert "drifting" in fit_scorecard(data, ScorecardSpec("bad", FEATURES, **strict, forced=["drifting"])).features
    assert "drifting" in fit_scorecard(data, ScorecardSpec("bad", FEATURES)).features
    with pytest.raises(ValueError, match="drift: 'psi' is none of reversed, shifted, keep"):
        ScorecardSpec("bad", FEATURES, drift="psi")


def test_a_feature_whose_risk_turns_round_is_dropped_and_says_so(spark):
    rng = np.random.default_rng(4)
    n = 4000
    month, x, steady = rng.integers(0, 8, n), rng.normal(size=n), rng.normal(size=n)
    logit = np.where(month < 5, 1.0, -1.0) * x + steady - 1.5
    bad = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    frame = pd.DataFrame({"bad": bad, "x": x, "steady": steady, "month": [f"2025-0{m + 1}" for m in month]})
    card = fit_scorecard(spark.createDataFrame(frame), ScorecardSpec("bad", ["x", "steady"], period="month"))
    verdict = next(v for v in card.selection if v.feature == "x")
    assert card.features == ("steady",) and verdict.stage == "drift" and "turns round" in verdict.reason
    kept = fit_scorecard(
        spark.createDataFrame(frame), ScorecardSpec("bad", ["x", "steady"], period="month", drift="keep")
    )
    assert kept.features == ("x", "steady")


def binned_periods(counts):
    """A feature with these counts (period, bin, good or bad)."""
    periods = tuple(PeriodCounts(f"{i:03}", tuple(part[:, 0]), tuple(part[:, 1])) for i, part in enumerate(counts))
    good, bad = counts.sum(axis=0).T
    bins = FeatureBins("x", "number", tuple(map(float, range(counts.shape[1] - 2))))
    nothing = (0.0,) * counts.shape[1]
    return BinnedFeature(bins, tuple(good), tuple(bad), nothing, nothing, periods)


@pytest.mark.parametrize("rows", [6, 24, 100, 400, 1000])
def test_chance_is_seldom_taken_for_drift(rows):
    """Simulated: one population, 6 to 1,000 rows a period, 2 to 8 bins; the limit is far below the default's 0.25."""
    rng, alarms, tried = np.random.default_rng(rows), 0, 0
    for bins in range(2, 9):
        for _ in range(40):
            periods = int(rng.integers(3, 25))
            counts = rng.multinomial(rows, rng.dirichlet(np.ones(bins) * 2), periods)
            bads = rng.binomial(counts, rng.uniform(0.05, 0.4, bins))
            found = find_drift(binned_periods(np.stack([counts - bads, bads], axis=2).astype(float)), 0.02)
            alarms, tried = alarms + (found is not None and found.movement != "steady"), tried + 1
    assert alarms <= 0.05 * tried


def test_thin_periods_are_merged_and_judged_together():
    rng = np.random.default_rng(1)
    sizes = [6, 8, 10, 40, 80, 150, 300, 5, 400, 30]
    counts = np.array([rng.multinomial(size, [0.3, 0.4, 0.3]) for size in sizes])
    bads = rng.binomial(counts, 0.3)
    parts = stretches(binned_periods(np.stack([counts - bads, bads], axis=2).astype(float)))
    assert [(part.first, part.last) for part in parts] == [("000", "005"), ("006", "006"), ("007", "009")]
    assert sum(part.counts.sum() for part in parts) == sum(sizes)
    assert find_drift(binned_periods(np.ones((5, 3, 2))), 0.25) is None


def test_stability_prefers_bins_that_keep_their_sign(data):
    def flips(stability):
        binned = fit_binning(
            data, target="bad", features=["turning"], period="quarter", stability=stability, trend="none"
        )
        feature = binned.features["turning"]
        table = binned.stability("turning")
        whole = dict(zip(feature.bins.labels(), feature.woe, strict=True))
        return (table["count"] * (table["woe"] * table["bin"].map(whole) < 0)).sum(), feature.iv

    (loose, loose_iv), (strict, strict_iv) = flips(0.0), flips(1.0)
    assert strict < loose and strict_iv <= loose_iv


def test_wrong_periods_are_named(spark, data):
    with pytest.raises(ValueError, match="stability: name the column of vintages with period="):
        fit_binning(data, target="bad", features=["steady"], stability=0.5)
    with pytest.raises(ValueError, match="period: the data have no column 'month'"):
        fit_binning(data, target="bad", features=["steady"], period="month")
    with pytest.raises(ValueError, match="period: 'steady' has over 120 values"):
        fit_binning(data, target="bad", features=["turning"], period="steady")
    holes = spark.createDataFrame([(0, 1.0, None), (1, 2.0, "x")], "bad int, x double, p string")
    with pytest.raises(ValueError, match="period: 'p' is null in 1 rows"):
        fit_binning(holes, target="bad", features=["x"], period="p")


def test_periods_that_are_numbers_are_in_the_order_of_numbers(spark):
    rng = np.random.default_rng(9)
    month = rng.integers(1, 13, 6000)
    x = rng.normal(size=6000)
    logit = np.where(month < 10, 0.8, -2.0) * x - 1
    bad = (rng.random(6000) < 1 / (1 + np.exp(-logit))).astype(int)
    frame = pd.DataFrame({"bad": bad, "x": x, "month": month.astype(str)})
    binned = fit_binning(spark.createDataFrame(frame), target="bad", features=["x"], period="month").features["x"]
    assert [part.period for part in binned.periods] == [str(m) for m in range(1, 13)]
