"""How often each table is scanned and shuffled, whatever the number of tables, windows and aggregates."""

from __future__ import annotations

import re

import pytest

from strata.features import point_in_time_join, windowed_aggregates


@pytest.fixture
def static_plans(spark):
    """Tables big enough for Spark not to broadcast them, and plans that are final before they run."""
    settings = {"spark.sql.adaptive.enabled": "false", "spark.sql.autoBroadcastJoinThreshold": "-1"}
    before = {name: spark.conf.get(name) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    yield spark
    for name, value in before.items():
        spark.conf.set(name, value)


def _plan(frame) -> str:
    return frame._jdf.queryExecution().executedPlan().toString()


def _shuffles(plan: str) -> int:
    return len(re.findall(r"\bExchange\b", plan))


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


def test_features_any_number_of_state_tables_take_one_shuffle(static_plans, tmp_path):
    spine, events, states = _tables(static_plans, tmp_path)
    looked_up = point_in_time_join(
        spine, {"a": events, "b": states, "c": states}, key="key", at="ts", valid_from="ts", known_ts="ts"
    )
    plan = _plan(looked_up)
    assert _shuffles(plan) == 1
    assert len(re.findall("FileScan", plan)) == 4
    assert "Join" not in plan


@pytest.mark.parametrize("days", [[7], [7, 30, 90]])
def test_features_windows_of_whole_numbers_take_one_shuffle_and_no_join(static_plans, tmp_path, days):
    spine, events, _ = _tables(static_plans, tmp_path)
    aggs = {"amount": ["sum", "count", "mean", "max", "min", "last"], "n": ["bits"]}
    asked = {"key": "key", "at": "ts", "event_ts": "ts", "known_ts": "ts", "days": days, "aggs": aggs}
    plan = _plan(windowed_aggregates(spine, events, **asked))
    assert _shuffles(plan) == 1
    assert len(re.findall("FileScan", plan)) == 2
    assert len(re.findall(r"\bSort\b", plan)) == 1
    assert not re.search("Join|Window|Aggregate", plan)
    assert _shuffles(_plan(windowed_aggregates(spine, events, event_id="n", **asked))) == 2


@pytest.mark.parametrize("days", [[7], [7, 30, 90]])
@pytest.mark.parametrize("aggs", [["sum", "distinct"], ["sum", "distinct", "last", "mean"]])
def test_features_windows_shuffle_events_once_whatever_is_asked(static_plans, tmp_path, days, aggs):
    spine, events, _ = _tables(static_plans, tmp_path)
    asked = {"key": "key", "at": "ts", "event_ts": "ts", "known_ts": "ts", "days": days, "aggs": {"amount": aggs}}
    plan = _plan(windowed_aggregates(spine, events, **asked))
    assert _shuffles(plan) == 4
    assert len(re.findall("FileScan", plan)) == 3
    assert not re.search("Cartesian|NestedLoop", plan)
    # The last of a window is found by rank: its sort is the one that the join needs.
    assert ("Window" in plan) == ("last" in aggs)
    assert len(re.findall(r"\bSort\b", plan)) == 4
    assert _shuffles(_plan(windowed_aggregates(spine, events, event_id="n", **asked))) == 5
