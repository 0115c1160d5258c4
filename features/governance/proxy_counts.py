"""The scan behind the proxy report: rows by level of each feature and group of each attribute, in Arrow batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Batches = Iterator[pa.RecordBatch]
PLACES = "place bigint, value double"
# Relative error of a quantile's rank is one over this.
_ACCURACY = 10_000
# Below the levels of each feature stand the moments of its finite values: how many, their sum, that of their squares.
_MOMENTS = 3


@dataclass(frozen=True)
class Crossed:
    """One feature against one attribute, over rows where the attribute is known.

    ``counts`` are rows by (level, group), of what occurs; ``moments`` are number, sum and sum of squares
    of the finite values by group, measured from one of them.
    """

    counts: Floats
    moments: Floats


@dataclass(frozen=True)
class _Cut:
    """How values become levels: a number by its borders, a text (None) by its place among ``listed`` values."""

    borders: tuple[float, ...] | None = None
    listed: int = 0

    @property
    def size(self) -> int:
        """Number of levels: bins, or the rest and the listed ones; missing is the last."""
        return (self.listed if self.borders is None else len(self.borders)) + 2

    @property
    def centre(self) -> float:
        """A finite value from the middle, so that squares measured from it don't drown in their offset."""
        finite = [border for border in self.borders or () if np.isfinite(border)]
        return finite[len(finite) // 2] if finite else 0.0

    def codes(self, values: NDArray) -> Integers:
        """Levels of numbers (NaN for missing): 0 for (..., first border]; of places: as they are, -1 for missing."""
        if self.borders is None:
            return np.where(values < 0, self.size - 1, values).astype(np.int64)
        return np.where(np.isnan(values), self.size - 1, np.searchsorted(self.borders, values))


def crossed(
    rows: DataFrame,
    numbers: Mapping[str, Column],
    texts: Mapping[str, Column],
    attributes: Mapping[str, Column],
    *,
    bins: int,
    max_levels: int,
) -> dict[tuple[str, str], Crossed]:
    """Every feature (numbers are doubles, NaN or null for missing) against every attribute (text).

    Three scans, each of the columns that it needs: quantiles of the numbers, frequent values of the texts, counts.
    """
    listed = _frequent(rows, {**{("feature", n): c for n, c in texts.items()}, **_owned(attributes)}, max_levels)
    borders = _borders(rows, numbers, bins)
    columns = {**numbers, **{name: _place(value, listed["feature", name]) for name, value in texts.items()}}
    groups = {name: _place(value, listed["attribute", name]) for name, value in attributes.items()}
    cuts = [_Cut(borders=borders[name]) for name in numbers]
    cuts += [_Cut(listed=len(listed["feature", name])) for name in texts]
    sizes = [len(listed["attribute", name]) + 2 for name in attributes]
    totals = _totals(rows, columns, groups, cuts, sizes)
    pairs = [(feature, attribute) for feature in columns for attribute in attributes]
    return {pair: _occurring(total) for pair, total in zip(pairs, totals, strict=True)}


def _owned(attributes: Mapping[str, Column]) -> dict[tuple[str, str], Column]:
    return {("attribute", name): value for name, value in attributes.items()}


def _borders(rows: DataFrame, numbers: Mapping[str, Column], bins: int) -> dict[str, tuple[float, ...]]:
    """Where each number is cut: its distinct inner quantiles."""
    if not numbers:
        return {}
    steps = [step / bins for step in range(1, bins)]
    cuts = [F.percentile_approx(F.nanvl(value, F.lit(None)), steps, _ACCURACY) for value in numbers.values()]
    found = rows.agg(*(cut.alias(f"c{i}") for i, cut in enumerate(cuts))).first()
    assert found is not None
    return {name: tuple(sorted(set(found[f"c{i}"] or ()))) for i, name in enumerate(numbers)}


def _frequent(rows: DataFrame, texts: Mapping[tuple[str, str], Column], most: int) -> dict[tuple[str, str], list[str]]:
    """The most frequent values of each text, the most frequent first; ties by the value."""
    pairs = F.array(*(F.struct(F.lit(i).alias("i"), value.alias("value")) for i, value in enumerate(texts.values())))
    long = rows.select(F.explode(pairs).alias("pair")).select("pair.*").where(F.col("value").isNotNull())
    rank = F.row_number().over(Window.partitionBy("i").orderBy(F.desc("count"), "value"))
    found = long.groupBy("i", "value").count().withColumn("rank", rank).where(F.col("rank") <= most).collect()
    levels: list[list[str]] = [[] for _ in texts]
    for row in sorted(found, key=lambda row: row["rank"]):
        levels[row["i"]].append(row["value"])
    return dict(zip(texts, levels, strict=True))


def _place(value: Column, levels: Sequence[str]) -> Column:
    """Place of a value among the levels, from 1; 0 for the rest, -1 for null."""
    listed = F.array(*(F.lit(level) for level in levels)).cast("array<string>")
    return F.coalesce(F.call_function("array_position", listed, value), F.lit(-1)).cast("int")


def _totals(
    rows: DataFrame,
    columns: Mapping[str, Column],
    groups: Mapping[str, Column],
    cuts: Sequence[_Cut],
    sizes: Sequence[int],
) -> list[Floats]:
    """Levels and moments by group, for each feature and attribute: one scan, one shuffle of each task's sums."""
    coded = rows.select(
        *(group.alias(f"g{j}") for j, group in enumerate(groups.values())),
        *(column.alias(f"f{i}") for i, column in enumerate(columns.values())),
    )
    summed = (
        coded.mapInArrow(_adder(cuts, sizes), PLACES).groupBy("place").agg(F.sum("value").alias("value")).toPandas()
    )
    shapes = [(cut.size + _MOMENTS, size) for cut in cuts for size in sizes]
    ends = np.cumsum([height * width for height, width in shapes])
    flat = np.zeros(ends[-1])
    flat[summed["place"].to_numpy(np.int64)] = summed["value"].to_numpy(np.float64)
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]


def _adder(cuts: Sequence[_Cut], sizes: Sequence[int]) -> Callable[[Batches], Batches]:
    def add(batches: Batches) -> Batches:
        totals = [np.zeros((cut.size + _MOMENTS, size)) for cut in cuts for size in sizes]
        for batch in batches:
            groups = [_Cut(listed=size - 2).codes(_array(batch, f"g{j}")) for j, size in enumerate(sizes)]
            for i, cut in enumerate(cuts):
                values = _array(batch, f"f{i}")
                codes, weights = cut.codes(values), _powers(values, cut)
                for j, group in enumerate(groups):
                    totals[i * len(sizes) + j] += _sums(codes, group, weights, cut.size, sizes[j])
        flat = np.concatenate([total.ravel() for total in totals])
        places = np.flatnonzero(flat)
        yield pa.RecordBatch.from_arrays([pa.array(places, pa.int64()), pa.array(flat[places])], ["place", "value"])

    return add


def _array(batch: pa.RecordBatch, name: str) -> NDArray:
    """A column of a batch; null numbers become NaN."""
    return batch.column(name).to_numpy(zero_copy_only=False)


def _powers(values: NDArray, cut: _Cut) -> list[Floats]:
    """Power 0, 1 and 2 of each finite number from the centre; nothing for a text."""
    if cut.borders is None:
        return []
    finite = np.isfinite(values)
    offsets = np.where(finite, values - cut.centre, 0.0)
    return [finite.astype(np.float64), offsets, offsets**2]


def _sums(codes: Integers, group: Integers, weights: Sequence[Floats], levels: int, groups: int) -> Floats:
    counts = np.bincount(codes * groups + group, minlength=levels * groups).reshape(levels, groups)
    moments = np.zeros((_MOMENTS, groups))
    for power, weight in enumerate(weights):
        moments[power] = np.bincount(group, weight, groups)
    return np.concatenate([counts, moments])


def _occurring(total: Floats) -> Crossed:
    """Levels and groups that occur; rows of unknown group, the last column, are left out."""
    counts, moments = total[:-_MOMENTS, :-1], total[-_MOMENTS:, :-1]
    groups = counts.any(axis=0)
    return Crossed(counts[counts.any(axis=1)][:, groups], moments[:, groups])
