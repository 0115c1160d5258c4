"""Statistics and the population stability index against pandas and NumPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from strata.features import FeatureError, FeatureTypeError, feature_statistics, population_stability
from strata.features.store.statistics import histogram

pytestmark = pytest.mark.oracle


def _rows(seed, size, shift=0.0):
    rng = np.random.default_rng(seed)
    steady = rng.normal(size=size)
    moved = rng.normal(shift, 1, size=size)
    moved[rng.random(size) < 0.1] = np.nan
    return pd.DataFrame({"steady": steady, "moved": moved, "few": rng.integers(0, 3, size=size)})


def test_features_statistics_agree_with_pandas(spark):
    rows = _rows(1, 2_000)
    found = feature_statistics(spark.createDataFrame(rows), list(rows)).toPandas().set_index("feature")
    for name in rows:
        got, values = found.loc[name], rows[name]
        assert (got["rows"], got["nulls"]) == (2_000, values.isna().sum())
        assert got["null_ratio"] == pytest.approx(values.isna().mean())
        assert got["distinct"] == pytest.approx(values.nunique(), rel=0.06)
        assert [got["mean"], got["std"]] == pytest.approx([values.mean(), values.std()])
        assert [got["min"], got["max"]] == [values.min(), values.max()]
        for level in (0.01, 0.25, 0.5, 0.95):
            expected = np.quantile(values.dropna(), level, method="inverted_cdf")
            assert got[f"q{round(level * 100):02d}"] == pytest.approx(expected)
        counted = np.array(histogram(got["ranks"], got["q01"], got["q99"])) / 100
        assert counted == pytest.approx(_shares(values.dropna(), got["q01"], got["q99"]), abs=0.0101)


def _shares(values, low, high, bins=12):
    """Shares below, in equal parts between the borders, and above, of all values."""
    inside = values[(values >= low) & (values <= high)]
    counts, _ = np.histogram(inside, bins=np.linspace(low, high, bins + 1))
    return np.array([(values < low).sum(), *counts, (values > high).sum()]) / len(values)


def test_features_histogram_places_borders_and_single_values():
    assert histogram([0.0, 1.0, 2.0, 3.0, 4.0], 1.0, 3.0, bins=2) == [1, 1, 2, 1]
    assert histogram([5.0, 5.0], 5.0, 5.0, bins=3) == [0, 0, 0, 2, 0]
    assert histogram([1.0, 5.0, 9.0], 5.0, 5.0, bins=3) == [1, 0, 0, 1, 1]


def test_features_without_values_have_no_ranks(spark):
    rows = spark.createDataFrame([(None,)], "x double")
    assert feature_statistics(rows, ["x"]).first()["ranks"] is None


def _psi(reference, actual, bins=10):
    """By the book: quantile bins of the reference, closed on the right, missing apart, half a row added to each."""
    known = reference.dropna()
    cuts = np.unique([np.quantile(known, n / bins, method="inverted_cdf") for n in range(1, bins)])
    shares = []
    for values in (reference, actual):
        counts = np.bincount(np.searchsorted(cuts, values.dropna(), side="left"), minlength=len(cuts) + 1)
        counts = np.append(counts, values.isna().sum()) + 0.5
        shares.append(counts / counts.sum())
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def test_features_stability_index_agrees_with_numpy(spark):
    reference, actual = _rows(1, 2_000), _rows(2, 900, shift=0.8)
    found = population_stability(spark.createDataFrame(reference), spark.createDataFrame(actual), list(reference))
    answers = {row["feature"]: row["psi"] for row in found.collect()}
    assert answers == pytest.approx({name: _psi(reference[name], actual[name]) for name in reference})
    assert answers["steady"] < 0.05 < 0.25 < answers["moved"]


def test_features_statistics_refuse_text_and_empty_sets(spark):
    rows = spark.createDataFrame(pd.DataFrame({"x": [1.0], "t": ["a"]}))
    with pytest.raises(FeatureTypeError, match="features: column 't' is string"):
        feature_statistics(rows, ["t"])
    with pytest.raises(FeatureError, match="features: rows has no column 'y'"):
        feature_statistics(rows, ["y"])
    with pytest.raises(FeatureError, match="actual: it has no rows"):
        population_stability(rows, rows.limit(0), ["x"])
