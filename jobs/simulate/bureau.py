"""What others know: credit bureaus' reports, and the industry's blacklist."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.simulate.delivery import AT
from strata.jobs.simulate.draws import logistic
from strata.jobs.simulate.groups import ring_month
from strata.jobs.simulate.world import World


def reports(world: World, asked: DataFrame, people: DataFrame) -> DataFrame:
    """Reports of each provider that knows an applicant, at each application, and yearly ones of a tenth of the rest."""
    at_application = asked.select("*", F.col("applied_at").alias("reported_at"), F.col("application_id").alias("_for"))
    watched = people.crossJoin(F.broadcast(world.months()))
    watched = watched.where(
        (F.last_day("month") >= F.col("opened_on"))
        & (F.pmod(F.col("position") + F.col("month_no"), F.lit(12)) == 0)
        & world.draws.happens(world.sim.bureau.watched, "watched", "position")
    )
    day = F.date_add("month", world.draws.whole(0, 26, "watched on", "position", "month_no")).cast("timestamp")
    watched = watched.withColumns({"reported_at": day, "_for": F.col("customer_id") * 1000 + F.col("month_no") + 800})
    columns = [name for name in people.columns if name in asked.columns] + ["month_no", "reported_at", "_for"]
    rows = at_application.select(columns).unionByName(watched.select(columns))
    providers = enumerate(world.sim.bureau.coverage)
    return reduce(DataFrame.unionByName, (_by(world, rows, number, name) for number, name in providers))


def _by(world: World, rows: DataFrame, number: int, provider: str) -> DataFrame:
    """Reports say what willingness and need have led to elsewhere: a noisy view of the truth, one provider's own."""
    draws, numbers, who = world.draws, world.sim.bureau, ("position", "month_no", F.lit(number))
    known = rows.where(draws.happens(numbers.coverage[provider], f"known to {provider}", "position"))
    need = F.exp(0.35 * F.col("price_sensitivity") - 0.2 * F.col("ability"))
    behind = F.least(numbers.overdue_months * F.exp(-0.9 * F.col("willingness")), F.lit(8.0))
    for name, mean in (("_behind", behind), ("_open", numbers.open_loans * need), ("_asked", numbers.inquiries * need)):
        known = draws.counted(known, name, mean, f"bureau{name}", *who)
    ring = F.col("ring_kind") == "synthetic_identity"
    more = F.when(F.col("ring").isNotNull(), numbers.ring_inquiries).otherwise(0)
    received = F.col("reported_at") + F.make_interval(mins=F.lit(2))
    return known.select(
        (F.col("_for") * 10 + number).alias("report_id"),
        "customer_id",
        F.lit(provider).alias("provider"),
        F.when(ring, 0).otherwise(F.col("_open")).alias("open_loans"),
        F.when(ring, 0).otherwise(F.col("_behind")).alias("overdue_months_24m"),
        (F.col("_asked") + more).alias("inquiries_6m"),
        F.when(ring, F.lit(0.0)).otherwise(
            F.round(F.col("income") * draws.skewed(numbers.exposure_incomes * need, 0.8, "exposure", *who), 2)
        ).cast("decimal(18,2)").alias("total_exposure"),
        F.when(draws.happens(numbers.has_card, "has card", "position"), F.round(
            logistic(0.6 * draws.normal("utilisation", *who) - 0.9 - 0.7 * F.col("willingness")), 4
        )).alias("card_utilisation"),
        "reported_at",
        received.alias("received_at"),
        received.alias(AT),
    )  # fmt: skip


def blacklist(world: World, lent: DataFrame, people: DataFrame) -> DataFrame:
    """Listings: defaulted borrowers weeks after 90 days, phones and devices of a part of the rings, chance ones."""
    draws, numbers = world.draws, world.sim.bureau
    defaulted = lent.where("stops IS NOT NULL AND cured_on IS NULL").where(
        draws.happens(numbers.lists_defaulted, "listed", "loan_id")
    )
    after = F.date_add(
        F.add_months("opened_on", F.col("stops")), 90 + draws.whole(0, numbers.days_to_list, "lists in", "loan_id")
    )
    persons = _listings(defaulted, F.col("customer_id") * 10 + 1, "id_number", "person", F.lit("default"), after)
    seen = people.where("ring IS NOT NULL AND ring_place < 2").where(
        draws.happens(numbers.lists_ring, "ring listed", "ring")
    )
    day = F.date_add(world.month(ring_month(world)), draws.whole(-200, 90, "ring listed on", "position"))
    phones = _listings(seen, F.col("customer_id") * 10 + 2, "phone", "phone", F.lit("fraud"), day)
    devices = _listings(seen, F.col("customer_id") * 10 + 3, "device_serial", "device", F.lit("fraud"), day)
    chance = people.where(draws.happens(numbers.lists_by_chance, "listed by chance", "position"))
    some_day = F.date_sub(F.lit(world.start), draws.whole(1, 900, "chance listing", "position"))
    others = _listings(chance, F.col("customer_id") * 10 + 4, "id_number", "person", F.lit("court"), some_day)
    listed = reduce(DataFrame.unionByName, (persons, phones, devices, others))
    return listed.where(F.col("listed_on") < F.lit(world.until))


def _listings(rows: DataFrame, number: Column, subject: str, kind: str, reason: Column, day: Column) -> DataFrame:
    return rows.select(
        number.alias("listing_id"),
        F.col(subject).alias("subject"),
        F.lit(kind).alias("subject_type"),
        reason.alias("reason"),
        day.alias("listed_on"),
        day.cast("timestamp").alias(AT),
    )
