"""Every graph call against networkx or plain loops: 120 random graphs as disjoint parts of one."""

import random
from collections import Counter

import networkx as nx
import numpy as np
import pytest

from strata import graph
from strata.graph import engine

LETTERS = ["a", "Z", "é", "ß", "中", "\U0001f600", "\uffff", "0", "_"]


def random_rows():
    """Vertices and (src, dst, weight) of 120 small graphs with self-loops, parallel edges and lone vertices."""
    rng = random.Random(7)
    vertices, rows = [], []
    for _ in range(120):
        own = list(range(len(vertices), len(vertices) + rng.randint(1, 9)))
        vertices += own
        rows += [(rng.choice(own), rng.choice(own), rng.randint(1, 8) / 4) for _ in range(rng.randint(0, 3 * len(own)))]
    return vertices, rows


def names_for(vertices, kind):
    rng = random.Random(11)
    if kind == "long":
        return {v: rng.getrandbits(50) * 4096 - 2**61 + v for v in vertices}
    return {v: "".join(rng.choices(LETTERS, k=3)) + str(v) for v in vertices}


@pytest.fixture(scope="module", params=["long", "string"])
def case(spark, request):
    vertices, rows = random_rows()
    name = names_for(vertices, request.param)
    edges = [(name[s], name[d], w) for s, d, w in rows]
    ids = [name[v] for v in vertices]
    kind = request.param
    frames = (
        spark.createDataFrame([(i,) for i in ids], f"id {kind}").persist(),
        spark.createDataFrame(edges, f"src {kind}, dst {kind}, weight double").persist(),
    )
    yield ids, edges, *frames
    for frame in frames:
        frame.unpersist()


@pytest.fixture
def cut(case, monkeypatch):
    """String ids are solved cut along components, long ids in one task: each way of the engine meets all calls."""
    if isinstance(case[0][0], str):
        monkeypatch.setattr(engine, "SINGLE_TASK_ROWS", 0)


def answer(frame):
    rows = frame.collect()
    found = {row[0]: row[1] for row in rows}
    assert len(found) == len(rows)
    return found


def simple(ids, edges):
    found = nx.Graph((s, d) for s, d, _ in edges if s != d)
    found.add_nodes_from(ids)
    return found


def directed_of(ids, edges):
    found = nx.DiGraph((s, d) for s, d, _ in edges)
    found.add_nodes_from(ids)
    return found


def smallest(parts):
    return {v: min(part, key=lambda i: i.encode() if isinstance(i, str) else i) for part in parts for v in part}


def test_components(case):
    ids, edges, vertices, ties = case
    expected = smallest(nx.connected_components(simple(ids, edges)))
    assert answer(graph.connected_components(vertices, ties)) == expected
    # More partitions mean more rounds of contraction.
    assert answer(graph.connected_components(vertices, ties.repartition(13))) == expected


def test_strong_components(case, cut):
    ids, edges, vertices, ties = case
    expected = smallest(nx.strongly_connected_components(directed_of(ids, edges)))
    assert answer(graph.strongly_connected_components(vertices, ties)) == expected


def test_core_and_triangles(case, cut):
    ids, edges, vertices, ties = case
    whole = simple(ids, edges)
    assert answer(graph.core_number(vertices, ties)) == nx.core_number(whole)
    assert answer(graph.triangles(vertices, ties)) == nx.triangles(whole)


def lcc(ids, edges, directed):
    arrows = {(s, d) for s, d, _ in edges if s != d} | (set() if directed else {(d, s) for s, d, _ in edges if s != d})
    near = {i: set() for i in ids}
    for s, d in arrows:
        near[s].add(d)
        near[d].add(s)
    among = {i: sum((u, v) in arrows for u in near[i] for v in near[i]) for i in ids}
    return {i: among[i] / (len(near[i]) * (len(near[i]) - 1)) if len(near[i]) > 1 else 0.0 for i in ids}


@pytest.mark.parametrize("directed", [True, False])
def test_local_clustering(case, directed):
    ids, edges, vertices, ties = case
    found = answer(graph.local_clustering(vertices, ties, directed=directed))
    assert found == pytest.approx(lcc(ids, edges, directed))


def cdlp(ids, edges, iterations, directed):
    if directed:
        ways = [(s, d) for s, d, _ in edges] + [(d, s) for s, d, _ in edges]
    else:
        pairs = {frozenset((s, d)) for s, d, _ in edges}
        ways = [(min(p), max(p)) for p in pairs] + [(max(p), min(p)) for p in pairs]
    label = {i: i for i in ids}
    for _ in range(iterations):
        votes = {i: Counter() for i in ids}
        for s, d in ways:
            votes[d][label[s]] += 1
        label = {i: min(votes[i], key=lambda c, v=votes[i]: (-v[c], c)) if votes[i] else label[i] for i in ids}
    return label


@pytest.mark.parametrize(("iterations", "directed"), [(0, True), (1, True), (7, True), (7, False)])
def test_label_propagation(case, iterations, directed):
    ids, edges, vertices, ties = case
    found = answer(graph.label_propagation(vertices, ties, iterations=iterations, directed=directed))
    assert found == cdlp(ids, edges, iterations, directed)


def walk(ids, edges, restart, damping, iterations, weighted):
    place = {v: n for n, v in enumerate(ids)}
    matrix = np.zeros((len(ids), len(ids)))
    for s, d, w in edges:
        matrix[place[d], place[s]] += w if weighted else 1
    out = matrix.sum(axis=0)
    matrix = np.divide(matrix, out, out=np.zeros_like(matrix), where=out > 0)
    rank = restart.copy()
    for _ in range(iterations):
        rank = (1 - damping) * restart + damping * (matrix @ rank + restart * rank[out == 0].sum())
    return dict(zip(ids, rank))


@pytest.mark.parametrize(("damping", "iterations", "weight"), [(0.85, 20, None), (0.6, 3, "weight"), (0.85, 0, None)])
def test_pagerank(case, cut, damping, iterations, weight):
    ids, edges, vertices, ties = case
    expected = walk(ids, edges, np.full(len(ids), 1 / len(ids)), damping, iterations, weight is not None)
    found = answer(graph.pagerank(vertices, ties, damping=damping, iterations=iterations, weight=weight))
    assert found == pytest.approx(expected, rel=1e-10)


def test_pagerank_is_that_of_networkx_at_convergence(case):
    ids, edges, vertices, ties = case
    found = answer(graph.pagerank(vertices, ties, iterations=150, weight="weight"))
    multi = nx.MultiDiGraph()
    multi.add_nodes_from(ids)
    multi.add_weighted_edges_from(edges)
    assert found == pytest.approx(nx.pagerank(multi, weight="weight", tol=1e-12, max_iter=1000), rel=1e-6)


def test_personalised_pagerank(spark, case, cut):
    ids, edges, vertices, ties = case
    seeds = {ids[3]: 1.0, ids[200]: 2.5, ids[-1]: 0.5}
    restart = np.array([seeds.get(i, 0.0) for i in ids]) / sum(seeds.values())
    table = spark.createDataFrame(
        list(seeds.items()), f"id {vertices.schema['id'].dataType.simpleString()}, weight double"
    )
    found = answer(graph.personalised_pagerank(vertices, ties, seeds=table, iterations=9, weight="weight"))
    assert found == pytest.approx(walk(ids, edges, restart, 0.85, 9, True), abs=1e-14)
    evenly = answer(graph.personalised_pagerank(vertices, ties, seeds=list(seeds), iterations=9))
    restart = (restart > 0) / 3
    assert evenly == pytest.approx(walk(ids, edges, restart, 0.85, 9, False), abs=1e-14)
    assert sum(evenly.values()) == pytest.approx(1)


def lengths(ids, edges, source, weighted, directed):
    ways = edges if directed else edges + [(d, s, w) for s, d, w in edges]
    best = {i: float("inf") for i in ids} | {source: 0.0}
    for _ in ids:
        before = dict(best)
        for s, d, w in ways:
            best[d] = min(best[d], best[s] + (w if weighted else 1))
        if before == best:
            break
    return {i: None if v == float("inf") else v for i, v in best.items()}


@pytest.mark.parametrize("directed", [True, False])
def test_distances(case, cut, directed):
    ids, edges, vertices, ties = case
    big = max(nx.connected_components(simple(ids, edges)), key=len)
    source = min(big)
    plain = graph.shortest_distances(vertices, ties, source=source, directed=directed)
    assert answer(plain) == lengths(ids, edges, source, False, directed)
    heavy = graph.shortest_distances(vertices, ties, source=source, weight="weight", directed=directed)
    assert answer(heavy) == lengths(ids, edges, source, True, directed)


def test_one_dense_graph(spark):
    whole = nx.gnm_random_graph(300, 6000, seed=3)
    vertices = spark.range(300)
    ties = spark.createDataFrame(list(whole.edges), "src long, dst long")
    assert answer(graph.core_number(vertices, ties)) == nx.core_number(whole)
    assert answer(graph.triangles(vertices, ties)) == nx.triangles(whole)
    assert answer(graph.local_clustering(vertices, ties, directed=False)) == pytest.approx(nx.clustering(whole))
