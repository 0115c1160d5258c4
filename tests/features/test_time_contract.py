"""The time contract, line by line, and its borders: each answer worked out by hand."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from strata.features import Entity, FeatureView, derived, point_in_time_join, windowed, windowed_aggregates
from strata.features.engine.compute import compute
from tests.conftest import ZONE, in_zone

pytestmark = pytest.mark.golden

EVENT = "who string, ts timestamp, known timestamp, event int, amount decimal(10,2)"
GRADE = "who string, since timestamp, until timestamp, known timestamp, grade string"


@pytest.fixture
def prague(spark):
    with in_zone(spark, "Europe/Prague"):
        yield spark


@pytest.fixture
def sao_paulo(spark):
    with in_zone(spark, "America/Sao_Paulo"):
        yield spark


def _rows(spark, columns, *rows):
    """Rows given as text, each value cast to the type of its column."""
    kinds = dict(column.split() for column in columns.split(", "))
    lines = ("(" + ", ".join("null" if value is None else f"'{value}'" for value in row) + ")" for row in rows)
    casts = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in kinds.items())
    return spark.sql(f"SELECT {casts} FROM VALUES {', '.join(lines)} AS t({', '.join(kinds)})")


def _asked(spark, *moments, kind="timestamp"):
    """A spine of customer a; ``asked`` keeps the text."""
    rows = [("a", moment, moment) for moment in moments]
    return _rows(spark, f"who string, asked string, at {kind}", *rows)


def _windows(spine, events, *, days, aggs, **clocks):
    """The windowed answers by what was asked: a value, or a tuple where several were computed."""
    found = windowed_aggregates(spine, events, key="who", at="at", event_ts="ts", days=days, aggs=aggs, **clocks)
    added = found.columns[len(spine.columns) :]
    values = {row["asked"]: tuple(row[name] for name in added) for row in found.collect()}
    return {asked: value[0] if len(added) == 1 else value for asked, value in values.items()}


def _grades(spine, grades, **clocks):
    found = point_in_time_join(spine, {"g": grades}, key="who", at="at", valid_from="since", **clocks)
    return {row["asked"]: row["g__grade"] for row in found.collect()}


# The seven lines.


def test_line_1_a_day_is_cut_at_midnight_of_the_banks_zone(spark):
    """One moment, 16:30 in Greenwich, is the next day in Shanghai and still the same day in Prague."""
    assert spark.conf.get(ZONE) == "Asia/Shanghai"
    expected = {
        "Asia/Shanghai": {"2020-01-10": 0, "2020-01-11": 1, "2020-01-12": 0},
        "Europe/Prague": {"2020-01-10": 1, "2020-01-11": 0, "2020-01-12": 0},
    }
    for zone, answers in expected.items():
        with in_zone(spark, zone):
            events = _rows(spark, EVENT, ("a", "2020-01-09 16:30:00+00:00", None, None, "1"))
            spine = _asked(spark, *answers, kind="date")
            assert _windows(spine, events, days=[1], aggs={"amount": "count"}) == answers


def test_line_2_events_count_from_just_after_they_happened_and_states_from_the_moment_on(spark):
    moments = ("2020-01-09 23:59:59.999999", "2020-01-10 00:00:00", "2020-01-10 00:00:00.000001")
    happened = [("a", "2020-01-10", "2020-01-01", None, "1")]
    learnt = [("a", "2020-01-05", "2020-01-10", None, "1")]
    for rows, answers in ((happened, (0, 0, 1)), (learnt, (0, 1, 1))):
        found = _windows(
            _asked(spark, *moments), _rows(spark, EVENT, *rows), days=[7], aggs={"amount": "count"}, known_ts="known"
        )
        assert tuple(found[moment] for moment in moments) == answers
    for since, known in (("2020-01-10", "2020-01-01"), ("2020-01-05", "2020-01-10")):
        grades = _rows(spark, GRADE, ("a", since, None, known, "A"))
        found = _grades(_asked(spark, *moments), grades, known_ts="known")
        assert tuple(found[moment] for moment in moments) == (None, "A", "A")


def test_line_2_the_same_holds_for_dates(spark):
    spine = _asked(spark, "2020-01-09", "2020-01-10", "2020-01-11", kind="date")
    events = _rows(spark, EVENT.replace("timestamp", "date"), ("a", "2020-01-10", "2020-01-10", None, "1"))
    grades = _rows(spark, GRADE.replace("timestamp", "date"), ("a", "2020-01-10", None, "2020-01-10", "A"))
    found = _windows(spine, events, days=[1], aggs={"amount": "count"}, known_ts="known")
    assert found == {"2020-01-09": 0, "2020-01-10": 0, "2020-01-11": 1}
    assert _grades(spine, grades, known_ts="known") == {"2020-01-09": None, "2020-01-10": "A", "2020-01-11": "A"}


CORRECTIONS = [
    ("a", "2020-01-02", "2020-01-02", "1", "10"),
    ("a", "2020-01-02", "2020-01-04", "1", "20"),
    ("b", "2020-01-02", "2020-01-06", "1", "20"),
    ("a", "2020-01-02", "2020-01-08", "1", "15"),
]


def test_line_3_the_latest_version_known_counts_also_when_it_was_another_customers(spark):
    asked = {"2020-01-03": 10, "2020-01-04": 20, "2020-01-05": 20, "2020-01-06": 0, "2020-01-07": 0, "2020-01-08": 15}
    spine, events = _asked(spark, *asked), _rows(spark, EVENT, *CORRECTIONS)
    assert _windows(spine, events, days=[7], aggs={"amount": "sum"}, known_ts="known", event_id="event") == asked


def test_line_3_answers_stay_however_much_arrives_later(spark):
    spine = _asked(spark, "2020-01-03", "2020-01-04", "2020-01-05")
    grades = [("a", "2020-01-01", None, "2020-01-01", "A"), ("a", "2020-01-02", None, "2020-01-03", "B")]
    later = [("a", "2020-01-02", None, "2020-01-06", "C"), ("a", "2020-01-03", None, "2020-01-06", "D")]
    sums, states = [], []
    for known in (CORRECTIONS[:2], CORRECTIONS):
        events = _rows(spark, EVENT, *known)
        sums.append(_windows(spine, events, days=[7], aggs={"amount": "sum"}, known_ts="known", event_id="event"))
    for known in (grades, grades + later):
        states.append(_grades(spine, _rows(spark, GRADE, *known), known_ts="known"))
    assert sums == [{"2020-01-03": 10, "2020-01-04": 20, "2020-01-05": 20}] * 2
    assert states == [{"2020-01-03": "B", "2020-01-04": "B", "2020-01-05": "B"}] * 2


def test_line_3_a_due_date_may_be_known_before_it_comes_and_waits_for_it(spark):
    spine = _asked(spark, "2020-01-05", "2020-01-10", "2020-01-11")
    events = _rows(spark, EVENT, ("a", "2020-01-10", "2020-01-01", None, "1"))
    grades = _rows(spark, GRADE, ("a", "2020-01-10", None, "2020-01-01", "A"))
    counts = _windows(spine, events, days=[7], aggs={"amount": "count"}, known_ts="known")
    assert counts == {"2020-01-05": 0, "2020-01-10": 0, "2020-01-11": 1}
    assert _grades(spine, grades, known_ts="known") == {"2020-01-05": None, "2020-01-10": "A", "2020-01-11": "A"}


def test_line_4_every_spine_row_comes_back_once_with_duplicates_null_keys_and_null_times(spark):
    asked = [("a", "2020-01-10"), ("a", "2020-01-10"), ("b", "2020-01-10"), (None, "2020-01-10"), ("a", None)]
    spine = _rows(spark, "who string, at timestamp", *asked, (None, None), (None, None))
    happened = [
        ("a", "2020-01-09", None, None, "1"),
        (None, "2020-01-09", None, None, "1"),
        ("a", None, None, None, "1"),
    ]
    states = [("a", "2020-01-09", None, None, "A"), (None, "2020-01-09", None, None, "B"), ("a", None, None, None, "C")]
    events, grades = _rows(spark, EVENT, *happened), _rows(spark, GRADE, *states)
    counts = windowed_aggregates(spine, events, key="who", at="at", event_ts="ts", days=[7], aggs={"amount": "count"})
    held = point_in_time_join(spine, {"g": grades}, key="who", at="at", valid_from="since")
    for answers, column, found, none in ((counts, "amount_count_7d", 1, 0), (held, "g__grade", "A", None)):
        rows = answers.selectExpr("who", "CAST(CAST(at AS date) AS string) AS day", column).collect()
        assert Counter(map(tuple, rows)) == {
            ("a", "2020-01-10", found): 2,
            ("b", "2020-01-10", none): 1,
            (None, "2020-01-10", none): 1,
            ("a", None, none): 1,
            (None, None, none): 2,
        }


def test_line_5_windows_of_a_silent_customer_fall_to_zero_step_by_step(spark):
    events = _rows(
        spark, EVENT, *(("a", f"2020-01-{day} 12:00", None, None, amount) for day, amount in (("01", "4"), ("03", "2")))
    )
    asked = [f"2020-01-{day:02}" for day in range(1, 12)]
    found = _windows(_asked(spark, *asked), events, days=[3, 7], aggs={"amount": ["sum", "count", "max"]})
    sums, wide, counts, _, highest, _ = zip(*(found[day] for day in asked))
    assert sums == (0, 4, 4, 6, 2, 2, 0, 0, 0, 0, 0)
    assert wide == (0, 4, 4, 6, 6, 6, 6, 6, 2, 2, 0)
    assert counts == (0, 1, 1, 2, 1, 1, 0, 0, 0, 0, 0)
    assert highest == (None, 4, 4, 4, 2, 2, None, None, None, None, None)


def test_line_6_missing_is_not_zero_unless_the_view_says_so(spark):
    view = FeatureView(
        name="spend",
        version=1,
        entity=Entity("customer", ("who",), "customers", "since"),
        source="events",
        items=(
            windowed("amount", aggs=["sum", "count", "mean", "min", "max", "last"], days=[7]),
            windowed("ts", aggs=["max"], days=[7], label="seen", intermediate=True),
            derived("recency", "datediff(:at, spend_seen_max_7d)", unit="days"),
            derived("mean_or_zero", "coalesce(spend_amount_mean_7d, 0)"),
        ),
        description="spending",
        owner="tests",
        purposes=("testing",),
        event_ts="ts",
    )
    events = _rows(spark, EVENT, ("a", "2020-01-03", None, None, "4"))
    found = compute(view, _asked(spark, "2020-01-09", "2020-01-11"), events).collect()
    assert {row["asked"]: tuple(row)[3:] for row in found} == {
        "2020-01-09": (4, 1, 4, 4, 4, 4, 6, 4),
        "2020-01-11": (0, 0, None, None, None, None, None, 0),
    }


def test_line_7_money_is_decimal_and_no_sum_is_a_difference_of_sums(spark):
    cents = [("a", f"2020-01-0{day}", None, None, "0.10") for day in (4, 5, 6, 7, 8, 9)]
    events = _rows(spark, EVENT, *cents)
    found = _windows(_asked(spark, "2020-01-10"), events, days=[3, 6], aggs={"amount": "sum"})
    assert found == {"2020-01-10": (Decimal("0.30"), Decimal("0.60"))}
    # As a difference the small window would have lost its quarter beside the large amount.
    doubles = _rows(
        spark, "who string, ts timestamp, x double", ("a", "2020-01-05", "1e17"), ("a", "2020-01-09", "0.25")
    )
    assert _windows(_asked(spark, "2020-01-10"), doubles, days=[3, 6], aggs={"x": "sum"}) == {
        "2020-01-10": (0.25, 1e17)
    }


# Borders of days and zones.


def test_the_first_hour_of_a_day_is_kept_and_the_next_midnight_is_not(spark):
    hours = ("2020-01-09 00:00:00", "2020-01-09 00:30:00", "2020-01-09 23:59:59.999999", "2020-01-10 00:00:00")
    events = _rows(spark, EVENT, *(("a", hour, None, None, "1") for hour in hours))
    asked = {"2020-01-09": 0, "2020-01-09 00:45:00": 2, "2020-01-10": 3, "2020-01-10 00:00:00.000001": 3}
    assert _windows(_asked(spark, *asked), events, days=[1], aggs={"amount": "count"}) == asked


def test_in_the_hour_that_comes_twice_time_still_goes_one_way(prague):
    first, second = "1994-09-25 02:30:00+02:00", "1994-09-25 02:30:00+01:00"
    events = _rows(prague, EVENT, ("a", first, first, None, "1"), ("a", second, second, None, "1"))
    grades = _rows(prague, GRADE, ("a", first, None, first, "A"), ("a", second, None, second, "B"))
    asked = [f"1994-09-25 02:{time}" for time in ("15:00+02:00", "45:00+02:00", "15:00+01:00", "45:00+01:00")]
    counts = _windows(_asked(prague, *asked), events, days=[1], aggs={"amount": "count"}, known_ts="known")
    assert [counts[moment] for moment in asked] == [0, 1, 1, 2]
    held = _grades(_asked(prague, *asked), grades, known_ts="known")
    assert [held[moment] for moment in asked] == [None, "A", "A", "B"]


def _hours(spark, first, last):
    return spark.sql(
        f"""SELECT 'a' AS who, ts, CAST(1 AS decimal(10,2)) AS amount FROM (SELECT explode(sequence(
            TIMESTAMP'{first} 00:30:00', TIMESTAMP'{last} 00:30:00', INTERVAL 1 HOUR)) AS ts)"""
    )


def test_days_without_and_with_two_last_hours_follow_each_other_without_gap(sao_paulo):
    """2018-02-17 had its hour from 23 twice; asked at midnights, each hour falls in one day."""
    asked = {"2018-02-17": 24, "2018-02-18": 25, "2018-02-19": 24}
    events = _hours(sao_paulo, "2018-02-16", "2018-02-20")
    for kind in ("date", "timestamp"):
        assert _windows(_asked(sao_paulo, *asked, kind=kind), events, days=[1], aggs={"amount": "count"}) == asked


def test_a_date_whose_midnight_does_not_exist_asks_for_whole_days(sao_paulo):
    """2017-10-15 began at 1; its window of a day is the whole 14th, from midnight, and so are longer ones."""
    asked = {"2017-10-14": (24, 48), "2017-10-15": (24, 48), "2017-10-16": (23, 47), "2017-10-17": (24, 47)}
    events = _hours(sao_paulo, "2017-10-10", "2017-10-18")
    assert _windows(_asked(sao_paulo, *asked, kind="date"), events, days=[1, 2], aggs={"amount": "count"}) == asked


# States: gaps, ends, tolerance, keys.


def test_between_two_states_there_is_none(spark):
    grades = _rows(
        spark, GRADE, ("a", "2020-01-02", "2020-01-05", None, "A"), ("a", "2020-01-08", "2020-01-08", None, "never"),
        ("a", "2020-01-09", None, None, "B"),
    )  # fmt: skip
    asked = {"2020-01-01": None, "2020-01-02": "A", "2020-01-04 23:59:59.999999": "A", "2020-01-05": None}
    asked |= {"2020-01-08": None, "2020-01-08 12:00:00": None, "2020-01-09": "B", "2030-01-01": "B"}
    assert _grades(_asked(spark, *asked), grades, valid_to="until") == asked


def test_an_end_learnt_later_ends_a_state_only_from_then_on(spark):
    grades = _rows(
        spark, GRADE, ("a", "2020-01-02", None, "2020-01-02", "A"), ("a", "2020-01-02", "2020-01-04", "2020-01-06", "A")
    )
    asked = {"2020-01-03": "A", "2020-01-05": "A", "2020-01-06": None}
    assert _grades(_asked(spark, *asked), grades, valid_to="until", known_ts="known") == asked


def test_hours_of_tolerance_are_elapsed_time_across_both_changes_of_clocks(prague):
    grades = _rows(
        prague, GRADE, ("a", "1994-03-27 01:00", None, None, "spring"), ("a", "1994-09-25 01:00", None, None, "autumn")
    )
    asked = {"1994-03-27 05:00:00": "spring", "1994-03-27 05:00:00.000001": None}
    asked |= {"1994-09-25 03:00:00": "autumn", "1994-09-25 03:00:00.000001": None}
    assert _grades(_asked(prague, *asked), grades, tolerance=timedelta(hours=3)) == asked


def test_days_and_hours_of_tolerance_are_counted_back_from_the_moment(prague):
    """A day back from 6:00 on the 28th is 6:00 on the 27th, and five hours before that is its midnight, at 0 + 1."""
    grades = _rows(prague, GRADE, ("a", "1994-03-27 00:00", None, None, "A"))
    asked = {"1994-03-28 06:00:00": "A", "1994-03-28 06:00:00.000001": None}
    assert _grades(_asked(prague, *asked), grades, tolerance=timedelta(days=1, hours=5)) == asked


def test_a_key_with_one_part_missing_matches_nothing(spark):
    columns = "who string, branch int, at timestamp"
    keys = [("a", "1"), ("a", None), (None, "1")]
    spine = _rows(spark, columns, *((*key, "2020-01-10") for key in keys))
    rows = _rows(spark, columns, *((*key, "2020-01-09") for key in keys)).withColumnRenamed("at", "ts")
    counts = windowed_aggregates(
        spine, rows, key=["who", "branch"], at="at", event_ts="ts", days=[7], aggs={"ts": "count"}
    )
    held = point_in_time_join(spine, {"g": rows}, key=["who", "branch"], at="at", valid_from="ts")
    assert {(row["who"], row["branch"]): row["ts_count_7d"] for row in counts.collect()} == {
        ("a", 1): 1,
        ("a", None): 0,
        (None, 1): 0,
    }
    assert [row["who"] for row in held.where("g__ts IS NOT NULL").collect()] == ["a"]
    assert held.count() == 3
