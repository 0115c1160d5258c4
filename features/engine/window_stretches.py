"""Parts of windows over events that lie in order of key and time: the numpy side of ``arrow_windows``.

Sums are differences of running sums, extremes come from a sparse table, whatever the number of windows; what may not
have been known yet is looked at one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from strata.features.engine.window_distinct import DISTINCT, different_of
from strata.features.engine.window_layers import (
    LEAST,
    NEVER,
    Facts,
    Integers,
    Layer,
    Mask,
    Numbers,
    Points,
    layers_of,
    turns,
)

Parts = dict[tuple[int, str], Integers]
# How a part of two stretches follows from those of each, and what it is of none; addends are merged like counts.
MERGES: Mapping[str, tuple[np.ufunc, int]] = {
    "count": (np.add, 0),
    "high": (np.add, 0),
    "low": (np.add, 0),
    "max": (np.maximum, LEAST),
    "min": (np.minimum, NEVER),
    "bits": (np.bitwise_or, 0),
}


@dataclass(frozen=True)
class Column:
    """A measured column by its place: parts that it needs of each length, the longest first, and whether the last."""

    place: int
    lengths: tuple[int, ...]
    parts: tuple[str, ...]
    last: bool

    @property
    def value(self) -> str:
        """Its name in the facts."""
        return f"v{self.place}"


@dataclass(frozen=True)
class Merged:
    """Of a column, a number for each point: parts by length and name, the last value and its time (µs), if any.

    Where ``no_last`` holds there is none, and the two numbers say nothing.
    """

    parts: Parts
    no_last: Mask
    last: Integers
    last_ts: Integers


def parts_of(columns: Sequence[Column], facts: Facts, points: Points) -> dict[str, Merged]:
    """What the windows of each point hold of each column, by the column's name in the facts."""
    layers = layers_of(facts, points)
    tied = any(column.last for column in columns) and bool(facts.ties().any())
    found = {}
    for column in columns:
        if column.last and tied:
            # Of events at the same times the largest value is the last.
            ordered = facts.in_order(facts.values[column.value].values)
            found[column.value] = _of_column(column, ordered, layers_of(ordered, points), points)
        else:
            found[column.value] = _of_column(column, facts, layers, points)
    return found


def _of_column(column: Column, facts: Facts, layers: Sequence[Layer], points: Points) -> Merged:
    name, size = column.value, len(points.key)
    numbers = facts.values[name]
    wanted = {*(part for part in column.parts if part in MERGES), *numbers.addends, "count"}
    parts = {(days, part): np.full(size, _merge(part)[1], np.int64) for days in column.lengths for part in wanted}
    last = np.full(size, -1)
    for layer in layers:
        _add_layer(layer.of(name), points, column, parts, last)
    if asked := DISTINCT & set(column.parts):
        parts |= different_of(name, asked, column.lengths, facts, points)
    no_last = last < 0
    # A block may hold no event at all.
    some = np.where(no_last, 0, last) if len(facts.key) else None
    value, time = (np.zeros(size, np.int64) if some is None else of[some] for of in (numbers.values, facts.event))
    return Merged(parts, no_last, value, time)


def _merge(part: str) -> tuple[np.ufunc, int]:
    return MERGES.get(part, MERGES["count"])


def _add_layer(layer: Layer, points: Points, column: Column, parts: Parts, last: Integers) -> None:
    """Merge one layer of a column's facts into ``parts``, and move ``last`` on to its last ones."""
    longest, numbers = column.lengths[0], layer.facts.values[column.value]
    _add_clear(layer, numbers, parts)
    np.maximum(last, _last_clear(layer, longest), out=last)
    for some in turns(layer.unclear(longest)[1]):
        looked = _runs(*layer.seen(points, some, longest))
        _add_unclear(looked, layer, numbers, parts)
        last[looked.points] = np.maximum(last[looked.points], layer.places[looked.facts][looked.ends])


def _add_clear(layer: Layer, numbers: Numbers, parts: Parts) -> None:
    """Merge the stretches that are known whole."""
    everything = slice(None)
    running = {
        part: np.concatenate([[0], np.cumsum(numbers.units(part, everything))])
        for part in {part for _, part in parts if _merge(part)[0] is np.add}
    }
    for (days, part), found in parts.items():
        merge, nothing = _merge(part)
        first = layer.first[days]
        end = np.maximum(layer.clear, first)
        if merge is np.add:
            found += running[part][end] - running[part][first]
        else:
            merge(found, extremes(numbers.values, first, end, merge, nothing), out=found)


def extremes(values: Integers, first: Integers, end: Integers, merge: np.ufunc, nothing: int) -> Integers:
    """``merge`` over each values[first:end], ``nothing`` where that is empty: a sparse table, a level at a time."""
    found = np.full(len(first), nothing, np.int64)
    # Two stretches of the largest power of two that fits cover each.
    power = np.frexp((end - first).clip(0))[1] - 1
    level, width = values, 1
    for k in range(int(power.max(initial=-1)) + 1):
        asked = np.flatnonzero(power == k)
        found[asked] = merge(level[first[asked]], level[end[asked] - width])
        level, width = merge(level[:-width], level[width:]), 2 * width
    return found


def _last_clear(layer: Layer, longest: int) -> Integers:
    last = np.full(len(layer.clear), -1)
    some = layer.clear > layer.first[longest]
    last[some] = layer.places[layer.clear[some] - 1]
    return last


@dataclass(frozen=True)
class _Seen:
    """Events, by place in a layer, that some points see; ``begins`` and ``ends`` of the run of each of ``points``."""

    points: Integers
    facts: Integers
    begins: Integers
    ends: Integers


def _runs(point: Integers, fact: Integers) -> _Seen:
    begins = np.flatnonzero(np.diff(point, prepend=-1))
    ends = np.append(begins[1:], len(point)) - 1 if len(begins) else begins
    return _Seen(point[begins], fact, begins, ends)


def _add_unclear(seen: _Seen, layer: Layer, numbers: Numbers, parts: Parts) -> None:
    """Merge the events that were looked at."""
    point = np.repeat(seen.points, seen.ends - seen.begins + 1)
    for days in {days for days, _ in parts}:
        inside = seen.facts >= layer.first[days][point]
        some = _runs(point[inside], seen.facts[inside])
        if not len(some.points):
            continue
        for part in (part for length, part in parts if length == days):
            merge, _ = _merge(part)
            more = merge.reduceat(numbers.units(part, some.facts), some.begins)
            parts[days, part][some.points] = merge(parts[days, part][some.points], more)
