"""Windows without a join: why they may need one, sums that depend on no order, and what is new."""

from __future__ import annotations

import math
import random
import re
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.features import EVER, Entity, FeatureError, FeatureStore, FeatureView, compute, windowed
from strata.features import windowed_aggregates as windows
from strata.features.views.common import since_first
from tests.conftest import in_zone

CLOCKS = {"key": "who", "at": "at", "event_ts": "event_ts", "known_ts": "known_ts"}
WHO = Entity("person", ("who",), "person", "event_ts")
PAID = "who long, paid_to string, event_ts timestamp, known_ts timestamp"


@pytest.fixture(autouse=True)
def zone(spark):
    with in_zone(spark, "Asia/Shanghai"):
        yield


def _day(number: int) -> datetime:
    return datetime.fromordinal(date(2024, 1, 1).toordinal() + number)


@pytest.fixture
def paid(spark) -> DataFrame:
    """A is paid on day 1, which became known on day 50; A and B on day 40, known at once."""
    rows = [(1, "A", _day(1), _day(50)), (1, "A", _day(40), _day(40)), (1, "B", _day(40), _day(40))]
    return spark.createDataFrame(rows, PAID)


def _view(*items, **more) -> FeatureView:
    given = {"source": "paid", "event_ts": "event_ts", "known_ts": "known_ts", **more}
    return FeatureView(
        name="paying", version=1, entity=WHO, items=items, description="…", owner="tests", purposes=("fraud",), **given
    )


def test_what_is_new_and_when_it_was_first_seen_respect_known_times(spark, paid):
    view = _view(
        windowed("paid_to", aggs=("new", "distinct"), days=(30,)),
        windowed("paid_to", label="ever", aggs=("distinct",), days=(EVER,)),
        *since_first("paying", "since_first", "days since the first payment ever"),
    )
    asked = [(1, _day(number).date()) for number in (45, 55, 75)] + [(2, _day(55).date())]
    spine = spark.createDataFrame(asked, "who long, at date")
    names = [feature.name for feature in view.features]
    assert names == [
        "paying_paid_to_new_30d_cnt", "paying_paid_to_distinct_30d_cnt", "paying_ever_distinct_ever_cnt",
        "paying_since_first_days",
    ]  # fmt: skip
    answers = [(2, 2, 2, 5), (1, 2, 2, 54), (0, 0, 2, 74), (0, 0, 0, None)]
    # A list can't travel through Arrow, so that a join has to answer.
    for rows in (spine, spine.withColumn("list", F.array())):
        found = compute(view, rows, paid).orderBy("who", "at").select(names).collect()
        assert [tuple(row) for row in found] == answers


def test_rows_known_late_change_no_earlier_answer(spark):
    rng = random.Random(3)
    rows = [
        (rng.randrange(3), rng.choice("ABCDE"), _day(happened), _day(happened + rng.choice([0, 0, 1, 40])))
        for happened in (rng.randrange(100) for _ in range(120))
    ]
    spine = spark.createDataFrame([(who, _day(60)) for who in range(3)], "who long, at timestamp")
    until = [row for row in rows if row[3] <= _day(60)]
    assert len(until) < len(rows) - 20
    asked = {**CLOCKS, "days": (7, 30, EVER), "aggs": {"paid_to": ["new", "distinct"], "event_ts": ["min"]}}
    answers = [sorted(windows(spine, spark.createDataFrame(some, PAID), **asked).collect()) for some in (until, rows)]
    assert answers[0] == answers[1]
    for who, *_ in answers[0]:
        mine = [row for row in until if row[0] == who and row[2] < _day(60)]
        seen = {row[1] for row in mine if row[2] < _day(30)}
        found = next(row for row in answers[0] if row["who"] == who)
        assert found["paid_to_new_30d"] == len({row[1] for row in mine if row[2] >= _day(30)} - seen)
        assert found["event_ts_min_ever"] == min(row[2] for row in mine)


def test_sums_of_doubles_depend_on_no_order_and_are_rounded_once(spark):
    rng = random.Random(1)
    values = [rng.choice([0.1, 1e17, -1e17, 3.3, 2.0**-40, 7e5]) * rng.random() for _ in range(300)]
    spine = spark.createDataFrame([(1, _day(9))], "who long, at timestamp")
    asked = {**CLOCKS, "known_ts": None, "days": (4, 20), "aggs": {"value": ["sum", "mean", "std"]}}
    found = set()
    for parts in (1, 3, 7):
        rng.shuffle(values)
        rows = [(1, _day(5), value) for value in values]
        events = spark.createDataFrame(rows, "who long, event_ts timestamp, value double").repartition(parts)
        found.add(tuple(windows(spine, events, **asked).first())[2:])
    ((short_sum, long_sum, short_mean, long_mean, short_std, long_std),) = found
    assert short_sum == long_sum == math.fsum(values)
    assert short_mean == long_mean == math.fsum(values) / 300
    assert short_std == long_std > 0


def test_rates_of_six_decimals_are_exact(spark):
    rng = random.Random(2)
    values = [Decimal(rng.randrange(-(10**18) + 1, 10**18)).scaleb(-6) for _ in range(200)]
    rows = [(1, _day(5), value) for value in values]
    events = spark.createDataFrame(rows, "who long, event_ts timestamp, rate decimal(18,6)")
    spine = spark.createDataFrame([(1, _day(9))], "who long, at timestamp")
    asked = {**CLOCKS, "known_ts": None, "days": (20,), "aggs": {"rate": ["sum", "max", "min", "mean", "last"]}}
    whole = sum(values)
    mean = (whole / 200).quantize(Decimal(1).scaleb(-10), ROUND_HALF_UP)
    for one in (spine, spine.withColumn("list", F.array())):
        found = windows(one, events, **asked).drop("list").first()
        assert tuple(found)[2:] == (whole, max(values), min(values), mean, max(values))


def test_infinite_and_missing_doubles_are_what_a_sum_of_doubles_makes_of_them(spark):
    nan, inf = math.nan, math.inf
    cases = {1: [1.0, inf], 2: [inf, -inf], 3: [nan, 1.0], 4: [-inf], 5: [None, 2.5], 6: [1e308, 1e308], 7: [None]}
    rows = [(who, _day(5), value) for who, values in cases.items() for value in values]
    events = spark.createDataFrame(rows, "who long, event_ts timestamp, value double")
    spine = spark.createDataFrame([(who, _day(9)) for who in cases], "who long, at timestamp")
    asked = {**CLOCKS, "known_ts": None, "days": (20,), "aggs": {"value": ["sum", "max", "distinct"]}}
    found = {row["who"]: tuple(row)[2:] for row in windows(spine, events, **asked).collect()}
    assert [found[who][0] for who in (1, 4, 5, 6, 7)] == [inf, -inf, 2.5, inf, 0.0]
    assert math.isnan(found[2][0]) and math.isnan(found[3][0]) and math.isnan(found[3][1])
    assert [found[who][2] for who in cases] == [2, 2, 2, 1, 1, 1, 0]


class Tables:
    """Tables in memory, all of one version."""

    def __init__(self, **tables: DataFrame):
        self.tables = tables

    def read(self, name: str, version: int | None = None) -> DataFrame:
        return self.tables[name]

    def version(self, name: str) -> int | None:
        return 0 if name in self.tables else None


@pytest.mark.parametrize(
    ("measure", "agg", "said"),
    [
        ("paid_to", "distinct", "windows up to 30 days without a join, scans: paid 1, spine 1, shuffles 1"),
        ("paid_to", "new", "windows up to all time without a join"),
        (
            "array(paid_to)",
            "distinct",
            "by a join (array(paid_to) is array<string>), scans: paid 1, spine 2, shuffles 4",
        ),
        ("CAST(1 AS decimal(30,2))", "max", "without a join"),
        (
            "CAST(1 AS decimal(30,2))",
            "sum",
            "is of decimal(30,2), too wide to be added as whole numbers), scans: paid 1",
        ),
    ],
)
def test_the_plan_says_whether_and_why_windows_take_a_join(spark, paid, measure, agg, said):
    view = _view(windowed(measure, label="one", aggs=(agg,), days=(30,)))
    assert said in FeatureStore(spark, Tables(paid=paid), views=(view,)).plan()
    missing = FeatureStore(spark, Tables(), views=(view,)).plan()
    assert "by a join (as far as is known without table paid, which is missing)" in missing


def test_windows_longer_than_all_time_are_refused(spark, paid):
    with pytest.raises(FeatureError, match=re.escape(f"days: whole numbers from 1 to {EVER} (EVER) are expected")):
        windowed("paid_to", aggs=("new",), days=(EVER + 1,))
    spine = spark.createDataFrame([(1, _day(9))], "who long, at timestamp")
    with pytest.raises(FeatureError, match=f"days: {EVER + 1} is longer than the longest window"):
        windows(spine, paid, **CLOCKS, days=(EVER + 1,), aggs={"paid_to": ["new"]})
