"""Strength of association of features with sensitive attributes against SciPy, scikit-learn and pandas."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, chi2_contingency, f_oneway
from scipy.stats.contingency import association
from sklearn.metrics import mutual_info_score

from strata.features import FeatureError, FeatureTypeError
from strata.features.governance.proxies import proxy_report

pytestmark = pytest.mark.oracle

FEATURES = ["height", "noisy", "zeros", "flag", "money", "far", "town", "job"]
SENSITIVE = ["gender", "age_code"]


def _people(size=3_000):
    rng = np.random.default_rng(5)
    gender = rng.choice(["f", "m", "x"], size=size, p=[0.5, 0.45, 0.05])
    people = pd.DataFrame({"gender": gender, "age_code": rng.choice([1, 2, 3, 7], size=size)})
    people["height"] = np.where(gender == "f", 165, 178) + rng.normal(0, 6, size)
    people["noisy"] = rng.normal(size=size)
    people["zeros"] = np.where(rng.random(size) < 0.8, 0.0, people.age_code + rng.random(size))
    people["flag"] = rng.random(size) < np.where(people.age_code == 7, 0.7, 0.2)
    people["money"] = rng.integers(0, 5, size=size) * people.age_code
    people["far"] = 1e9 + (gender == "m") * 0.5 + rng.normal(size=size)
    people["town"] = [f"t{n}" for n in rng.zipf(1.6, size=size).clip(max=400)]
    people["job"] = np.where(rng.random(size) < 0.6, np.char.add("job of ", gender), "clerk")
    people.loc[(gender == "m") & (rng.random(size) < 0.3), ["height", "job"]] = None
    people.loc[rng.random(size) < 0.1, "gender"] = None
    return people


@pytest.fixture(scope="module")
def people():
    return _people()


@pytest.fixture(scope="module")
def report(spark, people):
    rows = spark.createDataFrame(people.astype(object).where(people.notna(), None), _schema(people))
    return proxy_report(rows, FEATURES, SENSITIVE, bins=8, max_levels=15)


def _schema(people):
    kinds = {
        "gender": "string",
        "age_code": "int",
        "flag": "boolean",
        "town": "string",
        "job": "string",
        "money": "int",
    }
    return ", ".join(f"{name} {kinds.get(name, 'double')}" for name in people)


def _levels(values, bins=8, most=15):
    """By the book: quantile bins closed on the right, or the most frequent texts; missing apart."""
    if values.dtype == object:
        counted = values.value_counts()
        kept = sorted(counted.index, key=lambda level: (-counted[level], level))[:most]
        return values.where(values.isin(kept) | values.isna(), "the rest").fillna("missing")
    known = values.dropna().astype(float)
    cuts = np.unique([np.quantile(known, n / bins, method="inverted_cdf") for n in range(1, bins)])
    return pd.Series(np.searchsorted(cuts, values.astype(float), side="left")).where(values.notna(), -1)


def _corrected(chi_square, table):
    """Bergsma 2013, from V without the correction."""
    n, (r, k) = table.sum(), table.shape
    phi = max(0, chi_square / n - (r - 1) * (k - 1) / (n - 1))
    r, k = r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)
    return np.sqrt(phi / min(r - 1, k - 1))


def _eta(values, groups):
    """From the F of the analysis of variance between the groups."""
    if values.dtype == object:
        return None
    known = values.notna()
    parts = [part.to_numpy(float) for _, part in (values[known] - values[known].mean()).groupby(groups[known])]
    between, within = len(parts) - 1, known.sum() - len(parts)
    f = f_oneway(*parts).statistic
    return np.sqrt(f * between / (f * between + within))


@pytest.mark.parametrize("attribute", SENSITIVE)
@pytest.mark.parametrize("feature", FEATURES)
def test_proxies_agree_with_scipy(people, report, feature, attribute):
    found = report.where(f"feature = '{feature}' AND attribute = '{attribute}'").collect()[0]
    known = people[attribute].notna()
    levels, groups = _levels(people[feature])[known], people.loc[known, attribute]
    table = pd.crosstab(levels, groups).to_numpy()
    n, (r, k) = table.sum(), table.shape
    assert (found["n"], found["levels"], found["groups"]) == (n, r, k)
    plain = association(table, method="cramer") ** 2 * min(r - 1, k - 1) * n
    assert plain == pytest.approx(chi2_contingency(table, correction=False).statistic)
    assert found["cramers_v"] == pytest.approx(_corrected(plain, table), abs=1e-9)
    assert found["noise"] == pytest.approx(_corrected(chi2.ppf(0.999, (r - 1) * (k - 1)), table))
    values = people.loc[known, feature]
    values = values.astype(float) if values.dtype == bool else values
    assert found["eta"] == pytest.approx(_eta(values, groups), abs=1e-6)
    shares = groups.value_counts(normalize=True)
    shared = max(0, mutual_info_score(levels.astype(str), groups.astype(str)) - (r - 1) * (k - 1) / (2 * n))
    assert found["uncertainty"] == pytest.approx(shared / -(shares * np.log(shares)).sum(), abs=1e-9)


def test_proxies_are_named_the_strongest_first(report):
    found = report.collect()
    assert len(found) == len(FEATURES) * len(SENSITIVE)
    proxies = {(row["feature"], row["attribute"]) for row in found if row["is_proxy"]}
    assert proxies == {("height", "gender"), ("job", "gender"), ("flag", "age_code"), ("money", "age_code")}
    strengths = [row["uncertainty"] for row in found]
    assert strengths == sorted(strengths, reverse=True)
    noisy = [row for row in found if row["feature"] == "noisy"]
    assert all(row["cramers_v"] < row["noise"] for row in noisy)


def test_proxies_of_golden_tables(spark):
    rows = spark.createDataFrame(
        [(n, g, g, "same", float(n % 2), x) for n, (g, x) in enumerate([("a", 1.0), ("b", 5.0)] * 20)],
        "id int, copy string, gender string, same string, parity double, x double",
    )
    rows = rows.selectExpr(
        "*", "1.1D AS fixed", "CASE WHEN id = 3 THEN DOUBLE('Infinity') WHEN id > 3 THEN x END AS inf"
    )
    found = {
        row["feature"]: row for row in proxy_report(rows, ["copy", "same", "x", "fixed", "inf"], ["gender"]).collect()
    }
    assert (found["copy"]["cramers_v"], found["copy"]["eta"]) == (pytest.approx(1), None)
    # ln 2 nats are in the gender, and chance alone is worth 1 / 80 of one.
    assert found["copy"]["uncertainty"] == pytest.approx((np.log(2) - 1 / 80) / np.log(2))
    assert found["x"]["eta"] == pytest.approx(1) == found["inf"]["eta"]
    for name in ("same", "fixed"):
        row = found[name]
        assert [row[column] for column in ("cramers_v", "noise", "eta", "uncertainty")] == [None] * 4
        assert (row["n"], row["levels"], row["is_proxy"]) == (40, 1, False)
    # Missing (three rows), 1, 5 and infinity are levels.
    assert found["inf"]["levels"] == 4


def test_proxies_in_few_rows_are_noise(spark):
    rows = spark.createDataFrame([("a", "f"), ("b", "m"), ("a", "f")], "copy string, gender string")
    found = proxy_report(rows, ["copy"], ["gender"]).first()
    assert found["cramers_v"] == pytest.approx(1) and not found["is_proxy"]
    assert proxy_report(rows, ["copy"], ["gender"], confidence=0.5).first()["is_proxy"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"features": ["gone"]}, FeatureError, "features: rows has no column 'gone'"),
        ({"features": ["day"]}, FeatureTypeError, "features: column 'day' is date; a number, flag or text is expected"),
        ({"features": "x"}, FeatureError, "features: a list of at least one column"),
        ({"sensitive": ["x"]}, FeatureTypeError, "sensitive: column 'x' is double; put its values into bands"),
        ({"sensitive": ["nobody"]}, FeatureError, "sensitive: column 'nobody' has no value in rows"),
        ({"bins": 1}, FeatureError, "bins: a whole number from 2 is expected, not 1"),
        ({"max_levels": 0}, FeatureError, "max_levels: a whole number from 1 is expected, not 0"),
        ({"threshold": 2}, FeatureError, "threshold: a number between 0 and 1 is expected, not 2"),
    ],
)
def test_proxies_refuse_what_cannot_be_compared(spark, arguments, error, message):
    rows = spark.sql("SELECT 1.5D AS x, date'2024-01-01' AS day, 'f' AS gender, string(null) AS nobody")
    with pytest.raises(error, match=re.escape(message)):
        proxy_report(rows, **{"features": ["x"], "sensitive": ["gender"], **arguments})
