"""Edges of the as-of lookup, each with its answer written down."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from pyspark.sql import functions as F

from strata.features import FeatureError, FeatureTypeError, point_in_time_join, unusable_rows
from tests.conftest import in_zone

pytestmark = pytest.mark.golden


@pytest.fixture
def prague(spark):
    with in_zone(spark, "Europe/Prague"):
        yield spark


def _limits(spark, rows, columns="id long, since date, until date, limit decimal(10,2)"):
    return spark.createDataFrame(rows, columns)


def test_asof_an_ended_state_uncovers_no_older_one(spark):
    limits = _limits(
        spark, [(1, date(2020, 1, 1), None, None), (1, date(2020, 2, 1), date(2020, 3, 1), None)]
    ).withColumn("limit", F.dayofmonth("since"))
    days = [date(2019, 12, 31), date(2020, 1, 1), date(2020, 2, 29), date(2020, 3, 1)]
    spine = spark.createDataFrame([(1, day) for day in days], "id long, at date")
    found = point_in_time_join(spine, {"l": limits}, key="id", at="at", valid_from="since", valid_to="until")
    answers = {row["at"]: row["l__since"] for row in found.collect()}
    assert answers == dict(zip(days, [None, date(2020, 1, 1), date(2020, 2, 1), None]))


def test_asof_tolerance_is_inclusive_and_counts_calendar_days(prague):
    # 1994-03-27 has 23 hours, 1994-09-25 has 25.
    limits = _limits(prague, [(1, date(1994, 3, 26), None, None), (2, date(1994, 9, 24), None, None)])
    spine = prague.createDataFrame(
        [
            (1, "1994-03-28 00:00:00"),
            (1, "1994-03-28 00:00:01"),
            (2, "1994-09-26 00:00:00"),
            (2, "1994-09-26 00:00:01"),
        ],
        "id int, moment string",
    ).withColumn("at", F.to_timestamp("moment"))
    found = point_in_time_join(
        spine, {"l": limits}, key="id", at="at", valid_from="since", tolerance=timedelta(days=2)
    ).collect()
    assert {row["moment"][-1:] + str(row["id"]): row["l__since"] is not None for row in found} == {
        "01": True,
        "11": False,
        "02": True,
        "12": False,
    }


def test_asof_the_latest_known_version_of_a_start_wins_even_if_an_older_start_was_learnt_later(spark):
    columns = "id long, since timestamp, known timestamp, grade string"
    day = lambda n: datetime(2020, 1, n)  # noqa: E731
    grades = spark.createDataFrame(
        [(1, day(1), day(1), "a"), (1, day(5), day(6), "b"), (1, day(5), day(8), "b2"), (1, day(3), day(9), "late")],
        columns,
    )
    spine = spark.createDataFrame([(1, day(n)) for n in (5, 6, 7, 8, 20)], "id long, at timestamp")
    found = point_in_time_join(spine, {"g": grades}, key="id", at="at", valid_from="since", known_ts="known")
    assert {row["at"].day: row["g__grade"] for row in found.collect()} == {5: "a", 6: "b", 7: "b", 8: "b2", 20: "b2"}


def test_asof_ties_go_to_sequence_then_known_then_the_last_of_all_columns(spark):
    day = datetime(2020, 1, 1)
    rows = [
        ("sequence", 2, datetime(2019, 1, 1), "high sequence"),
        ("sequence", 1, day, "low sequence"),
        ("known", 1, datetime(2019, 1, 1), "old"),
        ("known", 1, day, "new"),
        ("columns", 1, day, "a"),
        ("columns", 1, day, "b"),
        ("columns", 1, day, None),
    ]
    states = spark.createDataFrame(rows, "id string, seq int, known timestamp, note string")
    states = states.withColumn("since", F.lit(day))
    spine = states.select("id").distinct().withColumn("at", F.lit(day))
    found = point_in_time_join(
        spine, {"s": states}, key="id", at="at", valid_from="since", known_ts="known", sequence="seq"
    )
    answers = {row["id"]: row["s__note"] for row in found.collect()}
    assert answers == {"sequence": "high sequence", "known": "new", "columns": "b"}


def test_asof_keeps_each_spine_row_and_odd_columns(spark):
    spine = spark.sql(
        """SELECT * FROM VALUES (1L, DATE'2020-01-02', map('k', 1)), (1L, DATE'2020-01-02', map('k', 1)),
           (null, DATE'2020-01-02', null), (1L, null, null) AS t(`a.b`, at, extras)"""
    )
    states = spark.sql("SELECT 1 AS `a.b`, DATE'2020-01-01' AS since, array(1, 2) AS things, null + 1.5 AS `x y`")
    found = point_in_time_join(spine, {"s": states}, key="a.b", at="at", valid_from="since")
    assert found.columns == ["a.b", "at", "extras", "s__a.b", "s__since", "s__things", "s__x y"]
    rows = sorted(
        (row["at"] is not None, row["a.b"] or 0, row["s__things"] or [], row["extras"]) for row in found.collect()
    )
    assert rows == [(False, 1, [], None), (True, 0, [], None), (True, 1, [1, 2], {"k": 1}), (True, 1, [1, 2], {"k": 1})]


def test_asof_counts_rows_that_can_never_match(spark):
    rows = [(1, date(2020, 1, 1), None, None), (None, date(2020, 1, 1), None, None), (1, None, None, None)]
    assert unusable_rows(_limits(spark, rows), key="id", times=["since"]) == 2


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"states": []}, FeatureTypeError, "states: a dict"),
        ({"states": {}}, FeatureError, "states: at least one"),
        ({"spine": "nothing"}, FeatureTypeError, "spine: a Spark DataFrame"),
        ({"key": "nobody"}, FeatureError, "key: spine has no column 'nobody'"),
        ({"at": "id"}, FeatureTypeError, "at: column 'id' of spine is bigint"),
        ({"valid_from": "from"}, FeatureError, r"valid_from: states\['l'\] has no column 'from'"),
        ({"known_ts": "limit"}, FeatureTypeError, "known_ts: column 'limit'"),
        ({"valid_to": "gone"}, FeatureError, "valid_to: "),
        ({"sequence": "seq"}, FeatureError, "sequence: "),
        ({"tolerance": 3}, FeatureTypeError, "tolerance: a timedelta"),
        ({"tolerance": timedelta(days=-1)}, FeatureError, "tolerance: .* negative"),
    ],
)
def test_asof_refuses_bad_arguments_in_one_sentence(spark, change, error, words):
    arguments = {
        "spine": spark.createDataFrame([(1, date(2020, 1, 1))], "id long, at date"),
        "states": {"l": _limits(spark, [(1, date(2020, 1, 1), None, None)])},
        "key": "id",
        "at": "at",
        "valid_from": "since",
        **change,
    }
    with pytest.raises(error, match=words) as raised:
        point_in_time_join(arguments.pop("spine"), arguments.pop("states"), **arguments)
    assert "\n" not in str(raised.value)


def test_asof_refuses_keys_of_two_types_and_taken_names(spark):
    spine = spark.createDataFrame([("1", date(2020, 1, 1), 5)], "id string, at date, l__limit int")
    limits = _limits(spark, [(1, date(2020, 1, 1), None, None)])
    with pytest.raises(FeatureTypeError, match=r"key: column 'id' is string in spine and bigint in states\['l'\]"):
        point_in_time_join(spine, {"l": limits}, key="id", at="at", valid_from="since")
    with pytest.raises(FeatureError, match="spine: column 'l__limit' would be added"):
        point_in_time_join(spine.withColumn("id", F.lit(1)), {"l": limits}, key="id", at="at", valid_from="since")
