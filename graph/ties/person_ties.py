"""Ties between two people, made from the graph of people and things: dated, so that any moment's can be cut out.

Kinds: what two share (``co_account``, ``shared_phone``, ``shared_device``, ``shared_address``, ``colleague``), what
one does with the other (``contact``, ``call``, ``transfer``, however it went), what they declared (``family``,
``referral``), and guarantees seen from both sides: ``guarantee`` to whom somebody backs, ``guaranteed`` to whom he is
backed by.
"""

from __future__ import annotations

from datetime import date, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.tables.network import PERSON_TIES as KINDS
from strata.graph.ties.dated_edges import instant, links, named

SHARED = {
    "co_account": "co_account",
    "phone": "shared_phone",
    "device": "shared_device",
    "address": "shared_address",
    "employer": "colleague",
}
DIRECT = ("contact", "call", "transfer", "guarantee", "family", "referral")
# Ties by which people belong together; an address book or an employer is none.
STRONG_TIES = ("family", "guarantee", "co_account", "shared_phone", "shared_device")
# Whose a phone or an account is may be shared by some: ties from or to it are ties of each of them.
CARRIERS = ("phone", "co_account")
# A moment after every other: a tie that no hub ever ends.
NEVER = "TIMESTAMP '9999-12-31 00:00:00'"

__all__ = ["DIRECT", "KINDS", "SHARED", "STRONG_TIES", "person_ties", "person_ties_as_of"]


def person_ties(vertices: DataFrame, edges: DataFrame, hubs: DataFrame) -> DataFrame:
    """Ties between people: customer_id, neighbour_id, kind, known_ts, until_ts, evidence_count, amount.

    ``vertices``: id, key, entity; ``edges``: the dated edge table, in which what somebody has stands once (as evidence
    from ``ties`` does); ``hubs``: its hub register. Both orders of every
    pair, one row a moment at which evidence became known and one at which it ends to count: it does at T when
    known_ts <= T < until_ts. Who shares a hub is tied by it only until it became one, so a thing that k share makes
    at most its cap times k rows. Plan: the joins of ``links``, one with the people, a self-join on the things, two
    joins of the direct ties with whose their ends are, one aggregation.
    """
    linked = links(edges, hubs)
    people = named(vertices, "customer")
    members = linked.where(F.col("kind").isin(*SHARED)).join(people.withColumnRenamed("id", "src"), "src", "inner")
    members = members.select("customer_id", F.col("dst").alias("thing"), "kind", "known_ts", "hub_from_ts")
    rows = _sharing(members).unionByName(_both_orders(_direct(linked, members, people)))
    until = F.coalesce("hub_from_ts", F.expr(NEVER)).alias("until_ts")
    return rows.groupBy("customer_id", "neighbour_id", "kind", "known_ts", until).agg(
        F.sum("evidence_count").alias("evidence_count"), F.sum("amount").alias("amount")
    )


def person_ties_as_of(ties: DataFrame, as_of: date | datetime | str) -> DataFrame:
    """The ties of ``person_ties`` standing at a moment, a row each order and kind.

    Columns: customer_id, neighbour_id, kind, known_ts (of the first), evidence_count, amount, weight (double,
    ln(1 + evidence_count)). One aggregation.
    """
    at = instant(as_of)
    held = ties.where((F.col("known_ts") <= at) & (F.col("until_ts") > at))
    found = held.groupBy("customer_id", "neighbour_id", "kind").agg(
        F.min("known_ts").alias("known_ts"),
        F.sum("evidence_count").alias("evidence_count"),
        F.sum("amount").alias("amount"),
    )
    standing = found.where(F.col("evidence_count") > 0)
    return standing.withColumn("weight", F.log1p(F.col("evidence_count").cast("double")))


def _sharing(members: DataFrame) -> DataFrame:
    """Who shares a thing of a kind, in both orders."""
    other = members.select(
        F.col("customer_id").alias("neighbour_id"), "thing", "kind", F.col("known_ts").alias("other_known_ts"),
        F.col("hub_from_ts").alias("other_hub_ts"),
    )  # fmt: skip
    pairs = members.join(other, on=["thing", "kind"], how="inner").where("customer_id <> neighbour_id")
    names = F.create_map(*(F.lit(word) for pair in SHARED.items() for word in pair))
    return pairs.select(
        "customer_id", "neighbour_id", names[F.col("kind")].alias("kind"),
        F.greatest("known_ts", "other_known_ts").alias("known_ts"), F.lit(1).cast("long").alias("evidence_count"),
        F.lit(None).cast("decimal(28,2)").alias("amount"), F.least("hub_from_ts", "other_hub_ts").alias("hub_from_ts"),
    )  # fmt: skip


def _direct(linked: DataFrame, members: DataFrame, people: DataFrame) -> DataFrame:
    """Ties of phones, accounts and people themselves, each end as the people whose it is."""
    own = people.select(
        "id", "customer_id", F.lit(None).cast("timestamp").alias("known_ts"),
        F.lit(None).cast("timestamp").alias("hub_from_ts"),
    )  # fmt: skip
    carried = members.where(F.col("kind").isin(*CARRIERS)).select(
        F.col("thing").alias("id"), "customer_id", "known_ts", "hub_from_ts"
    )
    whose = own.unionByName(carried)
    rows = linked.where(F.col("kind").isin(*DIRECT)).select(
        "src", "dst", "kind", "known_ts", "hub_from_ts", "evidence_count", F.col("amount").cast("decimal(28,2)")
    )
    for end, name in (("src", "customer_id"), ("dst", "neighbour_id")):
        ends = whose.select(
            F.col("id").alias(end), F.col("customer_id").alias(name), F.col("known_ts").alias(f"{end}_ts"),
            F.col("hub_from_ts").alias(f"{end}_hub_ts"),
        )  # fmt: skip
        rows = rows.join(ends, on=end, how="inner")
    # Nulls don't count among the greatest and the least.
    return rows.where("customer_id <> neighbour_id").select(
        "customer_id", "neighbour_id", "kind", F.greatest("known_ts", "src_ts", "dst_ts").alias("known_ts"),
        "evidence_count", "amount", F.least("hub_from_ts", "src_hub_ts", "dst_hub_ts").alias("hub_from_ts"),
    )  # fmt: skip


def _both_orders(rows: DataFrame) -> DataFrame:
    back = F.when(F.col("kind") == "guarantee", F.lit("guaranteed")).otherwise(F.col("kind"))
    turned = rows.select(
        F.col("neighbour_id").alias("customer_id"), F.col("customer_id").alias("neighbour_id"), back.alias("kind"),
        "known_ts", "evidence_count", "amount", "hub_from_ts",
    )  # fmt: skip
    return rows.unionByName(turned)
