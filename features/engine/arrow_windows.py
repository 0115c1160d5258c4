"""Windows over whole numbers without a join: events and spine in one shuffle, answered by numpy block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    IntegralType,
    LongType,
    NumericType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from strata.features.engine.aggregates import Measure, Measured, answer_of
from strata.features.engine.inputs import all_present, packed, unpacked, window_start
from strata.features.engine.window_stretches import MERGES, NEVER, Column, Facts, Integers, Points, line_of, parts_of

Batches = Iterator[pa.RecordBatch]
KEYS = (IntegralType, StringType, DateType, TimestampType, BooleanType)
CARRIED = (NumericType, StringType, BooleanType, DateType, TimestampType, TimestampNTZType, BinaryType)
# A block is so many rows, or one key that has more.
BLOCK_ROWS = 500_000


def serves(spine: DataFrame, keys: Sequence[str], columns: Iterable[Measured]) -> bool:
    """Whether ``stacked_windows`` can answer: whole numbers, the simple aggregates, plain keys and spine columns."""
    return (
        all(column.scale is not None and MERGES.keys() >= set(column.parts) for column in columns)
        and all(isinstance(spine.schema[key].dataType, KEYS) for key in keys)
        and all(isinstance(kind.dataType, CARRIED) for kind in spine.schema)
    )


def stacked_windows(
    spine: DataFrame,
    facts: DataFrame,
    keys: Sequence[str],
    at: str,
    measures: Sequence[Measure],
    columns: Mapping[str, Measured],
) -> DataFrame:
    """The spine with its measures; ``facts`` have key0…, event_ts, known_ts and ended_ts where asked, v0….

    Plan: one scan of each, one shuffle of both by a hash of the key, a radix sort by that hash, no join. A block
    holds whole keys, so the largest key has to fit one Python worker: some 60 bytes an event and point of it.
    """
    is_day = isinstance(spine.schema[at].dataType, DateType)
    lengths = sorted({measure.days for measure in measures}, reverse=True)
    names = [f"key{i}" for i in range(len(keys))]
    given = Given(
        names=names,
        lengths=lengths,
        columns=[_column(one, name, measures) for name, one in columns.items()],
    )
    stacked = _points(spine, keys, at, lengths, is_day).unionByName(
        facts.withColumn("part", F.xxhash64(*names)), allowMissingColumns=True
    )
    met = stacked.repartition("part").sortWithinPartitions("part")
    parts = met.mapInArrow(_by_block(given), _schema(spine, given))
    answers = (answer_of(measure, columns[measure.column], is_day).alias(measure.name) for measure in measures)
    return parts.select(*unpacked(spine), *answers)


@dataclass(frozen=True)
class Given:
    """What a block is asked; ``lengths`` of windows, the longest first."""

    names: Sequence[str]
    lengths: Sequence[int]
    columns: Sequence[Column]


def _column(column: Measured, name: str, measures: Sequence[Measure]) -> Column:
    lengths = tuple(sorted({measure.days for measure in measures if measure.column == name}, reverse=True))
    return Column(column.place, lengths, column.parts, "last" in column.aggs)


def _points(spine: DataFrame, keys: Sequence[str], at: str, lengths: Sequence[int], is_day: bool) -> DataFrame:
    """Every row of the spine; one without a key or time meets nothing, so it may go anywhere."""
    names, rows = [f"key{i}" for i in range(len(keys))], packed(spine, keys, at)
    asks = all_present([F.col(name) for name in [*names, "at"]])
    starts = F.array(*(F.unix_micros(window_start(F.col("at"), days, is_day)) for days in lengths))
    return rows.withColumns(
        {
            "part": F.when(asks, F.xxhash64(*names)).otherwise(F.monotonically_increasing_id()),
            # One column, and nothing in it for an event, so that events stay small in the shuffle.
            "starts": F.when(asks, starts),
        }
    )


def _schema(spine: DataFrame, given: Given) -> StructType:
    fields: list[tuple[str, DataType]] = [("spine", spine.schema), ("at", TimestampType())]
    for column in given.columns:
        fields += [(f"{part}{column.place}_{days}", LongType()) for days in column.lengths for part in column.parts]
        if column.last:
            fields += [(f"last{column.place}", LongType()), (f"last_ts{column.place}", TimestampType())]
    return StructType([StructField(name, kind) for name, kind in fields])


def _by_block(given: Given) -> Callable[[Batches], Batches]:
    def answer(batches: Batches) -> Batches:
        for block in blocks(batches, BLOCK_ROWS):
            yield from answered(block, given).to_batches(max_chunksize=10_000)

    return answer


def blocks(batches: Batches, rows: int) -> Iterator[pa.Table]:
    """Tables of at least ``rows`` rows (but for the last) that end where ``part`` changes."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        part = batch.column("part").to_numpy()
        if not len(part):
            continue
        if sum(one.num_rows for one in held) >= rows:
            others = np.flatnonzero(part != held[-1].column("part")[-1].as_py())
            if len(others):
                yield pa.Table.from_batches([*held, batch.slice(0, others[0])])
                held, batch = [], batch.slice(others[0])
        held.append(batch)
    if held:
        yield pa.Table.from_batches(held)


def answered(block: pa.Table, given: Given) -> pa.Table:
    """The points of a block with their parts."""
    keys = _codes([block.column(name) for name in given.names])
    is_point = block.column("spine").is_valid().to_numpy(zero_copy_only=False)
    points = block.filter(pa.array(is_point))
    asked = _points_of(points, keys[is_point], given.lengths)
    facts = _facts(block.filter(pa.array(~is_point)), keys[~is_point], given.columns)
    return pa.table({"spine": points["spine"], "at": points["at"], **parts_of(given.columns, facts, asked)})


def _points_of(table: pa.Table, key: Integers, lengths: Sequence[int]) -> Points:
    starts = table.column("starts").combine_chunks()
    asks = starts.is_valid().to_numpy(zero_copy_only=False)
    moments = np.zeros((len(asks), len(lengths)), np.int64)
    moments[asks] = starts.flatten().to_numpy().reshape(-1, len(lengths))
    return Points(key, asks, _micros(table, "at", 0), dict(zip(lengths, moments.T)))


def _codes(columns: Sequence[pa.ChunkedArray]) -> Integers:
    """A number for each different key; rows without a key get some number, too."""
    codes = [_code(column) for column in columns]

    def both(left: Integers, right: Integers) -> Integers:
        return np.unique(left * (right.max(initial=0) + 1) + right, return_inverse=True)[1]

    return reduce(both, codes)


def _code(column: pa.ChunkedArray) -> Integers:
    return column.combine_chunks().dictionary_encode().indices.fill_null(0).to_numpy().astype(np.int64)


def _micros(table: pa.Table, name: str, missing: int) -> Integers:
    numbers: Integers = table.column(name).cast(pa.int64()).fill_null(missing).to_numpy()
    return numbers


def _facts(table: pa.Table, key: Integers, columns: Sequence[Column]) -> Facts:
    names = table.column_names
    values = {}
    for name in (column.value for column in columns):
        value = table.column(name)
        there = value.is_valid().to_numpy(zero_copy_only=False) if value.null_count else None
        values[name] = (value.fill_null(0).to_numpy(), there)
    facts = Facts(
        key,
        _micros(table, "event_ts", 0),
        _micros(table, "known_ts", 0) if "known_ts" in names else None,
        _micros(table, "ended_ts", NEVER) if "ended_ts" in names else None,
        values,
    )
    line = line_of(int(key.max(initial=0)), facts.event)
    facts = facts.take(np.argsort(line.of(key, facts.event), kind="stable"))
    # Times to the µs hardly ever tie, so the known ones are sorted only then.
    return facts.in_order() if facts.known is not None and facts.ties(known=False).any() else facts
