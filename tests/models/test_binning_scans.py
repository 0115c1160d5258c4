"""Edges from first rows, and one scan that counts: against pandas, on sorted data, on texts of many levels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from strata.models.binning import spark_counts as counting_spark
from strata.models.binning.woe_binning import BinningRules, bin_rows
from strata.models.samples import training, training_spark
from strata.models.samples.training_rows import source
from strata.models.samples.training_spark import SparkTraining, first_rows, is_unlike
from tests.plans import plan_of

pytestmark = pytest.mark.oracle

NAMES = ["real", "coin", "few", "many", "empty"]


def made(seed, rows=6000):
    """A number with a special value, one of two values, a text of 6 levels, one of 3,000, one never filled."""
    rng = np.random.default_rng(seed)
    real = np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows).round(2))
    real[rng.random(rows) < 0.1] = -9
    few = np.array(["a", "b", "c", "d", "e", None], dtype=object)[rng.integers(0, 6, rows)]
    many = np.where(rng.random(rows) < 0.5, "common", rng.integers(0, 3000, rows).astype(str)).astype(object)
    risk = 1 / (1 + np.exp(1.5 - np.nan_to_num(real) / 4 - (few == "a")))
    columns = {"real": real, "coin": rng.integers(0, 2, rows).astype(float), "few": few, "many": many}
    bad = (rng.random(rows) < risk).astype(int)
    vintage = rng.choice(["2023", "2024", "2025"], rows)
    return pd.DataFrame(columns | {"bad": bad, "w": rng.integers(1, 4, rows).astype(float), "vintage": vintage})


@pytest.fixture(scope="module")
def table(spark, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("scans") / "table")
    frame = made(3)
    schema = "real double, coin double, few string, many string, bad int, w double, vintage string"
    rows = spark.createDataFrame(frame.replace({np.nan: None}), schema).withColumn("empty", F.lit(None).cast("double"))
    rows.repartition(3).write.parquet(path)
    return spark.read.parquet(path)


def in_scans(monkeypatch, data, **given):
    """The training set as if it were too large for the driver."""
    monkeypatch.setattr(training, "LOCAL_ROWS", 100)
    return training.training(source(data, "bad", given.pop("features", NAMES), **given))


@pytest.mark.parametrize(
    ("width", "given"), [(90, {}), (2, {"period": "vintage"}), (2, {"weight": "w", "period": "vintage"})]
)
def test_counts_are_those_of_pandas(table, monkeypatch, given, width):
    monkeypatch.setattr(counting_spark, "COLUMNS_AT_ONCE", width)
    rows = in_scans(monkeypatch, table, special_values={"real": [-9], "few": ["b"]}, **given)
    frame = table.toPandas()
    weight = frame["w"] if "weight" in given else pd.Series(1.0, frame.index)
    period = frame["vintage"] if "period" in given else pd.Series("", frame.index)
    counted = rows.pre_bins(0.05, lambda bins: bins)
    assert [part.bins.feature for part in counted] == NAMES
    for bins, counts in counted:
        values = frame[bins.feature].astype(float if bins.kind == "number" else object)
        cells = pd.DataFrame({"p": period, "c": bins.codes(values), "b": frame["bad"], "w": weight})
        expected = np.zeros(counts.shape)
        for (p, code, bad), sums in cells.groupby(["p", "c", "b"])["w"].sum().items():
            expected[rows.totals.periods.index(p), code, bad] = sums
        np.testing.assert_array_equal(counts, expected, err_msg=bins.feature)
    real, _, few, many, empty = (part.bins for part in counted)
    assert len(real.edges) > 100 and few.groups == (("a",), ("c",), ("d",), ("e",)) and empty.edges == ()
    assert many.groups == (("common",),) and many.rest is None


def test_the_look_at_the_first_rows_ends_before_python(table, monkeypatch):
    """A limit behind Python ends the task while its reader runs, which killed the JVM on plain doubles."""
    monkeypatch.setattr(training_spark, "FIRST_ROWS", 1_500)
    first = first_rows(table.selectExpr("real AS f0", "coin AS f1"), [0, 1])
    plan = plan_of(first)
    assert "GlobalLimit 1500" in plan.split("MapInArrow")[1] and "Limit" not in plan.split("MapInArrow")[0]
    pieces = [np.frombuffer(row.matrix).reshape(2, -1) for row in first.collect()]
    assert [piece.shape[1] for piece in pieces] == [1_000, 500]
    reals = np.concatenate(pieces, axis=1)[0]
    assert set(reals[~np.isnan(reals)]) <= set(table.toPandas()["real"].dropna())


def test_edited_bins_are_counted_as_they_are(table, monkeypatch):
    monkeypatch.setattr(training_spark, "is_unlike", lambda *_: True)
    rows = in_scans(monkeypatch, table, features=["real", "few"])
    binning = bin_rows(rows, BinningRules(splits={"real": [0.5], "few": [["a", "b"], ["c"]]}))
    frame = table.toPandas()
    real, few = binning.table("real"), binning.table("few")
    assert real["count"].tolist() == [
        (frame["real"] < 0.5).sum(),
        (frame["real"] >= 0.5).sum(),
        frame["real"].isna().sum(),
    ]
    ab, unseen = frame["few"].isin(["a", "b"]).sum(), frame["few"].isin(["d", "e"]).sum()
    assert few["count"].tolist() == [ab, (frame["few"] == "c").sum(), frame["few"].isna().sum(), unseen]


@pytest.mark.parametrize("by", ["x", "bad"])
def test_sorted_data_end_with_bins_as_good_as_by_a_random_sample(spark, monkeypatch, by):
    rows = spark.range(0, 40_000, 1, 4).select(
        *[F.expr(f"pmod(xxhash64(id, {i}), 100000) / 100000").alias(name) for i, name in enumerate("xyz")],
        F.expr("pmod(xxhash64(id, 9), 1000) / 1000 as u"),
    )
    risk = F.expr("1 / (1 + exp(3 - 4 * abs(x - 0.3) - y))")
    data = rows.withColumn("bad", (F.col("u") < risk).cast("int")).orderBy(by).drop("u").persist()
    monkeypatch.setattr(training_spark, "SAMPLE_ROWS", 4_000)
    rules, sampled = BinningRules(trend="none"), []
    again = SparkTraining._sample
    monkeypatch.setattr(SparkTraining, "_sample", lambda self, numbers: sampled.append(numbers) or again(self, numbers))
    ours = bin_rows(in_scans(monkeypatch, data, features=["x", "y", "z"]), rules)
    assert sampled == [[0] if by == "x" else []], "only the column that the data are sorted by is read again"
    monkeypatch.setattr(training_spark, "is_unlike", lambda *_: True)
    theirs = bin_rows(in_scans(monkeypatch, data, features=["x", "y", "z"]), rules)
    data.unpersist()
    assert ours.iv["x"] > 0.1
    for name in ("x", "y"):
        assert ours.iv[name] == pytest.approx(theirs.iv[name], rel=0.01), name


def test_what_the_first_rows_are_unlike():
    edges = tuple(np.arange(1.0, 100.0))
    bins = training_spark.FeatureBins("x", "number", edges)
    rng = np.random.default_rng(2)
    head, whole = rng.uniform(0, 100, 2_000), rng.uniform(0, 100, 100_000)

    def counts(values):
        found = np.histogram(values, [-np.inf, *edges, np.inf])[0]
        return np.stack([np.append(found, 0), np.zeros(bins.size)], axis=1).ravel().astype(float)

    tied = np.concatenate([whole, np.full(60_000, 50.0)])
    assert not is_unlike(head, bins, counts(whole))
    assert not is_unlike(np.concatenate([head, np.full(1_200, 50.0)]), bins, counts(tied))
    assert is_unlike(head, bins, counts(tied)) and is_unlike(head / 4, bins, counts(whole / 4 + 75))
    assert is_unlike(np.array([]), bins, counts(whole))


def test_only_plain_scans_of_columns_are_read_in_parts(spark, table, tmp_path):
    table.select("bad", "coin").write.csv(str(tmp_path / "csv"), header=True)
    table.select("bad", "coin").write.format("delta").save(str(tmp_path / "delta"))
    plain = counting_spark.scans_columns
    assert plain(table.select("real")) and plain(table.where("bad = 1").select((F.col("coin") + 1).alias("c")))
    assert plain(spark.read.format("delta").load(str(tmp_path / "delta")).select("coin"))
    assert not plain(spark.read.csv(str(tmp_path / "csv"), header=True).select("coin"))
    assert not plain(table.join(table.select("few").distinct(), "few", "inner").select("real"))
    assert not plain(table.groupBy("few").count()) and not plain(spark.range(5).toDF("x"))
    cached = table.groupBy("few").count().persist()
    assert plain(cached.select("count"))
    cached.unpersist()
