"""Shapes that break graph code, and what the calls refuse."""

import pytest

from strata import graph
from strata.graph.algorithms import whole_components as engine

LONG_CHAIN = 6000


def tables(spark, ids, edges, kind="long"):
    vertices = spark.createDataFrame([(i,) for i in ids], f"id {kind}")
    return vertices, spark.createDataFrame(edges, f"src {kind}, dst {kind}, weight double")


def answer(frame):
    return {row[0]: row[1] for row in frame.collect()}


CALLS = {
    "component": graph.connected_components,
    "strong": graph.strongly_connected_components,
    "rank": graph.pagerank,
    "label": lambda v, e, **more: graph.label_propagation(v, e, iterations=2, directed=True, **more),
    "core": graph.core_number,
    "triangles": graph.triangles,
    "clustering": lambda v, e, **more: graph.local_clustering(v, e, directed=True, **more),
}


@pytest.fixture(scope="module")
def chain(spark):
    """0 - 1 - ... - 5999, a star of 2,000 leaves, a lone vertex, and a lone self-loop."""
    base = LONG_CHAIN
    edges = spark.range(base - 1).selectExpr("id AS src", "id + 1 AS dst")
    star = spark.range(base + 1, base + 2001).selectExpr("id AS src", f"{base}L AS dst")
    loop = spark.range(base + 2002, base + 2003).selectExpr("id AS src", "id AS dst")
    return spark.range(base + 2003), edges.unionAll(star).unionAll(loop).repartition(7)


def test_chain_star_and_lone_vertices(chain):
    vertices, edges = chain
    centre = LONG_CHAIN
    component = answer(graph.connected_components(vertices, edges))
    assert component == {i: 0 if i < centre else centre if i <= centre + 2000 else i for i in range(centre + 2003)}
    core = answer(graph.core_number(vertices, edges))
    assert core == {i: int(i <= centre + 2000) for i in range(centre + 2003)}
    strong = answer(graph.strongly_connected_components(vertices, edges))
    assert strong == {i: i for i in range(centre + 2003)}
    far = answer(graph.shortest_distances(vertices, edges, source=0, directed=True))
    assert far == {i: float(i) if i < centre else None for i in range(centre + 2003)}
    back = answer(graph.shortest_distances(vertices, edges, source=centre - 1, directed=False))
    assert back[0] == centre - 1 and back[centre] is None
    assert set(answer(graph.triangles(vertices, edges)).values()) == {0}
    assert set(answer(graph.local_clustering(vertices, edges, directed=False)).values()) == {0.0}


def test_long_ring_is_strong(spark):
    ring = spark.range(5000).selectExpr("id AS src", "(id + 1) % 5000 AS dst")
    assert set(answer(graph.strongly_connected_components(spark.range(5000), ring)).values()) == {0}


def test_no_edges_and_no_vertices(spark):
    alone, none = tables(spark, [3, 1], []), tables(spark, [], [])
    expected = {"component": [3, 1], "strong": [3, 1], "rank": [0.5, 0.5], "label": [3, 1], "core": [0, 0]}
    expected |= {"triangles": [0, 0], "clustering": [0.0, 0.0]}
    for name, call in CALLS.items():
        assert answer(call(*alone)) == dict(zip([3, 1], expected[name])), name
        assert call(*none).collect() == [], name
    assert answer(graph.shortest_distances(*alone, source=3, directed=False)) == {3: 0.0, 1: None}
    assert answer(graph.personalised_pagerank(*alone, seeds=[3])) == {3: 1.0, 1: 0.0}


def test_answers_have_the_type_of_the_ids(spark):
    for kind, ids in (("long", [1, 2]), ("string", ["x", "y"])):
        vertices, edges = tables(spark, ids, [(ids[0], ids[1], 1.0)], kind)
        for call, column in ((graph.connected_components, "component"), (CALLS["label"], "label")):
            frame = call(vertices, edges)
            assert [(f.name, f.dataType.simpleString()) for f in frame.schema] == [
                ("id", vertices.dtypes[0][1]),
                (column, vertices.dtypes[0][1]),
            ]


def test_strings_compare_by_bytes(spark):
    # By UTF-16, as Java compares, the emoji would come before U+FFFF; by bytes it comes after.
    ids = ["\uffff", "\U0001f600"]
    component = answer(graph.connected_components(*tables(spark, ids, [(ids[0], ids[1], 1.0)], "string")))
    assert set(component.values()) == {"\uffff"}
    assert min(ids, key=str.encode) == "\uffff"


def test_zero_lengths_and_parallel_edges(spark):
    edges = [(1, 2, 0.0), (2, 3, 5.0), (2, 3, 2.0), (3, 1, 0.0), (3, 3, 1.0)]
    found = graph.shortest_distances(*tables(spark, [1, 2, 3], edges), source=1, weight="weight", directed=True)
    assert answer(found) == {1: 0.0, 2: 0.0, 3: 2.0}


def test_huge_weights_do_not_overflow(spark):
    edges = [(1, 2, 1.5e308), (1, 3, 1.5e308), (2, 1, 5e-324)]
    found = answer(graph.pagerank(*tables(spark, [1, 2, 3], edges), weight="weight"))
    assert found[2] == found[3] and sum(found.values()) == pytest.approx(1)


def test_unknown_ends_raise_or_are_dropped(spark):
    vertices, edges = tables(spark, [1, 2, 3], [(1, 2, 1.0), (2, 99, 1.0), (98, 99, 1.0)])
    for call in CALLS.values():
        message = r'edges: 3 ends \(2 ids\) are no vertex, for example 98; .*unknown="drop"'
        with pytest.raises(graph.GraphError, match=message):
            call(vertices, edges)
    for name in ("component", "rank"):
        kept = answer(CALLS[name](*tables(spark, [1, 2, 3], [(1, 2, 1.0)])))
        assert answer(CALLS[name](vertices, edges, unknown="drop")) == kept


def test_bad_ids_raise(spark):
    good = [(1, 2, 1.0)]
    for ids, edges, message in (
        ([1, 2, None], good, "vertices: 1 null ids"),
        ([1, 2, 2, 2], good, "vertices: 1 ids stand more than once, for example 2"),
        ([1, 2], [(1, None, 1.0), (None, None, 1.0)], "edges: 3 null ends"),
    ):
        with pytest.raises(graph.GraphError, match=message):
            graph.connected_components(*tables(spark, ids, edges))


def test_bad_weights_raise(spark):
    bad = [0.0, -1.0, None, float("nan"), float("inf")]
    vertices, edges = tables(spark, [1, 2], [(1, 2, w) for w in bad] + [(1, 2, 1.0)])
    with pytest.raises(graph.GraphError, match="weight: 5 values of weight are null or not finite and above 0"):
        graph.pagerank(vertices, edges, weight="weight")
    with pytest.raises(graph.GraphError, match="weight: 4 values of weight are null or not finite and not negative"):
        graph.shortest_distances(vertices, edges, source=1, weight="weight", directed=True)
    with pytest.raises(graph.GraphError, match="edges have no column 'w'"):
        graph.pagerank(vertices, edges, weight="w")
    with pytest.raises(graph.GraphTypeError, match="column t is string"):
        graph.pagerank(vertices, edges.selectExpr("*", "'1' AS t"), weight="t")


def test_wrong_tables_raise(spark):
    vertices, edges = tables(spark, [1, 2], [(1, 2, 1.0)])
    with pytest.raises(graph.GraphError, match="edges: column dst is missing"):
        graph.triangles(vertices, edges.drop("dst"))
    with pytest.raises(graph.GraphTypeError, match="edges.src: string ids, but vertices.id is bigint"):
        graph.triangles(vertices, edges.selectExpr("cast(src AS string) src", "cast(dst AS string) dst"))
    with pytest.raises(graph.GraphTypeError, match="vertices.id: ids are long or string, not double"):
        graph.triangles(vertices.selectExpr("cast(id AS double) id"), edges)
    with pytest.raises(graph.GraphTypeError, match="vertices: a Spark DataFrame"):
        graph.triangles([1, 2], edges)


def test_wrong_arguments_raise(spark):
    vertices, edges = tables(spark, [1, 2], [(1, 2, 1.0)])
    refused = [
        (lambda: graph.shortest_distances(vertices, edges, source=9, directed=True), "source: 9 is no vertex"),
        (lambda: graph.shortest_distances(vertices, edges, source="1", directed=True), "source: '1' is not of the ids"),
        (
            lambda: graph.personalised_pagerank(vertices, edges, seeds=[9, 1]),
            "seeds: 1 ids are no vertex, for example 9",
        ),
        (lambda: graph.personalised_pagerank(vertices, edges, seeds=[]), "seeds: there are none"),
        (lambda: graph.personalised_pagerank(vertices, edges, seeds=[1, 1]), "seeds: 1 ids stand more than once"),
        (lambda: graph.personalised_pagerank(vertices, edges, seeds=["1"]), "seeds: '1' is not of the ids' type"),
        (lambda: graph.pagerank(vertices, edges, damping=1.5), "damping: a number from 0 to 1"),
        (lambda: graph.pagerank(vertices, edges, iterations=-1), "iterations: a whole number from 0"),
        (lambda: graph.label_propagation(vertices, edges, iterations=2, directed="yes"), "directed: True or False"),
        (lambda: graph.core_number(vertices, edges, unknown="keep"), 'unknown: "raise" or "drop"'),
    ]
    for call, message in refused:
        with pytest.raises((graph.GraphError, graph.GraphTypeError), match=message):
            call()


def test_a_component_too_large_for_a_task_is_named(spark, monkeypatch):
    monkeypatch.setattr(engine, "SINGLE_TASK_ROWS", 0)
    monkeypatch.setattr(engine, "MAX_COMPONENT_ROWS", 4)
    with pytest.raises(graph.GraphError, match="one component has 5 vertices and edges"):
        graph.core_number(*tables(spark, [1, 2, 3, 4], [(1, 2, 1.0), (2, 3, 1.0), (4, 4, 1.0)]))
