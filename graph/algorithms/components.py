"""Connected components by contraction: every task shrinks its edges to a forest, until one task holds the last one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructField, StructType
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components as scipy_components

from strata.graph.algorithms.arrays import Ints, coded, rows_of, wide, write
from strata.graph.algorithms.inputs import Graph, Unknown, check_graph, checked

SHRINK = 8


def connected_components(vertices: DataFrame, edges: DataFrame, *, unknown: Unknown = "raise") -> DataFrame:
    """Weak components: id, component (the smallest id in it; strings by UTF-8 bytes), one row a vertex.

    ``vertices`` has id; ``edges`` has src and dst; ids are long or string. Direction, parallel edges and
    self-loops don't matter. Each round contracts every partition to a star forest and moves it to an eighth
    as many partitions, so no round sees more than one row a vertex and partition; chains of any length need
    no more rounds than stars. Plan, run at once: one scan of each table, about log8(shuffle partitions) shuffles of
    shrinking forests, and one in which vertices meet the last forest, which also tells whether the ids are what they
    should be. The last forest, one row a vertex with edges, is in one task; nothing comes to the driver. The answer is
    a local checkpoint, which Spark drops when the frame is no longer held. With ``unknown="drop"`` the full check comes
    first (a scan and a shuffle of all ends), and the rest when the answer is asked for.

    Raises ``GraphError`` on null, repeated or unknown ids (``unknown="drop"`` drops such edges),
    ``GraphTypeError`` on ids of other types.
    """
    id_type = check_graph(vertices, edges, unknown)
    if unknown == "raise":
        alone = vertices.select("id", F.lit(None).cast(id_type).alias("component"))
        forest = forest_of(edges, id_type)
        met = alone.unionAll(forest).repartition("id").mapInArrow(meet, forest.schema).localCheckpoint()
        if met.where(F.col("id").isNull()).isEmpty():
            return met
    # The full check says what is wrong, or leaves out the edges to nowhere.
    return components_of(checked(vertices, edges, unknown=unknown))


def components_of(graph: Graph) -> DataFrame:
    """The components of a checked graph: id, component. The rounds, and one join with the vertices."""
    joined = graph.vertices.join(forest_of(graph.edges, graph.id_type), on="id", how="left")
    return joined.select("id", F.coalesce("component", "id").alias("component"))


def forest_of(edges: DataFrame, id_type: DataType) -> DataFrame:
    """Whatever is an end of an edge with the smallest id of its component: id, component; null among null ends."""
    schema = StructType([StructField(name, id_type, True) for name in ("id", "component")])
    forest = edges.select(F.col("src").alias("id"), F.col("dst").alias("component")).mapInArrow(contract, schema)
    for parts in _rounds(forest):
        forest = forest.repartition(parts, "component").mapInArrow(contract, schema)
    return forest


def contract(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Edges of one partition to stars: every end (id) and the smallest of its component.

    An edge with a null end ties nothing; one row of nulls tells of it.
    """
    rows = rows_of(batches)
    if rows is None:
        return
    ties = rows.drop_null()
    ids, src, dst = coded(ties["id"], ties["component"])
    falling = np.asarray(pc.sort_indices(ids, sort_keys=[("", "descending")]), dtype=np.int64)
    roots = smallest_code(len(ids), src, dst, connection="weak", falling=falling)
    columns = [ids, ids.take(pa.array(roots))]
    if len(ties) < len(rows):
        columns = [pa.concat_arrays([column, pa.nulls(1, column.type)]) for column in columns]
    yield from write(["id", "component"], columns)


def meet(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Vertices (without a component) and the forest's rows of one partition to vertices with their components.

    A row of nulls instead of it all when something is wrong: an id that is null, repeated or no vertex.
    """
    rows = rows_of(batches)
    if rows is None:
        return
    lone = pc.is_null(rows["component"])
    vertices, forest = wide(rows["id"].filter(lone)), rows.filter(pc.invert(lone))
    place = pc.index_in(vertices, value_set=wide(forest["id"]))
    strange = len(forest) > len(place) - place.null_count
    if strange or vertices.null_count or pc.count_distinct(vertices).as_py() < len(vertices):
        columns = [pa.nulls(1, vertices.type)] * 2
    else:
        columns = [vertices, pc.coalesce(wide(forest["component"]).take(place), vertices)]
    yield from write(["id", "component"], columns)


def smallest_code(n: int, src: Ints, dst: Ints, *, connection: str, falling: Ints | None = None) -> Ints:
    """For every vertex the code of the smallest id in its weak or strong component.

    ``falling``: the codes from the largest id to the smallest, where codes don't ascend with the ids.
    """
    matrix = coo_array((np.ones(len(src), dtype=np.int8), (src, dst)), shape=(n, n)).tocsr()
    matrix.data[:] = 1
    _, label = scipy_components(matrix, directed=True, connection=connection)
    order = np.arange(n)[::-1] if falling is None else falling
    smallest = np.empty(n, dtype=np.int64)
    # Of several values for one place the last stays.
    smallest[label[order]] = order
    return smallest[label]


def _rounds(forest: DataFrame) -> list[int]:
    parts = int(forest.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    rounds = [1]
    while rounds[-1] * SHRINK < parts:
        rounds.append(rounds[-1] * SHRINK)
    return rounds[::-1]
