"""HELOC: the bins printed in OptBinning's documentation. Its data may not be shipped; skipped where absent."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from strata.models import fit_binning

pytestmark = pytest.mark.golden

FILE = Path(__file__).parents[2].parent / "shared" / "data" / "heloc" / "heloc.csv.gz"


@pytest.mark.skipif(not FILE.exists(), reason="the HELOC challenge data are not on this machine")
def test_documented_bins(spark):
    columns = ["RiskPerformance", "ExternalRiskEstimate"]
    rows = spark.createDataFrame(pd.read_csv(FILE, usecols=columns))
    options = {"target": columns[0], "features": columns[1:], "special_values": [-9, -8, -7]}
    binning = fit_binning(rows, splits={columns[1]: [59.5, 63.5]}, **options)
    table = binning.table(columns[1]).set_index("bin")
    first, second = table.loc["[-inf, 59.5)"], table.loc["[59.5, 63.5)"]
    assert first[["count", "count_good", "count_bad"]].tolist() == [1081, 166, 915]
    assert second[["count", "count_good", "count_bad"]].tolist() == [1097, 228, 869]
    assert (first["woe"], first["iv"]) == pytest.approx((-1.619109, 0.217629), abs=5e-6)
    assert (second["woe"], second["iv"]) == pytest.approx((-1.250170, 0.142003), abs=5e-6)
    assert table.loc["special -9", "count"] > 0
    fitted = fit_binning(rows, **options)
    assert fitted.iv[columns[1]] > binning.iv[columns[1]] and fitted.trends()[columns[1]] == -1
