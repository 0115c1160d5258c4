"""Who knows whom, inside the bank and out: persons and the warm ties between them, as of a moment.

A person is a vertex: a customer, or outside the bank a phone that was in somebody's address book or on a call and
was no customer's by then. A tie is warm when two people had to do with each other; a shared device or phone says
nothing of that.
"""

from __future__ import annotations

from datetime import date, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.graph.ties.dated_edges import edges_as_of, instant, links_as_of, named
from strata.graph.ties.person_ties import person_ties_as_of

WARM = ("call", "co_account", "colleague", "contact", "family", "shared_address", "transfer")
"""Kinds of ties between people that are warm."""
OUTSIDE = ("contact", "call")
PAIR = ("src", "dst", "kind")


def warm_ties(
    ties: DataFrame, vertices: DataFrame, edges: DataFrame, hubs: DataFrame, as_of: date | datetime | str
) -> DataFrame:
    """The warm ties known by ``as_of``: src, dst (vertex ids, src < dst), kind, weight, evidence_count, known_ts.

    ``ties``: the dated ties of ``person_ties``; ``vertices``: id, key, entity; ``edges``: the dated edge table and
    ``hubs`` its hub register. One row a pair and kind, with only the evidence known by then; weight is
    ln(1 + evidence_count). A phone that several had is a tie of each of them, that of a hub of nobody; it is never
    somebody outside. Plan: the aggregation of the person ties and two joins for their vertices; the cut of contacts,
    calls and phones, and two joins by phone.
    """
    people = named(vertices, "customer")
    rows = _inside(ties, people, as_of).unionByName(_outside(edges, hubs, people, as_of))
    ends = F.least("src", "dst").alias("src"), F.greatest("src", "dst").alias("dst")
    found = rows.select(*ends, "kind", "evidence_count", "known_ts").groupBy(*PAIR)
    summed = found.agg(F.sum("evidence_count").alias("evidence_count"), F.min("known_ts").alias("known_ts"))
    weight = F.log1p(F.col("evidence_count").cast("double")).alias("weight")
    return summed.select(*PAIR, weight, "evidence_count", "known_ts")


def persons_as_of(ties: DataFrame, vertices: DataFrame, edges: DataFrame, as_of: date | datetime | str) -> DataFrame:
    """Customers known by ``as_of`` and who outside is tied to them: id, customer_id (null outside), referral_cnt.

    ``ties``: those of ``warm_ties``; ``referral_cnt`` counts whom the person was known to have brought by then.
    Plan: one shuffle of the ends of ties, two joins.
    """
    people = named(vertices.where(F.col("known_ts") <= instant(as_of)), "customer")
    ends = ties.select(F.explode(F.array("src", "dst")).alias("id")).distinct()
    outside = ends.join(named(vertices, "customer"), on="id", how="left_anti")
    everybody = people.unionByName(outside.withColumn("customer_id", F.lit(None).cast("long")))
    brought = edges_as_of(edges.where(F.col("kind") == "referral"), as_of).groupBy(F.col("src").alias("id"))
    counted = everybody.join(brought.agg(F.count(F.lit(1)).alias("referral_cnt")), on="id", how="left")
    return counted.select("id", "customer_id", F.coalesce("referral_cnt", F.lit(0)).alias("referral_cnt"))


def referrals_between(edges: DataFrame, since: date | datetime | str, until: date | datetime | str) -> DataFrame:
    """Who brought whom, as told after ``since`` and by ``until``: referrer_id, prospect_id, known_ts.

    ``edges``: the dated edge table. The prospect is the phone that then was outside; somebody with several phones
    known by ``until`` has a row for each. One join of referrals with phones.
    """
    told = edges_as_of(edges.where(F.col("kind") == "referral"), until).where(F.col("known_ts") > instant(since))
    came = told.select(F.col("src").alias("referrer_id"), F.col("dst").alias("came_id"), "known_ts")
    phones = edges_as_of(edges.where(F.col("kind") == "phone"), until)
    phones = phones.select(F.col("src").alias("came_id"), F.col("dst").alias("prospect_id"))
    return came.join(phones, on="came_id", how="inner").select("referrer_id", "prospect_id", "known_ts")


def _inside(ties: DataFrame, people: DataFrame, as_of: date | datetime | str) -> DataFrame:
    """Ties between customers, from the order in which the smaller number comes first."""
    held = person_ties_as_of(ties.where("customer_id < neighbour_id"), as_of).where(F.col("kind").isin(*WARM))
    for end, name in (("src", "customer_id"), ("dst", "neighbour_id")):
        named = people.select(F.col("id").alias(end), F.col("customer_id").alias(name))
        held = held.join(named, on=name, how="inner")
    return held.select(*PAIR, "evidence_count", "known_ts")


def _outside(edges: DataFrame, hubs: DataFrame, people: DataFrame, as_of: date | datetime | str) -> DataFrame:
    """Ties of customers with phones that are nobody's, whichever side called."""
    told = edges.where(F.col("kind").isin("phone", *OUTSIDE))
    known = links_as_of(told, hubs, as_of).select(*PAIR, "evidence_count", "known_ts").localCheckpoint()
    met = known.where(F.col("kind").isin(*OUTSIDE))
    turned = met.where(F.col("kind") == "call").selectExpr(
        "dst AS src", "src AS dst", "kind", "evidence_count", "known_ts"
    )
    # Of a hub, too, somebody is the owner, though it ties nobody.
    owned = told.where((F.col("kind") == "phone") & (F.col("known_ts") <= instant(as_of)))
    far = met.unionByName(turned).join(owned.select("dst").distinct(), on="dst", how="left_anti")
    phones = known.where(F.col("kind") == "phone").select(F.col("dst").alias("src"), F.col("src").alias("owner"))
    whose = phones.unionByName(people.select(F.col("id").alias("src"), F.col("id").alias("owner")))
    rows = far.join(whose, on="src", how="inner")
    return rows.select(F.col("owner").alias("src"), "dst", "kind", "evidence_count", "known_ts")
