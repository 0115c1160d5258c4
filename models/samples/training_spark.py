"""A training set of any size: Spark's batches are counted by numpy, and the driver sees bounded sums alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F

from strata.models.binning.bin_counts import (
    MOST_LEVELS,
    MOST_PERIODS,
    Answer,
    Block,
    BlockSum,
    Counted,
    Edit,
    Faults,
    Floats,
    Item,
    Totals,
    checked_totals,
    count_numbers,
    level_bins,
    most_edges,
    number_bins,
)
from strata.models.binning.feature_bins import FeatureBins
from strata.models.binning.spark_counts import Batches, Cells, Found, column_codes, count_features, level_counts
from strata.models.samples.training_rows import Source

# The rows that candidate edges come from: the first ones, or a random sample that the driver can hold.
PIECE, FIRST_ROWS = 1_000, 10_000
SAMPLE_ROWS, SAMPLE_CELLS, SAMPLE_SEED = 100_000, 10_000_000, 20_240_101
# A candidate bin that holds so much more of all rows than of the first ones is too coarse to choose bins from.
UNLIKE_TIMES, UNLIKE_SHARE = 1.25, 0.01
FEW_ITEMS = 16


def spark_training(given: Source, rows: DataFrame) -> SparkTraining:
    """Rows of ``Source.rows`` where they are; one scan of outcome, weight and period."""
    bad, weight = F.col("bad"), F.col("weight")
    missing = bad.isNull() | F.isnan(bad)
    sound = (weight >= 0) & (weight < float("inf"))
    by_period = (
        rows.withColumn("partition", F.spark_partition_id())
        .groupBy("period")
        .agg(
            F.count_if(missing).alias("nulls"),
            F.count_if(~missing & ~bad.isin(0.0, 1.0)).alias("wrong"),
            F.count_if(weight.isNull() | ~sound).alias("weights"),
            F.count("*").alias("rows"),
            F.sum(F.when(bad == 0, weight)).alias("good"),
            F.sum(F.when(bad == 1, weight)).alias("bad"),
        )
    )
    found = by_period.limit(MOST_PERIODS + 1).toPandas()
    unknown = found["period"].isna()
    nulls, wrong, weights, rows_in_all = (int(found[name].sum()) for name in ("nulls", "wrong", "weights", "rows"))
    faults = Faults(nulls, wrong, weights, int(unknown @ found["rows"]))
    totals = checked_totals(given, faults, rows_in_all, found["good"].sum(), found["bad"].sum(), found["period"])
    return SparkTraining(given, totals, rows)


@dataclass(frozen=True)
class SparkTraining:
    """Rows of ``Source.rows``, read again by each pass."""

    source: Source
    totals: Totals
    rows: DataFrame

    def pre_bins(self, min_share: float, edit: Edit) -> list[Counted]:
        """Edges from the first rows and one scan that counts all features.

        Where the first rows turn out to be unlike the others (data sorted by the feature, say), edges come from a
        random sample in a second scan of those features alone; so do the common levels of texts that have over
        1,000. Those are counted again.
        """
        heads = self._first()
        first = self._edges(heads)
        parts = {i: edit(first[i]) if i in first else None for i in range(len(self.source.features))}
        found = self._count(parts)
        unlike = [i for i in first if parts[i] is first[i] and is_unlike(heads[i], first[i], _only(found[i]))]
        many = [i for i, cells in found.items() if cells is None]
        second = self._edges(self._sample(unlike)) | self._common(many, min_share)
        again = {i: edit(part) for i, part in second.items()}
        found |= self._count(again)
        return [self._counted(i, again.get(i, part), found[i], min_share, edit) for i, part in parts.items()]

    def _edges(self, values: Mapping[int, Floats]) -> dict[int, FeatureBins]:
        return {i: number_bins(self.source, i, of, most_edges(self.totals)) for i, of in values.items()}

    def _first(self) -> dict[int, Floats]:
        """Values of each number in the first rows; the others are not even decoded."""
        numbers = [i for i, kind in enumerate(self.source.kinds) if kind == "number"]
        return _unpacked_columns(first_rows(self.rows, numbers).collect() if numbers else [], numbers)

    def _sample(self, numbers: Sequence[int]) -> dict[int, Floats]:
        """Values of each of ``numbers`` in a random sample."""
        # Sampled before anything is made of them: the other rows are only read.
        share = min(1.0, _sample_rows(numbers) / self.totals.rows)
        some = replace(self.source, data=self.source.data.sample(share, seed=SAMPLE_SEED))
        return _unpacked_columns(_packed(some.rows(), numbers).collect() if numbers else [], numbers)

    def _common(self, texts: Sequence[int], min_share: float) -> dict[int, FeatureBins]:
        """Groups of the levels of texts that have too many for a table: one shuffle of them."""
        if not texts:
            return {}
        cells = self.rows.select("weight", *[f"f{i}" for i in texts]).mapInArrow(
            _level_weights(texts), "i int, level string, weight double"
        )
        summed = cells.groupBy("i", "level").agg(F.sum("weight").alias("weight"))
        rank = F.row_number().over(Window.partitionBy("i").orderBy(F.desc("weight"), "level"))
        most = summed.withColumn("rank", rank).where(F.col("rank") <= MOST_LEVELS).toPandas()
        weights = {i: dict(zip(part["level"], part["weight"], strict=True)) for i, part in most.groupby("i")}
        return {
            i: level_bins(self.source, i, weights.get(i, {}), min_share, self.totals, all_levels=False) for i in texts
        }

    def _count(self, parts: Mapping[int, FeatureBins | None]) -> Found:
        weighted, periods = self.source.weight is not None, pd.Index(self.totals.periods)
        return count_features(self.rows, parts, periods, weighted) if parts else {}

    def _counted(self, i: int, part: FeatureBins | None, cells: Cells | None, min_share: float, edit: Edit) -> Counted:
        periods = len(self.totals.periods)
        if part is None:
            weights = {level: float(counts.sum()) for level, counts in (cells or {}).items()}
            part = edit(level_bins(self.source, i, weights, min_share, self.totals))
            return Counted(part, level_counts(part, cells or {}, periods))
        return Counted(part, _only(cells).reshape(periods, part.size, 2))

    def coded(self, bins: Sequence[FeatureBins]) -> SparkCoded:
        """Codes in one compact column, persisted: every later pass reads only that."""
        parts = tuple(bins)
        columns = [f"f{self.source.place(part.feature)}" for part in parts]

        def code(batches: Batches) -> Batches:
            for batch in batches:
                codes = np.empty((batch.num_rows, len(parts)), np.int16)
                for place, (part, name) in enumerate(zip(parts, columns, strict=True)):
                    codes[:, place] = column_codes(part, batch.column(name))
                packed = pa.array([row.tobytes() for row in codes], pa.binary())
                yield pa.RecordBatch.from_arrays([packed, *(batch.column(n) for n in KEPT)], names=["codes", *KEPT])

        in_rows = (F.col("weight") / F.lit(self.totals.unit)).alias("weight")
        coded = self.rows.select("bad", in_rows, *columns).mapInArrow(code, "codes binary, bad double, weight double")
        return SparkCoded(coded.persist(StorageLevel.MEMORY_AND_DISK), len(parts))

    def side_by_side(self, make: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """In tasks when there are many: merging 500 features is seconds of work."""
        if len(items) <= FEW_ITEMS:
            return [make(item) for item in items]
        context = self.rows.sparkSession.sparkContext
        return context.parallelize(items, min(len(items), 4 * context.defaultParallelism)).map(make).collect()


KEPT = ("bad", "weight")
PLACES = "place long, value double"


@dataclass(frozen=True)
class SparkCoded:
    """Persisted rows of codes (binary), bad and weight."""

    rows: DataFrame
    width: int

    def sums(self, make: BlockSum) -> Floats:
        """One scan of the cached codes and one shuffle of the sums of each task."""
        width = self.width

        def add(batches: Batches) -> Batches:
            total: Floats | None = None
            for batch in batches:
                part = make(_unpacked(batch, width))
                total = part if total is None else total + part
            yield from _places(total)

        return _added(self.rows.mapInArrow(add, PLACES))

    def release(self) -> None:
        """Unpersist the codes."""
        self.rows.unpersist()


def is_unlike(head: Floats, bins: FeatureBins, counts: Floats) -> bool:
    """Whether a bin made from ``head`` holds far more of all ordinary rows than of ``head``.

    ``counts`` are by (period, code, good or bad), flat. A value of many rows makes a large bin in both.
    """
    first = count_numbers(bins, head)[: bins.ordinary]
    whole = counts.reshape(-1, bins.size, 2).sum(axis=(0, 2))[: bins.ordinary]
    of_first, of_whole = (found / max(found.sum(), 1e-9) for found in (first, whole))
    return bool((of_whole > UNLIKE_TIMES * of_first + UNLIKE_SHARE).any())


def _only(cells: Cells | None) -> Floats:
    """The counts of a feature that was counted by its bins."""
    assert cells is not None
    return cells[None]


def _sample_rows(numbers: Sequence[int]) -> int:
    return min(SAMPLE_ROWS, SAMPLE_CELLS // max(len(numbers), 1))


def first_rows(rows: DataFrame, numbers: Sequence[int]) -> DataFrame:
    """Pieces of the first rows, by one task that stops, not one for each partition.

    It stops before Python, never behind it: when a task ends while rows are still read for Python, Spark frees the
    columns that its reader writes to, and the JVM dies (a path that SPARK-33277 left open).
    """
    return _packed(rows.coalesce(1).limit(FIRST_ROWS), numbers)


def _packed(rows: DataFrame, numbers: Sequence[int]) -> DataFrame:
    """Pieces of some rows, each a matrix (number, row) of doubles, NaN for missing."""

    def pack(batches: Batches) -> Batches:
        for batch in batches:
            for first in range(0, batch.num_rows, PIECE):
                piece = batch.slice(first, PIECE)
                matrix = np.stack([column.to_numpy(zero_copy_only=False) for column in piece.columns])
                yield pa.RecordBatch.from_arrays([pa.array([matrix.tobytes()], pa.binary())], names=["matrix"])

    return rows.select(*[f"f{i}" for i in numbers]).mapInArrow(pack, "matrix binary")


def _unpacked_columns(pieces: Sequence[Row], numbers: Sequence[int]) -> dict[int, Floats]:
    if not pieces:
        return {i: np.empty(0) for i in numbers}
    matrices = [np.frombuffer(piece["matrix"]).reshape(len(numbers), -1) for piece in pieces]
    return dict(zip(numbers, np.concatenate(matrices, axis=1), strict=True))


def _level_weights(texts: Sequence[int]) -> Callable[[Batches], Batches]:
    def weigh(batches: Batches) -> Batches:
        for batch in batches:
            for i in texts:
                table = pa.table({"level": batch.column(f"f{i}"), "weight": batch.column("weight")})
                summed = (
                    table.filter(pa.compute.is_valid(table["level"])).group_by("level").aggregate([("weight", "sum")])
                )
                numbers = pa.array(np.full(len(summed), i, np.int32))
                columns = [numbers, summed["level"].combine_chunks(), summed["weight_sum"].combine_chunks()]
                yield from pa.table(columns, names=["i", "level", "weight"]).to_batches()

    return weigh


def _places(total: Floats | None) -> Batches:
    """The filled places of a task's sums, and the last one, which tells how many there are."""
    if total is not None:
        filled = np.union1d(np.flatnonzero(total), len(total) - 1)
        yield pa.RecordBatch.from_arrays([pa.array(filled), pa.array(total[filled])], names=["place", "value"])


def _added(parts: DataFrame) -> Floats:
    summed = parts.groupBy("place").agg(F.sum("value").alias("value")).toPandas()
    flat = np.zeros(int(summed["place"].max()) + 1)
    flat[summed["place"].to_numpy()] = summed["value"].to_numpy()
    return flat


def _unpacked(batch: pa.RecordBatch, width: int) -> Block:
    codes = np.frombuffer(b"".join(batch.column("codes").to_pylist()), np.int16).reshape(-1, width)
    return Block(codes, *(batch.column(name).to_numpy() for name in KEPT))
