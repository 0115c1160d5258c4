"""GraphFrames: the calls that are used here, and a self-test that says which of them can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from graphframes import GraphFrame
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.graph.inputs import GraphError

# Its own default, 2 ^ 31 - 2, is an exclusive or in Python: 31 rounds, too few for a long chain.
MANY_ROUNDS = 2**31 - 2
ADAPTIVE = "spark.sql.adaptive.enabled"
CHAIN = 34


@dataclass(frozen=True)
class Verdict:
    """Whether one call of GraphFrames gives known answers on this installation, and what went wrong if not."""

    call: str
    trusted: bool
    reason: str = ""


def self_test(spark: SparkSession) -> tuple[Verdict, ...]:
    """Try every call that is used on a tiny graph with a known answer; for the start of a job (a few seconds).

    Components run over a chain longer than the mistaken default allows; motifs must find both orders of a
    pair and parallel edges; PageRank must agree with the closed form of a star; the session's settings
    must be as before.
    """
    tests: dict[str, Callable[[SparkSession], str]] = {
        "components": _test_components,
        "motif": _test_motif,
        "pagerank": _test_pagerank,
    }
    return tuple(_verdict(spark, call, test) for call, test in tests.items())


def require_trusted(verdicts: tuple[Verdict, ...]) -> None:
    """Raise ``GraphError`` naming the first call of GraphFrames that failed its self-test."""
    for verdict in verdicts:
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
    try:
        reason = test(spark)
    except (Py4JError, PySparkException, TypeError, AttributeError) as wrong:
        reason = f"{type(wrong).__name__}: {str(wrong).splitlines()[0]}"
    if not reason and spark.conf.get(ADAPTIVE) != before:
        reason = f"it changed {ADAPTIVE}"
    return Verdict(call, not reason, reason)


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
