"""PageRank, global and personalised, with sinks; exact for any number of synchronous steps in two passes.

One step is r <- c u + d A r, with u the restart vector (sums to 1), A the walk's matrix, d the damping and
c = 1 - d + d * (rank on sinks). So after T steps r is a weighted sum of u, A u, ..., A^T u, which every
component can make alone, and only c couples the components. Pass one adds up how much of each A^k u lies
on sinks (T numbers); from them the driver makes the weights; pass two makes the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType
from scipy.sparse import csr_array

from strata.graph.algorithms.arrays import Floats, Part
from strata.graph.algorithms.inputs import (
    Graph,
    GraphError,
    GraphTypeError,
    Id,
    Unknown,
    bad_weight,
    check_id,
    check_whole,
    checked,
)
from strata.graph.algorithms.solvers import step_matrix
from strata.graph.algorithms.whole_components import answers, totals, whole_components


def pagerank(
    vertices: DataFrame,
    edges: DataFrame,
    *,
    damping: float = 0.85,
    iterations: int = 20,
    weight: str | None = None,
    unknown: Unknown = "raise",
) -> DataFrame:
    """PageRank of LDBC Graphalytics: id, rank (double), one row a vertex, sums to 1.

    Starts evenly and runs exactly ``iterations`` synchronous steps along the edges' direction (for an
    undirected graph pass both ways). ``weight`` names a column that shares a vertex's rank among its edges;
    parallel edges add. Sinks spread evenly over all vertices. Plan: the check, one exchange to whole components,
    kept in a local checkpoint, and two passes over it without one. Raises ``GraphError`` on unknown ends, on
    weights that are null, not finite or <= 0.
    """
    check_walk(damping, iterations)
    graph = checked(vertices, edges, weight=weight, unknown=unknown)
    return _walk(graph, None, damping, iterations, weight is not None)


def personalised_pagerank(
    vertices: DataFrame,
    edges: DataFrame,
    *,
    seeds: list[Id] | DataFrame,
    damping: float = 0.85,
    iterations: int = 20,
    weight: str | None = None,
    unknown: Unknown = "raise",
) -> DataFrame:
    """PageRank that starts and restarts on ``seeds`` together: id, rank (double), one row a vertex, sums to 1.

    ``seeds`` is a list of ids (evenly) or a DataFrame of id and, if wanted, weight (in proportion). Sinks
    return to the seeds. Everything else is as in ``pagerank``. Raises ``GraphError`` when a seed is
    repeated or no vertex, has a weight that is null, not finite or <= 0, or when there are no seeds.
    """
    check_walk(damping, iterations)
    graph = checked(vertices, edges, weight=weight, unknown=unknown)
    return _walk(graph, _restart(graph, seeds), damping, iterations, weight is not None)


def check_walk(damping: float, iterations: int) -> None:
    """Raise ``GraphError`` unless 0 <= damping <= 1 and iterations is a whole number from 0."""
    check_damping(damping)
    check_whole("iterations", iterations, 0)


def check_damping(damping: float) -> None:
    """Raise ``GraphError`` unless 0 <= damping <= 1."""
    if isinstance(damping, bool) or not isinstance(damping, int | float) or not 0 <= damping <= 1:
        raise GraphError(f"damping: a number from 0 to 1 is expected, not {damping!r}")


def _walk(graph: Graph, restart: DataFrame | None, damping: float, iterations: int, weighted: bool) -> DataFrame:
    even = None if restart is not None else 1.0 / max(graph.vertex_count, 1)
    rows = whole_components(graph, restart).localCheckpoint()

    def on_sinks(part: Part) -> pa.Array:
        matrix, sink = step_matrix(part, weighted=weighted)
        return pa.array([float(sink @ power) for power in _powers(matrix, _begin(part, even), iterations - 1)])

    sinks = totals(rows, on_sinks) if iterations else []
    shares = _shares(sinks or [0.0] * iterations, damping)

    def rank(part: Part) -> pa.Array:
        matrix, _ = step_matrix(part, weighted=weighted)
        total = np.zeros(part.n)
        for share, power in zip(shares, _powers(matrix, _begin(part, even), iterations)):
            total += share * power
        return pa.array(total)

    return answers(rows, rank, "rank", DoubleType())


def _begin(part: Part, even: float | None) -> Floats:
    return np.nan_to_num(part.mass) if even is None else np.full(part.n, even)


def _powers(matrix: csr_array, vector: Floats, last: int) -> Iterator[Floats]:
    yield vector
    for _ in range(last):
        vector = matrix @ vector
        yield vector


def _shares(sinks: list[float], damping: float) -> Floats:
    """The weights of u, A u, ..., A^T u in the rank after T steps, from the part of each that lies on sinks."""
    shares = np.array([1.0])
    for _ in sinks:
        lost = float(shares @ np.asarray(sinks[: len(shares)]))
        shares = np.concatenate([[1 - damping + damping * lost], damping * shares])
    return shares


def _restart(graph: Graph, seeds: Any) -> DataFrame:
    given = seeds if isinstance(seeds, DataFrame) else _listed(graph, seeds)
    if "id" not in given.columns:
        raise GraphError(f"seeds: column id is missing; there are: {', '.join(given.columns)}")
    kind = given.schema["id"].dataType
    if kind != graph.id_type:
        raise GraphTypeError(f"seeds: {kind.simpleString()} ids, but vertices.id is {graph.id_type.simpleString()}")
    heavy = (F.col("weight") if "weight" in given.columns else F.lit(1.0)).cast("double")
    given = given.select("id", heavy.alias("weight"))
    total = _check_seeds(graph, given)
    return given.select("id", (F.col("weight") / F.lit(total)).alias("mass"))


def _listed(graph: Graph, seeds: Any) -> DataFrame:
    if not isinstance(seeds, list | tuple | set):
        raise GraphTypeError(f"seeds: a list of ids or a DataFrame is expected, not {type(seeds).__name__}")
    for seed in seeds:
        check_id(seed, graph.id_type, "seeds")
    kind = StringType() if isinstance(graph.id_type, StringType) else LongType()
    rows = [(seed,) for seed in seeds]
    return graph.vertices.sparkSession.createDataFrame(rows, StructType([StructField("id", kind)]))


def _check_seeds(graph: Graph, given: DataFrame) -> float:
    vertices = graph.vertices.select("id", F.lit(1).alias("is_vertex"))
    per_id = given.groupBy("id").agg(
        F.count(F.lit(1)).alias("rows"),
        F.sum("weight").alias("weight"),
        F.max(bad_weight(F.col("weight"))).alias("bad"),
    )
    strange = F.col("is_vertex").isNull()
    row = (
        per_id.join(vertices, on="id", how="left")
        .agg(
            F.count(F.lit(1)).alias("ids"),
            F.count(F.when(strange, 1)).alias("strange"),
            F.min(F.when(strange, F.col("id"))).alias("strange_id"),
            F.count(F.when(F.col("rows") > 1, 1)).alias("repeated"),
            F.count(F.when(F.col("bad"), 1)).alias("bad"),
            F.sum("weight").alias("total"),
        )
        .first()
    )
    assert row is not None
    if not row["ids"]:
        raise GraphError("seeds: there are none; give at least one vertex")
    if row["strange"]:
        raise GraphError(f"seeds: {row['strange']} ids are no vertex, for example {row['strange_id']!r}")
    if row["repeated"]:
        raise GraphError(f"seeds: {row['repeated']} ids stand more than once; keep one row each")
    if row["bad"]:
        raise GraphError(f"seeds: {row['bad']} weights are null or not finite and above 0")
    return float(row["total"])
