"""Windows without a join: events and spine in one shuffle, answered by numpy block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    IntegralType,
    NumericType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from strata.features.engine.aggregates import Measure, Measured, answer_of
from strata.features.engine.arrow_columns import answers, block_parts, carried, carried_type, part_type
from strata.features.engine.inputs import all_present, packed, unpacked, window_start
from strata.features.engine.window_layers import NEVER, Facts, Integers, Numbers, Points, line_of
from strata.features.engine.window_stretches import Column, parts_of

Batches = Iterator[pa.RecordBatch]
KEYS = (IntegralType, StringType, DateType, TimestampType, BooleanType)
CARRIED = (NumericType, StringType, BooleanType, DateType, TimestampType, TimestampNTZType, BinaryType)
ADDED = frozenset({"sum", "mean", "std"})
# A block is so many rows or bytes, or one key that has more.
BLOCK_ROWS, BLOCK_BYTES = 500_000, 256 * 2**20


def why_joined(events: DataFrame, keys: Sequence[str], columns: Mapping[str, Measured]) -> str | None:
    """Why ``stacked_windows`` can't answer, in words, or ``None`` where it can. Reads only the schema.

    Keys are whole numbers, texts, dates, times or booleans. Columns are numbers, texts, dates, times, booleans or
    binary; decimals of more than 18 digits or 6 decimals can't be added up.
    """
    for key in keys:
        if not isinstance(kind := events.schema[key].dataType, KEYS):
            return f"key {key} is {kind.simpleString()}"
    for name, column in columns.items():
        if not isinstance(column.kind, CARRIED):
            return f"{name} is {column.kind.simpleString()}"
        added = sorted(column.aggs & ADDED)
        if isinstance(column.kind, DecimalType) and column.scale is None and added:
            return f"{added[0]} of {name} is of {column.kind.simpleString()}, too wide to be added as whole numbers"
    return None


def carries(spine: DataFrame) -> bool:
    """Whether every column of the spine can be taken along through Arrow."""
    return all(isinstance(field.dataType, CARRIED) for field in spine.schema)


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
    holds whole keys, so the largest key has to fit one Python worker: some 60 bytes an event and point of it, and 8
    more for each column that is measured or taken along. Answers depend on no order of rows, also sums of doubles.
    """
    is_day = isinstance(spine.schema[at].dataType, DateType)
    lengths = sorted({measure.days for measure in measures} | {one.reach for one in measures}, reverse=True)
    names = [f"key{i}" for i in range(len(keys))]
    asked = tuple(_column(one, name, measures) for name, one in columns.items())
    given = Given(names, lengths, asked)
    stacked = _points(spine, keys, at, lengths, is_day).unionByName(
        facts.withColumn("part", F.xxhash64(*names)), allowMissingColumns=True
    )
    met = stacked.repartition("part").sortWithinPartitions("part")
    parts = met.mapInArrow(_by_block(given), _schema(spine, given, list(columns.values())))
    answered_here = (_answer(measure, columns[measure.column], is_day).alias(measure.name) for measure in measures)
    return parts.withColumn("spine", F.col("spine")[0]).select(*unpacked(spine), *answered_here)


def _answer(measure: Measure, column: Measured, is_day: bool) -> SparkColumn:
    """A measure's answer from the parts of one point; distinct values are counted and deviations taken already."""
    if measure.agg in ("distinct", "new"):
        return F.col(f"{measure.agg}{column.place}_{measure.days}")
    if measure.agg == "std":
        return F.col(f"std{column.place}_{measure.days}") * F.lit(10.0 ** -(column.scale or 0))
    return answer_of(measure, column, is_day)


@dataclass(frozen=True)
class Given:
    """What a block is asked; ``lengths`` of windows, the longest first."""

    names: Sequence[str]
    lengths: Sequence[int]
    columns: Sequence[Column]


def _column(column: Measured, name: str, measures: Sequence[Measure]) -> Column:
    lengths = tuple(sorted({measure.days for measure in measures if measure.column == name}, reverse=True))
    return Column(column.place, lengths, block_parts(column), "last" in column.aggs)


def _points(spine: DataFrame, keys: Sequence[str], at: str, lengths: Sequence[int], is_day: bool) -> DataFrame:
    """Every row of the spine; one without a key or time meets nothing, so it may go anywhere."""
    names, rows = [f"key{i}" for i in range(len(keys))], packed(spine, keys, at)
    asks = all_present([F.col(name) for name in [*names, "at"]])
    starts = F.array(*(F.unix_micros(window_start(F.col("at"), days, is_day)) for days in lengths))
    return rows.withColumns(
        {
            "part": F.when(asks, F.xxhash64(*names)).otherwise(F.monotonically_increasing_id()),
            # Lists, which hold nothing for an event, so that events stay small in the shuffle and in Arrow.
            "starts": F.when(asks, starts),
            "spine": F.array("spine"),
        }
    )


def _schema(spine: DataFrame, given: Given, columns: Sequence[Measured]) -> StructType:
    fields: list[tuple[str, DataType]] = [("spine", ArrayType(spine.schema)), ("at", TimestampType())]
    for asked, column in zip(given.columns, columns, strict=True):
        for days in asked.lengths:
            fields += [(f"{part}{asked.place}_{days}", part_type(part, column)) for part in asked.parts]
        if asked.last:
            fields += [(f"last{asked.place}", carried_type(column)), (f"last_ts{asked.place}", TimestampType())]
    return StructType([StructField(name, kind) for name, kind in fields])


def _by_block(given: Given) -> Callable[[Batches], Batches]:
    def answer(batches: Batches) -> Batches:
        for block in blocks(batches, BLOCK_ROWS, BLOCK_BYTES):
            yield from answered(block, given).to_batches(max_chunksize=10_000)

    return answer


def blocks(batches: Batches, rows: int, size: int) -> Iterator[pa.Table]:
    """Tables of at least ``rows`` rows or ``size`` bytes (but for the last) that end where ``part`` changes."""
    held: list[pa.RecordBatch] = []
    held_rows = held_bytes = 0
    for batch in batches:
        part = batch.column("part").to_numpy()
        if not len(part):
            continue
        if held_rows >= rows or held_bytes >= size:
            others = np.flatnonzero(part != held[-1].column("part")[-1].as_py())
            if len(others):
                yield pa.Table.from_batches([*held, batch.slice(0, others[0])])
                held, batch = [], batch.slice(others[0])
                held_rows = held_bytes = 0
        held.append(batch)
        held_rows, held_bytes = held_rows + batch.num_rows, held_bytes + batch.nbytes
    if held:
        yield pa.Table.from_batches(held)


def answered(block: pa.Table, given: Given) -> pa.Table:
    """The points of a block with their parts."""
    keys = _codes([block.column(name) for name in given.names])
    is_point = block.column("spine").is_valid().to_numpy(zero_copy_only=False)
    points = block.filter(pa.array(is_point))
    asked = _points_of(points, keys[is_point], given.lengths)
    events = block.filter(pa.array(~is_point))
    held = {column.value: carried(column, events.column(column.value)) for column in given.columns}
    facts = _facts(events, keys[~is_point], {name: one.numbers for name, one in held.items()})
    merged = parts_of(given.columns, facts, asked)
    found: dict[str, pa.Array] = {}
    for column in given.columns:
        found |= answers(column, held[column.value], merged[column.value])
    return pa.table({"spine": points["spine"], "at": points["at"], **found})


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


def _facts(table: pa.Table, key: Integers, values: Mapping[str, Numbers]) -> Facts:
    names = table.column_names
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
