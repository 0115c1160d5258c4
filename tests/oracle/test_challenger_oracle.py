"""What the challenger sees of a row, against a plain reading of the bins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from strata.models import fit_binning
from strata.models.boosting import fit_boosting
from strata.models.challenger import challenger_columns, challenger_spec


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(12)
    n = 2500
    rate = rng.normal(size=n).round(2)
    code = rng.choice([-9.0, -8.0, 0.0], n, p=[0.1, 0.1, 0.8])
    region = rng.choice(["north", "south", "east"], n)
    logit = np.where(code == -9, 1.5, np.where(code == -8, -1.5, rate)) + (region == "east") - 1.2
    frame = pd.DataFrame({"a.b": np.where(code == 0, rate, code), "region": region, "flat": -9.0})
    return frame.assign(bad=(rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int), id=np.arange(n))


def test_texts_are_woes_and_specials_stand_where_their_risk_is(spark, cases):
    rows = spark.createDataFrame(cases)
    features = ["a.b", "region", "flat"]
    binning = fit_binning(rows, target="bad", features=features, special_values={"a.b": [-9, -8, -7], "flat": [-9]})
    told = rows.select("id", *challenger_columns(binning, features)).toPandas().sort_values("id", ignore_index=True)
    woe = {level: row.woe for row in binning.table("region").itertuples() for level in row.bin.split(" | ")}
    assert told["region"].tolist() == cases["region"].map(woe).tolist()
    ordinary = ~cases["a.b"].isin([-9, -8])
    assert told["a.b"][ordinary].tolist() == cases["a.b"][ordinary].tolist()
    bins = binning.features["a.b"]
    codes = bins.bins.codes(told["a.b"])
    for special, name in ((-9, "special -9"), (-8, "special -8")):
        own = binning.table("a.b").set_index("bin").loc[name, "woe"]
        nearest = min(range(bins.bins.ordinary), key=lambda code, own=own: abs(bins.woe[code] - own))
        assert set(codes[cases["a.b"] == special]) == {nearest}
    assert told["flat"].isna().all()


def test_the_challenger_is_as_monotone_as_the_bins(spark, cases):
    rows = spark.createDataFrame(cases)
    binning = fit_binning(rows, target="bad", features=["a.b", "region"], special_values={"a.b": [-9, -8]})
    spec = challenger_spec(binning, ["a.b", "region"], target="bad", weight=None, bads=800, reasons=2)
    assert spec.trends == {"a.b": 1, "region": -1} and spec.trees == 300
    assert challenger_spec(binning, ["region"], target="bad", weight=None, bads=80, reasons=2).trees == 60
    boosted = fit_boosting(rows.select("bad", *challenger_columns(binning, spec.features)), spec)
    grid = pd.DataFrame({"a.b": np.linspace(-3, 3, 60), "region": 0.1})
    risk = boosted.score_pandas(grid)["probability"]
    assert (np.diff(risk) >= 0).all() and risk.iloc[-1] > risk.iloc[0] + 0.2
