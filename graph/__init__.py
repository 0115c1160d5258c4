"""Relationship network: tables to vertices and edges, and back to tables."""

from strata.graph.clients import bridges
from strata.graph.components import connected_components
from strata.graph.groups import cap_giant, update_components
from strata.graph.identity import identity_evidence, identity_history, rekey
from strata.graph.inputs import GraphError, GraphTypeError
from strata.graph.measures import (
    core_number,
    label_propagation,
    local_clustering,
    shortest_distances,
    strongly_connected_components,
    triangles,
)
from strata.graph.mules import mule_features
from strata.graph.ranks import pagerank, personalised_pagerank

__all__ = [
    "GraphError",
    "GraphTypeError",
    "bridges",
    "cap_giant",
    "connected_components",
    "core_number",
    "identity_evidence",
    "identity_history",
    "label_propagation",
    "local_clustering",
    "mule_features",
    "pagerank",
    "personalised_pagerank",
    "rekey",
    "shortest_distances",
    "strongly_connected_components",
    "triangles",
    "update_components",
]
