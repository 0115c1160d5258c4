"""The boosted challenger against xgboost alone in this process, and against its own constraints."""

import numpy as np
import pandas as pd
import pytest
import xgboost
from pyspark.sql import functions as F

from strata.models.boosting.trees import BoostingSpec, boosting_learner, fit_boosting

pytestmark = pytest.mark.oracle

NAMES = [f"f{number}" for number in range(5)]
SPEC = BoostingSpec(target="is_bad", features=tuple(NAMES), trends={"f0": 1, "f1": -1}, trees=30, max_depth=3)


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(11)
    values = rng.normal(size=(350, 5)).astype("float32").astype("float64")
    risk = 1 / (1 + np.exp(2 - np.sin(3 * values[:, 0]) - values[:, 0] + values[:, 1] - values[:, 2] ** 2))
    frame = pd.DataFrame(values, columns=NAMES)
    frame["is_bad"] = (rng.random(350) < risk).astype(int)
    frame.loc[::6, "f3"] = np.nan
    frame["case_id"] = np.arange(350)
    return frame


@pytest.fixture(scope="module")
def trained(spark, cases):
    return fit_boosting(spark.createDataFrame(cases), SPEC)


def test_boosting_equals_xgboost_in_one_process(spark, cases, trained):
    ordered = cases.sort_values(["is_bad", *NAMES], na_position="first")
    alone = xgboost.XGBClassifier(
        n_estimators=30, max_depth=3, learning_rate=0.1, min_child_weight=2, reg_lambda=5, tree_method="hist",
        monotone_constraints={"f0": 1, "f1": -1}, random_state=SPEC.seed, n_jobs=1,
    ).fit(ordered[NAMES], ordered["is_bad"])  # fmt: skip
    scored = trained.score(spark.createDataFrame(cases)).toPandas().sort_values("case_id")
    np.testing.assert_allclose(scored["probability"], alone.predict_proba(cases[NAMES])[:, 1], rtol=1e-5)


def test_boosting_learner_grows_the_same_trees(spark, cases, trained):
    rows = spark.createDataFrame(cases)
    learned = boosting_learner(SPEC)(rows)(rows)
    assert learned.columns == [*cases.columns, "probability"]
    fitted = trained.score(rows).select("case_id", F.col("probability").alias("fitted"))
    both = learned.join(fitted, "case_id", "inner").toPandas()
    assert len(both) == len(cases)
    assert (both["probability"] == both["fitted"]).all()


def test_boosting_contributions_add_up_to_the_margin(spark, cases, trained):
    told = trained.contributions(trained.score(spark.createDataFrame(cases))).toPandas()
    total = told["baseline"] + told[[f"contribution_{name}" for name in NAMES]].sum(axis=1)
    np.testing.assert_allclose(total, told["margin"], atol=1e-4)
    np.testing.assert_allclose(1 / (1 + np.exp(-told["margin"])), told["probability"], atol=1e-6)


def test_boosting_keeps_its_directions(spark, cases, trained):
    rng = np.random.default_rng(2)
    bases = rng.normal(size=(40, 5))
    grid = np.linspace(-3, 3, 25)
    rows = []
    for number, base in enumerate(bases):
        for moved in (0, 1):
            for step in grid:
                values = base.copy()
                values[moved] = step
                rows.append([number, moved, step, *map(float, values)])
    frame = pd.DataFrame(rows, columns=["base", "moved", "step", *NAMES])
    scored = trained.score(spark.createDataFrame(frame)).toPandas().sort_values(["base", "moved", "step"])
    steps = scored.groupby(["base", "moved"])["probability"].diff().dropna()
    moved = scored.loc[steps.index, "moved"]
    assert (steps[moved == 0] >= 0).all() and (steps[moved == 1] <= 0).all()
    assert (steps[moved == 0] > 0).any() and (steps[moved == 1] < 0).any()
