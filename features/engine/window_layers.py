"""Events in order of key and time, and where the windows of points begin and end among them.

The window of a point is a stretch of the events. Each event is looked at only from the first one on that may not have
been known yet; most points have none. ``window_stretches`` and ``window_distinct`` say what lies in the stretches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
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


@dataclass(frozen=True)
class Numbers:
    """A measured column of the facts as whole numbers, in the order of its values; ``there``: whether each is not null.

    ``addends`` are more whole numbers of each fact, by name, of which only sums are wanted.
    """

    values: Integers
    there: Mask | None = None
    addends: Mapping[str, Integers] = field(default_factory=dict)

    def take(self, places: Integers | Mask) -> Numbers:
        """Some of them, or all in another order."""
        there = None if self.there is None else self.there[places]
        return Numbers(self.values[places], there, {name: more[places] for name, more in self.addends.items()})

    def units(self, part: str, places: Integers | slice) -> Integers:
        """What some of the facts add to a part, or hold against it."""
        if part in self.addends:
            return self.addends[part][places]
        values = self.values[places]
        if part == "count":
            return np.ones(len(values), np.int64)
        if part == "high":
            return values >> LOW_BITS
        return values & ((1 << LOW_BITS) - 1) if part == "low" else values


@dataclass(frozen=True)
class Points:
    """Points: number of the key, whether they ask at all, their time and the starts of their windows in µs."""

    key: Integers
    asks: Mask
    at: Integers
    starts: Mapping[int, Integers]


@dataclass(frozen=True)
class Facts:
    """Events in order of key, event time and known time (µs); ``values`` by column."""

    key: Integers
    event: Integers
    known: Integers | None
    ended: Integers | None
    values: Mapping[str, Numbers] = field(repr=False)

    def take(self, places: Integers | Mask) -> Facts:
        """Some of them, or all in another order."""
        return Facts(
            self.key[places],
            self.event[places],
            None if self.known is None else self.known[places],
            None if self.ended is None else self.ended[places],
            {name: numbers.take(places) for name, numbers in self.values.items()},
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
class Layer:
    """Some of the facts, and for each point where its windows begin and end among them.

    Of a stretch all up to ``clear`` are known; each of those from there to ``end`` has to be looked at.
    """

    facts: Facts
    # Their places among all facts.
    places: Integers
    first: Mapping[int, Integers]
    clear: Integers
    end: Integers

    def unclear(self, longest: int) -> tuple[Integers, Integers]:
        """For each point the place of the first fact to be looked at in a window of ``longest`` days, and how many."""
        begin = np.maximum(self.clear, self.first[longest])
        return begin, (self.end - begin).clip(0)

    def seen(self, points: Points, some: Integers, longest: int) -> tuple[Integers, Integers]:
        """Pairs of a point, of ``some``, and the place of a fact that had to be looked at and counts for it."""
        begin, length = self.unclear(longest)
        of = length[some]
        point = np.repeat(some, of)
        fact = np.arange(of.sum()) - np.repeat(np.cumsum(of) - of - begin[some], of)
        at, counts = points.at[point], np.ones(len(point), bool)
        if self.facts.known is not None:
            counts &= self.facts.known[fact] <= at
        if self.facts.ended is not None:
            counts &= self.facts.ended[fact] > at
        return point[counts], fact[counts]

    @property
    def pairs(self) -> int:
        """How many events have to be looked at."""
        return int(self.unclear(max(self.first))[1].sum())

    def of(self, name: str) -> Layer:
        """With this value alone, and without the facts where it isn't there."""
        there = self.facts.values[name].there
        facts = replace(self.facts, values={name: replace(self.facts.values[name], there=None)})
        if there is None:
            return replace(self, facts=facts)
        before = np.concatenate([[0], np.cumsum(there)])
        first = {days: before[places] for days, places in self.first.items()}
        return Layer(facts.take(there), self.places[there], first, before[self.clear], before[self.end])


def layers_of(facts: Facts, points: Points) -> list[Layer]:
    """Facts that are never replaced, apart by how late they are where that spares pairs, and those that are."""
    everything = np.arange(len(facts.key))
    if facts.ended is None:
        return _by_delay(facts, everything, points)
    stays = facts.ended == NEVER
    plain = _by_delay(facts.take(stays), everything[stays], points)
    return [*plain, _layer(facts.take(~stays), everything[~stays], points, clear=False)]


def _by_delay(facts: Facts, places: Integers, points: Points) -> list[Layer]:
    whole = _layer(facts, places, points, clear=True)
    if facts.known is None or whole.pairs <= MANY_PAIRS * (len(facts.key) + len(points.key)):
        return [whole]
    # One event that came to light after months would leave all later ones unclear.
    classes = np.digitize(facts.known - facts.event, LATE_BY)
    members = [np.flatnonzero(classes == k) for k in np.unique(classes)]
    return [_layer(facts.take(some), places[some], points, clear=True) for some in members]


def layers_by_end(facts: Facts, points: Points) -> list[Layer]:
    """Facts that are never replaced as one layer, and where there are versions those that are."""
    if facts.ended is None:
        return [_layer(facts, np.arange(len(facts.key)), points, clear=True)]
    stays = facts.ended == NEVER
    parts = [np.flatnonzero(stays), np.flatnonzero(~stays)]
    return [_layer(facts.take(some), some, points, clear=not part) for part, some in enumerate(parts)]


def _layer(facts: Facts, places: Integers, points: Points, *, clear: bool) -> Layer:
    search = _search(facts.key, facts.event, points.key)
    first = {days: np.where(points.asks, search(start, "left"), 0) for days, start in points.starts.items()}
    end = np.where(points.asks, search(points.at, "left"), 0)
    longest = first[max(first)]
    if not clear:
        return Layer(facts, places, first, longest, end)
    if facts.known is None:
        return Layer(facts, places, first, end, end)
    # The latest known time so far only rises along a key: up to where it passes the point all are known.
    searched = _search(facts.key, facts.known, points.key, running=True)(points.at, "right")
    return Layer(facts, places, first, np.clip(searched, longest, end), end)


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


def turns(lengths: Integers) -> Iterator[Integers]:
    """Points that have facts to be looked at, so many at a time that their pairs fit into memory."""
    waiting = np.flatnonzero(lengths)
    turn = np.cumsum(lengths[waiting]) // PAIRS_AT_ONCE
    if len(waiting):
        yield from np.split(waiting, np.flatnonzero(np.diff(turn)) + 1)
