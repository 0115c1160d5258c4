"""Random spines and two state tables against brute force in plain Python; many cases in one job."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from strata.features import point_in_time_join

NOON = datetime(2020, 1, 1, 12)
STATE = "case int, who string, valid_from timestamp, valid_to timestamp, known_ts timestamp, seq int, note string"
COLUMNS = [part.split()[0] for part in STATE.split(", ")]


def _time(rng: random.Random, missing: float = 0.08) -> datetime | None:
    return None if rng.random() < missing else NOON + timedelta(hours=rng.randrange(20))


def _state(rng: random.Random, case: int) -> tuple:
    start = _time(rng)
    end = None if start is None or rng.random() < 0.5 else start + timedelta(hours=rng.randrange(1, 9))
    known = None if start is None or rng.random() < 0.05 else start + timedelta(hours=rng.choice([-5, 0, 0, 2, 6]))
    who = rng.choice(["a", "a", "b", None])
    return case, who, start, end, known, rng.choice([None, 1, 2]), rng.choice(["p", "q", None])


def _ordered(values: tuple) -> tuple:
    return tuple((value is not None, value) if value is not None else (False,) for value in values)


def _expected(row: tuple, states: list[tuple], known: bool, ends: bool, sequence: bool, tolerance) -> tuple:
    _, who, at = row
    none = (None,) * len(COLUMNS)
    if who is None or at is None:
        return none
    usable = [s for s in states if s[1] == who and s[2] is not None and s[2] <= at]
    if known:
        usable = [s for s in usable if s[4] is not None and s[4] <= at]
    if not usable:
        return none
    rank = lambda s: _ordered((s[2], s[5] if sequence else 0, s[4] if known else 0, *s))  # noqa: E731
    best = max(usable, key=rank)
    ended = ends and best[3] is not None and best[3] <= at
    old = tolerance is not None and at - best[2] > tolerance
    return none if ended or old else best


@pytest.mark.parametrize(
    ("known", "ends", "sequence", "tolerance"),
    [(False, False, False, None), (True, True, True, timedelta(hours=5)), (True, True, False, None)],
)
def test_asof_agrees_with_brute_force(spark, known, ends, sequence, tolerance):
    rng = random.Random(11)
    cases = []
    for case in range(400):
        tables = [[_state(rng, case) for _ in range(rng.randrange(9))] for _ in range(2)]
        rows = [(case, rng.choice(["a", "a", "b", "c", None]), _time(rng)) for _ in range(rng.randrange(1, 5))]
        cases.append((tables, rows + rows[:1]))
    spine_rows = [row for _, rows in cases for row in rows]
    spine = spark.createDataFrame(
        [(n, *row) for n, row in enumerate(spine_rows)], "row long, case int, who string, at timestamp"
    )
    states = {
        name: spark.createDataFrame([state for tables, _ in cases for state in tables[number]], STATE)
        for number, name in enumerate(("first", "second"))
    }
    found = point_in_time_join(
        spine,
        states,
        key=["case", "who"],
        at="at",
        valid_from="valid_from",
        valid_to="valid_to" if ends else None,
        known_ts="known_ts" if known else None,
        sequence="seq" if sequence else None,
        tolerance=tolerance,
    ).collect()
    assert sorted(row["row"] for row in found) == list(range(len(spine_rows)))
    matched = 0
    for got in found:
        row = spine_rows[got["row"]]
        assert (got["case"], got["who"], got["at"]) == row
        for number, name in enumerate(states):
            want = _expected(row, cases[row[0]][0][number], known, ends, sequence, tolerance)
            assert tuple(got[f"{name}__{column}"] for column in COLUMNS) == want, (row, want)
            matched += want[0] is not None
    assert matched > 200
