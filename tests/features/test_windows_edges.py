"""Edges of windowed aggregates, each with its answer written down."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pyspark.sql import functions as F

from strata.features import FeatureError, FeatureTypeError, windowed_aggregates
from tests.conftest import in_zone

pytestmark = pytest.mark.golden

EVENTS = "id long, ts timestamp, known timestamp, event long, amount decimal(18,2)"


@pytest.fixture
def prague(spark):
    with in_zone(spark, "Europe/Prague"):
        yield spark


def _at(spark, *moments, kind="timestamp"):
    rows = [(1, moment) for moment in moments]
    return spark.createDataFrame(rows, "id long, moment string").withColumn("at", F.col("moment").cast(kind))


def _events(spark, *rows):
    """Rows of (ts text, known text, event id, amount)."""
    filled = [(1, ts, known, event, None if amount is None else Decimal(amount)) for ts, known, event, amount in rows]
    raw = spark.createDataFrame(filled, "id long, t string, k string, event long, amount decimal(18,2)")
    return raw.select("id", F.to_timestamp("t").alias("ts"), F.to_timestamp("k").alias("known"), "event", "amount")


def test_windows_calendar_days_across_both_changes_of_daylight_saving(prague):
    # [at - 1 d, at) is 23 hours long on 1994-03-27 and 25 on 1994-09-25.
    ticks = prague.sql(
        """SELECT 1L AS id, explode(sequence(TIMESTAMP'1994-03-26 00:00:00', TIMESTAMP'1994-03-29 00:00:00',
           INTERVAL 1 HOUR)) AS ts UNION ALL SELECT 1L, explode(sequence(TIMESTAMP'1994-09-24 00:00:00',
           TIMESTAMP'1994-09-27 00:00:00', INTERVAL 1 HOUR))"""
    ).withColumn("amount", F.lit(1).cast("decimal(18,2)"))
    expected = {"1994-03-27": 24, "1994-03-28": 23, "1994-09-25": 24, "1994-09-26": 25}
    for kind in ("date", "timestamp"):
        found = windowed_aggregates(
            _at(prague, *expected, kind=kind),
            ticks,
            key="id",
            at="at",
            event_ts="ts",
            days=[1],
            aggs={"amount": ["count"]},
        )
        assert {row["moment"]: row["amount_count_1d"] for row in found.collect()} == expected


def test_windows_are_closed_at_the_start_and_open_at_the_end(spark):
    events = _events(
        spark,
        ("2020-01-02 23:59:59.999999", None, 1, "1"),
        ("2020-01-03 00:00:00", None, 2, "10"),
        ("2020-01-09 23:59:59.999999", None, 3, "100"),
        ("2020-01-10 00:00:00", None, 4, "1000"),
    )
    found = windowed_aggregates(_at(spark, "2020-01-10"), events, key="id", at="at", event_ts="ts", days=[7])
    row = found.first()
    assert row["amount_sum_7d"] == Decimal("110.00")
    assert row["amount_last_7d"] == Decimal("100.00")


def test_windows_an_event_known_at_the_very_moment_counts_and_later_does_not(spark):
    events = _events(spark, ("2020-01-08", "2020-01-10", 1, "1"), ("2020-01-08", "2020-01-10 00:00:00.000001", 2, "10"))
    found = windowed_aggregates(
        _at(spark, "2020-01-10"), events, key="id", at="at", event_ts="ts", known_ts="known", aggs={"amount": ["sum"]}
    )
    assert found.first()["amount_sum_7d"] == Decimal("1.00")


def test_windows_late_corrections_replace_also_when_they_move_the_event(spark):
    events = _events(
        spark,
        ("2020-01-08", "2020-01-08", 1, "5"),
        ("2020-01-08", "2020-01-12", 1, "7"),
        ("2020-01-09", "2020-01-09", 2, "100"),
        ("2019-06-01", "2020-01-12", 2, "100"),
        ("2020-01-09", "2020-01-09", 3, "1000"),
        (None, "2020-01-12", 3, "1000"),
    )
    found = windowed_aggregates(
        _at(spark, "2020-01-11", "2020-01-12"),
        events,
        key="id",
        at="at",
        event_ts="ts",
        known_ts="known",
        event_id="event",
        aggs={"amount": ["sum", "count"]},
    )
    answers = {row["moment"]: (row["amount_sum_7d"], row["amount_count_7d"]) for row in found.collect()}
    assert answers == {"2020-01-11": (Decimal("1105.00"), 3), "2020-01-12": (Decimal("7.00"), 1)}


def test_windows_missing_is_not_zero(spark):
    spine = _at(spark, "2020-01-10", "2020-01-10", None).unionByName(
        spark.sql("SELECT CAST(null AS bigint) AS id, '2020-01-11' AS moment, TIMESTAMP'2020-01-11' AS at")
    )
    events = _events(spark, ("2020-01-09", None, 1, None), (None, None, 2, "5"))
    found = windowed_aggregates(spine, events, key="id", at="at", event_ts="ts").collect()
    assert len(found) == 4
    for row in found:
        for days in (7, 30):
            zeros = [row[f"amount_{agg}_{days}d"] for agg in ("sum", "count", "distinct")]
            assert zeros == [Decimal(0), 0, 0]
            assert [row[f"amount_{agg}_{days}d"] for agg in ("mean", "max", "min", "last")] == [None] * 4


def test_windows_decimals_stay_decimal(spark):
    events = _events(
        spark, *[("2020-01-09", None, n, "0.10") for n in range(3)], ("2020-01-09", None, 9, "9999999999999999.99")
    )
    found = windowed_aggregates(_at(spark, "2020-01-10"), events, key="id", at="at", event_ts="ts", days=[7])
    kinds = {field.name: field.dataType.simpleString() for field in found.schema.fields}
    assert kinds["amount_sum_7d"] == "decimal(28,2)"
    assert kinds["amount_mean_7d"] == "decimal(22,6)"
    assert kinds["amount_last_7d"] == kinds["amount_max_7d"] == "decimal(18,2)"
    assert found.first()["amount_sum_7d"] == Decimal("10000000000000000.29")


def test_windows_last_settles_ties_by_known_then_value(spark):
    rows = [
        ("2020-01-09", "2020-01-09", 1, "9"),
        ("2020-01-09", "2020-01-10", 2, "3"),
        ("2020-01-09", "2020-01-10", 3, "4"),
    ]
    arguments = {"key": "id", "at": "at", "event_ts": "ts", "days": [7], "aggs": {"amount": ["last"]}}
    spine, events = _at(spark, "2020-01-10"), _events(spark, *rows, ("2020-01-09 12:00:00", "2020-01-09", 4, None))
    assert windowed_aggregates(spine, events, **arguments).first()["amount_last_7d"] == 9
    assert windowed_aggregates(spine, events, known_ts="known", **arguments).first()["amount_last_7d"] == 4


def test_windows_distinct_counts_nan_and_the_two_zeros_once(spark):
    events = spark.sql(
        """SELECT 1L AS id, TIMESTAMP'2020-01-09' AS ts,
           explode(array(0.0D, -0.0D, double('NaN'), double('NaN'), null)) AS x"""
    )
    found = windowed_aggregates(
        _at(spark, "2020-01-10"), events, key="id", at="at", event_ts="ts", days=[7], aggs={"x": ["distinct", "count"]}
    ).first()
    assert (found["x_distinct_7d"], found["x_count_7d"]) == (2, 4)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"days": [0]}, FeatureError, "days: 0 is no window"),
        ({"days": 7}, FeatureTypeError, "days: a list"),
        ({"days": [7.5]}, FeatureTypeError, "days: whole numbers"),
        ({"days": []}, FeatureError, "days: at least one"),
        ({"aggs": {"amount": ["median"]}}, FeatureError, "aggs: 'median' is unknown; there are: sum"),
        ({"aggs": {"nothing": ["sum"]}}, FeatureError, "aggs: events has no column 'nothing'"),
        ({"aggs": {"ts": ["sum"]}}, FeatureTypeError, "aggs: sum needs a number, but column 'ts'"),
        ({"aggs": {}}, FeatureError, "aggs: at least one"),
        ({"aggs": ["sum"]}, FeatureTypeError, "aggs: a dict"),
        ({"event_ts": "amount"}, FeatureTypeError, "event_ts: column 'amount' of events is decimal"),
        ({"event_id": "event"}, FeatureError, "event_id: .* pass known_ts"),
        ({"key": []}, FeatureError, "key: at least one"),
        ({"at": "moment"}, FeatureTypeError, "at: column 'moment' of spine is string"),
        ({"events": None}, FeatureTypeError, "events: a Spark DataFrame"),
    ],
)
def test_windows_refuse_bad_arguments_in_one_sentence(spark, change, error, words):
    arguments = {
        "events": _events(spark, ("2020-01-09", None, 1, "1")),
        "key": "id",
        "at": "at",
        "event_ts": "ts",
        **change,
    }
    with pytest.raises(error, match=words) as raised:
        windowed_aggregates(_at(spark, "2020-01-10"), arguments.pop("events"), **arguments)
    assert "\n" not in str(raised.value)


def test_windows_refuse_a_column_that_is_there_already(spark):
    spine = _at(spark, "2020-01-10").withColumn("amount_sum_7d", F.lit(1))
    with pytest.raises(FeatureError, match="spine: column 'amount_sum_7d' would be added"):
        windowed_aggregates(spine, _events(spark, ("2020-01-09", None, 1, "1")), key="id", at="at", event_ts="ts")
