"""Measured columns in a block of Arrow: every type as whole numbers in the order of its values, and back again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.types import DataType, DoubleType, LongType

from strata.features.engine.aggregates import Measured
from strata.features.engine.exact_sums import Doubles, Limbs, deviation_of, limbs_of, squares_of, total_of
from strata.features.engine.window_distinct import DISTINCT
from strata.features.engine.window_layers import Integers, Mask, Numbers
from strata.features.engine.window_stretches import Column, Merged, Parts

EMPTY_IS_NULL = frozenset({"max", "min", "bits"})
# Values that no sum of limbs can hold are counted instead.
_WILD: Mapping[str, Callable[[Doubles], Mask]] = {"nan": np.isnan, "up": np.isposinf, "down": np.isneginf}


def block_parts(column: Measured) -> tuple[str, ...]:
    """The parts that a block answers for each window of a column; ``last`` is one for all windows."""
    return tuple(sorted((set(column.parts) - DISTINCT - {"before"}) | (DISTINCT & column.aggs)))


def part_type(part: str, column: Measured) -> DataType:
    """The Spark type of a part that a block answers."""
    if part in ("sum", "std"):
        return DoubleType()
    return carried_type(column) if part in ("max", "min") else LongType()


def carried_type(column: Measured) -> DataType:
    """The Spark type in which values of a column travel (see ``Measured.carried``)."""
    return column.kind if column.scale is None else LongType()


@dataclass(frozen=True)
class Carried:
    """A column of a block: its ``numbers``; the ``values`` that they are places of, sorted, where it has no numbers.

    ``lowest`` is for each sum of limbs the place of its last bit.
    """

    numbers: Numbers
    values: pa.Array | None
    lowest: Mapping[str, int]

    def restored(self, numbers: Integers, missing: Mask) -> pa.Array:
        """Values of the column again, null where ``missing``."""
        places = pa.array(np.where(missing, 0, numbers), pa.int64(), mask=missing)
        return places if self.values is None else self.values.take(places)


def carried(column: Column, given: pa.ChunkedArray) -> Carried:
    """A column of a block as numbers; texts by their UTF-8 bytes, NaN after all numbers, as Spark compares them."""
    there = given.is_valid().to_numpy(zero_copy_only=False) if given.null_count else None
    if pa.types.is_integer(given.type):
        numbers, values = given.fill_null(0).to_numpy(), None
    else:
        numbers, values = _places(given)
    addends: dict[str, Integers] = {}
    lowest: dict[str, int] = {}
    if {"sum", "std"} & set(column.parts):
        doubles = numbers.astype(np.float64) if values is None else _doubles(given)
        addends, lowest = _addends(doubles, "std" in column.parts)
    return Carried(Numbers(numbers, there, addends), values, lowest)


def _places(given: pa.ChunkedArray) -> tuple[Integers, pa.Array]:
    """The place of each value among the different ones, and those in order; a null has some place, too."""
    encoded = given.combine_chunks().dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    place = np.zeros(max(len(order), 1), np.int64)
    place[order.to_numpy()] = np.arange(len(order))
    return place[encoded.indices.fill_null(0).to_numpy()], encoded.dictionary.take(order)


def _doubles(given: pa.ChunkedArray) -> Doubles:
    doubles: Doubles = given.cast(pa.float64()).fill_null(0.0).to_numpy()
    return doubles


def _addends(doubles: Doubles, squared: bool) -> tuple[dict[str, Integers], dict[str, int]]:
    """What is added up for sums of doubles, and with ``squared`` for their deviation, by name; and the last bits."""
    addends, lowest = {}, {}
    for name, is_wild in _WILD.items():
        if (wild := is_wild(doubles)).any():
            addends[name] = wild.astype(np.int64)
    sums = {"sum": doubles}
    if squared:
        sums["square"], sums["error"] = squares_of(doubles)
        if (vast := ~np.isfinite(sums["square"] + sums["error"])).any():
            addends["vast"] = vast.astype(np.int64)
            sums |= {name: np.where(vast, 0.0, sums[name]) for name in ("square", "error")}
    for name, values in sums.items():
        limbs = limbs_of(np.where(np.isfinite(values), values, 0.0))
        lowest[name] = limbs.lowest
        addends |= {f"{name}{place}": limb for place, limb in enumerate(limbs.parts)}
    return addends, lowest


def answers(column: Column, held: Carried, merged: Merged) -> dict[str, pa.Array]:
    """The parts of a column as Spark takes them, by name."""
    found = {}
    for days in column.lengths:
        for part in column.parts:
            found[f"{part}{column.place}_{days}"] = _answer(part, days, held, merged.parts)
    if column.last:
        found[f"last{column.place}"] = held.restored(merged.last, merged.no_last)
        moments = pa.array(merged.last_ts, pa.int64(), mask=merged.no_last)
        found[f"last_ts{column.place}"] = moments.cast(pa.timestamp("us", tz="UTC"))
    return found


def _answer(part: str, days: int, held: Carried, parts: Parts) -> pa.Array:
    count = parts[days, "count"]
    if part == "sum":
        return pa.array(_sum(days, held, parts))
    if part == "std":
        return pa.array(_deviation(days, held, parts), mask=count < 2)
    if part in ("max", "min"):
        return held.restored(parts[days, part], count == 0)
    return pa.array(parts[days, part], pa.int64(), mask=count == 0 if part in EMPTY_IS_NULL else None)


def _limbs(name: str, days: int, held: Carried, parts: Parts) -> Limbs:
    """The summed limbs of an exact sum."""
    places = sum(one.startswith(name) and one[len(name) :].isdigit() for one in held.numbers.addends)
    return Limbs(held.lowest[name], [parts[days, f"{name}{place}"] for place in range(places)])


def _sum(days: int, held: Carried, parts: Parts) -> Doubles:
    limbs = _limbs("sum", days, held, parts)
    found = total_of(limbs.lowest, limbs.parts)[0]
    some = {name: parts[days, name] > 0 for name in _WILD if (days, name) in parts}
    if not some:
        return found
    never = np.zeros(len(found), bool)
    up, down = some.get("up", never), some.get("down", never)
    found = np.where(up, np.inf, np.where(down, -np.inf, found))
    return np.where(some.get("nan", never) | (up & down), np.nan, found)


def _deviation(days: int, held: Carried, parts: Parts) -> Doubles:
    """NaN where a value or its square is none of the doubles."""
    sums = [_limbs(name, days, held, parts) for name in ("sum", "square", "error")]
    found = deviation_of(parts[days, "count"], *sums)
    for name in (*_WILD, "vast"):
        if (days, name) in parts:
            found = np.where(parts[days, name] > 0, np.nan, found)
    return found
