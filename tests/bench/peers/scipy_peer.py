"""SciPy: weak components in one process; ids are 1 to n, so a place is an id less one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from features_common import answer, job, timed
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

GIVEN = job()


def components() -> None:
    """From Parquet to Parquet."""
    vertices, edges = (pq.read_table(f"{GIVEN['folder']}/{table}") for table in ("vertices", "edges"))
    src, dst = (edges[end].to_numpy() - 1 for end in ("src", "dst"))
    matrix = coo_array((np.ones(len(src), dtype=np.int8), (src, dst)), shape=(len(vertices), len(vertices)))
    _, label = connected_components(matrix, directed=False)
    pq.write_table(pa.table({"id": np.arange(1, len(vertices) + 1), "component": label}), GIVEN["output"])


if __name__ == "__main__":
    answer(GIVEN, {"seconds": timed(components)})
