"""RFM scores and tiers against pandas and NumPy."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from strata.conf.policies import load_policies
from strata.models.segmentation.rfm import MEASURES, fit_rfm
from strata.models.segmentation.tiers import customer_tiers

pytestmark = pytest.mark.oracle

NAMES = {"recency": "quiet_days", "frequency": "tx_cnt_90d", "monetary": "tx_amt_90d"}


@pytest.fixture(scope="module")
def policy():
    return load_policies().at(date(1997, 1, 1))


@pytest.fixture(scope="module")
def customers():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"customer_id": np.arange(3000)})
    frame["quiet_days"] = rng.integers(0, 90, 3000).astype(float)
    frame["tx_cnt_90d"] = rng.poisson(3, 3000)
    frame["tx_amt_90d"] = np.round(rng.lognormal(8, 1.2, 3000), 2)
    idle = rng.random(3000) < 0.1
    frame.loc[idle, "quiet_days"] = np.nan
    frame.loc[idle, ["tx_cnt_90d", "tx_amt_90d"]] = 0
    frame["probability"] = rng.choice([0.07, 0.12, np.nan, 0.01, 0.4], 3000)
    return frame


def quantile_scores(values, descending):
    """Classes by rank: at or below the first fifth of values is class 1, and so on."""
    edges = np.quantile(values.dropna(), [0.2, 0.4, 0.6, 0.8], method="inverted_cdf")
    cut = pd.cut(values, [-np.inf, *pd.unique(edges), np.inf], labels=False)
    passed = cut.map(dict(enumerate([0, *[int((edges <= edge).sum()) for edge in pd.unique(edges)]])))
    return (5 - passed if descending else passed + 1).fillna(1).astype(int)


def test_segments_rfm_scores_agree_with_pandas(spark, policy, customers):
    rows = spark.createDataFrame(customers).repartition(3)
    scored = fit_rfm(rows, policy.rfm, **NAMES).score(rows).toPandas().sort_values("customer_id")
    for measure in MEASURES:
        expected = quantile_scores(customers[NAMES[measure]], descending=measure == "recency")
        assert (scored[f"{measure}_score"].to_numpy() == expected.to_numpy()).all(), measure
    shares = scored["monetary_score"].value_counts(normalize=True)
    assert shares.between(0.19, 0.21).all() and len(shares) == 5
    for row in scored.to_dict("records"):
        assert row["rfm_segment"] == named(row, policy.rfm.segments).segment
        assert row["rfm_words"] == named(row, policy.rfm.segments).words
    assert scored["rfm_segment"].nunique() == len(policy.rfm.segments)


def named(row, segments):
    for segment in segments:
        ranges = {name: getattr(segment, name) or (1, 5) for name in MEASURES}
        if all(low <= row[f"{name}_score"] <= high for name, (low, high) in ranges.items()):
            return segment
    raise AssertionError("every customer belongs somewhere")


def test_segments_tiers_agree_with_pandas(spark, policy, customers):
    known = customers.assign(tx_amt_90d=customers["tx_amt_90d"].where(customers["customer_id"] % 50 > 0))
    rows = spark.createDataFrame(known).replace(float("nan"), None)
    tiers = customer_tiers(rows, policy, key="customer_id", value="tx_amt_90d", probability="probability").cache()
    told = tiers.toPandas().sort_values("customer_id", ignore_index=True)
    high, medium = np.quantile(known["tx_amt_90d"].dropna(), [0.8, 0.5], method="inverted_cdf")
    value = np.select([known["tx_amt_90d"].isna(), known["tx_amt_90d"] > high, known["tx_amt_90d"] > medium],
                      ["unknown", "high", "medium"], "low")  # fmt: skip
    risk = np.select([known["probability"].isna(), known["probability"] < 0.07, known["probability"] < 0.12],
                     ["unknown", "low", "medium"], "high")  # fmt: skip
    assert (told["value_tier"] == value).all() and (told["risk_tier"] == risk).all()
    for row in told.drop_duplicates(["value_tier", "risk_tier"]).to_dict("records"):
        unknown = "unknown" in (row["value_tier"], row["risk_tier"])
        treatments = policy.tiers.treatments
        words = policy.tiers.unknown_treatment if unknown else treatments[row["value_tier"]][row["risk_tier"]]
        assert row["treatment"] == words


def test_segments_refuse_in_one_sentence(spark, policy):
    rows = spark.createDataFrame([(1, "x", None)], "customer_id int, name string, empty double")
    with pytest.raises(ValueError, match="^customers: column 'gone' is missing; there are: customer_id, name, empty"):
        fit_rfm(rows, policy.rfm, recency="gone", frequency="empty", monetary="empty")
    with pytest.raises(ValueError, match="^frequency: column 'empty' holds no value at all"):
        fit_rfm(rows, policy.rfm, recency="customer_id", frequency="empty", monetary="customer_id")
    with pytest.raises(ValueError, match="^customers: column 'name' is not a number"):
        customer_tiers(rows, policy, key="customer_id", value="name", probability="empty")
