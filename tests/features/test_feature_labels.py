"""Labels from behaviour: golden cases, random records against brute force, one shuffle a table, refusals."""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from strata.features import FeatureError, FeatureTypeError
from strata.features.outcomes.performance_labels import STATES, LabelSpec, label, maturity
from tests.conftest import in_zone
from tests.plans import count, plan_of, static_plans

pytestmark = pytest.mark.oracle

ZONE = ZoneInfo("Europe/Prague")
RECORDS = "case int, who string, as_of_date timestamp, days_past_due int, known_ts timestamp"
UNTIL = datetime(2022, 5, 31, 12, tzinfo=ZONE)


@pytest.fixture(autouse=True)
def prague(spark):
    with in_zone(spark, str(ZONE)):
        yield


def _spec(**changes):
    return LabelSpec(**{"name": "bad", "key": "loan", "bad_dpd": 90, "window_months": 3, **changes})


# Observed on 31 January, watched until 30 April, known until 15 May: records of (day, days past due, known).
GOLDEN = {
    "never late": ([("02-28", 0), ("03-31", 0)], "good"),
    "bad": ([("02-28", 30), ("04-30", 90)], "bad"),
    "cured again": ([("02-28", 90), ("03-31", 0)], "bad"),
    "in between": ([("02-28", 30), ("03-31", 89)], "indeterminate"),
    "hardly late": ([("02-28", 29)], "good"),
    "late at the observation": ([("01-31", 60), ("02-28", 0)], "good"),
    "bad at the observation": ([("01-31", 90), ("02-28", 0)], "excluded"),
    "bad before the observation": ([("01-01", 120)], "excluded"),
    "bad before and cured": ([("01-01", 120), ("01-30", 0), ("02-28", 0)], "good"),
    "bad after the window": ([("02-28", 0), ("05-01", 90)], "good"),
    "nobody looked": ([("01-31", 0), ("05-01", 0)], "unknown"),
    "known too late": ([("03-31", 0), ("04-30", 90, "05-16")], "good"),
    "restated": ([("03-31", 90, "04-01"), ("03-31", 0, "04-20")], "good"),
    "restated too late": ([("03-31", 90, "04-01"), ("03-31", 0, "05-20")], "bad"),
    "withdrawn": ([("03-31", 90, "04-01"), ("03-31", None, "04-02")], "unknown"),
    "two versions at once": ([("03-31", 0, "04-01"), ("03-31", 90, "04-01")], "bad"),
}


def test_labels_golden_cases(spark):
    records = [
        (loan, f"2023-{row[0]}", row[1], f"2023-{row[-1] if len(row) == 3 else row[0]}")
        for loan, (rows, _) in GOLDEN.items()
        for row in rows
    ]
    rows = spark.createDataFrame(records, "loan string, as_of_date string, days_past_due int, known_ts string")
    rows = rows.selectExpr("loan", "date(as_of_date) AS as_of_date", "days_past_due", "timestamp(known_ts) AS known_ts")
    spine = spark.createDataFrame([(loan, date(2023, 1, 31)) for loan in GOLDEN], "loan string, at date")
    found = label(spine, rows, _spec(indeterminate_dpd=30), at="at", known_until=date(2023, 5, 15))
    found = found.withColumns({name: found[name].cast("string") for name in ("bad_from", "bad_to")}).collect()
    assert {row["loan"]: row["bad_state"] for row in found} == {loan: want for loan, (_, want) in GOLDEN.items()}
    for row in found:
        assert row["bad"] == {"bad": 1, "good": 0}.get(row["bad_state"])
        assert (row["bad_from"], row["bad_to"]) == ("2023-01-31 00:00:00", "2023-04-30 00:00:00")


def _moment(rng, missing=0.05):
    """Around month ends and the two changes of the clock, coarse, so that ties with a window's ends are common."""
    if rng.random() < missing:
        return None
    day = rng.choice(
        [date(2021, 10, 30), date(2021, 10, 31), date(2021, 12, 31), date(2022, 1, 31), date(2022, 2, 28),
         date(2022, 3, 27), date(2022, 3, 28), date(2022, 3, 31), date(2022, 4, 30), date(2022, 5, 31)]
    )  # fmt: skip
    wall = datetime(day.year, day.month, day.day, rng.choice([0, 0, 0, 12, 23]), tzinfo=ZONE)
    return wall.astimezone(UTC)


def _record(rng, case):
    day = _moment(rng)
    known = None if day is None or rng.random() < 0.05 else day + timedelta(days=rng.choice([0, 0, 1, 30, 90]))
    return case, rng.choice(["a", "a", "b", None]), day, rng.choice([None, 0, 0, 0, 10, 30, 60, 90, 120]), known


def _bounds(at, spec):
    starts = pd.Timestamp(at).tz_convert(ZONE) + pd.DateOffset(days=spec.gap_days)
    return starts, starts + pd.DateOffset(months=spec.window_months or 0, days=spec.window_days or 0)


def _known(who, records):
    """Days past due by day, in the version known last, the worst of several."""
    versions = {}
    for _, owner, day, dpd, known in records:
        if owner == who and day is not None and known is not None and known <= UNTIL:
            versions.setdefault(day, []).append((known, -1 if dpd is None else dpd))
    latest = {day: max(found)[1] for day, found in versions.items()}
    return {day: dpd for day, dpd in latest.items() if dpd >= 0}


def _expected(row, records, spec):
    _, who, at = row
    if at is None:
        return "unknown", None, None
    starts, ends = _bounds(at, spec)
    known = _known(who, records)
    before = [day for day in known if day <= at]
    inside = [dpd for day, dpd in known.items() if starts < day <= ends]
    if who is None:
        state = "unknown"
    elif before and known[max(before)] >= spec.bad_dpd:
        state = "excluded"
    elif spec.early_bads and inside and max(inside) >= spec.bad_dpd:
        state = "bad"
    elif ends > UNTIL:
        state = "immature"
    elif not inside:
        state = spec.silent
    elif max(inside) >= spec.bad_dpd:
        state = "bad"
    else:
        between = spec.indeterminate_dpd is not None and max(inside) >= spec.indeterminate_dpd
        state = "indeterminate" if between else "good"
    return state, starts, ends


@pytest.fixture(scope="module")
def random_cases():
    rng = random.Random(17)
    records = [_record(rng, case) for case in range(700) for _ in range(rng.randrange(10))]
    spine = []
    for case in range(700):
        row = (case, rng.choice(["a", "a", "b", "c", None]), _moment(rng))
        spine += [row] * rng.choice([1, 1, 2]) + [(case, "a", _moment(rng))]
    return spine, records


@pytest.mark.parametrize(
    "changes",
    [
        {"window_months": 3, "indeterminate_dpd": 30},
        {"window_months": 1, "gap_days": 1, "silent": "good"},
        {"window_days": 57, "gap_days": 3, "indeterminate_dpd": 60},
        {"window_months": 5, "indeterminate_dpd": 30, "early_bads": True},
    ],
)
def test_labels_agree_with_brute_force(spark, random_cases, changes):
    spec = LabelSpec(**{"name": "bad", "key": ("case", "who"), "bad_dpd": 90, **changes})
    spine_rows, records = random_cases
    spine = spark.createDataFrame(
        [(n, *row) for n, row in enumerate(spine_rows)], "row long, case long, who string, at timestamp"
    )
    # Whole times of day, as instants: what collect gives back would be read in the machine's zone.
    found = label(spine, spark.createDataFrame(records, RECORDS), spec, at="at", known_until=UNTIL)
    assert found.columns == [*spine.columns, "bad", "bad_state", "bad_from", "bad_to"]
    times = {name: f"unix_seconds({name}) AS {name}" for name in ("bad_from", "bad_to")}
    answers = found.selectExpr(*(times.get(name, name) for name in found.columns)).collect()
    assert sorted(row["row"] for row in answers) == list(range(len(spine_rows)))
    by_case = {}
    for record in records:
        by_case.setdefault(record[0], []).append(record)
    seen = Counter()
    for got in answers:
        row = spine_rows[got["row"]]
        state, *bounds = _expected(row, by_case.get(row[0], []), spec)
        assert got["bad_state"] == state, (row, by_case.get(row[0]))
        assert got["bad"] == {"bad": 1, "good": 0}.get(state)
        assert [got["bad_from"], got["bad_to"]] == [bound and int(bound.timestamp()) for bound in bounds]
        seen[state] += 1
    wanted = set(STATES) - ({"indeterminate"} if spec.indeterminate_dpd is None else set())
    assert all(seen[state] >= 20 for state in wanted), seen


def test_labels_shuffle_each_table_once(spark):
    rows = spark.range(50).selectExpr(
        "id AS loan", "date'2023-01-31' AS as_of_date", "0 AS days_past_due", "timestamp_seconds(id) AS known_ts"
    )
    found = label(rows.select("loan", "as_of_date"), rows, _spec(), at="as_of_date", known_until=date(2024, 1, 1))
    with static_plans(spark):
        plan = plan_of(found)
    assert count(plan, "Exchange") == count(plan, "Range") == 2


def test_labels_maturity_counts_by_month(spark):
    moments = [date(2023, 1, 31), date(2023, 2, 1), date(2023, 2, 28), date(2023, 2, 28), date(2023, 3, 1), None]
    spine = spark.createDataFrame([(moment,) for moment in moments], "at date")
    found = maturity(spine, _spec(gap_days=1), at="at", known_until=date(2023, 5, 31)).collect()
    # A day after 28 February is 1 March, so its three months end on 1 June.
    assert {row["observed_month"]: (row["rows"], row["mature"]) for row in found} == {
        date(2023, 1, 1): (1, 1),
        date(2023, 2, 1): (3, 1),
        date(2023, 3, 1): (1, 0),
        None: (1, 0),
    }


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"name": "Bad"}, FeatureError, "name: 'Bad' is no label name; use small letters"),
        ({"window_days": 30}, FeatureError, "label bad: give window_months or window_days, one of them"),
        ({"window_months": None}, FeatureError, "label bad: give window_months or window_days, one of them"),
        ({"window_months": 0}, FeatureError, "label bad: window_months is at least 1, not 0"),
        ({"gap_days": None}, FeatureTypeError, "label bad: gap_days is a whole number, not None"),
        ({"bad_dpd": 90.0}, FeatureTypeError, "label bad: bad_dpd is a whole number, not 90.0"),
        ({"indeterminate_dpd": 90}, FeatureError, "label bad: indeterminate_dpd 90 is not below bad_dpd 90; lower it"),
        ({"silent": "bad"}, FeatureError, "label bad: silent is 'unknown' or 'good', not 'bad'"),
        ({"key": []}, FeatureError, "key: at least one column, each once, is expected, not []"),
    ],
)
def test_labels_refuse_contradicting_rules(change, error, message):
    with pytest.raises(error, match=re.escape(message)):
        _spec(**change)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"spec": _spec(dpd="ratio")}, FeatureTypeError, "dpd: column 'ratio' of delinquencies is double; whole days"),
        ({"spec": _spec(day="ratio")}, FeatureTypeError, "day: column 'ratio' of delinquencies is double; a date or"),
        ({"spec": _spec(key="case")}, FeatureError, "key: spine has no column 'case'; there are: loan, at, taken"),
        ({"spec": _spec(name="taken")}, FeatureError, "spine: column 'taken' would be added but is there already"),
        ({"at": "loan"}, FeatureTypeError, "at: column 'loan' of spine is int; a date or timestamp is expected"),
        ({"known_until": 2024}, FeatureTypeError, "known_until: a date or datetime is expected, not int"),
    ],
)
def test_labels_refusals_name_the_argument(spark, change, error, message):
    spine = spark.sql("SELECT 1 AS loan, date'2023-01-31' AS at, 0 AS taken")
    rows = spark.sql("SELECT 1 AS loan, now() AS as_of_date, 0 AS days_past_due, now() AS known_ts, 0.5D AS ratio")
    asked = {"spec": _spec(), "at": "at", "known_until": date(2024, 1, 1), **change}
    with pytest.raises(error, match=re.escape(message)):
        label(spine, rows, asked.pop("spec"), **asked)
