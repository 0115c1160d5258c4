"""A training set of any size: Spark's batches are counted by numpy, and the driver sees bounded sums alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from strata.models.binning_bins import Codes, FeatureBins, number_edges
from strata.models.binning_rows import Source
from strata.models.counts import (
    MOST_LEVELS,
    MOST_PERIODS,
    Answer,
    Block,
    BlockSum,
    Floats,
    Item,
    Outcomes,
    Totals,
    check_rows,
    check_totals,
    count_codes,
    count_numbers,
    empty_bins,
    level_bins,
    most_edges,
    split_counts,
)

# The sample that candidate edges come from: 200 of them need no more, and the driver can hold it.
SAMPLE_ROWS, SAMPLE_CELLS, SAMPLE_SEED = 100_000, 10_000_000, 20_240_101
FEW_ITEMS = 16
Batches = Iterator[pa.RecordBatch]


def spark_training(given: Source, rows: DataFrame) -> SparkTraining:
    """Rows of ``Source.rows`` where they are; one scan of outcome, weight and period."""
    bad, weight = F.col("bad"), F.col("weight")
    missing = bad.isNull() | F.isnan(bad)
    sound = (weight >= 0) & (weight < float("inf"))
    by_period = rows.groupBy("period").agg(
        F.count_if(missing).alias("nulls"),
        F.count_if(~missing & ~bad.isin(0.0, 1.0)).alias("wrong"),
        F.count_if(weight.isNull() | ~sound).alias("weights"),
        F.count("*").alias("rows"),
        F.sum(F.when(bad == 0, weight)).alias("good"),
        F.sum(F.when(bad == 1, weight)).alias("bad"),
    )
    found = by_period.limit(MOST_PERIODS + 1).toPandas()
    unknown = found["period"].isna()
    nulls, wrong, weights = (int(found[name].sum()) for name in ("nulls", "wrong", "weights"))
    check_rows(given, nulls, wrong, weights, int(unknown @ found["rows"]))
    rows_in_all, good, bad_in_all = (found[name].sum() for name in ("rows", "good", "bad"))
    totals = Totals(int(rows_in_all), float(good), float(bad_in_all), tuple(sorted(found["period"])))
    check_totals(given, totals)
    return SparkTraining(given, totals, rows)


@dataclass(frozen=True)
class SparkTraining:
    """Rows of ``Source.rows``, read again by each pass."""

    source: Source
    totals: Totals
    rows: DataFrame

    def candidates(self, min_share: float) -> tuple[FeatureBins, ...]:
        """Quantiles of a sample, and levels: a scan for each, with one shuffle of the levels of texts."""
        edges, levels = self._edges(), self._levels(min_share)
        empties = [empty_bins(self.source, i) for i in range(len(self.source.features))]
        return tuple(
            replace(empty, edges=edges[i])
            if i in edges
            else level_bins(empty, levels.get(i, []), min_share, self.totals.rows)
            for i, empty in enumerate(empties)
        )

    def _edges(self) -> dict[int, tuple[float, ...]]:
        numbers = self._of_kind("number")
        if not numbers:
            return {}
        wanted = min(SAMPLE_ROWS, SAMPLE_CELLS // len(numbers))
        rows = self.rows
        if wanted < self.totals.rows:
            # Sampled before anything is made of them: the other rows are only read.
            some = self.source.data.sample(wanted / self.totals.rows, seed=SAMPLE_SEED)
            rows = replace(self.source, data=some).rows()
        sample = rows.select(*[f"f{i}" for i in numbers]).toPandas()
        return {i: number_edges(self._ordinary(i, sample[f"f{i}"]), most_edges(self.totals)) for i in numbers}

    def _ordinary(self, i: int, values: pd.Series) -> Floats:
        return values[values.notna() & ~values.isin(self.source.specials[i])].to_numpy(np.float64)

    def _levels(self, min_share: float) -> dict[int, list[tuple[str, float]]]:
        texts = self._of_kind("text")
        if not texts:
            return {}
        cells = self.rows.select("weight", *[f"f{i}" for i in texts]).mapInArrow(
            _level_weights(texts), "i int, level string, weight double"
        )
        shares = cells.groupBy("i", "level").agg((F.sum("weight") / self.totals.weight).alias("share"))
        # One more than can be common, so that a feature with rare levels is seen to have them.
        rank = F.row_number().over(Window.partitionBy("i").orderBy(F.desc("share"), "level"))
        found = shares.withColumn("rank", rank).where(F.col("rank") <= MOST_LEVELS + 1).toPandas()
        found = found.sort_values(["i", "rank"])
        return {
            i: [(level, share) for _, level, share in part if level not in self.source.specials[i]]
            for i, part in groupby(found[["i", "level", "share"]].itertuples(index=False), key=lambda row: row.i)
        }

    def _of_kind(self, kind: str) -> list[int]:
        return [i for i, found in enumerate(self.source.kinds) if found == kind]

    def counts(self, bins: Sequence[FeatureBins]) -> list[Floats]:
        """One scan; each task adds up its batches, and one shuffle adds up the tasks."""
        parts, periods = tuple(bins), pd.Index(self.totals.periods)
        columns = [f"f{self.source.place(part.feature)}" for part in parts]
        weighted = self.source.weight is not None

        def count(batches: Batches) -> Batches:
            total: Floats | None = None
            for batch in batches:
                rows = _outcomes(batch, periods, weighted)
                pairs = zip(parts, columns, strict=True)
                flat = np.concatenate([_counted(part, batch.column(name), rows) for part, name in pairs])
                total = flat if total is None else total + flat
            yield from _places(total)

        needed = self.rows.select("bad", "weight", "period", *columns)
        return split_counts(_added(needed.mapInArrow(count, PLACES)), parts, len(periods))

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

        coded = self.rows.select(*KEPT, *columns).mapInArrow(code, "codes binary, bad double, weight double")
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


def _counted(part: FeatureBins, column: pa.Array, rows: Outcomes) -> Floats:
    """Weights by (period, code, good or bad), flat."""
    if part.kind == "text" or rows.weight is not None or rows.periods > 1:
        return count_codes(column_codes(part, column), part.size, rows)
    values, bad = column.to_numpy(zero_copy_only=False), rows.bad == 1
    return np.stack([count_numbers(part, values[side]) for side in (~bad, bad)], axis=1).ravel()


def column_codes(part: FeatureBins, column: pa.Array) -> Codes:
    """Codes of an Arrow column of doubles or strings; of a text each distinct level is looked up once."""
    if part.kind == "number":
        return part.codes(column.to_numpy(zero_copy_only=False))
    encoded = column.dictionary_encode()
    levels = [*encoded.dictionary.to_pylist(), None]
    return part.codes(np.array(levels, dtype=object))[encoded.indices.fill_null(len(levels) - 1).to_numpy()]


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


def _outcomes(batch: pa.RecordBatch, periods: pd.Index, weighted: bool) -> Outcomes:
    period = np.zeros(batch.num_rows, np.int64)
    if len(periods) > 1:
        encoded = batch.column("period").dictionary_encode()
        period = periods.get_indexer(encoded.dictionary.to_pylist()).astype(np.int64)[encoded.indices.to_numpy()]
    bad = batch.column("bad").to_numpy().astype(np.int64)
    return Outcomes(bad, batch.column("weight").to_numpy() if weighted else None, period, len(periods))


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
