"""What a store says of a spine: rows that repeat, leaks of what comes later, until when labels are known."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from datetime import date, datetime

import pytest
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from strata.features import (
    Entity,
    FeatureError,
    FeatureStore,
    FeatureView,
    FeatureWarning,
    LabelSpec,
    Link,
    derived,
    label,
    maturity,
    state,
    windowed,
)
from tests.conftest import in_zone

PERSON = Entity("person", ("person_id",), "person", "event_ts", "known_ts")
POSTING = "posting_id long, account_id long, event_ts timestamp, known_ts timestamp, amount double"


class Tables:
    """Tables in memory, all of one version."""

    def __init__(self, **tables: DataFrame):
        self.tables = tables

    def read(self, name: str, version: int | None = None) -> DataFrame:
        return self.tables[name]

    def version(self, name: str) -> int | None:
        return 0 if name in self.tables else None


def against_the_usual(postings: DataFrame) -> DataFrame:
    """Leaky on purpose: an account's usual amount is taken from the whole table, whatever comes later."""
    usual = F.avg("amount").over(Window.partitionBy("account_id"))
    return postings.withColumn("amount", F.col("amount") - usual)


OWNER = Link("holder", (("account_id", "account_id"),), ("person_id",))
COMMON = {"version": 1, "entity": PERSON, "description": "…", "owner": "tests", "purposes": ("fraud",)}
PAYING = FeatureView(
    name="paying", source="posting", event_ts="event_ts", known_ts="known_ts", event_id=("posting_id", "person_id"),
    links=(OWNER,), items=(windowed("amount", aggs=["sum", "count"], days=[30]),), **COMMON,
)  # fmt: skip
LEAKY = replace(
    PAYING, name="leaky", prepare=against_the_usual, prepare_across_rows="so that the leakage check has a leak to find"
)
RATED = FeatureView(
    name="rated", source="rating", valid_from="event_ts", known_ts="known_ts", items=(state("grade"),), **COMMON
)
MIXED = FeatureView(
    name="mixed", source="", over=(PAYING, RATED),
    items=(derived("both", "rated_grade * paying_amount_sum_30d"),), **COMMON,
)  # fmt: skip


@pytest.fixture(autouse=True)
def zone(spark):
    with in_zone(spark, "Asia/Shanghai"):
        yield


@pytest.fixture(scope="module")
def store(spark) -> FeatureStore:
    with in_zone(spark, "Asia/Shanghai"):
        postings = [
            (n, n % 3, datetime(2024, 1, 1 + n % 28, 10), datetime(2024, 1, 2 + n % 28, 6), float(n)) for n in range(60)
        ]
        tables = Tables(
            posting=spark.createDataFrame(postings, POSTING),
            holder=spark.sql(
                "SELECT id AS account_id, id + 10 AS person_id, TIMESTAMP '2023-01-01' AS known_ts FROM range(3) "
                "UNION ALL SELECT 1L, 10L, TIMESTAMP '2024-01-20'"
            ),
            rating=spark.sql(
                "SELECT id + 10 AS person_id, 2.0D AS grade, TIMESTAMP '2024-01-05' AS event_ts, "
                "TIMESTAMP '2024-01-06' AS known_ts FROM range(3) "
                "UNION ALL SELECT 10L, 4.0D, TIMESTAMP '2024-01-16', TIMESTAMP '2024-01-18'"
            ),
        )
    return FeatureStore(spark, tables, views=(PAYING, LEAKY, RATED, MIXED))


def _spine(spark, *rows: tuple[int | None, str | None]) -> DataFrame:
    return spark.createDataFrame(list(rows), "person_id long, day string").selectExpr(
        "person_id", "CAST(day AS date) AS at"
    )


def test_rows_that_repeat_an_entity_and_time_are_counted_in_a_warning(spark, store):
    spine = _spine(
        spark, (10, "2024-01-15"), (10, "2024-01-15"), (10, "2024-01-15"), (10, "2024-01-16"), (11, "2024-01-15"),
        (None, "2024-01-15"), (None, "2024-01-15"), (12, None), (12, None),
    )  # fmt: skip
    words = "spine: 2 of 5 rows repeat the person_id and at of another; each is answered"
    with pytest.warns(FeatureWarning, match=re.escape(words)):
        assert store.training_set(spine, "rated_*", purpose="fraud").count() == 9
    with warnings.catch_warnings():
        warnings.simplefilter("error", FeatureWarning)
        assert store.training_set(spine.distinct(), "rated_*", purpose="fraud").count() == 5


def test_the_store_knows_the_clocks_for_a_leakage_check(spark, store):
    spine = _spine(spark, *((who, day) for who in (10, 11, 12) for day in ("2024-01-10", "2024-01-15")), (None, None))
    report = store.leakage_check(spine, ["paying_*", "rated_*", "mixed_*"])
    assert report.ok, report.changed
    assert report.rows == 6 and report.removed > 20 and report.planted > 20
    leaks = store.leakage_check(spine, ["paying_*", "leaky_amount_sum_30d"])
    assert set(leaks.changed) == {"leaky_amount_sum_30d"}
    earlier = store.leakage_check(spine, "rated_*", moment=datetime(2024, 1, 10))
    assert earlier.ok and earlier.rows == 3
    with pytest.raises(FeatureError, match="spine: no row has person_id, at, so there is nothing to check"):
        store.leakage_check(_spine(spark, (None, "2024-01-10")), "rated_*")


def test_views_that_read_a_table_by_different_clocks_are_checked_apart(spark, store):
    other = replace(RATED, name="other", valid_from="known_ts")
    both = FeatureStore(spark, store._tables, views=(RATED, other))
    with pytest.raises(FeatureError, match="features: table rating is read by event_ts and by known_ts; check these"):
        both.leakage_check(_spine(spark, (10, "2024-01-10")), "*")


def test_labels_take_as_of_for_the_day_until_which_they_are_known(spark):
    spine = _spine(spark, (1, "2024-01-01"), (2, "2024-01-01"))
    records = spark.sql(
        "SELECT 1L AS person_id, DATE '2024-01-20' AS as_of_date, 95 AS days_past_due, DATE '2024-01-21' AS known_ts "
        "UNION ALL SELECT 2L, DATE '2024-01-20', 0, DATE '2024-03-15'"
    )
    spec = LabelSpec("bad", "person_id", bad_dpd=90, window_days=30)
    for day in (date(2024, 1, 25), date(2024, 2, 20), date(2024, 4, 1)):
        one = label(spine, records, spec, at="at", as_of=day).collect()
        two = label(spine, records, spec, at="at", known_until=day).collect()
        assert sorted(one) == sorted(two)
    assert maturity(spine, spec, at="at", as_of=date(2024, 4, 1)).first()["mature"] == 2
    for given in ({}, {"as_of": date(2024, 1, 1), "known_until": date(2024, 1, 1)}):
        with pytest.raises(FeatureError, match="known_until: give the day up to which outcomes are known"):
            label(spine, records, spec, at="at", **given)
