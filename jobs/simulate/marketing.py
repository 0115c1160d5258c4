"""Consent, campaigns' touches, and how people answer: with and without being approached.

The answer is a chance that each action changes by person, product and channel: most are moved a little, some not at
all, and some are put off. Touches are drawn at random, so their effect can be measured; the truth tables hold it for
everybody.
"""

from __future__ import annotations

from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.conf.tables.people import CHANNELS
from strata.jobs.simulate.delivery import AT
from strata.jobs.simulate.draws import logistic, odds
from strata.jobs.simulate.structure import campaign_rows
from strata.jobs.simulate.world import World, moment


def consents(world: World, people: DataFrame) -> DataFrame:
    """Marketing by channel, and the other purposes in the app; a twentieth is withdrawn later, as a new period."""
    draws, numbers = world.draws, world.sim.marketing
    kinds = [(channel, "marketing", numbers.consents[channel]) for channel in CHANNELS]
    kinds += [("app", purpose, share) for purpose, share in numbers.other_consents.items()]
    rows = reduce(
        DataFrame.unionByName,
        (
            people.select(
                "customer_id", "position", "opened_on",
                F.lit(channel).alias("channel"), F.lit(purpose).alias("purpose"),
                draws.happens(chance, f"consents {channel} {purpose}", "position").alias("granted"),
                F.lit(number).alias("kind"),
            )
            for number, (channel, purpose, chance) in enumerate(kinds)
        ),
    )  # fmt: skip
    withdrawn = F.col("granted") & draws.happens(numbers.withdraws, "withdraws", "position", "kind")
    ends = F.date_add("opened_on", draws.whole(60, 1500, "withdraws after", "position", "kind")).cast("timestamp")
    begins = moment("opened_on", 10 * 60)
    forms = F.array_compact(
        F.array(
            F.struct(F.col("granted").alias("granted"), begins.alias("valid_from")),
            F.when(withdrawn, F.struct(F.lit(False).alias("granted"), ends.alias("valid_from"))),
        )
    )
    rows = rows.withColumn("_form", F.explode(forms)).select("customer_id", "channel", "purpose", "_form.*")
    rows = rows.withColumn(AT, F.col("valid_from"))
    return rows.where(F.col("valid_from") < F.lit(world.until).cast("timestamp"))


def untreated(world: World, product: str) -> Column:
    """The true chance of taking a product up within a campaign's time with nobody saying anything."""
    return logistic(odds(world.sim.marketing.untreated) + _appetite(world, product))


def treated(world: World, product: str, channel: str) -> Column:
    """The true chance once approached: people far from a channel are put off by it."""
    numbers = world.sim.marketing
    ((trait, weight),) = numbers.moved_by[channel].items()
    fit = weight * F.col(trait) + numbers.moved_by_chance * world.draws.normal(
        f"moved by {channel} for {product}", "position"
    )
    moved = F.when(fit < numbers.put_off_below, F.lit(numbers.put_off)).otherwise(
        F.lit(numbers.lift[channel]) * F.exp(fit)
    )
    return logistic(odds(numbers.untreated) + moved + _appetite(world, product))


def _appetite(world: World, product: str) -> Column:
    weights = world.sim.marketing.appetite[product]
    return sum((F.col(trait) * weight for trait, weight in weights.items()), start=F.lit(-0.15))


def touches(world: World, people: DataFrame) -> DataFrame:
    """A row a touch, twice when an answer comes later. Control people are held out, and may come by themselves."""
    parts = [_of_campaign(world, people, *row) for row in campaign_rows(world)]
    return reduce(DataFrame.unionByName, parts)


def _of_campaign(
    world: World, people: DataFrame, campaign: int, _name: str, product: str, channel: str, first: date, last: date
) -> DataFrame:
    draws, numbers, who = world.draws, world.sim.marketing, ("position", F.lit(campaign))
    rows = people.where((F.col("opened_on") < F.lit(first)) & draws.happens(numbers.touched, "touched", *who))
    control = draws.happens(numbers.control, "held out", *who)
    day = F.date_add(F.lit(first), draws.whole(0, 40, "touched on", *who))
    touched = moment(day, draws.whole(540, 1200, "touched at", *who))
    chance = F.when(control, untreated(world, product)).otherwise(treated(world, product, channel))
    takes = draws.happens(chance, "takes up", *who)
    looks = ~control & draws.happens(numbers.looks, "looks", *who)
    glance = F.when(draws.happens(0.7, "glance", *who), "click").otherwise("visit")
    response = F.when(takes, "take_up").when(looks, glance)
    answered = touched + F.make_interval(hours=draws.whole(1, numbers.answer_hours, "answers after", *who))
    silent = F.struct(F.lit(None).cast("string").alias("response"), F.lit(None).cast("timestamp").alias("response_ts"))
    given = F.struct(response.alias("response"), answered.alias("response_ts"))
    none = F.struct(
        F.lit("none").alias("response"),
        moment(F.lit(last), 12 * 60).alias("response_ts"),
    )
    rows = rows.withColumn("_answer", F.explode(F.array(silent, F.when(response.isNotNull(), given).otherwise(none))))
    return rows.select(
        (F.col("customer_id") * 10_000 + campaign).alias("contact_id"),
        F.lit(campaign).alias("campaign_id"),
        "customer_id",
        F.lit(channel).alias("channel"),
        F.when(control, "control").otherwise("treated").alias("treatment"),
        "_answer.*",
        touched.alias("touched_at"),
        F.coalesce("_answer.response_ts", touched).alias(AT),
    )


def true_responses(world: World, people: DataFrame) -> DataFrame:
    """The true chances of everybody by product and channel: a row a customer, product and channel."""
    answers = [
        F.struct(
            F.lit(product).alias("product_code"), F.lit(channel).alias("channel"),
            untreated(world, product).alias("untreated"), treated(world, product, channel).alias("treated"),
        )
        for product in world.sim.marketing.appetite
        for channel in CHANNELS
    ]  # fmt: skip
    return people.select("customer_id", F.explode(F.array(*answers)).alias("answer")).select("customer_id", "answer.*")
