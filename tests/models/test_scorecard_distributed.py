"""The scans of large data against the driver's copy of small data, and against plain SQL."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import functions as F

from strata.models import ScorecardSpec, cross_validate, fit_scorecard, paired_difference
from strata.models.binning.bin_counts import count_numbers
from strata.models.binning.feature_bins import FeatureBins
from strata.models.samples import training
from strata.models.validation import cross_validation as validation

pytestmark = pytest.mark.oracle

FEATURES = ["whole", "level", "real", "flat"]


@pytest.fixture(scope="module")
def data(spark):
    rows = spark.range(0, 3000, 1, 3).select(
        "id",
        F.expr("int(pmod(xxhash64(id, 1), 30))").alias("whole"),
        F.expr(
            "if(id % 50 = 0, null, element_at(array('a', 'b', 'c', 'd', 'rare'), int(pmod(id, 97)) % 9 % 5 + 1))"
        ).alias("level"),
        F.expr("double(pmod(xxhash64(id, 2), 100)) / 7").alias("real"),
        F.lit(1).alias("flat"),
        F.expr("1 + id % 3").alias("weight"),
    )
    risk = F.expr("1 / (1 + exp(1.5 - whole / 15 - int(level = 'b')))")
    return rows.withColumn(
        "bad", (F.expr("pmod(xxhash64(id, 3), 1000) / 1000") < F.coalesce(risk, F.lit(0.2))).cast("int")
    ).cache()


@pytest.fixture(scope="module")
def spec():
    return ScorecardSpec("bad", FEATURES, weight="weight", special_values={"whole": [7]}, max_p_value=0.5, min_iv=0.001)


def test_scans_and_the_local_copy_give_one_scorecard(data, spec, monkeypatch):
    here = fit_scorecard(data, spec)
    monkeypatch.setattr(training, "LOCAL_ROWS", 500)
    there = fit_scorecard(data, spec)
    assert "whole" in here.features and "level" in here.features
    # At most 200 distinct values: the quantiles of the scans are the values themselves.
    assert there.binning == here.binning and there.points == here.points
    assert [v[:3] for v in there.selection] == [v[:3] for v in here.selection]
    for name, value in here.coefficients.items():
        assert there.coefficients[name] == pytest.approx(value, abs=1e-7)
        assert there.p_values[name] == pytest.approx(here.p_values[name], rel=1e-4)


def test_counts_are_those_of_plain_sql(data, spec):
    binned = fit_scorecard(data, spec).binning.features["whole"]
    data.createOrReplaceTempView("cases")
    low, *_ = binned.bins.edges
    row = data.sparkSession.sql(
        f"""SELECT sum(if(bad = 0, weight, 0)) g, sum(if(bad = 1, weight, 0)) b,
            sum(if(whole = 7, weight, 0)) special FROM cases WHERE whole < {low} AND whole <> 7 OR whole = 7"""
    ).head()
    code = binned.bins.ordinary
    assert binned.good[code] + binned.bad[code] == row["special"]
    assert binned.good[0] + binned.bad[0] == row["g"] + row["b"] - row["special"]


def test_folds_are_whole_groups_even_and_the_same_for_every_learner(data, spec, monkeypatch):
    few = data.where("id < 600").withColumn("person", F.expr("id div 3")).withColumn("weight", F.lit(1)).cache()
    options = {"group": "person", "id": "id", "folds": 3, "repeats": 2, "seed": 4}
    champion = cross_validate(few, spec, **options)
    rows = champion.predictions.toPandas()
    assert len(rows) == 1200 and rows.groupby("repeat")["id"].nunique().tolist() == [600, 600]
    assert rows.assign(person=rows["id"] // 3).groupby(["repeat", "person"])["fold"].nunique().max() == 1
    by_repeat = rows.pivot(index="id", columns="repeat", values="fold")
    assert (by_repeat[0] != by_repeat[1]).any()
    assert champion.folds["test_rows"].between(190, 210).all()

    def constant(train):
        rate = train.agg(F.avg("bad")).head()[0]
        return lambda test: test.withColumn("probability", F.lit(rate) + F.col("id") * 0)

    challenger = cross_validate(few, constant, target="bad", **options)
    theirs = challenger.predictions.toPandas()
    key = ["id", "repeat"]
    assert (rows.set_index(key).sort_index()["fold"] == theirs.set_index(key).sort_index()["fold"]).all()
    assert (challenger.folds["auc"] == 0.5).all()
    difference = paired_difference(champion, challenger)
    expected = (0.5 - champion.folds["auc"]).to_numpy()
    assert difference.interval.value == pytest.approx(expected.mean())
    ratio = (champion.folds["test_rows"] / champion.folds["train_rows"]).mean()
    half = 2.5705818 * np.sqrt((1 / 6 + ratio) * expected.var(ddof=1))
    assert difference.interval.high - difference.interval.value == pytest.approx(half, rel=1e-6)
    other = cross_validate(few, constant, target="bad", **(options | {"folds": 2}))
    with pytest.raises(ValueError, match="folds differ"):
        paired_difference(champion, other)


def test_a_spec_too_large_for_the_driver_is_validated_by_plans(data, spec, monkeypatch):
    few = data.where("id < 400").withColumn("weight", F.lit(1)).cache()
    options = {"group": "id", "folds": 2, "repeats": 1, "seed": 4}
    here = cross_validate(few, spec, **options)
    monkeypatch.setattr(validation, "LOCAL_ROWS", 100)
    there = cross_validate(few, spec, **options)
    assert there.folds["auc"].tolist() == pytest.approx(here.folds["auc"].tolist())
    assert there.folds["test_bads"].tolist() == here.folds["test_bads"].tolist()


def test_numbers_are_counted_as_their_codes_are():
    rng = np.random.default_rng(17)
    for _ in range(200):
        values = rng.choice([-np.inf, np.inf, np.nan, -0.0, 0.0, -7.0, 1.5, *rng.normal(size=4).round(1)], 60)
        edges = tuple(sorted(set(rng.choice([-1.0, 0.0, 0.5, 1.5, 2.0], rng.integers(0, 5)))))
        part = FeatureBins("x", "number", edges, specials=tuple(rng.permutation([-7.0, 0.0])[: rng.integers(0, 3)]))
        assert count_numbers(part, values).tolist() == np.bincount(part.codes(values), minlength=part.size).tolist()
