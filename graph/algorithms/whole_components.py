"""Exact answers from whole components: every task holds complete components and solves them with NumPy and SciPy.

A graph of at most ``SINGLE_TASK_ROWS`` rows goes to one task. A larger one is cut along its connected
components, which never split; its largest component must fit one task (``MAX_COMPONENT_ROWS``).
Nothing that grows with the graph comes to the driver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DoubleType, StructField, StructType

from strata.graph.algorithms.arrays import Part, read_part, write
from strata.graph.algorithms.components import components_of
from strata.graph.algorithms.inputs import Graph, GraphError

SINGLE_TASK_ROWS = 2_000_000
MAX_COMPONENT_ROWS = 100_000_000

Solver = Callable[[Part], pa.Array]


def solve(graph: Graph, solver: Solver, column: str, kind: DataType) -> DataFrame:
    """``solver``'s answer for every vertex: id, ``column``; one pass over ``whole_components``."""
    return answers(whole_components(graph), solver, column, kind)


def answers(rows: DataFrame, solver: Solver, column: str, kind: DataType) -> DataFrame:
    """``solver``'s answer for every vertex of ``whole_components``: id, ``column``. No exchange."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        part = read_part(batches)
        if part is not None:
            yield from write(["id", column], [part.ids, solver(part)])

    ids = StructField("id", rows.schema["a"].dataType, False)
    return rows.mapInArrow(run, StructType([ids, StructField(column, kind, True)]))


def totals(rows: DataFrame, solver: Solver) -> list[float]:
    """Sum over all parts of ``whole_components`` of ``solver``'s short array, as long for any graph."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        part = read_part(batches)
        if part is not None:
            values = solver(part)
            yield from write(["k", "total"], [pa.array(range(len(values)), pa.int64()), values])

    parts = rows.mapInArrow(run, "k long, total double")
    found = parts.groupBy("k").agg(F.sum("total").alias("total")).collect()
    return [row["total"] for row in sorted(found, key=lambda row: row["k"])]


def whole_components(graph: Graph, mass: DataFrame | None = None) -> DataFrame:
    """Rows (a, b, w): vertices (id, null, mass) and edges (src, dst, weight), no component on two partitions.

    ``mass`` (id, mass) gives some vertices a number. Small graphs: one exchange to one task. Large ones: the
    components, a join of each table with them, and one exchange by component. Who passes twice over it checkpoints it.
    """
    vertices = graph.vertices.select(F.col("id").alias("a"), F.lit(None).cast(graph.id_type).alias("b"))
    vertices = vertices.withColumn("w", F.lit(None).cast(DoubleType()))
    if mass is not None:
        given = mass.select(F.col("id").alias("a"), F.col("mass").alias("w"))
        vertices = vertices.drop("w").join(given, on="a", how="left").select("a", "b", "w")
    edges = graph.edges.select(F.col("src").alias("a"), F.col("dst").alias("b"), F.col("weight").alias("w"))
    rows = vertices.unionAll(edges)
    if graph.vertex_count + graph.edge_count <= SINGLE_TASK_ROWS:
        return rows.repartition(1)
    return _by_component(graph, rows)


def _by_component(graph: Graph, rows: DataFrame) -> DataFrame:
    placed = rows.join(components_of(graph).withColumnRenamed("id", "a"), on="a", how="inner")
    if graph.vertex_count + graph.edge_count > MAX_COMPONENT_ROWS:
        # Read by the check too; Spark drops it when the frame is no longer held.
        placed = placed.localCheckpoint()
        _check_size(placed)
    session = rows.sparkSession
    parts = max(int(session.conf.get("spark.sql.shuffle.partitions") or 1), 1)
    return placed.repartition(parts, "component").select("a", "b", "w")


def _check_size(placed: DataFrame) -> None:
    largest = placed.groupBy("component").count().agg(F.max("count").alias("rows")).first()
    if largest is not None and largest["rows"] > MAX_COMPONENT_ROWS:
        raise GraphError(
            f"edges: one component has {largest['rows']} vertices and edges, more than one task holds "
            f"({MAX_COMPONENT_ROWS}); cap the hubs or cut weak ties first"
        )
