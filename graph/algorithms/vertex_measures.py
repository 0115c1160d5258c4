"""What every vertex is in its graph: strong component, label, core, triangles, clustering, distance.

Each call checks its input with one job (``inputs.checked``) and returns a lazy answer of one row a vertex
whose plan is one exchange to whole components (``engine.solve``). All take ``unknown="drop"`` to leave out
edges with an end that is no vertex, and raise ``GraphError`` or ``GraphTypeError`` (a ``ValueError``, a
``TypeError``) on ids or weights that can't be used.
"""

from __future__ import annotations

from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql.types import DoubleType, LongType

from strata.graph.algorithms import solvers
from strata.graph.algorithms.inputs import GraphError, Id, Unknown, check_whole, checked
from strata.graph.algorithms.whole_components import solve


def strongly_connected_components(vertices: DataFrame, edges: DataFrame, *, unknown: Unknown = "raise") -> DataFrame:
    """Components in which every vertex reaches every other: id, component (the smallest id in it)."""
    graph = checked(vertices, edges, unknown=unknown)
    return solve(graph, solvers.strong, "component", graph.id_type)


def label_propagation(
    vertices: DataFrame, edges: DataFrame, *, iterations: int, directed: bool, unknown: Unknown = "raise"
) -> DataFrame:
    """Communities by synchronous label propagation, CDLP of LDBC Graphalytics: id, label (an id).

    Every step takes the commonest label among the neighbours, the smallest at a tie; vertices without
    neighbours keep their own. Directed, every edge votes at both of its ends, so reciprocal and parallel
    edges count each; undirected, a tied pair votes once however many rows name it.
    """
    check_whole("iterations", iterations, 0)
    check_flag(directed)
    graph = checked(vertices, edges, unknown=unknown)
    solver = partial(solvers.propagate_labels, iterations=iterations, directed=directed)
    return solve(graph, solver, "label", graph.id_type)


def core_number(vertices: DataFrame, edges: DataFrame, *, unknown: Unknown = "raise") -> DataFrame:
    """The largest k with the vertex in a subgraph where all have k neighbours: id, core (long).

    Direction, parallel edges and self-loops don't matter.
    """
    return solve(checked(vertices, edges, unknown=unknown), solvers.core, "core", LongType())


def triangles(vertices: DataFrame, edges: DataFrame, *, unknown: Unknown = "raise") -> DataFrame:
    """How many triangles go through the vertex: id, triangles (long).

    Direction, parallel edges and self-loops don't matter.
    """
    return solve(checked(vertices, edges, unknown=unknown), solvers.triangle_count, "triangles", LongType())


def local_clustering(vertices: DataFrame, edges: DataFrame, *, directed: bool, unknown: Unknown = "raise") -> DataFrame:
    """Share of the possible edges among a vertex's neighbours that exist: id, clustering (double, 0 to 1).

    LCC of LDBC Graphalytics: neighbours are those on in-coming or out-going edges; directed, each direction
    between two of them counts. 0 with fewer than two neighbours. Parallel edges and self-loops don't matter.
    """
    check_flag(directed)
    graph = checked(vertices, edges, unknown=unknown)
    return solve(graph, partial(solvers.clustering, directed=directed), "clustering", DoubleType())


def shortest_distances(
    vertices: DataFrame,
    edges: DataFrame,
    *,
    source: Id,
    weight: str | None = None,
    directed: bool,
    unknown: Unknown = "raise",
) -> DataFrame:
    """Length of the shortest way from ``source``: id, distance (double, null when unreachable).

    ``weight`` names the column of lengths (>= 0); without it every edge is 1. Of parallel edges the shortest
    counts. Raises ``GraphError`` when ``source`` is no vertex.
    """
    check_flag(directed)
    graph = checked(vertices, edges, weight=weight, zero_weight=True, unknown=unknown, source=source)
    solver = partial(solvers.distances, source=source, weighted=weight is not None, directed=directed)
    return solve(graph, solver, "distance", DoubleType())


def check_flag(directed: bool) -> None:
    """Raise ``GraphError`` unless ``directed`` is true or false."""
    if not isinstance(directed, bool):
        raise GraphError(f"directed: True or False is expected, not {directed!r}")
