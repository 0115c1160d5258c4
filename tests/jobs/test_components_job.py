"""``strata components`` on files, against networkx."""

from __future__ import annotations

import csv
import json
from decimal import Decimal

import duckdb
import networkx as nx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from strata.conf.settings import load_settings
from strata.jobs import components
from strata.jobs.job_runner import execute, parser

pytestmark = pytest.mark.integration


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
    assert call(spark, "--edges", tmp_path / "holes.csv", "--output", tmp_path / "out", "--separator", "::") == 2


def found(out):
    rows = DeltaTable(str(out / "components")).to_pandas()
    return dict(zip(rows["id"], rows["component"], strict=True))


@pytest.mark.parametrize(
    ("edges", "vertices", "expected"),
    [
        ("src,dst\n12.1,7E900\n12.10,007\n", None, {"12.1": "12.1", "7E900": "12.1", "12.10": "007", "007": "007"}),
        ("SRC;Dst \n+420;1,5\n420;1,50\n", None, {"+420": "+420", "1,5": "+420", "420": "1,50", "1,50": "1,50"}),
        ("src,dst\nNA,TRUE\nNone,-\n", None, {"NA": "NA", "TRUE": "NA", "None": "-", "-": "-"}),
        ("src,dst\n1,2\n2,3\n", "id\n1\n2\n3\n4.50\n", {"1": "1", "2": "1", "3": "1", "4.50": "4.50"}),
    ],
)
def test_ids_keep_every_character(spark, tmp_path, edges, vertices, expected):
    (tmp_path / "edges.csv").write_text(edges)
    given = ["--edges", tmp_path / "edges.csv", "--output", tmp_path / "out"]
    if vertices:
        (tmp_path / "people.csv").write_text(vertices)
        given += ["--vertices", tmp_path / "people.csv"]
    assert call(spark, *given) == 0
    assert found(tmp_path / "out") == expected


def test_the_csv_is_what_other_readers_take_for_csv(spark, tmp_path):
    ids = ['O"Neil, A', 'x"', "a\\", "two\nlines", "plain"]
    pd.DataFrame({"src": ids, "dst": ids[0]}).to_csv(tmp_path / "edges.csv", index=False)
    assert call(spark, "--edges", tmp_path / "edges.csv", "--output", tmp_path / "out") == 0
    path = tmp_path / "out" / "components.csv"
    with path.open(newline="") as text:
        by_python = list(csv.reader(text))[1:]
    assert sorted(by_python) == sorted([name, min(ids)] for name in ids)
    assert sorted(duckdb.read_csv(str(path), header=True).fetchall()) == sorted(map(tuple, by_python))
    assert sorted(map(list, pd.read_csv(path).itertuples(index=False))) == sorted(by_python)


NUMBERS = {
    "double": (pa.array([1.0, 2.0]), pa.array([2.0, 3.0]), {1: 1, 2: 1, 3: 1}),
    "decimal": (pa.array([Decimal(1), Decimal(2)], pa.decimal128(38, 10)), pa.array([2, 3]), {1: 1, 2: 1, 3: 1}),
    "number and text": (pa.array([1, 2]), pa.array(["2", "03"]), {"1": "03", "2": "03", "03": "03"}),
    "hashes": (pa.array([1, 2], pa.uint64()), pa.array([2**64 - 1, 2], pa.uint64()),
               {"1": "1", str(2**64 - 1): "1", "2": "2"}),
}  # fmt: skip


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_that_are_whole_are_ids(spark, tmp_path, case):
    src, dst, expected = NUMBERS[case]
    pq.write_table(pa.table({"src": src, "dst": dst}), tmp_path / "e.parquet")
    assert call(spark, "--edges", tmp_path / "e.parquet", "--output", tmp_path / "out") == 0
    assert found(tmp_path / "out") == expected


@pytest.mark.parametrize(
    ("edges", "vertices", "words"),
    [
        (
            {"src": [1.5, 2.0], "dst": [2.0, 3.0]},
            None,
            "--edges {}/e.parquet: column 'src' has 1 ids that are no whole",
        ),
        ({"src": [2.0**60], "dst": [1.0]}, None, "have lost digits, for example"),
        (
            {"src": [True], "dst": [False]},
            None,
            "--edges {}/e.parquet: column 'src' is boolean; ids are texts or whole",
        ),
        ({"src": [1.0, None], "dst": [2.0, 3.0]}, None, "--edges {}/e.parquet: 1 of 2 edges have no src or no dst"),
        ({"src": [1, 2], "dst": [2, 9]}, [1, 2], "1 ends (1 ids) are not in --vertices {}/v.parquet, for example 9"),
        ({"src": [1], "dst": [2]}, [1, 2, 2], "--vertices {}/v.parquet: 1 ids stand more than once, for example 2"),
        ({"src": [1], "dst": [2]}, [1, 2, None], "--vertices {}/v.parquet: 1 rows have no id"),
    ],
)
def test_refusals_speak_of_what_was_given(spark, tmp_path, capsys, edges, vertices, words):
    pd.DataFrame(edges).to_parquet(tmp_path / "e.parquet")
    given = ["--edges", tmp_path / "e.parquet", "--output", tmp_path / "out"]
    if vertices:
        pd.DataFrame({"id": vertices}).to_parquet(tmp_path / "v.parquet")
        given += ["--vertices", tmp_path / "v.parquet"]
    assert call(spark, *given) == 3
    told = capsys.readouterr().err
    assert words.format(tmp_path) in told and "vertices.id" not in told and "unknown=" not in told


def test_files_are_read_as_the_options_say_and_again_in_each_run(spark, tmp_path, capsys):
    path = tmp_path / "edges.csv"
    path.write_bytes("src:dst\n张三:李四\n:b\n".encode("gbk"))
    given = ["--edges", path, "--output", tmp_path / "out", "--encoding", "GBK", "--separator", ":"]
    assert call(spark, *given) == 3
    assert "note: edges.csv: the encoding is gb18030" in capsys.readouterr().err
    path.write_bytes("src:dst\n张三:李四\na:b\n".encode("gbk"))
    assert call(spark, *given) == 0
    assert found(tmp_path / "out") == {"张三": "张三", "李四": "张三", "a": "a", "b": "a"}
    assert call(spark, *given[:-2]) == 3
    assert "name the separator with --separator" in capsys.readouterr().err
