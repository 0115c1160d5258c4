"""Periods: counts by vintage against pandas, PSI against its formula, and what the selection makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from strata.models import Binning, ScorecardSpec, fit_binning, fit_scorecard, training
from strata.models.evaluation import psi, psi_noise

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


def test_shift_is_the_psi_against_the_other_periods(data, cases):
    feature = fit_binning(data, target="bad", features=["drifting"], period="quarter").features["drifting"]
    cases["code"] = feature.bins.codes(cases["drifting"])
    for shift in feature.shifts():
        inside = cases["quarter"] == shift.period
        counts = pd.crosstab(cases["code"], inside)
        assert (counts > 0).all(axis=None)
        own, rest = (counts[side] / counts[side].sum() for side in (True, False))
        expected = ((own - rest) * np.log(own / rest)).sum()
        assert shift.psi == pytest.approx(expected, rel=1e-9)
    assert max(feature.shifts(), key=lambda shift: shift.psi).period == "2025Q4"


def test_noise_is_what_chance_stays_under(spark):
    rng = np.random.default_rng(2)
    over = 0
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    for _ in range(2000):
        a, b = rng.multinomial(900, shares), rng.multinomial(600, shares)
        over += psi(a, b) > psi_noise(a, b, level=0.95)
    assert 0.035 < over / 2000 < 0.065


def test_a_shifting_feature_is_dropped_with_its_reason_and_may_be_forced(data):
    spec = ScorecardSpec("bad", FEATURES, period="quarter", max_p_value=None)
    card = fit_scorecard(data, spec)
    verdict = next(v for v in card.selection if v.feature == "drifting")
    assert verdict.stage == "psi" and "of 2025Q4 against the other periods is above 0.25" in verdict.reason
    assert (
        "drifting"
        in fit_scorecard(data, ScorecardSpec("bad", FEATURES, period="quarter", forced=["drifting"])).features
    )
    assert "drifting" in fit_scorecard(data, ScorecardSpec("bad", FEATURES)).features


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
