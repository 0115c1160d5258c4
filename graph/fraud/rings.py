"""Fraud rings: people whom devices or phones tie together, and the signs that they act as one.

A group is a connected component over links of ``RING_KINDS``; a household that only shares an address is none. Each
sign is a fact that an investigator can check; two of them make an alert.
"""

from __future__ import annotations

from datetime import date, datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from strata.graph.algorithms.components import connected_components
from strata.graph.ties.dated_edges import instant, named

RING_KINDS = ("phone", "device")
FEWEST = 3
BURST_DAYS = 7
SIGNS_OF_ALERT = 2
# Who counts for a sign: members on the busiest device, on the busiest phone, in the densest days, and so on.
SIGNS = {
    "device_cnt": "%d sign in from one device",
    "phone_cnt": "%d have one phone",
    "burst_cnt": f"%d applied for credit within {BURST_DAYS} days",
    "silent_cnt": "%d never talk with anybody in their address books",
    "bad_cnt": "%d were 90 days past due or on the blacklist",
}


def ring_members(
    vertices: DataFrame,
    ties: DataFrame,
    applications: DataFrame,
    bad: DataFrame,
    as_of: date | datetime | str,
) -> DataFrame:
    """Groups of ``FEWEST`` people or more, a row a member: ring_id, customer_id, vertex_id, members, and ``SIGNS``.

    ``vertices``: id, key, entity; ``ties``: links as of the moment (``build.links_as_of``); ``applications``: silver
    loan_application; ``bad``: customer_id of who was known by then to have defaulted or to be listed. ring_id is the
    smallest customer_id. The counts of signs are those of the whole group (longs, 0 for none).
    Components over the links, then joins of the few members with their things, applications, contacts and calls.
    """
    links = ties.where(F.col("kind").isin(*RING_KINDS)).select("src", "dst", "kind")
    people = _grouped(vertices, links).localCheckpoint()
    rings = people.groupBy("ring_id").agg(F.count(F.lit(1)).alias("members"))
    for facts in (
        _crowded(people, links),
        _burst(people, applications, as_of),
        _silent(people, ties),
        _bad(people, bad),
    ):
        rings = rings.join(facts, on="ring_id", how="left")
    return people.join(rings.fillna(0, subset=list(SIGNS)), on="ring_id", how="inner")


def ring_alerts(members: DataFrame) -> DataFrame:
    """Rings with at least ``SIGNS_OF_ALERT`` signs: ring_id, members, the counts, signs (how many), reason (text).

    A sign counts when it is true of ``FEWEST`` members, the bad one from the first. One aggregation.
    """
    rings = members.select("ring_id", "members", *SIGNS).distinct()
    texts = [F.when(_is_sign(name), F.format_string(text, F.col(name))) for name, text in SIGNS.items()]
    signs = sum((_is_sign(name).cast("int") for name in SIGNS), start=F.lit(0))
    reason = F.concat(F.format_string("of %d people ", "members"), F.concat_ws(", ", *texts))
    told = rings.withColumns({"signs": signs, "reason": reason})
    return told.where(F.col("signs") >= SIGNS_OF_ALERT)


def ring_evidence(members: DataFrame, ties: DataFrame) -> DataFrame:
    """The links that hold each ring together: ring_id, customer_id, thing (vertex id), kind, known_ts."""
    links = ties.where(F.col("kind").isin(*RING_KINDS))
    of = members.select("ring_id", "customer_id", F.col("vertex_id").alias("src"))
    return links.join(of, on="src", how="inner").select(
        "ring_id", "customer_id", F.col("dst").alias("thing"), "kind", "known_ts"
    )


def _is_sign(name: str) -> Column:
    return F.col(name) >= (1 if name == "bad_cnt" else FEWEST)


def _grouped(vertices: DataFrame, links: DataFrame) -> DataFrame:
    """ring_id, customer_id, vertex_id of everybody in a large enough group."""
    tied = links.select(F.explode(F.array("src", "dst")).alias("id")).distinct()
    nodes = vertices.join(tied, on="id", how="left_semi")
    found = connected_components(nodes.select("id"), links.select("src", "dst"))
    customers = named(nodes, "customer").withColumnRenamed("id", "vertex_id")
    whole = Window.partitionBy("component")
    people = customers.join(found.withColumnRenamed("id", "vertex_id"), on="vertex_id", how="inner")
    sized = people.withColumns({"_size": F.count(F.lit(1)).over(whole), "ring_id": F.min("customer_id").over(whole)})
    return sized.where(F.col("_size") >= FEWEST).select("ring_id", "customer_id", "vertex_id")


def _crowded(people: DataFrame, links: DataFrame) -> DataFrame:
    """The most members on one thing, for each kind."""
    of = people.select("ring_id", F.col("vertex_id").alias("src"))
    things = links.join(of, on="src", how="inner").groupBy("ring_id", "kind", "dst")
    crowds = things.agg(F.countDistinct("src").alias("people"))
    most = (F.max(F.when(F.col("kind") == kind, F.col("people"))).alias(f"{kind}_cnt") for kind in RING_KINDS)
    return crowds.groupBy("ring_id").agg(*most)


def _burst(people: DataFrame, applications: DataFrame, as_of: date | datetime | str) -> DataFrame:
    """The most members who first applied within ``BURST_DAYS`` days."""
    known = applications.where(F.col("known_ts") <= instant(as_of))
    first = known.groupBy("customer_id", "application_id").agg(F.min("event_ts").alias("applied_at"))
    asked = people.join(first, on="customer_id", how="inner")
    span = Window.partitionBy("ring_id").orderBy(F.unix_seconds("applied_at")).rangeBetween(-BURST_DAYS * 86_400, 0)
    dense = asked.withColumn("_people", F.size(F.collect_set("customer_id").over(span)))
    return dense.groupBy("ring_id").agg(F.max("_people").cast("long").alias("burst_cnt"))


def _silent(people: DataFrame, ties: DataFrame) -> DataFrame:
    """Members with contacts, none of whom they were ever on the phone with."""
    of = people.select("ring_id", F.col("vertex_id").alias("src"))
    books = ties.where(F.col("kind") == "contact").join(of, on="src", how="inner")
    books = books.select("ring_id", "src", F.col("dst").alias("contact"))
    phones = ties.where(F.col("kind") == "phone").select("src", F.col("dst").alias("phone"))
    pairs = books.join(phones, on="src", how="left")
    calls = ties.where(F.col("kind") == "call").select("src", "dst")
    either = calls.unionByName(calls.select(F.col("dst").alias("src"), F.col("src").alias("dst"))).distinct()
    either = either.select(F.col("src").alias("phone"), F.col("dst").alias("contact"), F.lit(1).alias("_talked"))
    met = pairs.join(either, on=["phone", "contact"], how="left")
    talking = met.groupBy("ring_id", "src").agg(F.max("_talked").alias("_talked"))
    return talking.groupBy("ring_id").agg(F.count_if(F.col("_talked").isNull()).alias("silent_cnt"))


def _bad(people: DataFrame, bad: DataFrame) -> DataFrame:
    met = people.join(bad.select("customer_id").distinct(), on="customer_id", how="left_semi")
    return met.groupBy("ring_id").agg(F.count(F.lit(1)).alias("bad_cnt"))
