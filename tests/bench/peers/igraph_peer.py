"""igraph: PageRank to convergence in one process (PRPACK); ids are 1 to n, so a place is an id less one."""

from __future__ import annotations

import igraph
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from features_common import answer, job, timed

GIVEN = job()


def ranks() -> None:
    """From Parquet to Parquet, from everywhere or from all seeds together."""
    vertices, edges = (pq.read_table(f"{GIVEN['folder']}/{table}") for table in ("vertices", "edges"))
    pairs = np.stack([edges[end].to_numpy() - 1 for end in ("src", "dst")], axis=1)
    graph = igraph.Graph(n=len(vertices), edges=pairs, directed=True)
    if GIVEN["task"] == "pagerank":
        found = graph.pagerank(damping=GIVEN["damping"])
    else:
        seeds = [seed - 1 for seed in GIVEN["seeds"]]
        found = graph.personalized_pagerank(damping=GIVEN["damping"], reset_vertices=seeds)
    pq.write_table(pa.table({"id": np.arange(1, len(vertices) + 1), "rank": found}), GIVEN["output"])


if __name__ == "__main__":
    answer(GIVEN, {"seconds": timed(ranks)})
