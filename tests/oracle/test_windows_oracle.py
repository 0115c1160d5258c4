"""Random spines and events against brute force in plain Python, hundreds of cases in one job."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import stdev
from zoneinfo import ZoneInfo

import pytest

from strata.features import windowed_aggregates

ZONE = ZoneInfo("Europe/Prague")
AGGS = ["sum", "count", "mean", "max", "min", "distinct", "last", "std"]
EVENTS = "case int, who string, event_ts timestamp, known_ts timestamp, event_id long, amount decimal(12,2), tag string"
SPINE = "row long, case int, who string, at timestamp"
# Around the end and the begin of daylight saving, so that calendar days of 23 and 25 hours are in the windows.
STARTS = [datetime(1994, 3, 25, tzinfo=ZONE), datetime(1995, 9, 22, tzinfo=ZONE)]


@pytest.fixture(scope="module")
def prague(spark):
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", str(ZONE))
    yield spark
    spark.conf.set("spark.sql.session.timeZone", before)


def _moment(rng: random.Random, start: datetime) -> datetime | None:
    """A coarse time, so that ties with windows' edges are common; sometimes none."""
    if rng.random() < 0.05:
        return None
    wall = start.replace(tzinfo=None) + timedelta(days=rng.randrange(12), hours=rng.choice([0, 0, 0, 2, 3, 12, 23]))
    return wall.replace(tzinfo=ZONE).astimezone(UTC)


def _case(rng: random.Random, case: int) -> tuple[list[tuple], list[tuple]]:
    start = rng.choice(STARTS)
    events, spine = [], []
    for _ in range(rng.randrange(14)):
        who = rng.choice(["a", "b", None])
        moment = _moment(rng, start)
        # Sometimes known before it happened, sometimes days later.
        known = None if moment is None else moment + timedelta(hours=rng.choice([-24, 0, 0, 1, 24, 72]))
        amount = rng.choice([None, Decimal("1.10"), Decimal("2.25"), Decimal("-3.00"), Decimal("2.25")])
        identity = rng.choice([None, case * 100 + rng.randrange(6)])
        events.append((case, who, moment, known, identity, amount, rng.choice(["x", "y", None])))
    for _ in range(rng.randrange(1, 5)):
        spine.append((case, rng.choice(["a", "a", "b", "c", None]), _moment(rng, start)))
    return events, spine + spine[:1]


def _start(at: datetime, days: int) -> datetime:
    wall = at.astimezone(ZONE).replace(tzinfo=None) - timedelta(days=days)
    return wall.replace(tzinfo=ZONE).astimezone(UTC)


def _sort_key(event: tuple) -> tuple:
    return tuple((value is not None, value) if value is not None else (False,) for value in event)


def _live(events: list[tuple], at: datetime, versions: bool) -> list[tuple]:
    """What was known at a moment: the last version of each event."""
    known = [e for e in events if e[3] is not None and e[3] <= at]
    if not versions:
        return known
    best: dict[int, tuple] = {}
    for event in known:
        rival = best.get(event[4])
        if event[4] is not None and (rival is None or (event[3], _sort_key(event)) >= (rival[3], _sort_key(rival))):
            best[event[4]] = event
    return [e for e in known if e[4] is None] + list(best.values())


def _expected(row: tuple, events: list[tuple], column: int, days: int, known: bool, versions: bool) -> dict:
    _, who, at = row
    chosen = []
    if who is not None and at is not None:
        rows = _live(events, at, versions) if known else events
        start = _start(at, days)
        chosen = [e for e in rows if e[1] == who and e[2] is not None and start <= e[2] < at and e[column] is not None]
    values = [e[column] for e in chosen]
    answer = {"count": len(values), "distinct": len(set(values))}
    latest = max(chosen, key=lambda e: (e[2], e[3] if known else 0, e[column]), default=None)
    answer["last"] = latest[column] if latest else None
    answer["max"], answer["min"] = max(values, default=None), min(values, default=None)
    if column == 5:
        answer["sum"] = sum(values, Decimal(0))
        answer["mean"] = sum(values) / len(values) if values else None
        answer["std"] = stdev(values) if len(values) > 1 else None
    return answer


@pytest.mark.parametrize(("known", "versions"), [(False, False), (True, False), (True, True)])
def test_windows_agree_with_brute_force(prague, known, versions):
    rng = random.Random(7)
    cases = [_case(rng, case) for case in range(400)]
    spine_rows = [row for _, rows in cases for row in rows]
    spine = prague.createDataFrame([(n, *row) for n, row in enumerate(spine_rows)], SPINE)
    events = prague.createDataFrame([event for some, _ in cases for event in some], EVENTS)
    found = windowed_aggregates(
        spine,
        events,
        key=["case", "who"],
        at="at",
        event_ts="event_ts",
        known_ts="known_ts" if known else None,
        event_id="event_id" if versions else None,
        days=(1, 3, 7),
        aggs={"amount": AGGS, "tag": ["count", "distinct", "max", "min", "last"]},
    ).collect()
    assert sorted(row["row"] for row in found) == list(range(len(spine_rows)))
    compared = 0
    for got in found:
        row = spine_rows[got["row"]]
        assert (got["case"], got["who"]) == row[:2]
        for days in (1, 3, 7):
            for name, column in (("amount", 5), ("tag", 6)):
                want = _expected(row, cases[row[0]][0], column, days, known, versions)
                for agg, value in want.items():
                    answer = got[f"{name}_{agg}_{days}d"]
                    if agg in ("mean", "std") and value is not None:
                        value = pytest.approx(float(value), abs=1e-6)
                        answer = float(answer)
                    assert answer == value, (got, name, agg, days, value)
                    compared += bool(want["count"])
    assert compared > 3_000


def test_windows_oracle_has_bite():
    """The same data give other answers without known times, so the cases above do tell them apart."""
    rng = random.Random(7)
    cases = [_case(rng, case) for case in range(400)]
    differing = [
        row
        for events, rows in cases
        for row in rows
        if _expected(row, events, 5, 3, True, True) != _expected(row, events, 5, 3, True, False)
        or _expected(row, events, 5, 3, True, False) != _expected(row, events, 5, 3, False, False)
    ]
    assert len(differing) > 50
