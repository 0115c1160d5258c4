"""Loss given default against known chances and severities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from strata.models import Lgd, LgdSpec, fit_lgd

pytestmark = pytest.mark.oracle

ROWS = 4_000
FEATURES = ["cover", "purpose", "noise"]


def defaults(rows: int = ROWS) -> pd.DataFrame:
    """Losses: none when the collateral covers much, all for some purposes, else half of what is not covered."""
    rng = np.random.default_rng(4)
    cover, purpose = rng.uniform(0, 1, rows), rng.choice(["car", "house", "holiday"], rows)
    zero, full = 0.1 + 0.6 * (cover > 0.6), np.where(purpose == "holiday", 0.3, 0.05)
    severity = np.clip(0.8 - 0.6 * cover + rng.normal(0, 0.05, rows), 0.02, 0.98)
    drawn = rng.uniform(size=rows)
    loss = np.where(drawn < zero, 0.0, np.where(drawn > 1 - full * (1 - zero), 1.0, severity))
    expected = full * (1 - zero) + (1 - zero - full * (1 - zero)) * (0.8 - 0.6 * cover)
    cover = np.where(rng.uniform(size=rows) < 0.02, np.nan, cover)
    table = {"cover": cover, "purpose": purpose, "noise": rng.normal(size=rows), "loss": loss}
    return pd.DataFrame(
        {"id": np.arange(rows)} | table | {"zero": zero, "full": full * (1 - zero), "expected": expected}
    )


@pytest.fixture(scope="module")
def loans(spark):
    return spark.createDataFrame(defaults()).cache()


@pytest.fixture(scope="module")
def fitted(loans):
    return fit_lgd(loans, LgdSpec("loss", FEATURES))


def test_each_stage_finds_its_chances(loans, fitted):
    scored = fitted.score(loans).where(~F.isnan("cover")).toPandas()
    for found, true in (("p_zero", "zero"), ("p_full", "full"), ("lgd", "expected")):
        assert np.corrcoef(scored[found], scored[true])[0, 1] > 0.9, found
        assert scored[found].mean() == pytest.approx(scored[true].mean(), abs=0.02)
    assert scored["lgd"].between(0, 1).all() and (scored["p_zero"] + scored["p_full"] < 1).all()


def test_the_expected_loss_is_that_of_its_stages(loans, fitted):
    scored = fitted.score(loans).toPandas()
    severity = (scored["lgd"] - scored["p_full"]) / (1 - scored["p_zero"] - scored["p_full"])
    assert severity.between(0, 1).all() and severity.std() > 0.1


def test_json_gives_the_same_scores_and_order_does_not_matter(spark, loans, fitted):
    read = Lgd.from_json(fitted.to_json())
    assert read == fitted
    again = fit_lgd(spark.createDataFrame(defaults().sample(frac=1, random_state=1)).repartition(3), fitted.spec)
    assert again.to_json() == fitted.to_json()
    rows = loans.limit(200)
    first, second = (one.score(rows).orderBy("id").select("lgd").toPandas()["lgd"] for one in (fitted, read))
    assert first.tolist() == second.tolist()
    with pytest.raises(ValueError, match="this JSON is not of the format"):
        Lgd.from_json("{}")


def test_values_a_little_outside_are_clipped_and_counted(loans, fitted):
    moved = loans.withColumn(
        "loss", F.when(F.col("loss") == 0, -0.05).when(F.col("loss") == 1, 1.02).otherwise(F.col("loss"))
    )
    model = fit_lgd(moved, fitted.spec)
    assert model.clipped == loans.where("loss in (0, 1)").count()
    assert model.severity == fitted.severity and model.zero == fitted.zero


BAD = {
    "target: column 'loss' is outside 0 to 1 by more than 0.1 in 1 rows": "if(id = 1, 1.5, loss)",
    "target: column 'loss' is missing in 1 rows": "if(id = 1, double('NaN'), loss)",
    "target: column 'loss' has 0 losses between": "round(loss)",
}


@pytest.mark.parametrize("sentence", BAD)
def test_losses_that_cannot_be_learnt_from_are_refused(loans, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_lgd(loans.withColumn("loss", F.expr(BAD[sentence])), LgdSpec("loss", FEATURES))


BAD_SPECS = {
    "features: give a list": {"features": "cover"},
    "features: the target 'loss' is among": {"features": ["loss"]},
    "features: a feature is named twice": {"features": ["cover", "cover"]},
    "edge: 0.7 is not": {"edge": 0.7},
    "tolerance: -1 is not": {"tolerance": -1},
}


@pytest.mark.parametrize("sentence", BAD_SPECS)
def test_a_spec_that_cannot_be_fitted_is_refused(sentence):
    with pytest.raises(ValueError, match=sentence):
        LgdSpec(**({"target": "loss", "features": FEATURES} | BAD_SPECS[sentence]))


def test_other_tables_are_refused(loans, fitted):
    with pytest.raises(ValueError, match="data: 20 rows are too few"):
        fit_lgd(loans.limit(20), fitted.spec)
    with pytest.raises(TypeError, match="data must be a Spark DataFrame"):
        fit_lgd(defaults(10), fitted.spec)
    with pytest.raises(ValueError, match="data: the data have no column 'cover'"):
        fitted.score(loans.drop("cover"))
