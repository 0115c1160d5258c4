"""The published answers of LDBC Graphalytics on its two example graphs."""

from pathlib import Path

import pytest

from strata import graph

pytestmark = pytest.mark.golden

FOLDER = Path(__file__).parents[1] / "data" / "ldbc"
NAMES = ["directed", "undirected"]


def published(name: str, answer: str) -> dict[int, float]:
    rows = (line.split() for line in (FOLDER / f"example-{name}-{answer}").read_text().splitlines())
    return {int(id): float(value) for id, value in rows}


def tables(spark, name):
    rows = [line.split() for line in (FOLDER / f"example-{name}.e").read_text().splitlines()]
    ids = [(int(line),) for line in (FOLDER / f"example-{name}.v").read_text().split()]
    edges = [(int(src), int(dst), float(weight)) for src, dst, weight in rows]
    return spark.createDataFrame(ids, "id long"), spark.createDataFrame(edges, "src long, dst long, weight double")


def both_ways(edges):
    return edges.unionByName(edges.selectExpr("dst AS src", "src AS dst", "weight"))


def answer(frame):
    return {row[0]: row[1] for row in frame.collect()}


@pytest.mark.parametrize("name", NAMES)
def test_components(spark, name):
    assert answer(graph.connected_components(*tables(spark, name))) == published(name, "WCC")


@pytest.mark.parametrize("name", NAMES)
def test_pagerank(spark, name):
    vertices, edges = tables(spark, name)
    edges = edges if name == "directed" else both_ways(edges)
    ranks = answer(graph.pagerank(vertices, edges, damping=0.85, iterations=2))
    assert ranks == pytest.approx(published(name, "PR"), rel=1e-12)
    assert sum(ranks.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_label_propagation(spark, name):
    labels = graph.label_propagation(*tables(spark, name), iterations=2, directed=name == "directed")
    assert answer(labels) == published(name, "CDLP")


@pytest.mark.parametrize("name", NAMES)
def test_local_clustering(spark, name):
    found = graph.local_clustering(*tables(spark, name), directed=name == "directed")
    assert answer(found) == pytest.approx(published(name, "LCC"), rel=1e-12)


@pytest.mark.parametrize(("name", "source"), [("directed", 1), ("undirected", 2)])
def test_distances(spark, name, source):
    vertices, edges = tables(spark, name)
    directed = name == "directed"
    lengths = graph.shortest_distances(vertices, edges, source=source, weight="weight", directed=directed)
    reachable = {id: value for id, value in published(name, "SSSP").items() if value != float("inf")}
    assert {id: value for id, value in answer(lengths).items() if value is not None} == pytest.approx(reachable)
    hops = graph.shortest_distances(vertices, edges, source=source, directed=directed)
    steps = {id: None if value > 1e18 else value for id, value in published(name, "BFS").items()}
    assert answer(hops) == steps
