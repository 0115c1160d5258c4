"""The fairness report against counting in pandas and intervals from SciPy."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, norm

from strata.models.evaluation.fairness import fairness_report

pytestmark = pytest.mark.oracle

RATES = {
    "approval_rate": lambda part: part["approved"],
    "bad_rate": lambda part: part["is_bad"].dropna() == 1,
    "approved_bad_rate": lambda part: part.loc[part["approved"], "is_bad"].dropna() == 1,
    "good_refused_rate": lambda part: ~part.loc[part["is_bad"] == 0, "approved"],
}


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(23)
    gender = rng.choice(["F", "M", None], 1500, p=[0.5, 0.45, 0.05])
    frame = pd.DataFrame({"gender": gender, "district_id": rng.integers(1, 7, 1500)})
    frame["approved"] = rng.random(1500) < np.where(gender == "F", 0.8, 0.5)
    frame["is_bad"] = np.where(rng.random(1500) < 0.7, rng.random(1500) < 0.12, np.nan)
    lonely = pd.DataFrame(
        {"gender": ["X"] * 4, "district_id": [99] * 4, "approved": [True] * 4, "is_bad": [np.nan] * 4}
    )
    return pd.concat([frame, lonely], ignore_index=True)


@pytest.fixture(scope="module")
def report(spark, cases):
    rows = spark.createDataFrame(cases.astype({"gender": object})).replace(float("nan"), None)
    table = fairness_report(rows, attributes=["gender", "district_id"], approved="approved", bad="is_bad")
    return table.toPandas().set_index(["attribute", "group"])


def test_fairness_rates_agree_with_pandas_and_scipy(cases, report):
    seen = 0
    for attribute in ("gender", "district_id"):
        named = cases[attribute].map(lambda value: "unknown" if value is None else str(value))
        for group, part in cases.groupby(named):
            told = report.loc[(attribute, group)]
            assert told["count"] == len(part)
            for name, hits in RATES.items():
                values = hits(part)
                if len(values) == 0:
                    assert pd.isna(told[name])
                    continue
                expected = binomtest(int(values.sum()), len(values)).proportion_ci(0.95, method="wilson")
                assert told[name] == pytest.approx(values.mean())
                assert (told[f"{name}_low"], told[f"{name}_high"]) == pytest.approx(tuple(expected), abs=1e-9)
            seen += 1
    assert seen == len(report)


def test_fairness_ratio_and_verdict(cases, report):
    women, men = (cases.loc[cases["gender"] == value, "approved"] for value in "FM")
    ratio = men.mean() / women.mean()
    error = np.sqrt(1 / men.sum() - 1 / len(men) + 1 / women.sum() - 1 / len(women))
    told = report.loc[("gender", "M")]
    assert told["adverse_impact_ratio"] == pytest.approx(ratio)
    assert told["adverse_impact_ratio_low"] == pytest.approx(ratio * np.exp(-norm.ppf(0.975) * error))
    assert told["adverse_impact_ratio_high"] == pytest.approx(ratio * np.exp(norm.ppf(0.975) * error))
    assert report.loc["gender", "verdict"].to_dict() == {
        "F": "reference",
        "M": "adverse",
        "X": "too few",
        "unknown": report.loc[("gender", "unknown"), "verdict"],
    }
    assert set(report.loc["gender", "reference"]) == {"F"}
    assert set(report.loc["district_id", "verdict"]) <= {"reference", "fair", "inconclusive", "too few"}
