"""Relationship network: tables to vertices and edges, and back to tables."""

from strata.graph.algorithms.components import connected_components
from strata.graph.algorithms.inputs import GraphError, GraphTypeError
from strata.graph.algorithms.ranks import pagerank, personalised_pagerank
from strata.graph.algorithms.vertex_measures import (
    core_number,
    label_propagation,
    local_clustering,
    shortest_distances,
    strongly_connected_components,
    triangles,
)
from strata.graph.communities.groups import cap_giant, update_components
from strata.graph.fraud.identity import identity_evidence, identity_history, rekey
from strata.graph.fraud.mules import mule_features
from strata.graph.risk.connected_clients import bridges

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
