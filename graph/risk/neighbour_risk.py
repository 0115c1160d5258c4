"""Risk in the network: what an account's neighbours were known to be, exactly as of a moment.

Neighbours are accounts that pay the same counterparty (two steps over ``transfer`` ties that are links, not
ties of a hub). Accounts of one customer are not each other's neighbours: the own outcome never counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.graph.algorithms.components import connected_components
from strata.graph.algorithms.graphframes_calls import frame_components, shared_targets
from strata.graph.algorithms.inputs import GraphError
from strata.graph.algorithms.ranks import pagerank
from strata.graph.ties.dated_edges import (
    CAPS,
    edges_as_of,
    ends_of,
    hub_register,
    instant,
    links,
    links_as_of,
    named,
    to_graphframe,
)

ACCOUNT_CAPS = {kind: CAPS[kind] for kind in ("co_account", "transfer", "receipt")}
"""The caps of ties that an account's own network is made of: money, and who may use it."""
COUNTS = (
    "network_neighbour_cnt",
    "network_shared_payee_cnt",
    "network_neighbour_loan_cnt",
    "network_neighbour_outcome_cnt",
)


def network_table(
    vertices: DataFrame,
    edges: DataFrame,
    loans: DataFrame,
    outcomes: DataFrame,
    as_of: date | datetime | str,
    *,
    caps: Mapping[str, int] = ACCOUNT_CAPS,
) -> DataFrame:
    """One row an account known by ``as_of``, from what was known by then.

    ``vertices``: id (long), key, entity, known_ts; ``edges``: the dated edge table (``build_edges``);
    ``loans`` and ``outcomes``: silver loan and loan_outcome. Columns: account_id, id, network_component,
    network_component_size_cnt, network_<kind>_cnt (neighbours, hubs' too) a kind of ``caps``,
    network_pagerank (weighted, both ways, sums to 1 over the graph), network_hub_flag, and the columns
    of ``neighbour_features``. Components and rank are over links: no tie of a hub.

    Reads ``edges`` several times: pass a table or a persisted frame. The checks of the graph calls run at once.
    """
    vertices, edges = account_graph(vertices, edges, caps)
    # Each is read by several jobs below; a copy keeps their plans small. Spark drops it when no longer held.
    known = vertices.where(F.col("known_ts") <= instant(as_of)).localCheckpoint()
    hubs = hub_register(edges, caps).localCheckpoint()
    tied = links_as_of(edges, hubs, as_of).localCheckpoint()
    components = connected_components(known, tied)
    sizes = components.groupBy("component").agg(F.count(F.lit(1)).alias("network_component_size_cnt"))
    ranks = pagerank(known, _both_ways(tied), weight="weight").withColumnRenamed("rank", "network_pagerank")
    table = named(known, "account").join(components, on="id", how="inner").join(sizes, on="component", how="inner")
    table = table.withColumnRenamed("component", "network_component").join(ranks, on="id", how="inner")
    table = table.join(_degrees(edges_as_of(edges, as_of), caps), on="id", how="left")
    table = table.join(_hub_flags(hubs, as_of), on="id", how="left")
    spine = table.withColumn("as_of_ts", instant(as_of)).localCheckpoint()
    filled = {f"network_{kind}_cnt": 0 for kind in caps} | {"network_hub_flag": 0}
    return neighbour_features(spine.fillna(filled), vertices, edges, loans, outcomes, caps=caps)


def neighbour_features(
    spine: DataFrame,
    vertices: DataFrame,
    edges: DataFrame,
    loans: DataFrame,
    outcomes: DataFrame,
    *,
    at: str = "as_of_ts",
    caps: Mapping[str, int] = ACCOUNT_CAPS,
) -> DataFrame:
    """Add to every spine row (account_id, ``at``) what was known by its own moment of the account's neighbours.

    Every row stays once, with: network_neighbour_cnt, network_shared_payee_cnt (payees in common with them),
    network_neighbour_loan_cnt, network_neighbour_outcome_cnt (loans whose outcome was known),
    network_neighbour_default_ratio (bad among those, null when there is none), and
    network_neighbour_exposure_amt (granted amount of their loans not known to be finished). Ties, loans and
    outcomes count from their ``known_ts``; counts are 0 for accounts without neighbours, or null times.

    Hubs are cut before accounts are paired, so a payee makes at most cap * cap pairs. Plan: a self-join of
    the transfers by payee (a motif of GraphFrames), one join each with spine, loans and outcomes.
    """
    _check_spine(spine, at)
    moments = spine.select("account_id", F.col(at).cast("timestamp").alias("_at")).dropna().distinct()
    near = _neighbours(moments, vertices, edges, caps)
    met = near.groupBy("account_id", "_at").agg(
        F.countDistinct("neighbour_id").alias("network_neighbour_cnt"),
        F.countDistinct("via").alias("network_shared_payee_cnt"),
    )
    borrowed = _neighbours_loans(near, loans, outcomes)
    found = met.join(borrowed, on=["account_id", "_at"], how="left")
    named = spine.withColumn("_at", F.col(at).cast("timestamp")).join(found, on=["account_id", "_at"], how="left")
    added = [*COUNTS, "network_neighbour_default_ratio", "network_neighbour_exposure_amt"]
    exposure = F.coalesce("network_neighbour_exposure_amt", F.lit(0).cast("decimal(28,2)"))
    filled = named.fillna(0, subset=list(COUNTS)).withColumn("network_neighbour_exposure_amt", exposure)
    return filled.select(*spine.columns, *added)


def account_graph(
    vertices: DataFrame, edges: DataFrame, caps: Mapping[str, int] = ACCOUNT_CAPS
) -> tuple[DataFrame, DataFrame]:
    """The vertices and edge rows of an account's own network: those of the kinds of ``caps``."""
    entities = ("customer", "account", "counterparty")
    return vertices.where(F.col("entity").isin(*entities)), edges.where(F.col("kind").isin(*caps))


def payee_pairs(vertices: DataFrame, edges: DataFrame, caps: Mapping[str, int] = ACCOUNT_CAPS) -> DataFrame:
    """Accounts that pay one counterparty: a, b, via (ids), account_id, neighbour_id, known_ts, hub_from_ts.

    Both orders of every pair. A pair holds at T when known_ts <= T and not hub_from_ts <= T.
    """
    hubs = hub_register(edges, caps).localCheckpoint()
    sent = links(edges.where(F.col("kind") == "transfer").select("src", "dst", "kind", "known_ts"), hubs)
    ties = sent.groupBy("src", "dst").agg(
        F.min("known_ts").alias("known_ts"), F.min("hub_from_ts").alias("hub_from_ts")
    )
    payers = named(vertices, "account").withColumnRenamed("id", "src")
    ties = ties.join(payers, on="src", how="inner").localCheckpoint()
    pairs = shared_targets(to_graphframe(vertices.select("id"), ties))
    return pairs.select(
        "a",
        "b",
        "via",
        F.col("e.account_id").alias("account_id"),
        F.col("f.account_id").alias("neighbour_id"),
        F.greatest("e.known_ts", "f.known_ts").alias("known_ts"),
        F.least("e.hub_from_ts", "f.hub_from_ts").alias("hub_from_ts"),
    )


def assert_components(
    vertices: DataFrame, edges: DataFrame, components: DataFrame, *, cross_check: bool = False
) -> None:
    """Raise ``GraphError`` unless ``components`` (id, component) has each vertex once and no edge between two.

    ``cross_check`` compares with GraphFrames' answer as well; for graphs up to some 100,000 edges. Two joins.
    """
    labels = components.select("id", "component")
    extra = labels.groupBy("id").count().join(vertices.select("id", F.lit(1).alias("v")), on="id", how="full_outer")
    wrong = extra.where(F.col("v").isNull() | F.col("count").isNull() | (F.col("count") != 1)).count()
    if wrong:
        raise GraphError(f"components: {wrong} ids don't stand exactly once in both vertices and components")
    broken = _crossing(edges.select("src", "dst"), labels).count()
    if broken:
        raise GraphError(f"components: {broken} edges have their ends in two components")
    if cross_check:
        theirs = frame_components(to_graphframe(vertices.select("id"), edges.select("src", "dst")))
        differ = labels.join(theirs.withColumnRenamed("component", "theirs"), on="id", how="full_outer")
        odd = differ.where(~F.col("component").eqNullSafe(F.col("theirs"))).count()
        if odd:
            raise GraphError(f"components: {odd} vertices are in another component by GraphFrames")


def _check_spine(spine: DataFrame, at: str) -> None:
    for column in ("account_id", at):
        if column not in spine.columns:
            raise GraphError(f"spine: column {column} is missing; there are: {', '.join(spine.columns)}")


def _both_ways(edges: DataFrame) -> DataFrame:
    back = edges.select(F.col("dst").alias("src"), F.col("src").alias("dst"), "weight")
    return edges.select("src", "dst", "weight").unionByName(back)


def _degrees(edges: DataFrame, caps: Mapping[str, int]) -> DataFrame:
    def neighbours(kind: str) -> Column:
        return F.countDistinct(F.when(F.col("kind") == kind, F.col("other"))).alias(f"network_{kind}_cnt")

    return ends_of(edges).groupBy("id").agg(*[neighbours(kind) for kind in sorted(caps)])


def _hub_flags(hubs: DataFrame, as_of: date | datetime | str) -> DataFrame:
    known = hubs.where(F.col("hub_from_ts") <= instant(as_of))
    return known.select("id", F.lit(1).alias("network_hub_flag")).distinct()


def _neighbours(moments: DataFrame, vertices: DataFrame, edges: DataFrame, caps: Mapping[str, int]) -> DataFrame:
    """account_id, _at, via, neighbour_id (an account): who was a neighbour at each moment."""
    pairs = payee_pairs(vertices, edges, caps)
    held = pairs.join(moments, on="account_id", how="inner").where(F.col("known_ts") <= F.col("_at"))
    held = held.where(F.col("hub_from_ts").isNull() | (F.col("hub_from_ts") > F.col("_at")))
    own = _same_customer(edges)
    same = (held["a"] == own["one"]) & (held["b"] == own["two"]) & (own["own_known_ts"] <= held["_at"])
    near = held.join(own, on=same, how="left_anti").select("account_id", "_at", "via", "neighbour_id")
    return near.localCheckpoint()


def _same_customer(edges: DataFrame) -> DataFrame:
    """Pairs of accounts that one customer may use: one, two (ids), own_known_ts."""
    held = edges.where(F.col("kind") == "co_account").groupBy("src", "dst").agg(F.min("known_ts").alias("known_ts"))
    one = held.select("src", F.col("dst").alias("one"), F.col("known_ts").alias("one_ts"))
    two = held.select("src", F.col("dst").alias("two"), F.col("known_ts").alias("two_ts"))
    pairs = one.join(two, on="src", how="inner").where(F.col("one") != F.col("two"))
    return pairs.select("one", "two", F.greatest("one_ts", "two_ts").alias("own_known_ts"))


def _neighbours_loans(near: DataFrame, loans: DataFrame, outcomes: DataFrame) -> DataFrame:
    granted = loans.select(
        "loan_id", F.col("account_id").alias("neighbour_id"), "principal", F.col("known_ts").alias("granted_ts")
    )
    ended = outcomes.select("loan_id", "is_bad", "is_running", F.col("known_ts").alias("outcome_ts"))
    seen = near.select("account_id", "_at", "neighbour_id").distinct().join(granted, on="neighbour_id", how="inner")
    seen = seen.where(F.col("granted_ts") <= F.col("_at")).join(ended, on="loan_id", how="left")
    told = F.coalesce(F.col("outcome_ts") <= F.col("_at"), F.lit(False))
    finished = told & ~F.col("is_running")
    return seen.groupBy("account_id", "_at").agg(
        F.count("loan_id").alias("network_neighbour_loan_cnt"),
        F.count(F.when(told, F.col("is_bad"))).alias("network_neighbour_outcome_cnt"),
        F.avg(F.when(told, F.col("is_bad").cast("double"))).alias("network_neighbour_default_ratio"),
        F.sum(F.when(~finished, F.col("principal"))).cast("decimal(28,2)").alias("network_neighbour_exposure_amt"),
    )


def _crossing(edges: DataFrame, labels: DataFrame) -> DataFrame:
    src = labels.select(F.col("id").alias("src"), F.col("component").alias("src_component"))
    dst = labels.select(F.col("id").alias("dst"), F.col("component").alias("dst_component"))
    placed = edges.join(src, on="src", how="left").join(dst, on="dst", how="left")
    return placed.where(~F.col("src_component").eqNullSafe(F.col("dst_component")))
