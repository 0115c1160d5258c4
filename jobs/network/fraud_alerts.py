"""Fraud alerts of the day: rings, mule accounts and money that goes in circles, each with its evidence."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.graph.fraud.money_cycles import transfer_cycles
from strata.graph.fraud.mules import RULES, mule_alerts
from strata.graph.fraud.rings import SIGNS, ring_alerts, ring_evidence, ring_members
from strata.graph.risk.contagion import DEFAULT_DPD, is_listed, listings
from strata.graph.ties.dated_edges import links_as_of
from strata.graph.ties.transfers import transfers_as_of, transfers_of
from strata.jobs.daily_tables import loan_standings, start_of_day, write_daily
from strata.jobs.runtime.job import Context

# Money that comes back within a week, in the days that mules are looked for in.
CYCLE_HOURS = 24 * 7
CASE = ("case_id", "kind", "score", "members", "reason")
EVIDENCE = ("case_id", "src_key", "dst_key", "kind", "event_ts", "amount")


def raise_alerts(context: Context, guarantees: DataFrame) -> None:
    """Write the alerts, and the evidence of alerts and of guarantee circles; ``guarantees``: as evidence."""
    with context.progress.step("fraud alerts") as step:
        found = [_rings(context), *_money(context)]
        alerts = reduce(DataFrame.unionByName, [cases for cases, _ in found]).localCheckpoint()
        write_daily(context, "fraud_alert", alerts)
        kinds = {row["kind"]: row["count"] for row in alerts.groupBy("kind").count().collect()}
        step.says(", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items())) or "none")
    with context.progress.step("evidence") as step:
        told = reduce(DataFrame.unionByName, [evidence for _, evidence in found])
        told = told.join(alerts.select("case_id"), "case_id", "left_semi").unionByName(guarantees)
        single = told.groupBy(*EVIDENCE[:-1], "amount").count().drop("count")
        step.says(f"{write_daily(context, 'network_evidence', single):,} ties")


def known_bad(context: Context) -> DataFrame:
    """customer_id of who was known by the day to have been 90 days past due, or to be on the blacklist."""
    at = start_of_day(context)
    late = loan_standings(context).where((F.col("known_ts") <= at) & (F.col("days_past_due") >= DEFAULT_DPD))
    named = listings(context.lake.read_optional("blacklist"), context.lake.read("customer")).where(is_listed(at))
    return late.select("customer_id").unionByName(named.select("customer_id")).distinct()


def _rings(context: Context) -> tuple[DataFrame, DataFrame]:
    lake = context.lake
    vertices = lake.read("vertex").where(F.col("known_ts") <= start_of_day(context))
    ties = links_as_of(lake.read("relationship"), lake.read("hub_register"), context.as_of).localCheckpoint()
    members = ring_members(vertices, ties, lake.read_optional("loan_application"), known_bad(context), context.as_of)
    members = members.localCheckpoint()
    case = F.concat(F.lit("ring:"), "ring_id").alias("case_id")
    alerts = ring_alerts(members).select(
        case, F.lit("ring").alias("kind"), (F.col("signs") / len(SIGNS)).alias("score"), "members", "reason"
    )
    things = vertices.select(F.col("id").alias("thing"), F.col("key").alias("dst_key"))
    told = ring_evidence(members, ties).join(things, "thing", "inner")
    customer = F.concat(F.lit("customer:"), "customer_id").alias("src_key")
    none = F.lit(0).cast("decimal(28,2)").alias("amount")
    return alerts, told.select(case, customer, "dst_key", "kind", F.col("known_ts").alias("event_ts"), none)


def _money(context: Context) -> list[tuple[DataFrame, DataFrame]]:
    lake = context.lake
    transfers = transfers_of(lake.read_optional("transaction"), lake.read("account"), context.as_of).localCheckpoint()
    return [_mules(context, transfers), _cycles(context, transfers)]


def _mules(context: Context, transfers: DataFrame) -> tuple[DataFrame, DataFrame]:
    found = mule_alerts(transfers, context.as_of).where(F.col("account").startswith("account:")).localCheckpoint()
    case = F.concat(F.lit("mule:"), "account").alias("case_id")
    alerts = found.select(case, F.lit("mule").alias("kind"), "score", F.lit(1).alias("members"), "reason")
    told = found.select(case, F.explode("evidence").alias("one"))
    return alerts, told.select(
        "case_id", F.col("one.src").alias("src_key"), F.col("one.dst").alias("dst_key"),
        F.lit("transfer").alias("kind"), F.col("one.event_ts").alias("event_ts"), F.col("one.amount").alias("amount"),
    )  # fmt: skip


def _cycles(context: Context, transfers: DataFrame) -> tuple[DataFrame, DataFrame]:
    recent = transfers_as_of(transfers, context.as_of, days=RULES.days)
    found = transfer_cycles(recent, within_hours=CYCLE_HOURS).localCheckpoint()
    case = F.concat(F.lit("cycle:"), "cycle_id").alias("case_id")
    hours = F.round((F.unix_seconds("ended") - F.unix_seconds("started")) / 3600).cast("int")
    reason = F.format_string(
        "%s went through %d accounts and came back within %d hours, %.0f %% of it",
        F.element_at("amounts", 1).cast("string"), "hop_cnt", hours, F.col("kept_ratio") * 100,
    )  # fmt: skip
    alerts = found.select(
        case, F.lit("cycle").alias("kind"), F.least(F.col("kept_ratio"), F.lit(1.0)).alias("score"),
        F.col("hop_cnt").alias("members"), reason.alias("reason"),
    )  # fmt: skip
    steps = found.select(case, "members", F.posexplode(F.arrays_zip("amounts", "times")).alias("n", "one"))
    ends = {
        "src_key": F.element_at("members", F.col("n") + 1),
        "dst_key": F.element_at("members", (F.col("n") + 1) % F.size("members") + 1),
    }
    told = steps.withColumns(ends).withColumn("kind", F.lit("transfer"))
    return alerts, told.select(
        "case_id", "src_key", "dst_key", "kind", F.col("one.times").alias("event_ts"),
        F.col("one.amounts").alias("amount"),
    )  # fmt: skip
