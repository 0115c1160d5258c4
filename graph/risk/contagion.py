"""Contagion: what those around a customer were known to be, one and two steps away, exactly as of each row's moment.

A customer's own outcome never counts: nobody is his own neighbour, and whoever is met again after two steps is left
out. Ties are those of ``people.person_ties``.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.graph.algorithms.inputs import GraphError
from strata.graph.ties.person_ties import KINDS

DEFAULT_DPD = 90
# Colleagues of colleagues are a whole town; everybody else's acquaintances tell of two steps.
FAR = tuple(kind for kind in KINDS if kind != "colleague")
FARTHEST = 3
MONEY_SUM = "decimal(28,2)"
_KEY = ("customer_id", "_at")


def standings(delinquencies: DataFrame, loans: DataFrame, holders: DataFrame) -> DataFrame:
    """How each borrower's loans were known to stand: customer_id, loan_id, known_ts, days_past_due, balance.

    Silver delinquency, loan and account_holder (owners). Two joins.
    """
    owners = holders.where("role = 'owner'").select("account_id", "customer_id").distinct()
    whose = loans.select("loan_id", "account_id").distinct().join(owners, "account_id", "inner")
    rows = delinquencies.select("loan_id", "known_ts", "days_past_due", "balance")
    return rows.join(whose.drop("account_id"), "loan_id", "inner").select(
        "customer_id", "loan_id", "known_ts", "days_past_due", "balance"
    )


def listings(blacklist: DataFrame, customers: DataFrame) -> DataFrame:
    """Customers on the blacklist: customer_id, listed_from, listed_until (timestamps, null while listed).

    A listing of a person, phone or address names whoever has that token; it counts from when both are known, until
    the version that removes it is known. One join of the listings with customers.
    """
    tokens = {"person": "id_hash", "phone": "phone_hash", "address": "home_address_hash"}
    had = F.explode(
        F.array(
            *(
                F.struct(F.lit(kind).alias("subject_type"), F.col(token).alias("subject_hash"))
                for kind, token in tokens.items()
            )
        )
    )
    whose = customers.select("customer_id", F.col("known_ts").alias("had_from"), had.alias("had"))
    whose = whose.select("customer_id", "had_from", "had.*").dropna(subset=["subject_hash"])
    removed = F.when(F.col("removed_on").isNotNull(), F.col("known_ts"))
    versions = blacklist.groupBy("listing_id", "subject_type", "subject_hash").agg(
        F.min("known_ts").alias("named_from"), F.min(removed).alias("until")
    )
    met = whose.join(versions, ["subject_type", "subject_hash"], "inner")
    return met.groupBy("customer_id", "listing_id").agg(
        F.min(F.greatest("had_from", "named_from")).alias("listed_from"), F.first("until").alias("listed_until")
    ).drop("listing_id")  # fmt: skip


def is_listed(at: Column) -> Column:
    """Whether a row of ``listings`` holds at a moment."""
    return (F.col("listed_from") <= at) & (F.col("listed_until").isNull() | (F.col("listed_until") > at))


def contagion_features(
    spine: DataFrame,
    ties: DataFrame,
    standing: DataFrame,
    listed: DataFrame,
    *,
    at: str = "as_of_ts",
    kinds: Sequence[str] = KINDS,
    far: Sequence[str] = FAR,
) -> DataFrame:
    """Add to every spine row (customer_id, ``at``) what was known by its moment of those around the customer.

    Every row stays once, with, for each of ``kinds``: contagion_<kind>_cnt (neighbours), contagion_<kind>_bad_cnt
    (those of them once 90 days past due), contagion_<kind>_bad_ratio (null without neighbours); over all kinds:
    contagion_all_cnt, _bad_cnt, _bad_ratio, contagion_weighted_bad_ratio (by ln(1 + evidence)),
    contagion_exposure_amt, contagion_bad_exposure_amt (what their loans were known to owe); for those exactly two
    steps away over ``far`` kinds: contagion_far_cnt, _bad_cnt, _bad_ratio; and contagion_listed_steps, the distance to
    the nearest customer on the blacklist (1 to 3, null beyond). Counts and amounts are 0 without neighbours.

    Their contract is ``CONTAGION`` in ``conf``. Plan: a join of the spine's distinct rows with their ties and one with
    the ties of those; four aggregations, a join with the loans of neighbours, and one with the spine at the end.
    Raises ``GraphError`` for an unknown kind.
    """
    if unknown := [kind for kind in (*kinds, *far) if kind not in KINDS]:
        raise GraphError(f"kinds: {unknown[0]!r} is unknown; there are: {', '.join(KINDS)}")
    moments = spine.select("customer_id", F.col(at).cast("timestamp").alias("_at")).dropna().distinct()
    bad = (
        standing.where(F.col("days_past_due") >= DEFAULT_DPD)
        .groupBy("customer_id")
        .agg(F.min("known_ts").alias("from"))
    )
    near = _marked(_near(moments, ties, kinds), bad).localCheckpoint()
    beyond = _marked(_beyond(near, ties, far), bad).localCheckpoint()
    found = (
        _by_kind(near, kinds)
        .join(_together(near), [*_KEY], "left")
        .join(_exposures(near, standing), [*_KEY], "left")
        .join(_counted(beyond, "contagion_far"), [*_KEY], "left")
        .join(_steps(near, beyond, ties.where(F.col("kind").isin(*far)), listed), [*_KEY], "left")
    )
    rows = spine.withColumn("_at", F.col(at).cast("timestamp")).join(found, [*_KEY], "left")
    return rows.select(*spine.columns, *(_filled(rows, name) for name in found.columns if name not in _KEY))


def _filled(rows: DataFrame, name: str) -> Column:
    zero = name.endswith(("_cnt", "_amt"))
    return (F.coalesce(name, F.lit(0).cast(rows.schema[name].dataType)) if zero else F.col(name)).alias(name)


def _held(rows: DataFrame) -> DataFrame:
    """Ties standing at the moment of their row."""
    at = F.col("_at")
    return rows.where((F.col("known_ts") <= at) & (F.col("until_ts") > at))


def _near(moments: DataFrame, ties: DataFrame, kinds: Sequence[str]) -> DataFrame:
    """customer_id, _at, neighbour_id, kind, weight: the ties of each moment."""
    met = _held(moments.join(ties.where(F.col("kind").isin(*kinds)), "customer_id", "inner"))
    counted = met.groupBy(*_KEY, "neighbour_id", "kind").agg(F.sum("evidence_count").alias("evidence"))
    weight = F.log1p(F.col("evidence").cast("double")).alias("weight")
    return counted.where("evidence > 0").select(*_KEY, "neighbour_id", "kind", weight)


def _beyond(near: DataFrame, ties: DataFrame, far: Sequence[str]) -> DataFrame:
    """customer_id, _at, neighbour_id: who is exactly two steps away, over ties of ``far`` kinds."""
    first = near.where(F.col("kind").isin(*far)).select(*_KEY, F.col("neighbour_id").alias("_via")).distinct()
    onward = ties.where(F.col("kind").isin(*far)).withColumnRenamed("customer_id", "_via")
    met = _held(first.join(onward, "_via", "inner")).where("neighbour_id <> customer_id")
    standing = met.groupBy(*_KEY, "_via", "neighbour_id", "kind").agg(F.sum("evidence_count").alias("evidence"))
    second = standing.where("evidence > 0").select(*_KEY, "neighbour_id").distinct()
    return second.join(near.select(*_KEY, "neighbour_id").distinct(), [*_KEY, "neighbour_id"], "left_anti")


def _marked(rows: DataFrame, bad: DataFrame) -> DataFrame:
    """The rows with is_bad: 1 when the neighbour was known by then to have defaulted once."""
    known = rows.join(bad.withColumnRenamed("customer_id", "neighbour_id"), "neighbour_id", "left")
    return known.withColumn("is_bad", F.coalesce((F.col("from") <= F.col("_at")).cast("int"), F.lit(0))).drop("from")


def _by_kind(near: DataFrame, kinds: Sequence[str]) -> DataFrame:
    figures = []
    for kind in kinds:
        of_kind = F.col("kind") == kind
        figures += [
            F.count_if(of_kind).alias(f"contagion_{kind}_cnt"),
            F.count_if(of_kind & (F.col("is_bad") == 1)).alias(f"contagion_{kind}_bad_cnt"),
            F.avg(F.when(of_kind, F.col("is_bad"))).alias(f"contagion_{kind}_bad_ratio"),
        ]
    weighted = F.sum(F.col("weight") * F.col("is_bad")) / F.sum("weight")
    return near.groupBy(*_KEY).agg(*figures, weighted.alias("contagion_weighted_bad_ratio"))


def _together(near: DataFrame) -> DataFrame:
    """Neighbours over all kinds, each once."""
    return _counted(near.select(*_KEY, "neighbour_id", "is_bad").distinct(), "contagion_all")


def _counted(rows: DataFrame, name: str) -> DataFrame:
    return rows.groupBy(*_KEY).agg(
        F.count(F.lit(1)).alias(f"{name}_cnt"),
        F.sum("is_bad").alias(f"{name}_bad_cnt"),
        F.avg("is_bad").alias(f"{name}_bad_ratio"),
    )


def _exposures(near: DataFrame, standing: DataFrame) -> DataFrame:
    """What the loans of the neighbours owed by the newest month end known by then."""
    asked = near.select(*_KEY, "neighbour_id", "is_bad").distinct()
    loans = standing.select(F.col("customer_id").alias("neighbour_id"), "loan_id", "known_ts", "balance")
    known = asked.join(loans, "neighbour_id", "inner").where(F.col("known_ts") <= F.col("_at"))
    newest = known.groupBy(*_KEY, "neighbour_id", "is_bad", "loan_id").agg(
        F.max_by("balance", "known_ts").alias("owed")
    )
    return newest.groupBy(*_KEY).agg(
        F.sum("owed").cast(MONEY_SUM).alias("contagion_exposure_amt"),
        F.sum(F.when(F.col("is_bad") == 1, F.col("owed"))).cast(MONEY_SUM).alias("contagion_bad_exposure_amt"),
    )


def _steps(near: DataFrame, beyond: DataFrame, ties: DataFrame, listed: DataFrame) -> DataFrame:
    """Distance to the nearest listed customer other than oneself, 1 to ``FARTHEST``; ``ties`` are of far kinds."""
    reached = near.select(*_KEY, "neighbour_id", F.lit(1).alias("steps")).distinct()
    reached = reached.unionByName(beyond.select(*_KEY, "neighbour_id", F.lit(2).alias("steps")))
    names = listed.select(F.col("customer_id").alias("neighbour_id"), "listed_from", "listed_until")
    holds = is_listed(F.col("_at"))
    here = reached.join(names, "neighbour_id", "inner").where(holds).select(*_KEY, "steps")
    # The third step from the other end: ties of the few who are listed.
    beside = ties.join(names.withColumnRenamed("neighbour_id", "_bad"), ties["neighbour_id"] == F.col("_bad"), "inner")
    beside = beside.select(
        F.col("customer_id").alias("_via"), "_bad", "kind", "known_ts", "until_ts", "evidence_count", "listed_from",
        "listed_until",
    )  # fmt: skip
    second = reached.where("steps = 2").withColumnRenamed("neighbour_id", "_via")
    met = _held(second.join(beside, "_via", "inner")).where(holds & (F.col("_bad") != F.col("customer_id")))
    standing = met.groupBy(*_KEY, "_via", "_bad", "kind").agg(F.sum("evidence_count").alias("evidence"))
    third = standing.where("evidence > 0").select(*_KEY, F.lit(FARTHEST).alias("steps"))
    return here.unionByName(third).groupBy(*_KEY).agg(F.min("steps").alias("contagion_listed_steps"))
