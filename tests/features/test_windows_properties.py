"""``windowed_aggregates`` against the obvious SQL, and a wrong reading that must shrink to one event."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache

import pytest
from pyspark.sql import functions as F

from strata.features import windowed_aggregates
from tests.conftest import in_zone
from tests.naive import HOUR, MICROSECOND, as_kinds, by_spark, by_sql, moment, names, who, with_dates
from tests.plans import plan_of
from tests.property import CASES, Case, Disagreement, Reading, agree, disagreeing

pytestmark = pytest.mark.oracle

SPINE = {"who": "string", "branch": "int", "at": "timestamp"}
EVENTS = {
    "who": "string",
    "branch": "int",
    "event_ts": "timestamp",
    "known_ts": "timestamp",
    "event": "int",
    "amount": "decimal",
    "ratio": "double",
    "tag": "string",
    "share": "double",
    "done": "boolean",
}
NUMERIC = ["sum", "count", "mean", "max", "min", "distinct", "new", "last", "std"]
COMPARED = ["count", "max", "min", "distinct", "new", "last"]
AGGS = {
    "amount": NUMERIC,
    "ratio": [agg for agg in NUMERIC if agg != "std"],
    "share": NUMERIC,
    "tag": COMPARED,
    "done": COMPARED,
    "event_ts": COMPARED,
    "branch": [*NUMERIC, "bits"],
}
SQL_AGGS = {
    "sum": "coalesce(sum({0}), 0)",
    "count": "count({0})",
    "mean": "avg({0})",
    "max": "max({0})",
    "min": "min({0})",
    "distinct": "count(DISTINCT {0})",
    "last": "first({0} ORDER BY e.event_ts DESC, {known} {0} DESC) FILTER (WHERE {0} IS NOT NULL)",
    "std": "stddev_samp({0})",
    "bits": "bit_or({0})",
}


@dataclass(frozen=True)
class Variant:
    """The zone, windows and clocks of one call, which time columns are dates, and whether a join is to answer."""

    zone: str
    days: tuple[int, ...]
    known: bool = True
    versions: bool = True
    dates: tuple[str, ...] = ()
    joined: bool = False

    @property
    def kinds(self) -> dict[str, Mapping[str, str]]:
        return {"spine": with_dates(SPINE, self.dates), "events": with_dates(EVENTS, self.dates)}

    def moment(self, rng: random.Random) -> datetime:
        return moment(rng, self.zone, self.kinds["spine"]["at"])


VARIANTS = [
    Variant("Europe/Prague", (1, 3, 7), known=False, versions=False),
    Variant("Europe/Prague", (1, 90), versions=False, dates=("at",)),
    Variant("Europe/Prague", (2, 7, 365)),
    Variant("Asia/Beirut", (1, 30)),
    Variant("Asia/Shanghai", (28, 400), dates=("event_ts", "known_ts")),
    Variant("America/Sao_Paulo", (1, 7), dates=("at",)),
]


def _naive(variant: Variant) -> str:
    """The contract of ``windowed_aggregates`` word for word."""
    known = "e.known_ts <= s.at" if variant.known else "true"
    parts = [f"{part}{days}" for days in variant.days for part in ("days", "new")]
    # Of the versions of one event that were known, the latest known counts; a version may be of another key or time.
    latest = f"""QUALIFY e.event IS NULL OR 1 = row_number() OVER (
        PARTITION BY s."case", s."row", e.event
        ORDER BY e.known_ts DESC, {", ".join(f"e.{column} DESC NULLS LAST" for column in EVENTS)})"""
    return f"""WITH usable AS (
        SELECT s."row", e.* FROM spine s JOIN events e ON s."case" = e."case" AND {known}
        {latest if variant.versions else ""}),
    {", ".join(f"days{days} AS ({_naive_window(variant, days)})" for days in variant.days)},
    {", ".join(f"new{days} AS ({_naive_new(days)})" for days in variant.days)}
    SELECT * FROM spine {" ".join(f'JOIN {part} USING ("case", "row")' for part in parts)}"""


def _naive_new(days: int) -> str:
    """Values of the window that are in none of the rows before it."""
    inside = f"e.event_ts >= (s.at - INTERVAL {days} DAY)::timestamptz"
    counted = ", ".join(
        f"""len(list_filter(
            coalesce(list(DISTINCT e.{column}) FILTER (WHERE e.{column} IS NOT NULL AND {inside}), []),
            lambda value: NOT list_contains(
                coalesce(list(e.{column}) FILTER (WHERE e.{column} IS NOT NULL AND NOT {inside}), []), value)
        )) AS {column}_new_{days}d"""
        for column in AGGS
    )
    return f"""SELECT s."case", s."row", {counted}
        FROM spine s LEFT JOIN usable e
          ON s."case" = e."case" AND s."row" = e."row" AND s.who = e.who AND s.branch = e.branch AND e.event_ts < s.at
        GROUP BY ALL"""


def _naive_window(variant: Variant, days: int) -> str:
    by_known = "e.known_ts DESC," if variant.known else ""
    aggregates = ", ".join(
        f"{SQL_AGGS[agg].format(f'e.{column}', known=by_known)} AS {column}_{agg}_{days}d"
        for column, aggs in AGGS.items()
        for agg in aggs
        if agg != "new"
    )
    return f"""SELECT s."case", s."row", {aggregates}
        FROM spine s LEFT JOIN usable e
          ON s."case" = e."case" AND s."row" = e."row" AND s.who = e.who AND s.branch = e.branch
         AND e.event_ts < s.at AND e.event_ts >= (s.at - INTERVAL {days} DAY)::timestamptz
        GROUP BY ALL"""


def _event(rng: random.Random, variant: Variant, spine: list[tuple]) -> tuple:
    at = rng.choice(spine)[2] or variant.moment(rng)
    length = timedelta(days=rng.choice(variant.days))
    inside = length * rng.random()
    edges = (timedelta(0), MICROSECOND, -HOUR, length - HOUR, length, length + MICROSECOND, length + HOUR)
    happened = None if rng.random() < 0.05 else at - rng.choice((*edges, inside, inside, inside))
    learnt = (happened or at) + rng.choice((-700 * HOUR, -24 * HOUR, 0 * HOUR, 0 * HOUR, HOUR, 24 * HOUR))
    return (
        *who(rng),
        happened,
        rng.choice((learnt, learnt, learnt, at, at + MICROSECOND, None)),
        rng.choice((None, 1, 1, 2, 3)),
        rng.choice((None, Decimal("1.10"), Decimal("2.25"), Decimal("-3.00"), Decimal("1234567.89"))),
        rng.choice((None, float("nan"), 0.0, -0.0, 0.5, -2.25)),
        rng.choice((None, "", "x", "é", "Z")),
        rng.choice((None, 0.1, 0.2, 1e9, -3.75)),
        rng.choice((None, True, False)),
    )


def _case(rng: random.Random, variant: Variant) -> Case:
    spine = [(*who(rng), variant.moment(rng)) for _ in range(rng.randrange(1, 4))]
    if rng.random() < 0.2:
        spine.append(("a", 1, None))
    events = [_event(rng, variant, spine) for _ in range(rng.randrange(10))]
    # The same key and times once more, so that ties are common.
    for old in [event for event in events if rng.random() < 0.3]:
        same = rng.choice((3, 4))
        events.append((*old[:same], *_event(rng, variant, spine)[same:]))
    kinds = variant.kinds
    return {"spine": as_kinds(spine + spine[:1], kinds["spine"]), "events": as_kinds(events, kinds["events"])}


@cache
def _cases(variant: Variant, number: int) -> list[Case]:
    rng = random.Random(7)
    return [_case(rng, variant) for _ in range(number)]


def _engine(spark, variant: Variant):
    def compute(tables):
        # A list can't travel through Arrow, so that a join has to answer.
        spine = tables["spine"].withColumn("list", F.array()) if variant.joined else tables["spine"]
        answers = windowed_aggregates(
            spine,
            tables["events"],
            key=["case", "who", "branch"],
            at="at",
            event_ts="event_ts",
            known_ts="known_ts" if variant.known else None,
            event_id=["case", "event"] if variant.versions else None,
            days=variant.days,
            aggs=AGGS,
        )
        assert ("MapInArrow" in plan_of(answers)) != variant.joined
        return answers.drop("list")

    return by_spark(spark, variant.kinds, compute)


@pytest.mark.parametrize("variant", [*VARIANTS, *(replace(one, joined=True) for one in VARIANTS[1::2])], ids=str)
def test_windows_are_what_the_obvious_sql_says(spark, variant):
    naive = by_sql(variant.zone, variant.kinds, _naive(variant))
    with in_zone(spark, variant.zone):
        answers = agree(_cases(variant, CASES), _engine(spark, variant), naive, names(variant.kinds))
    shortest, longest = (f"amount_count_{days}d" for days in (variant.days[0], variant.days[-1]))
    rows = [row for answer in answers for row in answer]
    assert sum(row[longest] > 0 for row in rows) > CASES / 3
    assert sum(row[longest] > row[shortest] for row in rows) > CASES / 3


WRONG = {
    "a transaction scores itself": ("e.event_ts < s.at", "e.event_ts <= s.at"),
    "the window is open at its start": ("e.event_ts >= (s.at", "e.event_ts > (s.at"),
    "a day is 24 hours": ("INTERVAL 1 DAY", "INTERVAL 24 HOUR"),
    "known at the moment is too late": ("e.known_ts <= s.at", "e.known_ts < s.at"),
    "known times do not matter": ("AND e.known_ts <= s.at", ""),
    "the first known version counts": ("ORDER BY e.known_ts DESC", "ORDER BY e.known_ts"),
    "versions of one event all count": ("QUALIFY e.event IS NULL OR", "QUALIFY true OR"),
    "a missing event number is one event": ("e.event IS NULL OR", ""),
    "a moved event counts in both places": ('s."row", e.event', 's."row", e.event, e.who, e.branch, e.event_ts'),
    "last is the first": ("ORDER BY e.event_ts DESC", "ORDER BY e.event_ts"),
    "known times do not settle ties": ("e.event_ts DESC, e.known_ts DESC", "e.event_ts DESC, e.known_ts"),
    "the smallest value settles ties": ("e.tag DESC) FILTER", "e.tag) FILTER"),
    "an empty sum is missing": ("coalesce(sum(e.amount), 0)", "sum(e.amount)"),
    "customers without events are dropped": ("spine s LEFT JOIN", "spine s JOIN"),
}
SMALL = Variant("Europe/Prague", (1, 2))


def _wrong(what: str) -> tuple[Reading, Reading]:
    sql, (right, wrong) = _naive(SMALL), WRONG[what]
    assert right in sql
    return by_sql(SMALL.zone, SMALL.kinds, sql.replace(right, wrong)), by_sql(SMALL.zone, SMALL.kinds, sql)


@pytest.mark.parametrize("what", WRONG)
def test_windows_cases_tell_each_wrong_reading_from_the_right_one(what):
    assert disagreeing(_cases(SMALL, 600), *_wrong(what)) >= 3


@pytest.mark.parametrize(
    ("what", "events"),
    [
        ("a transaction scores itself", 1),
        ("a day is 24 hours", 1),
        ("a moved event counts in both places", 2),
    ],
)
def test_windows_a_wrong_reading_shrinks_to_one_row_and_the_events_that_it_takes(what, events):
    with pytest.raises(Disagreement, match="of 600 cases disagree; the first, made small:\nspine\n") as raised:
        agree(_cases(SMALL, 600), *_wrong(what), names(SMALL.kinds))
    assert {name: len(rows) for name, rows in raised.value.case.items()} == {"spine": 1, "events": events}
