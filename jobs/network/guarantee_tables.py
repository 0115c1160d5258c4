"""Circles of guarantees and connected clients: what they owe together, and what a default in them would do."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.graph.risk.cascades import first_losses, unwind_first
from strata.graph.risk.connected_clients import connected_clients, group_links, limit_breaches
from strata.graph.risk.guarantees import circle_ties, guarantee_circles, guarantees_as_of, over_guaranteed
from strata.jobs.daily_tables import known_customers, loan_standings, start_of_day, write_daily
from strata.jobs.runtime.job import Context


def standing(context: Context) -> DataFrame:
    """The guarantees that stand on the day."""
    lake = context.lake
    found = guarantees_as_of(
        lake.read_optional("declared_tie"), lake.read_optional("loan"), lake.read_optional("delinquency"), context.as_of
    )
    return found.localCheckpoint()


def circles(context: Context, guarantees: DataFrame, owed: DataFrame) -> None:
    """Each member of a circle with the circle's facts, its own, and what its default would do."""
    with context.progress.step("guarantee circles") as step:
        worth = net_worth(context).localCheckpoint()
        capacity = worth.withColumnRenamed("net_worth_amt", "capacity_amt")
        members = guarantee_circles(guarantees)
        own = over_guaranteed(guarantees, worth).drop("guaranteed_amt")
        fallen = first_losses(guarantees, owed, capacity).drop("circle_id")
        found = members.join(own, "customer_id", "left").join(fallen, "customer_id", "left")
        rows = write_daily(context, "guarantee_circle", found)
        unwound = write_daily(context, "guarantee_unwinding", unwind_first(guarantees, owed, capacity))
        step.says(f"{rows:,} members, {unwound:,} guarantees ranked by what their end would save")


def clients(context: Context, guarantees: DataFrame, owed: DataFrame) -> None:
    """Groups of connected clients, and which owe much of the bank's capital."""
    with context.progress.step("connected clients") as step:
        depends = _dependencies(guarantees)
        found = connected_clients(known_customers(context), depends.limit(0), depends, owed).localCheckpoint()
        step.says(f"{write_daily(context, 'connected_group', found):,} customers")
    if (capital := context.settings.tier1_capital) is None:
        return
    with context.progress.step("large exposures") as step:
        large = limit_breaches(found, capital).localCheckpoint()
        above = large.where("breach_flag = 1").count()
        step.says(f"{write_daily(context, 'large_exposure', large):,}, {above:,} above their limit")


def _dependencies(guarantees: DataFrame) -> DataFrame:
    """No table says who controls whom, so connected clients rest on guarantees; dated from when these begin."""
    return guarantees.select(
        F.col("guarantor_id").alias("src"), F.col("borrower_id").alias("dst"), F.lit("guarantee").alias("kind"),
        F.col("since").cast("timestamp").alias("known_ts"), "amount",
    )  # fmt: skip


def evidence(guarantees: DataFrame) -> DataFrame:
    """The guarantees of circles and groups as evidence: case_id, src_key, dst_key, kind, event_ts, amount."""
    depends = _dependencies(guarantees)
    grouped = group_links(depends.limit(0), depends)
    circles = circle_ties(guarantees).select(
        F.concat(F.lit("circle:"), "circle_id").alias("case_id"),
        F.col("guarantor_id").alias("src"), F.col("borrower_id").alias("dst"),
        F.col("since").cast("timestamp").alias("known_ts"), "amount",
    )  # fmt: skip
    told = circles.unionByName(
        grouped.select(F.concat(F.lit("exposure:"), "group_id").alias("case_id"), "src", "dst", "known_ts", "amount")
    )
    return told.select(
        "case_id",
        F.concat(F.lit("customer:"), "src").alias("src_key"),
        F.concat(F.lit("customer:"), "dst").alias("dst_key"),
        F.lit("guarantee").alias("kind"),
        F.col("known_ts").alias("event_ts"),
        F.coalesce("amount", F.lit(0)).alias("amount"),
    )


def exposures(context: Context) -> DataFrame:
    """customer_id, exposure_amt: what the customer's loans were last known to owe."""
    known = loan_standings(context).where(F.col("known_ts") <= start_of_day(context))
    newest = known.groupBy("customer_id", "loan_id").agg(F.max_by("balance", "known_ts").alias("owed"))
    return newest.groupBy("customer_id").agg(F.sum("owed").alias("exposure_amt")).localCheckpoint()


def net_worth(context: Context) -> DataFrame:
    """customer_id, net_worth_amt: what the bank knows them to own, on accounts of theirs and in its products."""
    lake, at = context.lake, start_of_day(context)
    owners = lake.read_optional("account_holder").where("role = 'owner'").select("account_id", "customer_id").distinct()
    posted = lake.read_optional("transaction").where(F.col("known_ts") <= at).groupBy("account_id")
    last = posted.agg(F.max_by("balance_after", F.struct("event_ts", "transaction_id")).alias("amount"))
    held = lake.read_optional("wealth_holding").where(F.col("known_ts") <= at).groupBy("customer_id", "product_type")
    newest = held.agg(F.max_by("balance", F.struct("month_end", "known_ts")).alias("amount"))
    both = last.join(owners, "account_id", "inner").select("customer_id", "amount")
    both = both.unionByName(newest.select("customer_id", "amount"))
    return both.groupBy("customer_id").agg(F.sum("amount").alias("net_worth_amt"))
