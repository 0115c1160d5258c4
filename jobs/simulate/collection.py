"""Collection: what is done about arrears, and what comes of it."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.simulate.credit import arrears
from strata.jobs.simulate.delivery import AT
from strata.jobs.simulate.draws import logistic, repeated
from strata.jobs.simulate.world import World, moment


def actions(world: World, due: DataFrame, lent: DataFrame) -> DataFrame:
    """One to three actions a loan and month in arrears: early by message and phone, late by phone, visit, letter, law.

    One shuffle of late instalments and a join with loans.
    """
    draws, numbers = world.draws, world.sim.collection
    rows = arrears(due).withColumn("days", F.datediff("month_end", "oldest"))
    rows = rows.where((F.col("days") > numbers.from_days) & (F.col("month_end") < F.lit(world.until)))
    rows = rows.join(lent.select("loan_id", "willingness"), on="loan_id", how="inner")
    number = draws.whole(1, numbers.most_actions, "actions", "loan_id", F.unix_date("month_end"))
    rows = repeated(rows, number)
    who = ("loan_id", F.unix_date("month_end"), "nth")
    late = F.col("days") > numbers.late_days
    outcome = outcome_of(draws.uniform("outcome", *who), F.col("willingness"), late)
    day = F.date_sub("month_end", draws.whole(0, 2, "acts before", *who) + F.col("nth") * 3 - 3)
    acted = moment(day, draws.whole(8 * 60, 20 * 60, "acts at", *who))
    recorded = acted + F.make_interval(hours=F.lit(2))
    early_way, late_way = (draws.choice(ways, "way", *who) for ways in (numbers.early, numbers.late))
    return rows.select(
        ((F.col("loan_id") * 1000 + world.month_number("month_end") + 100) * 10 + F.col("nth")).alias("action_id"),
        "loan_id",
        F.when(late, "late").otherwise("early").alias("stage"),
        F.when(late, late_way).otherwise(early_way).alias("channel"),
        outcome.alias("outcome"),
        F.when(outcome == "promise", F.col("overdue_amount")).alias("promised_amount"),
        acted.alias("acted_at"),
        recorded.alias("recorded_at"),
        recorded.alias(AT),
    )


def outcome_of(draw: Column, willingness: Column, late: Column) -> Column:
    """Promise, contact, refusal or nobody there: the willing promise and answer, the long overdue less."""
    promises = logistic(0.8 * willingness - 0.7 - F.when(late, 1.0).otherwise(0.0))
    answered = promises + (1 - promises) * 0.35
    refuses = answered + (1 - answered) * logistic(-0.6 * willingness - 1.0)
    return (
        F.when(draw < promises, "promise")
        .when(draw < answered, "contact")
        .when(draw < refuses, "refusal")
        .otherwise("no_contact")
    )


def cure_chance(world: World, contacted: bool) -> Column:
    """The true chance that who has stopped makes it good, with and without being reached by somebody."""
    credit = world.sim.credit
    lifted = credit.cures + (credit.contacted_cures if contacted else 0.0)
    return F.greatest(F.lit(0.0), F.least(F.lit(1.0), lifted * F.exp(0.25 * F.col("willingness"))))
