"""Exact sums over training rows: held on the driver while they are few, in Spark's batches when they aren't.

Everything that a scorecard learns is a sum over rows of something small: counts of bins, a Gramian, a
gradient and a Hessian. ``Coded.sums`` adds up whatever a function makes of a block of rows, so the driver
never holds more than ``LOCAL_ROWS`` rows, and above that only the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from strata.models.binning_bins import FeatureBins, number_edges
from strata.models.binning_rows import Source

Floats = NDArray[np.float64]
LOCAL_ROWS, LOCAL_CELLS = 50_000, 3_000_000
MOST_CANDIDATES = 200
ROWS_PER_CANDIDATE, FEWEST_CANDIDATES = 5, 20
QUANTILE_ERROR = 0.001


class Block(NamedTuple):
    """Some rows: codes (rows × features), bad (0/1) and weight."""

    codes: NDArray[np.int16]
    bad: Floats
    weight: Floats


BlockSum = Callable[[Block], Floats]


class Coded(Protocol):
    """Rows whose features are codes of pre-bins."""

    def sums(self, make: BlockSum) -> Floats:
        """The sum over all blocks of the vector that ``make`` gives for a block."""

    def release(self) -> None:
        """Let go of what was cached."""


class Totals(NamedTuple):
    """Rows and weights of a training set."""

    rows: int
    good: float
    bad: float

    @property
    def weight(self) -> float:
        """Weight of all rows (their number when unweighted)."""
        return self.good + self.bad


class Training(Protocol):
    """A training set, wherever its rows are."""

    @property
    def source(self) -> Source:
        """The checked columns."""

    @property
    def totals(self) -> Totals:
        """Rows and weights."""

    def candidates(self, min_share: float) -> tuple[FeatureBins, ...]:
        """Pre-bins of every feature, made without a look at the outcome."""

    def coded(self, bins: Sequence[FeatureBins]) -> Coded:
        """The rows as codes of ``bins``, kept for several passes."""


def training(given: Source) -> Training:
    """Bring a training set to where it is summed: one scan when it is small, four when it isn't.

    Raises ``ValueError`` when the target has a null or a value that is neither 0 nor 1, when one class is
    absent, or when a weight is null, negative or not finite.
    """
    most = max(1, min(LOCAL_ROWS, LOCAL_CELLS // (len(given.features) + 2)))
    rows = given.rows()
    head = rows.limit(most + 1).toPandas()
    return local_training(given, head) if len(head) <= most else _SparkTraining.of(given, rows)


def local_training(given: Source, frame: pd.DataFrame) -> LocalTraining:
    """Rows of ``Source.rows`` on the driver; the same errors as ``training``."""
    bad, weight = frame["bad"].to_numpy(np.float64), frame["weight"].to_numpy(np.float64)
    wrong = ~np.isin(bad, (0.0, 1.0)) & ~np.isnan(bad)
    _check(given, int(np.isnan(bad).sum()), int(wrong.sum()), int((~(weight >= 0) | np.isinf(weight)).sum()))
    totals = Totals(len(frame), float(weight[bad == 0].sum()), float(weight[bad == 1].sum()))
    _check_classes(given, totals)
    return LocalTraining(given, totals, frame)


def _check(given: Source, nulls: int, wrong: int, weights: int) -> None:
    if nulls:
        raise ValueError(f"target: {given.target!r} is null in {nulls} rows; drop them or give them an outcome")
    if wrong:
        raise ValueError(f"target: {given.target!r} is neither 0 nor 1 in {wrong} rows; name the bad value with event=")
    if weights:
        raise ValueError(f"weight: {given.weight!r} is null, negative or not finite in {weights} rows")


def _check_classes(given: Source, totals: Totals) -> None:
    if totals.rows == 0:
        raise ValueError("data: there are no rows to train on")
    if totals.bad <= 0 or totals.good <= 0:
        lacking = "bad" if totals.bad <= 0 else "good"
        raise ValueError(f"target: {given.target!r} has no {lacking} row; check the column and event={given.event!r}")


def pre_bin_counts(coded: Coded, bins: Sequence[FeatureBins]) -> list[Floats]:
    """The counts table: for each feature an array (code, 2) of the weight of goods and of bads; one pass."""
    sizes = [part.size for part in bins]
    ends = np.cumsum([0, *sizes])

    def count(block: Block) -> Floats:
        places = (block.codes + ends[:-1]).ravel()
        weights = [np.repeat(block.weight * part, len(sizes)) for part in (1 - block.bad, block.bad)]
        return np.stack([np.bincount(places, w, int(ends[-1])).astype(np.float64) for w in weights], axis=1).ravel()

    table: Floats = coded.sums(count).reshape(-1, 2)
    return [table[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]


@dataclass(frozen=True)
class LocalTraining:
    """At most ``LOCAL_ROWS`` rows in a pandas frame of ``Source.rows``."""

    source: Source
    totals: Totals
    frame: pd.DataFrame

    def candidates(self, min_share: float) -> tuple[FeatureBins, ...]:
        """Pre-bins from all rows."""
        most = max(FEWEST_CANDIDATES, min(MOST_CANDIDATES, len(self.frame) // ROWS_PER_CANDIDATE))
        return tuple(self._candidate(i, most, min_share) for i in range(len(self.source.features)))

    def _candidate(self, i: int, most: int, min_share: float) -> FeatureBins:
        empty = _empty(self.source, i)
        values = self.frame[f"f{i}"]
        ordinary = ~values.isin(empty.specials) & values.notna()
        if empty.kind == "number":
            return replace(empty, edges=number_edges(values[ordinary].to_numpy(np.float64), most))
        shares = self.frame["weight"][ordinary].groupby(values[ordinary]).sum() / self.totals.weight
        return _level_bins(empty, list(shares.items()), min_share)

    def coded(self, bins: Sequence[FeatureBins]) -> LocalCoded:
        """Codes as one block."""
        return LocalCoded(_block(self.frame, bins))


@dataclass(frozen=True)
class LocalCoded:
    """One block on the driver."""

    block: Block

    def sums(self, make: BlockSum) -> Floats:
        """What ``make`` gives for the only block."""
        return make(self.block)

    def release(self) -> None:
        """Nothing is cached."""


def _block(frame: pd.DataFrame, bins: Sequence[FeatureBins]) -> Block:
    codes = np.stack([part.codes(frame[f"f{i}"]) for i, part in enumerate(bins)], axis=1)
    return Block(codes, frame["bad"].to_numpy(np.float64), frame["weight"].to_numpy(np.float64))


def _empty(given: Source, i: int) -> FeatureBins:
    return FeatureBins(given.features[i], given.kinds[i], specials=given.specials[i])


def _level_bins(empty: FeatureBins, shares: Sequence[tuple[str, float]], min_share: float) -> FeatureBins:
    """One group per level with at least ``min_share`` of all rows; the rare ones together in the last."""
    common = sorted((level for level, share in shares if share >= min_share - 1e-12), key=str)
    rare = len(shares) > len(common)
    groups = (*[(level,) for level in common], *([()] if rare or not common else []))
    return replace(empty, groups=groups, rest=len(groups) - 1 if rare or not common else None)


@dataclass(frozen=True)
class _SparkTraining:
    source: Source
    totals: Totals
    rows: DataFrame

    @staticmethod
    def of(given: Source, rows: DataFrame) -> _SparkTraining:
        bad, weight = F.col("bad"), F.col("weight")
        missing = bad.isNull() | F.isnan(bad)
        sound = (weight >= 0) & (weight < float("inf"))
        found = rows.agg(
            F.count_if(missing).alias("nulls"),
            F.count_if(~missing & ~bad.isin(0.0, 1.0)).alias("wrong"),
            F.count_if(weight.isNull() | ~sound).alias("weights"),
            F.count("*").alias("rows"),
            F.sum(F.when(bad == 0, weight)).alias("good"),
            F.sum(F.when(bad == 1, weight)).alias("bad"),
        ).head()
        assert found is not None
        _check(given, found.nulls, found.wrong, found.weights)
        totals = Totals(found["rows"], found.good or 0.0, found.bad or 0.0)
        _check_classes(given, totals)
        return _SparkTraining(given, totals, rows)

    def candidates(self, min_share: float) -> tuple[FeatureBins, ...]:
        """Quantiles and levels: one pass over the numbers, one shuffle of the levels of texts."""
        edges, levels = self._edges(), self._levels(min_share)
        empties = [_empty(self.source, i) for i in range(len(self.source.features))]
        return tuple(
            replace(empty, edges=edges[i]) if i in edges else _level_bins(empty, levels.get(i, []), min_share)
            for i, empty in enumerate(empties)
        )

    def _edges(self) -> dict[int, tuple[float, ...]]:
        numbers = [i for i, kind in enumerate(self.source.kinds) if kind == "number"]
        if not numbers:
            return {}
        ordinary = self.rows.select(
            *[
                F.when(
                    (F.abs(f"f{i}") < float("inf")) & ~F.col(f"f{i}").isin(*self.source.specials[i]), F.col(f"f{i}")
                ).alias(f"f{i}")
                for i in numbers
            ]
        )
        picks = [k / (MOST_CANDIDATES + 1) for k in range(MOST_CANDIDATES + 1)]
        found = ordinary.approxQuantile([f"f{i}" for i in numbers], picks, QUANTILE_ERROR)
        return {
            i: number_edges(np.asarray(values, np.float64), MOST_CANDIDATES)
            for i, values in zip(numbers, found, strict=True)
        }

    def _levels(self, min_share: float) -> dict[int, list[tuple[str, float]]]:
        texts = [i for i, kind in enumerate(self.source.kinds) if kind == "text"]
        if not texts:
            return {}
        cells = F.array(*[F.struct(F.lit(i).alias("i"), F.col(f"f{i}").alias("level")) for i in texts])
        weights = (
            self.rows.select("weight", F.explode(cells).alias("cell"))
            .where("cell.level is not null")
            .groupBy("cell.i", "cell.level")
            .agg((F.sum("weight") / self.totals.weight).alias("share"))
        )
        # One more than can be common, so that a feature with rare levels is seen to have them.
        rank = F.row_number().over(Window.partitionBy("i").orderBy(F.desc("share"), "level"))
        found: dict[int, list[tuple[str, float]]] = {}
        for row in weights.withColumn("rank", rank).where(F.col("rank") <= MOST_CANDIDATES + 1).collect():
            if row["level"] not in self.source.specials[row["i"]]:
                found.setdefault(row["i"], []).append((row["level"], row["share"]))
        return found

    def coded(self, bins: Sequence[FeatureBins]) -> _SparkCoded:
        """Codes in one compact column, persisted: every later pass reads only that."""
        parts = tuple(bins)

        def code(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            for frame in frames:
                codes = _block(frame, parts).codes
                packed = [row.tobytes() for row in codes]
                yield pd.DataFrame({"codes": packed, "bad": frame["bad"], "weight": frame["weight"]})

        coded = self.rows.mapInPandas(code, "codes binary, bad double, weight double")
        return _SparkCoded(coded.persist(StorageLevel.MEMORY_AND_DISK), len(parts))


@dataclass(frozen=True)
class _SparkCoded:
    rows: DataFrame
    width: int

    def sums(self, make: BlockSum) -> Floats:
        """One scan of the cached codes and one shuffle of the sums of each task."""
        width = self.width

        def add(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            total: Floats | None = None
            for frame in frames:
                part = make(_unpacked(frame, width))
                total = part if total is None else total + part
            if total is not None:
                yield pd.DataFrame({"place": np.arange(len(total)), "value": total})

        parts = self.rows.mapInPandas(add, "place long, value double")
        summed = parts.groupBy("place").agg(F.sum("value").alias("value")).toPandas()
        return summed.sort_values("place")["value"].to_numpy(np.float64)

    def release(self) -> None:
        """Unpersist the codes."""
        self.rows.unpersist()


def _unpacked(frame: pd.DataFrame, width: int) -> Block:
    codes = np.frombuffer(b"".join(frame["codes"]), np.int16).reshape(-1, width)
    return Block(codes, frame["bad"].to_numpy(np.float64), frame["weight"].to_numpy(np.float64))
