"""Arrow to NumPy and back: the ids of one partition as codes 0..n-1, in the order of the ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Part:
    """Whole components of a graph in one task: ``ids`` ascending (strings by UTF-8 bytes), edges as codes into it.

    ``weight`` belongs to the edges and ``mass`` to the vertices; both are NaN where nothing was given.
    """

    ids: pa.Array
    src: Ints
    dst: Ints
    weight: Floats
    mass: Floats

    @property
    def n(self) -> int:
        """Number of vertices."""
        return len(self.ids)


def read_part(batches: Iterable[pa.RecordBatch]) -> Part | None:
    """Rows (a, b, w) to a part: a vertex has no ``b``; ``None`` for a partition without rows."""
    rows = rows_of(batches)
    if rows is None:
        return None
    lone = pc.is_null(rows["b"])
    ties, alone = rows.filter(pc.invert(lone)), rows.filter(lone)
    ids = wide(alone["a"])
    order = pc.sort_indices(ids)
    ids = ids.take(order)
    mass = _floats(alone["w"]).take(order)
    return Part(ids, codes(ties["a"], ids), codes(ties["b"], ids), as_floats(ties["w"]), as_floats(mass))


def rows_of(batches: Iterable[pa.RecordBatch]) -> pa.Table | None:
    """The rows of a partition; ``None`` when it has none."""
    found = [batch for batch in batches if batch.num_rows]
    return pa.Table.from_batches(found) if found else None


def distinct_sorted(*columns: pa.ChunkedArray) -> pa.Array:
    """The distinct values of the columns, ascending; strings by their bytes."""
    together = pa.concat_arrays([pc.unique(wide(column)) for column in columns])
    values = pc.unique(together)
    return values.take(pc.sort_indices(values))


def codes(column: pa.ChunkedArray, ids: pa.Array) -> Ints:
    """The place of each value in ``ids``."""
    return np.asarray(pc.index_in(wide(column), value_set=ids).to_numpy(zero_copy_only=False), dtype=np.int64)


def coded(first: pa.ChunkedArray, second: pa.ChunkedArray) -> tuple[pa.Array, Ints, Ints]:
    """The distinct values of both columns in no order, and the place of each value among them; one pass of hashing."""
    both = pa.concat_arrays([wide(first), wide(second)]).dictionary_encode()
    place = np.asarray(both.indices, dtype=np.int64)
    return both.dictionary, place[: len(first)], place[len(first) :]


def as_floats(column: pa.Array | pa.ChunkedArray) -> Floats:
    """Doubles, NaN for null."""
    return np.asarray(
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy(), float
    )


def write(names: list[str], columns: list[pa.Array]) -> Iterator[pa.RecordBatch]:
    """Record batches of moderate size; long strings go back to the width that Spark reads."""
    for start in range(0, len(columns[0]), BATCH_ROWS):
        cut = [_narrow(column.slice(start, BATCH_ROWS)) for column in columns]
        yield pa.RecordBatch.from_arrays(cut, names=names)


def wide(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece; strings with 64-bit offsets, for more than 2 GiB of ids would overflow the narrow type."""
    if pa.types.is_string(column.type):
        column = column.cast(pa.large_string())
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _floats(column: pa.ChunkedArray) -> pa.Array:
    return column.cast(pa.float64()).combine_chunks()


def _narrow(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()) if pa.types.is_large_string(column.type) else column
