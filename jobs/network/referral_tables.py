"""Who can introduce whom: ranked candidates with guard rails, and each manager's key customers."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from strata.conf.tables.people import CHANNELS
from strata.features.governance.consent import HAS_CONSENT, consented
from strata.graph.referral.referral_pairs import (
    FEATURES,
    PAIR,
    allowed,
    referral_candidates,
    referral_paths,
    with_outcome,
)
from strata.graph.referral.seeds import coverage_seeds
from strata.graph.ties.warm_ties import persons_as_of, referrals_between, warm_ties
from strata.jobs.daily_tables import is_of_day, known_customers, start_of_day, write_daily
from strata.jobs.runtime.job import Context
from strata.models.referrals.link_ranking import fit_link_ranking

# Learnt from what came of the pairs of so many days before; from fewer referrals there is nothing to learn.
LOOK_BACK = 180
FEWEST = 30
BEST = 10
SEEDS = 5


def introduce(context: Context, ties: DataFrame, persons: DataFrame) -> None:
    """The best prospects of every customer, with who may be asked and why they may know each other."""
    with context.progress.step("referral candidates") as step:
        today = referral_candidates(ties, persons).localCheckpoint()
        scored, how = _scored(context, today)
        order = Window.partitionBy("referrer_id").orderBy(F.desc("score"), "prospect_id")
        best = scored.withColumn("place", F.row_number().over(order)).where(F.col("place") <= BEST)
        judged = allowed(best, consents=_consents(context), risky=_risky(context)).localCheckpoint()
        names = context.lake.read("vertex").select(F.col("id").alias("prospect_id"), F.col("key").alias("prospect_key"))
        named = judged.join(names, "prospect_id", "inner").join(_managers(context), "customer_id", "left")
        rows = write_daily(context, "referral_candidate", named.select(
            "customer_id", "prospect_key", "manager_id", "step_cnt", "score", "place", "is_allowed", "refusal",
            F.col("reason_text").alias("reason"),
        ))  # fmt: skip
        may = judged.where("is_allowed")
        step.says(f"{rows:,} pairs, {may.count():,} may be asked; ranked by {how}")
    with context.progress.step("referral paths") as step:
        paths = referral_paths(ties, may).join(may.select(*PAIR, "customer_id"), list(PAIR), "inner")
        for end, name in (("prospect_id", "prospect_key"), ("src", "src_key"), ("dst", "dst_key")):
            keys = context.lake.read("vertex").select(F.col("id").alias(end), F.col("key").alias(name))
            paths = paths.join(keys, end, "inner")
        rows = write_daily(context, "referral_path", paths.drop(*PAIR, "src", "dst"))
        step.says(f"{rows:,} ties")


def choose_seeds(context: Context, ties: DataFrame, persons: DataFrame) -> None:
    """Whom each manager talks to first."""
    with context.progress.step("key customers") as step:
        managed = persons.join(_managers(context), "customer_id", "left")
        seeds = coverage_seeds(ties, managed, per_group=SEEDS)
        whose = persons.select("id", "customer_id")
        rows = write_daily(context, "key_customer", seeds.join(whose, "id", "inner").drop("id"))
        step.says(f"{rows:,}, up to {SEEDS} a manager")


def warm(context: Context, day: date) -> tuple[DataFrame, DataFrame]:
    """The warm ties of a day, and the people in them."""
    lake = context.lake
    vertices, edges = lake.read("vertex"), lake.read("relationship")
    ties = warm_ties(lake.read("person_tie"), vertices, edges, lake.read("hub_register"), day).localCheckpoint()
    return ties, persons_as_of(ties, vertices, edges, day).localCheckpoint()


def _scored(context: Context, today: DataFrame) -> tuple[DataFrame, str]:
    """Today's pairs with ``score``: by what came of those of half a year ago, else by the rank of a walk."""
    before = context.as_of - timedelta(days=LOOK_BACK)
    told = referrals_between(context.lake.read("relationship"), before, context.as_of)
    learnt = with_outcome(referral_candidates(*warm(context, before)), told).localCheckpoint()
    links = learnt.agg(F.sum("is_referred")).collect()[0][0] or 0
    if links < FEWEST:
        return today.withColumn("score", F.col("walk_rank")), "a walk: too few referrals to learn from"
    ranking = fit_link_ranking(learnt, target="is_referred", features=FEATURES, key=PAIR)
    scored = ranking.score(today).withColumnRenamed("link_probability", "score")
    return scored, f"{links:,} referrals since {before}"


def _consents(context: Context) -> DataFrame:
    """customer_id of who allows marketing by some channel on the day; who has said nothing doesn't."""
    channels = F.explode(F.array(*(F.lit(channel) for channel in CHANNELS))).alias("channel")
    asked = known_customers(context).select("customer_id", channels, start_of_day(context).alias("at"))
    found = consented(
        asked, context.lake.read_optional("consent"), key=["customer_id", "channel"], at="at", purpose="marketing",
        default=False, now=context.as_of,
    )  # fmt: skip
    return found.where(HAS_CONSENT).select("customer_id").distinct()


def _risky(context: Context) -> DataFrame:
    """Vertex ids of who or what stands in the evidence of a fraud alert of the day."""
    alerts = context.lake.read("fraud_alert").where(is_of_day(context)).select("case_id")
    told = context.lake.read("network_evidence").where(is_of_day(context)).join(alerts, "case_id", "left_semi")
    keys = told.select(F.explode(F.array("src_key", "dst_key")).alias("key")).distinct()
    return context.lake.read("vertex").join(keys, "key", "left_semi").select("id")


def _managers(context: Context) -> DataFrame:
    """customer_id, manager_id: who looks after whom by the newest version known."""
    known = context.lake.read("customer").where(F.col("known_ts") <= start_of_day(context)).groupBy("customer_id")
    return known.agg(F.max_by("manager_id", F.struct("valid_from", "known_ts")).alias("manager_id"))
