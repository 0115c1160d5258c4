"""How many different values lie in each of many stretches of a sequence: exact, without looking at each stretch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from strata.features.engine.aggregates import EVER
from strata.features.engine.window_layers import Facts, Integers, Layer, Mask, Numbers, Points, layers_by_end, turns

DISTINCT = frozenset({"distinct", "new"})


class Different:
    """Groups (values of a key, numbered) in their order, to be counted by stretch and looked up in it."""

    def __init__(self, groups: Integers) -> None:
        """``groups`` in order of key and time, from 0. One stable sort."""
        order = np.argsort(groups, kind="stable")
        again = groups[order[1:]] == groups[order[:-1]]
        self._before = np.full(len(groups), -1)
        self._before[order[1:][again]] = order[:-1][again]
        self._step = len(groups) + 1
        self._places = groups[order] * self._step + order

    def count(self, first: Integers, end: Integers) -> Integers:
        """How many different groups stand at places ``first`` to ``end`` (exclusive), 0 where that is empty.

        A place counts when its group stood nowhere between it and ``first``: when the place before of the same group
        lies before ``first``. Places before ``first`` all do so, and are taken off.
        Example: of groups 5 7 5 7, the places before are - - 0 1; in 1 to 4 those of 7 and 5 lie before 1, that of
        the second 7 does not: two. Some log2(n) steps over all stretches together, one for each bit.
        """
        found = np.zeros(len(first), np.int64)
        some = np.flatnonzero(end > first)
        found[some] = count_below(self._before + 1, end[some], first[some] + 1) - first[some]
        return found

    def holds(self, groups: Integers, first: Integers, end: Integers) -> Mask:
        """Whether each of ``groups`` stands at a place from ``first`` to ``end`` (exclusive)."""
        if not len(self._places):
            return np.zeros(len(groups), bool)
        begin = groups * self._step
        last = self._places.searchsorted(begin + end) - 1
        return (last >= 0) & (self._places[last] >= begin + first)


def count_below(values: Integers, ends: Integers, limits: Integers) -> Integers:
    """For each pair, how many of the first ``ends`` of ``values`` (from 0) are below ``limits``.

    A wavelet matrix (Claude, Navarro and Ordóñez 2015), made and asked one bit at a time: a value is below a limit
    where it has the first 0 against a 1. Time in (values + pairs) × bits.
    """
    found, begins, stops = np.zeros(len(ends), np.int64), np.zeros(len(ends), np.int64), ends
    bits = int(max(values.max(initial=0), limits.max(initial=0))).bit_length()
    for bit in reversed(range(bits)):
        is_one = (values >> bit) & 1 == 1
        zeros = np.concatenate([[0], np.cumsum(~is_one)])
        wants_one = (limits >> bit) & 1 == 1
        before, until = zeros[begins], zeros[stops]
        found += np.where(wants_one, until - before, 0)
        begins = np.where(wants_one, zeros[-1] + begins - before, before)
        stops = np.where(wants_one, zeros[-1] + stops - until, until)
        values = np.concatenate([values[~is_one], values[is_one]])
    return found


def numbered(keys: Integers, values: Integers) -> Integers:
    """A number from 0 for each different pair of key and value. One sort."""
    order = np.lexsort((values, keys))
    is_new = (np.diff(keys[order]) != 0) | (np.diff(values[order]) != 0)
    numbers = np.zeros(len(keys), np.int64)
    numbers[order[1:]] = np.cumsum(is_new)
    return numbers


def first_of_pairs(points: Integers, groups: Integers) -> Integers:
    """The places of one of each different pair of point and group."""
    order = np.lexsort((groups, points))
    is_new = (np.diff(points[order], prepend=-1) != 0) | (np.diff(groups[order], prepend=-1) != 0)
    return order[is_new]


@dataclass(frozen=True)
class _Stretch:
    """For each point a stretch of the facts that are never replaced, as far as all are known, and its times in µs."""

    first: Integers
    end: Integers
    since: Integers
    until: Integers

    def holds(self, points: Integers, times: Integers) -> Mask:
        """Whether each time lies in the stretch of its point."""
        return (times >= self.since[points]) & (times < self.until[points])


def different_of(
    name: str, asked: Collection[str], lengths: Sequence[int], facts: Facts, points: Points
) -> dict[tuple[int, str], Integers]:
    """``distinct`` and ``new`` of a column for each length of windows, whichever is ``asked``.

    ``new`` are the values of a window that the key never had before it: those of all time up to the point without
    those of all time up to the window, each as known at the point.
    """
    numbers = facts.values[name]
    as_groups = Numbers(numbered(facts.key, numbers.values), numbers.there)
    layers = [layer.of(name) for layer in layers_by_end(replace(facts, values={name: as_groups}), points)]
    stretches = _stretches(asked, lengths, layers[0], points)
    found = _counted(name, list(stretches.values()), layers, points, EVER if "new" in asked else lengths[0])
    counts = dict(zip(stretches, found, strict=True))
    answers = {(days, "distinct"): counts["distinct", days] for days in lengths if "distinct" in asked}
    if "new" in asked:
        answers |= {(days, "new"): counts["ever", EVER] - counts["before", days] for days in lengths}
    return answers


def _stretches(
    asked: Collection[str], lengths: Sequence[int], layer: Layer, points: Points
) -> dict[tuple[str, int], _Stretch]:
    """What has to be counted, by what it is called: windows, all time, and all time before a window."""

    def stretch(days: int, end: Integers, until: Integers) -> _Stretch:
        first = layer.first[days]
        return _Stretch(first, np.maximum(np.minimum(layer.clear, end), first), points.starts[days], until)

    found: dict[tuple[str, int], _Stretch] = {}
    if "distinct" in asked:
        found |= {("distinct", days): stretch(days, layer.end, points.at) for days in lengths}
    if "new" in asked:
        found["ever", EVER] = stretch(EVER, layer.end, points.at)
        found |= {("before", days): stretch(EVER, layer.first[days], points.starts[days]) for days in lengths}
    return found


def _counted(
    name: str, stretches: Sequence[_Stretch], layers: Sequence[Layer], points: Points, longest: int
) -> list[Integers]:
    """How many different values each point sees in each stretch: of those known whole, and of those looked at."""
    whole = layers[0].facts.values[name].values
    different = Different(whole)
    found = [different.count(stretch.first, stretch.end) for stretch in stretches]
    waiting: Integers = np.sum([layer.unclear(longest)[1] for layer in layers], axis=0)
    for some in turns(waiting):
        pairs = [_looked_at(name, layer, points, some, longest) for layer in layers]
        point, group, time = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        for stretch, counts in zip(stretches, found, strict=True):
            inside = np.flatnonzero(stretch.holds(point, time))
            inside = inside[first_of_pairs(point[inside], group[inside])]
            asks, values = point[inside], group[inside]
            there = different.holds(values, stretch.first[asks], stretch.end[asks])
            np.add.at(counts, asks[~there], 1)
    return found


def _looked_at(
    name: str, layer: Layer, points: Points, some: Integers, longest: int
) -> tuple[Integers, Integers, Integers]:
    """Point, value and time of each fact that had to be looked at and counts."""
    point, fact = layer.seen(points, some, longest)
    return point, layer.facts.values[name].values[fact], layer.facts.event[fact]
