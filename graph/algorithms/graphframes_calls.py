"""GraphFrames: the calls that are used here, and a self-test that says which of them can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from graphframes import GraphFrame
from graphframes.lib import AggregateMessages
from py4j.protocol import Py4JError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.graph.algorithms.inputs import GraphError

# Its own default, 2 ^ 31 - 2, is an exclusive or in Python: 31 rounds, too few for a long chain.
MANY_ROUNDS = 2**31 - 2
ADAPTIVE = "spark.sql.adaptive.enabled"
CHAIN = 34
USED = ("components", "motif", "pagerank")
"""The calls that the rooms use."""

STORED = StorageLevel.MEMORY_AND_DISK_DESER
RING = 11


@dataclass(frozen=True)
class Verdict:
    """Whether one call of GraphFrames gives known answers on this installation, and what went wrong if not."""

    call: str
    trusted: bool
    reason: str = ""


def self_test(spark: SparkSession, calls: Sequence[str] | None = None) -> tuple[Verdict, ...]:
    """Try ``calls`` (all of ``CALLS`` if not given) on tiny graphs with known answers; for the start of a job.

    Components run over a chain longer than the mistaken default allows; motifs must find both orders of a
    pair and parallel edges; PageRank must agree with the closed form of a star; the session's settings
    must be as before. Calls that nothing here uses have their verdicts too, so that nobody takes up a wrong one
    unawares, and a release that mends it is seen. Some 3 s a call.
    """
    return tuple(_verdict(spark, call, CALLS[call]) for call in (CALLS if calls is None else calls))


def require_trusted(verdicts: Sequence[Verdict], calls: Sequence[str] = USED) -> None:
    """Raise ``GraphError`` naming the first of ``calls`` that failed its self-test, or wasn't tried."""
    found = {verdict.call: verdict for verdict in verdicts}
    for call in calls:
        verdict = found.get(call, Verdict(call, False, "it was not tried"))
        if not verdict.trusted:
            raise GraphError(f"GraphFrames: {verdict.call} can't be trusted here: {verdict.reason}")


def frame_components(frame: GraphFrame) -> DataFrame:
    """Components by GraphFrames (``graphx``): id, component, the smallest id in it; ids must be long.

    A cross-check: slower than ``connected_components``, and a chain of thousands needs as many rounds. The
    session's settings are put back, and what GraphFrames had persisted is released once copied.
    """
    spark = frame.vertices.sparkSession
    with _settings_kept(spark):
        found = frame.connectedComponents(algorithm="graphx", max_iter=MANY_ROUNDS)
    return _released(found.select("id", "component"), found)


def frame_pagerank(frame: GraphFrame, *, damping: float, iterations: int) -> DataFrame:
    """PageRank by GraphFrames, scaled to the sum 1: id, rank. Unweighted; equals ``pagerank`` at convergence.

    GraphX lets the rank of sinks leak and scales at the end, so after few steps it differs.
    """
    result = frame.pageRank(resetProbability=1 - damping, maxIter=iterations).vertices
    total = result.agg(F.sum("pagerank").alias("total"))
    ranks = result.crossJoin(F.broadcast(total)).select("id", (F.col("pagerank") / F.col("total")).alias("rank"))
    return _released(ranks, result)


def shared_targets(frame: GraphFrame) -> DataFrame:
    """Pairs that point at the same vertex, by the motif (a)-[e]->(p); (b)-[f]->(p), each in both orders.

    Columns: a, b, via (ids), e, f (structs of the edges). For capped graphs only: k sources of a vertex make
    k (k - 1) rows.
    """
    found = frame.find("(a)-[e]->(p); (b)-[f]->(p)").where("a.id != b.id")
    return found.select(F.col("a.id").alias("a"), F.col("b.id").alias("b"), F.col("p.id").alias("via"), "e", "f")


@contextmanager
def _settings_kept(spark: SparkSession) -> Iterator[None]:
    before = spark.conf.get(ADAPTIVE)
    try:
        yield
    finally:
        if before is not None:
            spark.conf.set(ADAPTIVE, before)


def _released(answer: DataFrame, persisted: DataFrame) -> DataFrame:
    copy = answer.localCheckpoint()
    persisted.unpersist()
    return copy


def _verdict(spark: SparkSession, call: str, test: Callable[[SparkSession], str]) -> Verdict:
    before = spark.conf.get(ADAPTIVE)
    with _settings_kept(spark):
        try:
            reason = test(spark)
        except (Py4JError, PySparkException, TypeError, AttributeError, KeyError) as wrong:
            reason = f"{type(wrong).__name__}: {str(wrong).splitlines()[0]}"
        if not reason and spark.conf.get(ADAPTIVE) != before:
            reason = f"it changed {ADAPTIVE}"
    return Verdict(call, not reason, reason)


def _frame(spark: SparkSession, ids: str, edges: str) -> GraphFrame:
    """A graph of single letters: "abc", "ab bc"."""
    vertices = spark.createDataFrame([(letter,) for letter in ids], "id string")
    return GraphFrame(
        vertices, spark.createDataFrame([tuple(pair) for pair in edges.split()], "src string, dst string")
    )


def _answer(found: DataFrame, column: str) -> dict[Any, Any]:
    rows = dict(found.select("id", column).collect())
    found.unpersist()
    return rows


def _unlike(found: Any, expected: Any, what: str) -> str:
    return "" if found == expected else f"{what}: {found}, not {expected}"


def _test_components(spark: SparkSession) -> str:
    chain = spark.range(CHAIN - 1).select(F.col("id").alias("src"), (F.col("id") + 1).alias("dst"))
    found = dict(frame_components(GraphFrame(spark.range(CHAIN + 1), chain)).collect())
    expected = dict.fromkeys(range(CHAIN), 0) | {CHAIN: CHAIN}
    return "" if found == expected else f"a chain of {CHAIN} vertices has {len(set(found.values())) - 1} components"


def _test_motif(spark: SparkSession) -> str:
    edges = spark.createDataFrame([(1, 9), (2, 9), (2, 9), (3, 8)], "src long, dst long")
    vertices = spark.createDataFrame([(id,) for id in (1, 2, 3, 8, 9)], "id long")
    found = sorted((row.a, row.b, row.via) for row in shared_targets(GraphFrame(vertices, edges)).collect())
    return "" if found == [(1, 2, 9)] * 2 + [(2, 1, 9)] * 2 else f"shared targets are {found}"


def _test_pagerank(spark: SparkSession) -> str:
    # A centre and three leaves, both ways: the centre has (1 - d) / 4 + d * (1 - centre), so .47973 at d = .85.
    spokes = [(1, leaf) for leaf in (2, 3, 4)] + [(leaf, 1) for leaf in (2, 3, 4)]
    frame = GraphFrame(spark.range(1, 5), spark.createDataFrame(spokes, "src long, dst long"))
    found = dict(frame_pagerank(frame, damping=0.85, iterations=60).collect())
    centre = (0.15 / 4 + 0.85) / 1.85
    return "" if abs(found[1] - centre) < 1e-3 else f"the centre of a star has rank {found[1]}, not {centre:.5f}"


def _test_components_default(spark: SparkSession) -> str:
    chain = spark.range(CHAIN - 1).select(F.col("id").alias("src"), (F.col("id") + 1).alias("dst"))
    found = GraphFrame(spark.range(CHAIN), chain).connectedComponents(algorithm="graphx")
    return _unlike(len(set(_answer(found, "component").values())), 1, f"components of a chain of {CHAIN} vertices")


def _test_personalised(spark: SparkSession) -> str:
    # The seed passes d of its rank on, the sink returns its own to the seed: r(a) = 1 / (1 + d), r(b) = d r(a).
    result = _frame(spark, "abc", "ab").parallelPersonalizedPageRank(0.15, sourceIds=["a"], maxIter=4).vertices
    ranks = {letter: round(float(vector[0]), 3) for letter, vector in _answer(result, "pageranks").items()}
    return _unlike(ranks, {"a": 0.541, "b": 0.459, "c": 0.0}, "ranks from one seed")


def _test_weights(spark: SparkSession) -> str:
    frame = _frame(spark, "abc", "ab ac")
    heavy = frame.edges.withColumn("weight", F.when(F.col("dst") == "b", 3.0).otherwise(1.0))
    ranks = _answer(GraphFrame(frame.vertices, heavy).pageRank(maxIter=2).vertices, "pagerank")
    return "" if ranks["b"] > ranks["c"] else "an edge of three times the weight carries no more rank"


def _test_labels(spark: SparkSession, algorithm: str) -> str:
    # Every end votes for the other: two that are tied both ways swap labels, and who is alone keeps the own one.
    edges = spark.createDataFrame([(1, 2), (2, 1), (3, 1)], "src long, dst long")
    found = GraphFrame(spark.range(1, 5), edges).labelPropagation(1, algorithm=algorithm, use_local_checkpoints=True)
    return _unlike(_answer(found, "label"), {1: 2, 2: 1, 3: 1, 4: 4}, "labels after a step")


def _test_shortest_paths(spark: SparkSession) -> str:
    found = _answer(_frame(spark, "abcd", "ab bc ac").shortestPaths(landmarks=["c"]), "distances")
    return _unlike(found, {"a": {"c": 1}, "b": {"c": 1}, "c": {"c": 0}, "d": {}}, "hops to a landmark")


def _test_core(spark: SparkSession) -> str:
    found = _answer(_frame(spark, "abcde", "ab bc ca cd ce").k_core(use_local_checkpoints=True), "kcore")
    return _unlike(found, {"a": 2, "b": 2, "c": 2, "d": 1, "e": 1}, "cores of a triangle with two tails")


def _test_triangles(spark: SparkSession) -> str:
    found = _answer(_frame(spark, "abcd", "ab bc ca ac cd").triangleCount(storage_level=STORED), "count")
    return _unlike(found, {"a": 1, "b": 1, "c": 1, "d": 0}, "triangles, one side tied both ways")


def _test_messages(spark: SparkSession) -> str:
    lowest, highest = F.min(AggregateMessages.msg).alias("low"), F.max(AggregateMessages.msg).alias("high")
    frame = _frame(spark, "abc", "ac bc")
    found = frame.aggregateMessages([lowest, highest], sendToDst=[AggregateMessages.src["id"]])
    shown = sorted(tuple(row) for row in found.collect())
    found.unpersist()
    return _unlike(shown, [("c", "a", "b")], "lowest and highest message")


def _test_cycles(spark: SparkSession) -> str:
    ring = spark.range(RING).select(F.col("id").alias("src"), ((F.col("id") + 1) % RING).alias("dst"))
    found = GraphFrame(spark.range(RING), ring).detectingCycles(use_local_checkpoints=True)
    cycles = found.count()
    found.unpersist()
    return _unlike(cycles, 1, f"cycles in a ring of {RING} vertices")


CALLS: dict[str, Callable[[SparkSession], str]] = {
    "components": _test_components,
    "motif": _test_motif,
    "pagerank": _test_pagerank,
    "components_default": _test_components_default,
    "personalised_pagerank": _test_personalised,
    "weighted_pagerank": _test_weights,
    "label_propagation_graphx": partial(_test_labels, algorithm="graphx"),
    "label_propagation_graphframes": partial(_test_labels, algorithm="graphframes"),
    "shortest_paths": _test_shortest_paths,
    "k_core": _test_core,
    "triangle_count": _test_triangles,
    "aggregate_messages": _test_messages,
    "detecting_cycles": _test_cycles,
}
"""Calls and their tests, those of ``USED`` first."""
