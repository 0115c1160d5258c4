"""Parts of windows over events that lie in order of key and time: the numpy side of ``windows_arrow``.

The window of a point is a stretch of the events: sums are differences of running sums, extremes come from a sparse
table, whatever the number of windows. Each event is looked at only from the first one on that may not have been known
yet; most points have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strata.features.engine.aggregates import LOW_BITS

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
# Pairs of points and events are looked at so many at a time.
PAIRS_AT_ONCE = 4_000_000
# With more pairs than rows by so much, events are taken apart by how late they became known (µs).
MANY_PAIRS = 8
LATE_BY = np.array([3_600_000_000, 86_400_000_000, 30 * 86_400_000_000])
# Numbers below it can be told apart in 64 bits, with room for one more.
ROOM = 2**62
LEAST, NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max
# How a part of two stretches follows from those of each, and what it is of none.
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
class Points:
    """Points: number of the key, whether they ask at all, their time and the starts of their windows in µs."""

    key: Integers
    asks: Mask
    at: Integers
    starts: Mapping[int, Integers]


@dataclass(frozen=True)
class Facts:
    """Events in order of key, event time and known time (µs); ``values`` and whether they are there, by column."""

    key: Integers
    event: Integers
    known: Integers | None
    ended: Integers | None
    values: Mapping[str, tuple[Integers, Mask | None]] = field(repr=False)

    def take(self, places: Integers | Mask) -> Facts:
        """Some of them, or all in another order."""
        return Facts(
            self.key[places],
            self.event[places],
            None if self.known is None else self.known[places],
            None if self.ended is None else self.ended[places],
            {n: (v[places], None if there is None else there[places]) for n, (v, there) in self.values.items()},
        )

    def ties(self, known: bool = True) -> Mask:
        """Whether an event has key and event time, and with ``known`` the known time, of the one before it."""
        same = (self.key[1:] == self.key[:-1]) & (self.event[1:] == self.event[:-1])
        return same if self.known is None or not known else same & (self.known[1:] == self.known[:-1])

    def in_order(self, *then: Integers) -> Facts:
        """By key and times, and where these are the same by ``then``."""
        known = [] if self.known is None else [self.known]
        return self.take(np.lexsort((*then, *known, self.event, self.key)))


@dataclass(frozen=True)
class _Layer:
    """Some of the facts, and for each point where its windows begin and end among them.

    Of a stretch all up to ``clear`` are known; each of those from there to ``end`` has to be looked at.
    """

    facts: Facts
    # Their places among all facts.
    places: Integers
    first: Mapping[int, Integers]
    clear: Integers
    end: Integers

    @property
    def pairs(self) -> int:
        """How many events have to be looked at."""
        return int((self.end - np.maximum(self.clear, self.first[max(self.first)])).clip(0).sum())

    def of(self, name: str) -> _Layer:
        """With this value alone, and without the facts where it isn't there."""
        values, there = self.facts.values[name]
        facts = replace(self.facts, values={name: (values, None)})
        if there is None:
            return replace(self, facts=facts)
        before = np.concatenate([[0], np.cumsum(there)])
        first = {days: before[places] for days, places in self.first.items()}
        return _Layer(facts.take(there), self.places[there], first, before[self.clear], before[self.end])


def _layers(facts: Facts, points: Points) -> list[_Layer]:
    """Facts that are never replaced, apart by how late they are where that spares pairs, and those that are."""
    everything = np.arange(len(facts.key))
    if facts.ended is None:
        return _by_delay(facts, everything, points)
    stays = facts.ended == NEVER
    plain = _by_delay(facts.take(stays), everything[stays], points)
    return [*plain, _layer(facts.take(~stays), everything[~stays], points, clear=False)]


def _by_delay(facts: Facts, places: Integers, points: Points) -> list[_Layer]:
    whole = _layer(facts, places, points, clear=True)
    if facts.known is None or whole.pairs <= MANY_PAIRS * (len(facts.key) + len(points.key)):
        return [whole]
    # One event that came to light after months would leave all later ones unclear.
    classes = np.digitize(facts.known - facts.event, LATE_BY)
    members = [np.flatnonzero(classes == k) for k in np.unique(classes)]
    return [_layer(facts.take(some), places[some], points, clear=True) for some in members]


def _layer(facts: Facts, places: Integers, points: Points, *, clear: bool) -> _Layer:
    search = _search(facts.key, facts.event, points.key)
    first = {days: np.where(points.asks, search(start, "left"), 0) for days, start in points.starts.items()}
    end = np.where(points.asks, search(points.at, "left"), 0)
    longest = first[max(first)]
    if not clear:
        return _Layer(facts, places, first, longest, end)
    if facts.known is None:
        return _Layer(facts, places, first, end, end)
    # The latest known time so far only rises along a key: up to where it passes the point all are known.
    searched = _search(facts.key, facts.known, points.key, running=True)(points.at, "right")
    return _Layer(facts, places, first, np.clip(searched, longest, end), end)


def _search(
    key: Integers, times: Integers, wanted: Integers, *, running: bool = False
) -> Callable[[Integers, str], Integers]:
    """How many of the facts come before a time of a key: of that key and earlier ("left"; "right": or at it)."""
    line = line_of(max(int(key.max(initial=0)), int(wanted.max(initial=0))), times)
    order = np.maximum.accumulate(line.of(key, times)) if running else line.of(key, times)

    def search(moments: Integers, side: str) -> Integers:
        return order.searchsorted(line.of(wanted, moments if side == "left" else moments + 1))

    return search


@dataclass(frozen=True)
class Line:
    """Keys and times as one number each: the times of a key one after the other, then those of the next.

    Where µs would not fit into 63 bits, ``distinct`` times are counted.
    """

    low: int
    step: int
    distinct: Integers | None

    def of(self, key: Integers, times: Integers) -> Integers:
        """The number of each time of a key; a time beyond all facts becomes the first or the last one of the key."""
        if self.distinct is None:
            return key * self.step + (times.clip(self.low, self.low + self.step - 1) - self.low)
        return key * self.step + self.distinct.searchsorted(times)


def line_of(last_key: int, times: Integers) -> Line:
    """A line for keys up to ``last_key`` and ``times``."""
    if not len(times):
        return Line(0, 1, None)
    low, high = int(times.min()), int(times.max())
    if (high - low + 2) * (last_key + 2) < ROOM:
        return Line(low, high - low + 2, None)
    distinct = np.unique(times)
    return Line(low, len(distinct) + 1, distinct)


def parts_of(columns: Sequence[Column], facts: Facts, points: Points) -> dict[str, pa.Array]:
    """The parts of each column by name, a value for each point."""
    layers = _layers(facts, points)
    tied = any(column.last for column in columns) and bool(facts.ties().any())
    found: dict[str, pa.Array] = {}
    for column in columns:
        if column.last and tied:
            # Of events at the same times the largest value is the last.
            ordered = facts.in_order(facts.values[column.value][0])
            found |= _of_column(column, ordered, _layers(ordered, points), points)
        else:
            found |= _of_column(column, facts, layers, points)
    return found


def _of_column(column: Column, facts: Facts, layers: Sequence[_Layer], points: Points) -> dict[str, pa.Array]:
    name = column.value
    values, size = facts.values[name][0], len(points.key)
    parts = {
        (days, part): np.full(size, MERGES[part][1], np.int64)
        for days in column.lengths
        for part in {*column.parts, "count"}
    }
    last = np.full(size, -1)
    for layer in layers:
        seen = layer.of(name)
        _add_clear(seen, name, parts)
        last = np.maximum(last, _last_clear(seen, column.lengths[0]))
        for looked in _unclear(seen, points, column.lengths[0]):
            _add_unclear(looked, seen, name, parts)
            last[looked.points] = np.maximum(last[looked.points], seen.places[looked.facts][looked.ends])
    found = {}
    for days in column.lengths:
        empty = parts[days, "count"] == 0
        for part in column.parts:
            hidden = empty if part in ("max", "min", "bits") else None
            found[f"{part}{column.place}_{days}"] = pa.array(parts[days, part], mask=hidden)
    if column.last:
        none = last < 0
        # A block may hold no event at all.
        some = np.where(none, 0, last) if len(values) else np.zeros(size, np.int64)
        value, time = (of[some] if len(of) else some for of in (values, facts.event))
        found[f"last{column.place}"] = pa.array(value, mask=none)
        found[f"last_ts{column.place}"] = pa.array(time, mask=none).cast(pa.timestamp("us", tz="UTC"))
    return found


def _units(part: str, values: Integers) -> Integers:
    """What is merged into a part."""
    if part == "count":
        return np.ones(len(values), np.int64)
    if part == "high":
        return values >> LOW_BITS
    return values & ((1 << LOW_BITS) - 1) if part == "low" else values


Parts = dict[tuple[int, str], Integers]


def _add_clear(layer: _Layer, name: str, parts: Parts) -> None:
    """Merge the stretches that are known whole."""
    values = layer.facts.values[name][0]
    running = {
        part: np.concatenate([[0], np.cumsum(_units(part, values))])
        for part in {part for _, part in parts if MERGES[part][0] is np.add}
    }
    for (days, part), found in parts.items():
        merge, nothing = MERGES[part]
        first = layer.first[days]
        end = np.maximum(layer.clear, first)
        if merge is np.add:
            found += running[part][end] - running[part][first]
        else:
            merge(found, extremes(values, first, end, merge, nothing), out=found)


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


def _last_clear(layer: _Layer, longest: int) -> Integers:
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


def _unclear(layer: _Layer, points: Points, longest: int) -> Iterator[_Seen]:
    """The events of the stretches that had to be looked at, which were known and not yet replaced, in order."""
    begin = np.maximum(layer.clear, layer.first[longest])
    length = (layer.end - begin).clip(0)
    waiting = np.flatnonzero(length)
    turns = np.cumsum(length[waiting]) // PAIRS_AT_ONCE
    for some in np.split(waiting, np.flatnonzero(np.diff(turns)) + 1) if len(waiting) else []:
        of = length[some]
        point = np.repeat(some, of)
        fact = np.arange(of.sum()) - np.repeat(np.cumsum(of) - of - begin[some], of)
        at, seen = points.at[point], np.ones(len(point), bool)
        if layer.facts.known is not None:
            seen &= layer.facts.known[fact] <= at
        if layer.facts.ended is not None:
            seen &= layer.facts.ended[fact] > at
        yield _runs(point[seen], fact[seen])


def _runs(point: Integers, fact: Integers) -> _Seen:
    begins = np.flatnonzero(np.diff(point, prepend=-1))
    ends = np.append(begins[1:], len(point)) - 1 if len(begins) else begins
    return _Seen(point[begins], fact, begins, ends)


def _add_unclear(seen: _Seen, layer: _Layer, name: str, parts: Parts) -> None:
    """Merge the events that were looked at."""
    values = layer.facts.values[name][0]
    point = np.repeat(seen.points, seen.ends - seen.begins + 1)
    for days in {days for days, _ in parts}:
        inside = seen.facts >= layer.first[days][point]
        some = _runs(point[inside], seen.facts[inside])
        if not len(some.points):
            continue
        for part in (part for length, part in parts if length == days):
            merge, _ = MERGES[part]
            more = merge.reduceat(_units(part, values[some.facts]), some.begins)
            parts[days, part][some.points] = merge(parts[days, part][some.points], more)
