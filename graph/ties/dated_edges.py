"""One dated edge table from evidence (``ties``), the stable id map, and the policy on hubs.

A relation row is the evidence for one tie that became known at one moment, so any earlier day's graph can
be cut out of the table without a trace of what came later.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import reduce

from graphframes import GraphFrame
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from strata.graph.algorithms.inputs import GraphError, check_whole
from strata.graph.ties.tie_evidence import vertex_key

CAPS: Mapping[str, int] = {
    "co_account": 20, "transfer": 50, "receipt": 200, "phone": 5, "device": 8, "address": 20, "employer": 200,
    "contact": 200, "call": 200,
}  # fmt: skip
"""Most neighbours of a kind that a vertex may have before it is a hub."""

TIE = ("src", "dst", "kind")
ID_BUCKETS = 1024


def relation_vertices(customers: DataFrame, accounts: DataFrame, evidence: DataFrame) -> DataFrame:
    """Everybody and everything that can be tied: key, entity (the word before the key's colon), known_ts.

    ``known_ts`` is the first moment at which the bank knew of it, by its own row or by a tie. One shuffle.
    """
    own = [
        customers.select(vertex_key("customer", F.col("customer_id")).alias("key"), "known_ts"),
        accounts.select(vertex_key("account", F.col("account_id")).alias("key"), "known_ts"),
    ]
    ends = [evidence.select(F.col(end).alias("key"), "known_ts") for end in ("src_key", "dst_key")]
    seen = reduce(DataFrame.unionByName, own + ends)
    entity = F.substring_index("key", ":", 1).alias("entity")
    return seen.groupBy("key").agg(F.min("known_ts").alias("known_ts")).select("key", entity, "known_ts")


def named(vertices: DataFrame, entity: str) -> DataFrame:
    """The vertices of an entity whose natural id is a number: id, <entity>_id (long)."""
    natural = F.substring_index("key", ":", -1).cast("long").alias(f"{entity}_id")
    return vertices.where(F.col("entity") == entity).select("id", natural)


def extend_ids(keys: DataFrame, known: DataFrame | None = None) -> DataFrame:
    """The stable id map: key -> id (long). Keys of ``known`` keep their ids; new ones follow, in a fixed order.

    ``keys`` has key (repeats don't matter). Ids have no gaps and start at 1. Numbered within 1,024 buckets,
    whose sizes give the offsets, so no task sorts all keys. Raises ``GraphError`` when ``known`` lacks a column.
    """
    wanted = keys.select("key").where(F.col("key").isNotNull()).distinct()
    if known is None:
        return _numbered(wanted).select("key", "id")
    missing = {"key", "id"} - set(known.columns)
    if missing:
        raise GraphError(f"known: column {sorted(missing)[0]} is missing; there are: {', '.join(known.columns)}")
    fresh = _numbered(wanted.join(known, on="key", how="left_anti"))
    last = known.agg(F.coalesce(F.max("id"), F.lit(0)).alias("last"))
    fresh = fresh.crossJoin(F.broadcast(last)).select("key", (F.col("id") + F.col("last")).alias("id"))
    return known.select("key", F.col("id").cast("long").alias("id")).unionByName(fresh)


def build_edges(evidence: DataFrame, ids: DataFrame) -> DataFrame:
    """The dated edge table, one row a tie and known moment.

    Columns: src, dst (long), kind, known_ts, evidence_count (long, below 0 where evidence was taken back), amount
    (decimal, null without money), first_seen, last_seen (timestamps, null when undated), weight (double,
    ln(1 + evidence_count), 0 for what was taken back).
    Two joins with the id map and one aggregation.
    """
    named = evidence.join(
        ids.select(F.col("key").alias("src_key"), F.col("id").alias("src")), on="src_key", how="inner"
    )
    named = named.join(ids.select(F.col("key").alias("dst_key"), F.col("id").alias("dst")), on="dst_key", how="inner")
    seen = F.when(F.col("pieces") > 0, F.col("event_ts"))
    return named.groupBy(*TIE, "known_ts").agg(
        F.sum("pieces").alias("evidence_count"),
        F.sum("amount").alias("amount"),
        F.min(seen).alias("first_seen"),
        F.max(seen).alias("last_seen"),
        _weight(F.sum("pieces")).alias("weight"),
    )


def edges_as_of(edges: DataFrame, as_of: date | datetime | str) -> DataFrame:
    """The ties known by ``as_of``, one row each (src, dst, kind), with the evidence then known and not taken back.

    ``known_ts`` is when the tie was first known. A date is its midnight in the session's (the bank's) zone.
    One aggregation.
    """
    known = edges.where(F.col("known_ts") <= instant(as_of))
    ties = known.groupBy(*TIE).agg(
        F.min("known_ts").alias("known_ts"),
        F.sum("evidence_count").alias("evidence_count"),
        F.sum("amount").alias("amount"),
        F.min("first_seen").alias("first_seen"),
        F.max("last_seen").alias("last_seen"),
        _weight(F.sum("evidence_count")).alias("weight"),
    )
    return ties.where(F.col("evidence_count") > 0)


def hub_register(edges: DataFrame, caps: Mapping[str, int] = CAPS) -> DataFrame:
    """Vertices with more neighbours of a kind than its cap: id, kind, degree_cnt, cap, hub_from_ts, reason.

    ``hub_from_ts`` is when the first neighbour above the cap became known: before it the vertex is no hub,
    so a cut at an earlier date is the one that was true then. Kinds without a cap have no hubs. Two shuffles.
    Raises ``GraphError`` when a cap is not a whole number from 1.
    """
    check_caps(caps)
    both = ends_of(edges).groupBy("id", "kind", "other").agg(F.min("known_ts").alias("known_ts"))
    cap = F.create_map(*[F.lit(value) for pair in sorted(caps.items()) for value in pair])
    order = Window.partitionBy("id", "kind").orderBy("known_ts", "other")
    whole = Window.partitionBy("id", "kind")
    placed = both.withColumn("place", F.row_number().over(order)).withColumn("degree_cnt", F.count("other").over(whole))
    above = placed.withColumn("cap", cap[F.col("kind")]).where(F.col("place") == F.col("cap") + 1)
    reason = F.format_string("%d neighbours of kind %s, more than the cap of %d", "degree_cnt", "kind", "cap")
    return above.select(
        "id", "kind", "degree_cnt", "cap", F.col("known_ts").alias("hub_from_ts"), reason.alias("reason")
    )


def links(edges: DataFrame, hubs: DataFrame) -> DataFrame:
    """Edge rows that are links, not ties of a hub: the rows of ``edges`` plus ``hub_from_ts``.

    Rows known when an end was a hub of the kind are dropped, since no later day may use them either;
    a tie that stays is a link until ``hub_from_ts`` (null: for ever). Two joins with the hub register.
    """
    at = [F.col(f"_{end}_hub_ts") for end in ("src", "dst")]
    for end in ("src", "dst"):
        marked = hubs.select(F.col("id").alias(end), "kind", F.col("hub_from_ts").alias(f"_{end}_hub_ts"))
        edges = edges.join(marked, on=[end, "kind"], how="left")
    dated = edges.withColumn("hub_from_ts", F.least(*at)).drop("_src_hub_ts", "_dst_hub_ts")
    return dated.where(F.col("hub_from_ts").isNull() | (F.col("known_ts") < F.col("hub_from_ts")))


def links_as_of(edges: DataFrame, hubs: DataFrame, as_of: date | datetime | str) -> DataFrame:
    """The ties of ``edges_as_of`` without those of a vertex that was a hub of the kind by ``as_of``."""
    known = hubs.where(F.col("hub_from_ts") <= instant(as_of))
    ties = edges_as_of(edges, as_of)
    for end in ("src", "dst"):
        ties = ties.join(known.select(F.col("id").alias(end), "kind"), on=[end, "kind"], how="left_anti")
    return ties


def ends_of(edges: DataFrame) -> DataFrame:
    """Every edge seen from both of its ends: id, other, kind, known_ts."""
    out = edges.select(F.col("src").alias("id"), F.col("dst").alias("other"), "kind", "known_ts")
    return out.unionByName(edges.select(F.col("dst").alias("id"), F.col("src").alias("other"), "kind", "known_ts"))


def to_graphframe(vertices: DataFrame, edges: DataFrame) -> GraphFrame:
    """The graph as a GraphFrame, for motifs and cross-checks: vertices (id, ...), edges (src, dst, ...)."""
    return GraphFrame(vertices, edges)


def instant(moment: date | datetime | str) -> Column:
    """A moment as a timestamp column; without a zone of its own it is in the session's, the bank's, zone."""
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return F.lit(moment)
    # A naive datetime given to Spark would be read in the machine's zone; its text is read in the session's.
    return F.lit(moment if isinstance(moment, str) else moment.isoformat()).cast("timestamp")


def check_caps(caps: Mapping[str, int]) -> None:
    """Raise ``GraphError`` unless every kind's cap is a whole number from 1."""
    for kind, cap in caps.items():
        check_whole(f"caps: {kind}", cap, 1)
    if not caps:
        raise GraphError("caps: no kind has a cap; give at least one")


def _weight(evidence: Column) -> Column:
    return F.log1p(F.greatest(evidence, F.lit(0)).cast("double"))


def _numbered(keys: DataFrame) -> DataFrame:
    placed = keys.withColumn("bucket", F.pmod(F.xxhash64("key"), F.lit(ID_BUCKETS)))
    sizes = placed.groupBy("bucket").agg(F.count(F.lit(1)).alias("size"))
    # The frame of sizes has at most ID_BUCKETS rows, however many keys there are.
    before = Window.orderBy("bucket").rowsBetween(Window.unboundedPreceding, -1)
    offsets = sizes.select("bucket", F.coalesce(F.sum("size").over(before), F.lit(0)).alias("offset"))
    place = F.row_number().over(Window.partitionBy("bucket").orderBy("key"))
    joined = placed.join(F.broadcast(offsets), on="bucket", how="inner")
    return joined.select("key", (F.col("offset") + place).cast("long").alias("id"))
