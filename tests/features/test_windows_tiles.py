"""Daily tiles give the answers of rows, also with late, moved and replaced events and where a midnight is skipped."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import functions as F

from strata.features import FeatureTypeError
from strata.features.engine.aggregates import AGGREGATES, Measure
from strata.features.engine.windows import aggregate_windows
from tests.conftest import in_zone

pytestmark = pytest.mark.oracle

# São Paulo's clocks went from midnight to one o'clock on 2017-10-15.
ZONES = [("Europe/Prague", datetime(1994, 3, 20)), ("America/Sao_Paulo", datetime(2017, 10, 8))]
CLOCKS = "who long, event_ts timestamp, known_ts timestamp, event_id long"
EVENTS = f"{CLOCKS}, amount decimal(12,2), weight double, tag string, month long"


@pytest.fixture(params=ZONES, ids=[name for name, _ in ZONES])
def zoned(request, spark):
    with in_zone(spark, request.param[0]):
        yield spark, ZoneInfo(request.param[0]), request.param[1]


def _events(rng, zone, start):
    rows = []
    for _ in range(3_000):
        wall = start + timedelta(days=rng.randrange(20), hours=rng.choice([0, 0, 1, 2, 9, 23]))
        moment = wall.replace(tzinfo=zone).astimezone(UTC)
        known = moment + timedelta(hours=rng.choice([-30, 0, 0, 1, 20, 60]))
        amount = rng.choice([None, Decimal("-3.10"), Decimal("2.25"), Decimal(rng.randrange(10**10)) / 100])
        weight = rng.choice([None, -0.0, 0.0, float("nan"), 1e6 + rng.random()])
        identity = rng.choice([None, rng.randrange(900)])
        values = (amount, weight, rng.choice("xyz"), rng.choice([None, 0, *range(64)]))
        rows.append((rng.choice([*range(40), None]), moment, known, identity, *values))
    return rows


def _same(one, two):
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=1e-7, abs_tol=1e-9) or (math.isnan(one) and math.isnan(two))
    return one == two


@pytest.mark.parametrize("event_id", [None, "event_id"])
def test_windows_by_tiles_are_those_by_rows(zoned, event_id):
    spark, zone, start = zoned
    rng = random.Random(5)
    events = spark.createDataFrame(_events(rng, zone, start), EVENTS)
    days = [(start + timedelta(days=n)).date() for n in range(22)]
    asked = [(n, who, day) for n, (who, day) in enumerate((w, d) for w in [*range(42), None] for d in [*days, None])]
    spine = spark.createDataFrame(asked, "row long, who long, at date")
    numeric = [agg for agg in AGGREGATES if agg != "bits"]
    measures = [Measure(f"amount_{agg}_{d}", "amount", agg, d) for agg in numeric for d in (1, 3, 9)]
    measures += [Measure(f"weight_{agg}_{d}", "weight", agg, d) for agg in numeric for d in (1, 9)]
    measures += [Measure(f"month_{agg}_{d}", "month", agg, d) for agg in AGGREGATES for d in (1, 9)]
    measures += [Measure(f"tag_{agg}", "tag", agg, 4) for agg in ("count", "distinct", "last", "min")]
    # A list can't travel through Arrow, so that a join has to answer, by tiles.
    answers = [
        aggregate_windows(
            rows, events, key="who", at="at", event_ts="event_ts", known_ts="known_ts", event_id=event_id,
            measures=measures, tiled=True,
        ).drop("list").orderBy("row").collect()
        for rows in (spine, spine.withColumn("list", F.array()))
    ]  # fmt: skip
    assert len(answers[0]) == len(answers[1]) == len(asked)
    for by_rows, by_tiles in zip(*answers, strict=True):
        for name in by_rows.asDict():
            assert _same(by_rows[name], by_tiles[name]), (name, by_rows, by_tiles)
    assert sum(row["amount_count_3"] > 1 for row in answers[0]) > 300


def test_windows_by_tiles_refuse_times(spark):
    spine = spark.sql("SELECT 1L AS who, timestamp '2020-01-01 00:00:00' AS at")
    events = spark.sql("SELECT 1L AS who, timestamp '2020-01-01 00:00:00' AS ts, 1 AS n")
    with pytest.raises(FeatureTypeError, match="at: tiles answer for dates alone"):
        aggregate_windows(
            spine, events, key="who", at="at", event_ts="ts", measures=[Measure("n", "n", "sum", 1)], tiled=True
        )
