"""splink: the clustering that follows its matches, on DuckDB with two threads; every edge is a match."""

from __future__ import annotations

import duckdb
from features_common import answer, job, timed
from splink import DuckDBAPI
from splink.clustering import cluster_pairwise_predictions_at_threshold

GIVEN = job()


def components() -> None:
    """From Parquet to Parquet."""
    connection = duckdb.connect(config={"threads": 2})
    nodes, edges = (connection.read_parquet(f"{GIVEN['folder']}/{table}/*.parquet") for table in ("vertices", "edges"))
    found = cluster_pairwise_predictions_at_threshold(
        nodes,
        edges,
        DuckDBAPI(connection),
        node_id_column_name="id",
        edge_id_column_name_left="src",
        edge_id_column_name_right="dst",
    )
    query = f"SELECT id, cluster_id AS component FROM {found.physical_name}"
    connection.execute(f"COPY ({query}) TO '{GIVEN['output']}' (FORMAT parquet)")


if __name__ == "__main__":
    answer(GIVEN, {"seconds": timed(components)})
