"""The scan that counts: Spark's Arrow batches to counts by feature and level, added up before the driver sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame

from strata.models.binning.bin_counts import MOST_LISTED, Floats, Outcomes, count_numbers, count_table
from strata.models.binning.feature_bins import Codes, FeatureBins

Batches = Iterator[pa.RecordBatch]
Cells = dict[str | None, Floats]
"""Weights, flat: of a text by level (None: missing), each by (period, good or bad); where bins are known all in one
array under None, by (period, code, good or bad)."""
Found = dict[int, Cells | None]
"""Cells by feature; None for a text of too many levels."""
# Spark decodes up to 100 columns column by column (spark.sql.codegen.maxFields), more row by row at half the speed.
COLUMNS_AT_ONCE = 90
TASKS_A_CORE = 2
CELLS = "feature int, level string, counts binary"
COLUMNAR = ("InMemoryRelation", "parquet", "orc", "delta")
PLAIN = ("Project", "Filter", "SubqueryAlias", "Sample")


def count_features(
    rows: DataFrame, wanted: Mapping[int, FeatureBins | None], periods: pd.Index, weighted: bool
) -> Found:
    """Count features of ``Source.rows``: by the codes of their bins, or (None) a text by its levels, up to 1,000.

    One scan and one shuffle of each task's sums. A wide book in columnar files is read a part of its columns at a
    time, each column once all the same.
    """
    width = COLUMNS_AT_ONCE if scans_columns(rows) else len(wanted)
    names = [*wanted]
    parts = [{i: wanted[i] for i in names[first : first + width]} for first in range(0, len(names), width)]
    tasks = TASKS_A_CORE * rows.sparkSession.sparkContext.defaultParallelism
    basics = ["bad", *(["weight"] if weighted else []), *(["period"] if len(periods) > 1 else [])]
    cells = [
        # Fewer tasks than splits: most splits of a file with one row group are empty, and each task costs 0.1 s.
        rows.select(*basics, *[f"f{i}" for i in part]).coalesce(tasks).mapInArrow(_counter(part, periods), CELLS)
        for part in parts
    ]
    summed = reduce(DataFrame.union, cells).repartition("feature").mapInArrow(_add_up, CELLS).toPandas()
    found: Found = {}
    for i, level, counts in summed.itertuples(index=False):
        _merge(found, i, {level: np.frombuffer(counts)} if counts is not None else None)
    return found


def scans_columns(rows: DataFrame) -> bool:
    """Whether reading ``rows`` again by parts is cheap: projections of one columnar table, or of cached rows."""
    node = rows._jdf.queryExecution().optimizedPlan()
    while node.nodeName() in PLAIN:
        node = node.children().head()
    # The text of a leaf ends with its format: Relation [a#1,b#2] parquet.
    return node.nodeName() == COLUMNAR[0] or node.simpleString(0).split()[-1].lower() in COLUMNAR


def _counter(wanted: Mapping[int, FeatureBins | None], periods: pd.Index) -> Callable[[Batches], Batches]:
    def count(batches: Batches) -> Batches:
        found: Found = {}
        for batch in batches:
            rows = outcomes(batch, periods)
            for i, part in wanted.items():
                if found.get(i, {}) is not None:
                    values = batch.column(f"f{i}")
                    _merge(found, i, _by_level(values, rows) if part is None else {None: by_bin(part, values, rows)})
        yield from _written(found)

    return count


def _merge(found: Found, i: int, more: Cells | None) -> None:
    """Add ``more`` to the cells of feature ``i``, which become None when there are too many levels."""
    cells = found.setdefault(i, {})
    if cells is None or more is None:
        found[i] = None
        return
    for level, counts in more.items():
        cells[level] = cells[level] + counts if level in cells else counts
    if len(cells) > MOST_LISTED:
        found[i] = None


def _add_up(batches: Batches) -> Batches:
    """The sums of all tasks; every row of a feature is in one partition."""
    found: Found = {}
    for batch in batches:
        for i, level, counts in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            _merge(found, i, {level: np.frombuffer(counts)} if counts is not None else None)
    yield from _written(found)


def _written(found: Found) -> Batches:
    rows = [
        (i, level, None if counts is None else counts.tobytes())
        for i, cells in found.items()
        for level, counts in ({None: None} if cells is None else cells).items()
    ]
    if rows:
        columns = zip(zip(*rows, strict=True), (pa.int32(), pa.string(), pa.binary()), strict=True)
        arrays = [pa.array(values, kind) for values, kind in columns]
        yield pa.RecordBatch.from_arrays(arrays, names=["feature", "level", "counts"])


def by_bin(part: FeatureBins, column: pa.Array, rows: Outcomes) -> Floats:
    """Weights by (period, code, good or bad)."""
    if part.kind == "text" or rows.weight is not None or rows.periods > 1:
        return count_table(column_codes(part, column), part.size, rows)
    values = column.to_numpy(zero_copy_only=False)
    # Bads are few: sorting all and them costs less than parting the goods from them first.
    both, bads = count_numbers(part, values), count_numbers(part, values[rows.bad == 1])
    return np.stack([both - bads, bads], axis=1)[None]


def _by_level(column: pa.Array, rows: Outcomes) -> Cells | None:
    encoded = column.dictionary_encode()
    levels = [*encoded.dictionary.to_pylist(), *([None] if column.null_count else [])]
    if len(levels) > MOST_LISTED:
        return None
    codes = encoded.indices.fill_null(len(levels) - 1).to_numpy()
    table = count_table(codes, len(levels), rows)
    return {level: table[:, k] for k, level in enumerate(levels)}


def column_codes(part: FeatureBins, column: pa.Array) -> Codes:
    """Codes of an Arrow column of doubles or strings; of a text each distinct level is looked up once."""
    if part.kind == "number":
        return part.codes(column.to_numpy(zero_copy_only=False))
    encoded = column.dictionary_encode()
    levels = [*encoded.dictionary.to_pylist(), None]
    return part.codes(np.array(levels, dtype=object))[encoded.indices.fill_null(len(levels) - 1).to_numpy()]


def outcomes(batch: pa.RecordBatch, periods: pd.Index) -> Outcomes:
    """What counting needs of a batch beside its features; rows without a column ``weight`` weigh 1."""
    period = np.zeros(batch.num_rows, np.int64)
    if len(periods) > 1:
        encoded = batch.column("period").dictionary_encode()
        period = periods.get_indexer(encoded.dictionary.to_pylist()).astype(np.int64)[encoded.indices.to_numpy()]
    weight = batch.column("weight").to_numpy() if "weight" in batch.schema.names else None
    return Outcomes(batch.column("bad").to_numpy().astype(np.int64), weight, period, len(periods))


def level_counts(part: FeatureBins, cells: Cells, periods: int) -> Floats:
    """The counts table (period, code, good or bad) of a text from the weights of its levels."""
    table = np.zeros((part.size, periods, 2))
    np.add.at(table, part.codes(np.array([*cells], dtype=object)), np.reshape([*cells.values()], (-1, periods, 2)))
    return table.swapaxes(0, 1)
