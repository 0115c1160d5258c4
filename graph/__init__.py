"""Relationship network: tables to vertices and edges, and back to tables."""

from strata.graph.components import connected_components
from strata.graph.inputs import GraphError, GraphTypeError
from strata.graph.measures import (
    core_number,
    label_propagation,
    local_clustering,
    shortest_distances,
    strongly_connected_components,
    triangles,
)
from strata.graph.ranks import pagerank, personalised_pagerank

__all__ = [
    "GraphError",
    "GraphTypeError",
    "connected_components",
    "core_number",
    "label_propagation",
    "local_clustering",
    "pagerank",
    "personalised_pagerank",
    "shortest_distances",
    "strongly_connected_components",
    "triangles",
]
