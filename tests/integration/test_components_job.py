"""``strata components`` on files, against networkx."""

from __future__ import annotations

import json

import networkx as nx
import numpy as np
import pandas as pd
from deltalake import DeltaTable

from strata.conf.settings import load_settings
from strata.jobs import components
from strata.jobs.runtime.run import execute, parser


def call(spark, *arguments):
    return execute(
        components.JOB, load_settings("test"), parser(components.JOB).parse_args([*map(str, arguments)]), spark
    )


def test_components_are_those_of_networkx(spark, tmp_path):
    rng = np.random.default_rng(6)
    pairs = pd.DataFrame({"src": rng.integers(0, 400, 260), "dst": rng.integers(0, 400, 260)})
    pairs.to_csv(tmp_path / "edges.csv", index=False)
    pd.DataFrame({"id": range(420)}).to_csv(tmp_path / "people.csv", index=False)
    out = tmp_path / "out"
    assert call(spark, "--edges", tmp_path / "edges.csv", "--vertices", tmp_path / "people.csv", "--output", out) == 0
    graph = nx.Graph([(str(a), str(b)) for a, b in pairs.itertuples(index=False)])
    graph.add_nodes_from(map(str, range(420)))
    expected = {vertex: min(group) for group in nx.connected_components(graph) for vertex in group}
    told = pd.read_csv(out / "components.csv", dtype=str)
    assert dict(zip(told["id"], told["component"], strict=True)) == expected
    by_delta = DeltaTable(str(out / "components")).to_pandas()
    assert dict(zip(by_delta["id"], by_delta["component"], strict=True)) == expected
    summary = json.loads((out / "summary.json").read_text())
    assert summary["vertices"] == 420 and summary["components"] == len(set(expected.values()))
    assert sorted(path.name for path in out.iterdir()) == ["components", "components.csv", "summary.json"]


def test_what_is_no_table_of_edges_is_told(spark, tmp_path, capsys):
    (tmp_path / "other.csv").write_text("from,to\n1,2\n")
    assert call(spark, "--edges", tmp_path / "other.csv", "--output", tmp_path / "out") == 3
    assert "has no column 'src'; it has from, to" in capsys.readouterr().err
    (tmp_path / "holes.csv").write_text("src,dst\n1,2\n3,\n")
    assert call(spark, "--edges", tmp_path / "holes.csv", "--output", tmp_path / "out") == 3
    assert "1 of 2 edges have no src or no dst" in capsys.readouterr().err
