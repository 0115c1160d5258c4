"""A view's ``prepare`` makes each row of that row alone: what looks at other rows is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import pandas as pd
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType

from strata.conf.tables import ALL
from strata.features import Entity, FeatureError, FeatureView, compute, windowed
from strata.features.engine.compute import plan_passes
from strata.features.engine.row_wise import operation_across_rows
from strata.features.views import account_views, customer_views
from tests.conftest import in_zone

Prepare = Callable[[DataFrame], DataFrame]
PAID = "person_id long, event_ts timestamp, amount double, parts array<double>"
PERSON = Entity("person", ("person_id",), "person", "event_ts")
VIEW = FeatureView(
    name="paying", version=1, entity=PERSON, source="paid", items=(windowed("amount", aggs=["sum"], days=[30]),),
    description="…", owner="tests", purposes=("fraud",), event_ts="event_ts",
)  # fmt: skip


@pytest.fixture(autouse=True)
def zone(spark) -> Iterator[None]:
    with in_zone(spark, "Asia/Shanghai"):
        yield


@pytest.fixture
def paid(spark) -> DataFrame:
    days = [(1, datetime(2024, 1, day), float(day), [1.0, 2.0]) for day in (1, 2, 3)]
    return spark.createDataFrame(days, PAID).where("amount > 0").groupBy("person_id", "event_ts").agg(
        F.max("amount").alias("amount"), F.first("parts").alias("parts")
    )  # fmt: skip


@F.udf(DoubleType())
def doubled(amount: float) -> float:
    return 2 * amount


@F.pandas_udf(DoubleType())
def ranked(amount: pd.Series) -> pd.Series:
    return amount.rank()


def in_pandas(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    yield from batches


OFFENDING: dict[str, Prepare] = {
    "Window": lambda rows: rows.withColumn("amount", F.expr("amount - avg(amount) OVER (PARTITION BY person_id)")),
    "Aggregate": lambda rows: rows.groupBy("person_id", "event_ts").agg(F.sum("amount").alias("amount")),
    "Join": lambda rows: rows.join(rows.groupBy("person_id").agg(F.max("amount").alias("most")), "person_id"),
    "Deduplicate": lambda rows: rows.withColumn("amount", F.lit(1.0)).dropDuplicates(["person_id"]),
    "GlobalLimit": lambda rows: rows.orderBy("event_ts").limit(1),
    "Sample": lambda rows: rows.sample(0.5, seed=1),
    "Union": lambda rows: rows.union(rows),
    "Except": lambda rows: rows.subtract(rows.where("amount > 2")),
    "MapInPandas": lambda rows: rows.mapInPandas(in_pandas, rows.schema),
    "pandas_udf": lambda rows: rows.withColumn("amount", 1 + ranked("amount")),
    "random or unrepeatable expression": lambda rows: rows.where(F.rand(1) < 0.5),
    "another table": lambda rows: rows.sparkSession.range(3).selectExpr(
        "id AS person_id", "CURRENT_TIMESTAMP AS event_ts", "1.0D AS amount"
    ),
}


@pytest.mark.parametrize("operation", OFFENDING)
def test_a_prepare_that_looks_at_other_rows_is_refused_by_name(spark, paid, operation):
    view = replace(VIEW, prepare=OFFENDING[operation])
    spine = spark.sql("SELECT 1L AS person_id, DATE '2024-01-03' AS at")
    said = (
        f"view paying: prepare looks at other rows by {operation}, which could let in what was known later; make each"
    )
    with pytest.raises(FeatureError, match=said):
        compute(view, spine, paid)


def test_a_subquery_in_an_expression_is_refused(spark, paid):
    paid.createOrReplaceTempView("paid_by_all")
    rows = paid.withColumn("amount", F.expr("amount / (SELECT max(amount) FROM paid_by_all)"))
    assert operation_across_rows(paid, rows) == "subquery"
    spark.catalog.dropTempView("paid_by_all")


@pytest.mark.parametrize(
    "prepare",
    [
        lambda rows: rows,
        lambda rows: rows.withColumn("amount", F.col("amount") + 1).where("amount > 2").drop("parts"),
        lambda rows: rows.select("*", F.explode("parts").alias("part")).alias("one").hint("rebalance"),
        lambda rows: rows.withColumn("amount", doubled("amount")).repartition("person_id").sort("event_ts"),
    ],
)
def test_a_prepare_of_own_rows_passes_whatever_the_source_is_made_by(paid, prepare):
    assert operation_across_rows(paid, prepare(paid)) is None


def test_a_declared_reason_lets_it_pass_and_is_no_part_of_the_definition(spark, paid):
    usual = replace(VIEW, prepare=OFFENDING["Window"])
    declared = replace(usual, prepare_across_rows="amounts are published against the mean of a closed year")
    spine = spark.sql("SELECT 1L AS person_id, DATE '2024-01-03' AS at")
    assert compute(declared, spine, paid).first()["paying_amount_sum_30d"] == -1.0
    assert declared.definition_hash == usual.definition_hash
    both = (declared, replace(usual, name="other"))
    assert len(plan_passes([feature for view in both for feature in view.features], both)[0]) == 2


@pytest.mark.parametrize("given", [{"prepare_across_rows": "why"}, {"prepare": ranked, "prepare_across_rows": " "}])
def test_a_reason_without_words_or_prepare_is_refused(given):
    with pytest.raises(FeatureError, match="view paying: prepare_across_rows is the reason why prepare may look at"):
        replace(VIEW, **given)


def test_the_shipped_views_make_each_row_of_that_row_alone(spark):
    views = [view for view in (*account_views(), *customer_views()) if view.prepare]
    assert len(views) >= 5 and not any(view.prepare_across_rows for view in views)
    for view in views:
        fields = ", ".join(f"`{column.name}` {column.type}" for column in ALL[view.source].columns)
        source = spark.createDataFrame([], fields)
        assert operation_across_rows(source, view.prepare(source)) is None, view.name
