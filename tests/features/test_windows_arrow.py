"""The numpy side of windows against plain loops, with blocks and thresholds so small that every way is gone."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from strata.features.engine import window_layers as layers
from strata.features.engine.aggregates import EVER
from strata.features.engine.arrow_windows import Given, answered, blocks
from strata.features.engine.window_stretches import MERGES, Column, extremes

LENGTHS = (EVER, 20, 7, 2)
PARTS = ("bits", "count", "distinct", "high", "low", "max", "min", "new", "std")
OTHERS = ("count", "distinct", "max", "min")
COLUMNS = [
    Column(0, LENGTHS[1:], PARTS, last=True),
    Column(1, (7, 2), PARTS, last=False),
    Column(2, LENGTHS[1:], OTHERS, last=True),
    Column(3, (20, 2), (*OTHERS, "new", "std", "sum"), last=True),
]
GIVEN = Given(["key0", "key1"], LENGTHS, COLUMNS)
DOUBLES = [0.1, 0.2, 0.3, -1e15, 1e15, 1e-9, 12.34, 1e-20]
STAMP = pa.timestamp("us", tz="UTC")


def _batches(rng: np.random.Generator) -> list[pa.RecordBatch]:
    parts = np.repeat(np.arange(rng.integers(1, 12)), rng.integers(1, 9))
    cuts = np.sort(rng.integers(0, len(parts) + 1, rng.integers(0, 6)))
    return [pa.record_batch({"part": pa.array(piece, pa.int64())}) for piece in np.split(parts, cuts)]


def test_windows_blocks_hold_whole_keys_and_lose_no_row():
    rng = np.random.default_rng(3)
    cut = 0
    for _ in range(500):
        batches, rows = _batches(rng), int(rng.integers(1, 20))
        found = [block.column("part").to_pylist() for block in blocks(iter(batches), rows, 2**40)]
        assert sum(found, []) == [part for batch in batches for part in batch.column("part").to_pylist()]
        assert all(not set(a) & set(b) for a, b in zip(found, found[1:]))
        assert all(len(block) >= rows for block in found[:-1])
        cut += len(found) > 1
    assert cut > 100


@pytest.mark.parametrize("part", ["max", "min", "bits"])
def test_windows_extremes_are_those_of_each_stretch(part):
    rng = np.random.default_rng(4)
    merge, nothing = MERGES[part]
    values = rng.integers(0, 1_000, 70)
    first, end = rng.integers(0, 71, (2, 3_000))
    expected = [merge.reduce(values[a:b]) if a < b else nothing for a, b in zip(first, end)]
    assert extremes(values, first, end, merge, nothing).tolist() == expected
    assert extremes(values[:0], np.zeros(2, int), np.zeros(2, int), merge, nothing).tolist() == [nothing] * 2


def _micros(values, missing=None) -> pa.Array:
    return pa.array(values, pa.int64(), mask=missing).cast(STAMP)


def _block(rng: np.random.Generator, known: bool, versions: bool) -> pa.Table:
    """Up to 60 events and 12 points of few keys and times; some values, keys and times are missing."""
    facts, points = int(rng.integers(0, 60)), int(rng.integers(1, 12))
    size = facts + points
    is_point = rng.permutation(np.arange(size) < points)
    keys = [pa.array(rng.choice(["a", "b"], size)), pa.array(rng.integers(0, 2, size))]
    asks = rng.random(size) < 0.9
    at, event = rng.integers(0, 30, (2, size))
    learnt = event + rng.choice([-3, 0, 0, 1, 25], size)
    columns = {
        "key0": pa.array(keys[0].to_pylist(), mask=is_point & ~asks),
        "key1": keys[1],
        "part": pa.array(np.zeros(size, int)),
        "at": _micros(at, ~is_point),
        "spine": pa.array([{"row": k} if is_point[k] else None for k in range(size)], pa.struct({"row": pa.int64()})),
        "starts": pa.array(
            [
                [int(moment) - (10**6 if days == EVER else days) for days in LENGTHS] if a and p else None
                for moment, a, p in zip(at, asks, is_point)
            ],
            pa.list_(pa.int64()),
        ),
        "event_ts": _micros(event, is_point),
        "v0": pa.array(
            rng.integers(-3, 4, size) * rng.choice([1, 2**40], size), mask=is_point | (rng.random(size) < 0.2)
        ),
        "v1": pa.array(rng.integers(-3, 4, size), mask=is_point),
        "v2": pa.array(rng.choice(["", "Z", "a", "é", "\U0001f600"], size), mask=is_point | (rng.random(size) < 0.1)),
        "v3": pa.array(rng.choice(DOUBLES, size), mask=is_point | (rng.random(size) < 0.1)),
    }
    if known:
        columns["known_ts"] = _micros(learnt, is_point)
    if versions:
        columns["ended_ts"] = _micros(learnt + rng.choice([0, 1, 9], size), is_point | (rng.random(size) < 0.7))
    return pa.table(columns)


def _expected(block: pa.Table) -> dict[int, dict[str, object]]:
    """By point: each part over the events that its windows hold, one by one."""
    rows = block
    for name in [name for name in block.column_names if name == "at" or name.endswith("_ts")]:
        rows = rows.set_column(rows.column_names.index(name), name, rows[name].cast(pa.int64()))
    facts = [row for row in rows.to_pylist() if row["spine"] is None]
    found = {}
    for point in (row for row in rows.to_pylist() if row["spine"] is not None):
        met = [
            fact
            for fact in facts
            if point["starts"] is not None
            and (fact["key0"], fact["key1"]) == (point["key0"], point["key1"])
            and fact["event_ts"] < point["at"]
            and fact.get("known_ts", -99) <= point["at"]
            and (fact.get("ended_ts") is None or fact["ended_ts"] > point["at"])
        ]
        answers = {}
        for column in GIVEN.columns:
            there = [fact for fact in met if fact[f"v{column.place}"] is not None]
            starts = dict(zip(LENGTHS, point["starts"] or [0] * len(LENGTHS)))
            for days in column.lengths:
                values = [f[f"v{column.place}"] for f in there if f["event_ts"] >= starts[days]]
                before = {f[f"v{column.place}"] for f in there if f["event_ts"] < starts[days]}
                for part in column.parts:
                    answers[f"{part}{column.place}_{days}"] = PLAIN[part](values, before)
            if column.last:
                name = f"v{column.place}"
                inside = [f for f in there if f["event_ts"] >= starts[column.lengths[0]]]
                last = max(inside, key=lambda f: (f["event_ts"], f.get("known_ts", 0), _order(f[name])), default=None)
                answers[f"last{column.place}"] = last and last[name]
                answers[f"last_ts{column.place}"] = last and last["event_ts"]
        found[point["spine"]["row"]] = answers
    return found


def _deviation(values: list[float]) -> float | None:
    """By fractions, so that no digit is lost."""
    if len(values) < 2:
        return None
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    return math.sqrt(sum((value - mean) ** 2 for value in exact) / (len(exact) - 1))


PLAIN = {
    "count": lambda values, before: len(values),
    "high": lambda values, before: sum(value >> 32 for value in values),
    "low": lambda values, before: sum(value & (2**32 - 1) for value in values),
    "max": lambda values, before: max(values, key=_order, default=None),
    "min": lambda values, before: min(values, key=_order, default=None),
    "bits": lambda values, before: int(np.bitwise_or.reduce(values)) if values else None,
    "distinct": lambda values, before: len(set(values)),
    "new": lambda values, before: len(set(values) - before),
    "sum": lambda values, before: math.fsum(values),
    "std": lambda values, before: pytest.approx(_deviation(values), rel=1e-14) if len(values) > 1 else None,
}


def _order(value: object) -> object:
    return value.encode() if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("many", "at_once", "bits"), [(8, 4_000_000, 62), (0, 5, 62), (8, 5, 0)], ids=["as it is", "few pairs", "no room"]
)
@pytest.mark.parametrize(("known", "versions"), [(False, False), (True, False), (True, True)])
def test_windows_of_a_block_are_those_of_plain_loops(monkeypatch, known, versions, many, at_once, bits):
    monkeypatch.setattr(layers, "ROOM", 2**bits)
    monkeypatch.setattr(layers, "MANY_PAIRS", many)
    monkeypatch.setattr(layers, "PAIRS_AT_ONCE", at_once)
    monkeypatch.setattr(layers, "LATE_BY", np.array([0, 2]))
    rng = np.random.default_rng(5)
    seen = 0
    for _ in range(80):
        block = _block(rng, known, versions)
        answer = answered(block, GIVEN)
        for name in [name for name in answer.column_names if name.startswith("last_ts")]:
            answer = answer.set_column(answer.column_names.index(name), name, answer[name].cast(pa.int64()))
        found = answer.drop_columns("at").to_pylist()
        by_point = {row.pop("spine")["row"]: row for row in found}
        assert len(by_point) == len(found)
        assert by_point == _expected(block)
        seen += sum(row["count0_20"] for row in by_point.values())
    assert seen > 500
