"""How often each table is scanned and shuffled, whatever the number of tables, windows and aggregates."""

from __future__ import annotations

import re

import pytest
from pyspark.sql import functions as F

from strata.features import point_in_time_join, windowed_aggregates
from strata.features.engine.aggregates import Measure
from strata.features.engine.windows import aggregate_windows
from tests.plans import count, plan_of, static_plans


@pytest.fixture(autouse=True)
def static(spark):
    with static_plans(spark):
        yield


def _tables(spark, folder):
    for name, seconds in (("spine", 86_400), ("events", 3_600), ("states", 7_200)):
        rows = spark.range(200).selectExpr(
            "id % 7 AS key",
            f"timestamp_seconds(id * {seconds}) AS ts",
            "id AS n",
            "CAST(id AS decimal(18,2)) AS amount",
        )
        rows.write.parquet(f"{folder}/{name}")
    return [spark.read.parquet(f"{folder}/{name}") for name in ("spine", "events", "states")]


def test_features_any_number_of_state_tables_take_one_shuffle(spark, tmp_path):
    spine, events, states = _tables(spark, tmp_path)
    looked_up = point_in_time_join(
        spine, {"a": events, "b": states, "c": states}, key="key", at="ts", valid_from="ts", known_ts="ts"
    )
    plan = plan_of(looked_up)
    assert count(plan, "Exchange") == 1
    assert count(plan, "FileScan") == 4
    assert "Join" not in plan


@pytest.mark.parametrize("days", [[7], [7, 30, 90]])
def test_features_windows_take_one_shuffle_and_no_join(spark, tmp_path, days):
    spine, events, _ = _tables(spark, tmp_path)
    events = events.selectExpr("*", "CAST(n AS string) AS text", "n / 7 AS ratio")
    aggs = {
        "amount": ["sum", "count", "mean", "max", "min", "last"], "n": ["bits"], "text": ["new", "distinct", "max"],
        "ratio": ["sum", "std"],
    }  # fmt: skip
    asked = {"key": "key", "at": "ts", "event_ts": "ts", "known_ts": "ts", "days": days, "aggs": aggs}
    plan = plan_of(windowed_aggregates(spine, events, **asked))
    assert count(plan, "Exchange") == 1
    assert count(plan, "FileScan") == 2
    assert count(plan, "Sort") == 1
    assert not re.search("Join|Window|Aggregate", plan)
    assert count(plan_of(windowed_aggregates(spine, events, event_id="n", **asked)), "Exchange") == 2


@pytest.mark.parametrize("days", [[7], [7, 30, 90]])
@pytest.mark.parametrize("aggs", [["sum", "distinct"], ["sum", "distinct", "last", "mean"]])
def test_features_windows_by_a_join_shuffle_events_once_whatever_is_asked(spark, tmp_path, days, aggs):
    spine, events, _ = _tables(spark, tmp_path)
    spine = spine.withColumn("list", F.array())
    asked = {"key": "key", "at": "ts", "event_ts": "ts", "known_ts": "ts", "days": days, "aggs": {"amount": aggs}}
    plan = plan_of(windowed_aggregates(spine, events, **asked))
    assert count(plan, "Exchange") == 4
    assert count(plan, "FileScan") == 3
    assert not re.search("Cartesian|NestedLoop", plan)
    # The last of a window is found by rank: its sort is the one that the join needs.
    assert ("Window" in plan) == ("last" in aggs)
    assert count(plan, "Sort") == 4
    assert count(plan_of(windowed_aggregates(spine, events, event_id="n", **asked)), "Exchange") == 5


@pytest.mark.parametrize("event_id", [None, "n"])
def test_features_tiles_add_no_shuffle(spark, tmp_path, event_id):
    spine, events, _ = _tables(spark, tmp_path)
    spine = spine.withColumns({"ts": F.to_date("ts"), "list": F.array()})
    measures = [Measure(f"{agg}_{days}d", "amount", agg, days) for agg in ("sum", "distinct") for days in (7, 90)]
    asked = {"key": "key", "at": "ts", "event_ts": "ts", "known_ts": "ts", "event_id": event_id, "measures": measures}
    plan = plan_of(aggregate_windows(spine, events, tiled=True, **asked))
    assert count(plan, "Exchange") == (5 if event_id else 4)
    assert count(plan, "FileScan") == 3
    assert not re.search("Cartesian|NestedLoop", plan)
