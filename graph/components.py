"""Connected components by contraction: every task shrinks its edges to a forest, until one task holds the last one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components as scipy_components

from strata.graph.arrays import Ints, codes, distinct_sorted, write
from strata.graph.inputs import Graph, Unknown, checked

SHRINK = 8


def connected_components(vertices: DataFrame, edges: DataFrame, *, unknown: Unknown = "raise") -> DataFrame:
    """Weak components: id, component (the smallest id in it; strings by UTF-8 bytes), one row a vertex.

    ``vertices`` has id; ``edges`` has src and dst; ids are long or string. Direction, parallel edges and
    self-loops don't matter. Each round contracts every partition to a star forest and moves it to an eighth
    as many partitions, so no round sees more than one row a vertex and partition; chains of any length need
    no more rounds than stars. Plan: the check (one scan each, one shuffle), then about log8(shuffle
    partitions) shuffles of shrinking forests and one join. The last forest, below one row a vertex, is in
    one task; nothing comes to the driver.

    Raises ``GraphError`` on null, repeated or unknown ids (``unknown="drop"`` drops such edges),
    ``GraphTypeError`` on ids of other types.
    """
    return components_of(checked(vertices, edges, unknown=unknown))


def components_of(graph: Graph) -> DataFrame:
    """The components of a checked graph: id, component."""
    forest = graph.edges.select(F.col("src").alias("id"), F.col("dst").alias("component"))
    schema = StructType([StructField(name, graph.id_type, False) for name in ("id", "component")])
    forest = forest.mapInArrow(contract, schema)
    for parts in _rounds(forest):
        forest = forest.repartition(parts, "component").mapInArrow(contract, schema)
    joined = graph.vertices.join(forest, on="id", how="left")
    return joined.select("id", F.coalesce("component", "id").alias("component"))


def contract(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Edges of one partition to stars: every vertex (id) that isn't the smallest of its component, and that one."""
    found = [batch for batch in batches if batch.num_rows]
    if not found:
        return
    rows = pa.Table.from_batches(found)
    ids = distinct_sorted(rows["id"], rows["component"])
    root = smallest_code(len(ids), codes(rows["id"], ids), codes(rows["component"], ids), connection="weak")
    leaves = np.flatnonzero(root != np.arange(len(ids)))
    yield from write(["id", "component"], [ids.take(pa.array(leaves)), ids.take(pa.array(root[leaves]))])


def smallest_code(n: int, src: Ints, dst: Ints, *, connection: str) -> Ints:
    """For every vertex the smallest code in its weak or strong component."""
    matrix = coo_array((np.ones(len(src), dtype=np.int8), (src, dst)), shape=(n, n)).tocsr()
    matrix.data[:] = 1
    _, label = scipy_components(matrix, directed=True, connection=connection)
    # Codes ascend, so the first vertex that carries a label is its smallest.
    _, first = np.unique(label, return_index=True)
    return np.asarray(first[label], dtype=np.int64)


def _rounds(forest: DataFrame) -> list[int]:
    parts = int(forest.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    rounds = [1]
    while rounds[-1] * SHRINK < parts:
        rounds.append(rounds[-1] * SHRINK)
    return rounds[::-1]
