"""What is true of the simulated bank, for whoever evaluates: each table in the shape of its contract."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.conf.tables.truth import TRAITS
from strata.jobs.simulate import collection, credit, marketing, ties
from strata.jobs.simulate.bank import Bank
from strata.jobs.simulate.structure import GIANT
from strata.jobs.simulate.world import World

# table, column, kind, what it does
TRAPS = (
    ("frozen account", "leak", "account", "status", "an account is frozen some months after its owner stopped paying"),
    ("later answer", "leak", "marketing_contact", "response", "the answer stands in a later version than the touch"),
    ("interest in babies", "proxy", "browsing_interest", "topic", "read mostly by women: it stands in for gender"),
    ("interest in games", "proxy", "browsing_interest", "topic", "read mostly by men: it stands in for gender"),
    ("hub phones", "hub", "customer", "phone_hash", "a few phones that many people give as theirs"),
)


def tables(bank: Bank) -> Mapping[str, DataFrame]:
    """Every truth table but that of the delivery."""
    return {
        "truth_person": persons(bank.world, bank.people),
        "truth_credit": credits(bank),
        "truth_response": marketing.true_responses(bank.world, bank.people),
        "truth_group": groups(bank.people),
        "truth_referral": ties.referrals(bank.world, bank.people).drop("position"),
        "truth_trap": traps(bank.world),
    }


def persons(world: World, people: DataFrame) -> DataFrame:
    """A row a customer."""
    weights = world.sim.credit.drivers
    standard = people.withColumns(
        {
            "product_code": F.lit("consumer"),
            "month_no": F.lit(0),
            "debt_to_income": F.lit(world.sim.credit.usual_debt_to_income),
            "without_work": F.lit(False),
        }
    )
    pd = credit.true_pd(credit.hazards(world))
    added = [
        (F.col(name) * weights[name]).alias(f"pd_{name}")
        for name in ("willingness", "ability", "stability", "price_sensitivity")
    ]
    return standard.select(
        "customer_id", *TRAITS, "income", pd.alias("standard_pd"), *added, F.col("dormant").alias("is_dormant"),
        _first_of(world, "wakes").alias("wakes_on"), _first_of(world, "work_lost").alias("loses_work_on"),
        _first_of(world, "moved").alias("moves_on"),
    )  # fmt: skip


def _first_of(world: World, month: str) -> Column:
    """The first day of a month that may lie beyond any calendar."""
    return F.when(F.col(month) < 1200, world.month(month))


def credits(bank: Bank) -> DataFrame:
    """A row an application; a join with the loans."""
    world = bank.world
    months = F.sequence(F.lit(1), F.lit(9))
    loan = credit.loan_id(F.col("application_id"))
    falls = F.exists(months, lambda k: world.draws.uniform("stops", loan, k) < F.element_at("hazard", k))
    dearer = F.col("offered_rate") + F.lit("0.01").cast("decimal(9,6)")
    asked = bank.asked.where(F.col("month_no") <= world.last).select(
        "application_id", "customer_id", "decision", credit.policy_view(world).alias("policy_view"), "true_pd",
        falls.alias("would_default"), credit.acceptance(world, F.col("offered_rate")).alias("acceptance"),
        credit.acceptance(world, dearer).alias("acceptance_a_point_dearer"),
        collection.cure_chance(world, contacted=False).alias("cure_untreated"),
        collection.cure_chance(world, contacted=True).alias("cure_reached"),
    )  # fmt: skip
    stops = F.add_months("opened_on", F.col("stops"))
    lost = F.col("stops").isNotNull() & F.col("cured_on").isNull()
    lent = bank.lent.select(
        "application_id", "loan_id", stops.alias("stops_on"), "cured_on", "infected_by",
        F.when(lost, credit.recovered_share(world)).alias("recovered_share"),
    )  # fmt: skip
    return asked.join(lent, on="application_id", how="left")


def groups(people: DataFrame) -> DataFrame:
    """A row a group and member."""
    kinds = (
        (people.where("household_size > 1"), F.lit("household"), F.col("household"), F.col("household_place")),
        (people.where("ring IS NOT NULL"), F.concat(F.lit("ring_"), "ring_kind"), F.col("ring"), F.col("ring_place")),
        (
            people.where("circle IS NOT NULL"),
            F.concat(F.lit("circle_"), "circle_kind"),
            F.col("circle"),
            F.col("circle_place"),
        ),
        (
            people.where((F.col("work") == "employed") & (F.col("employer") == GIANT)),
            F.lit("giant_employer"),
            F.lit(0),
            F.lit(1),
        ),
        (
            people.where(F.col("phone").startswith("10000000")),
            F.lit("hub_phone"),
            F.col("phone").cast("long"),
            F.lit(1),
        ),
    )
    parts = (
        rows.select(
            kind.alias("kind"), group.cast("long").alias("group_id"), "customer_id", place.cast("int").alias("place")
        )
        for rows, kind, group, place in kinds
    )
    return reduce(DataFrame.unionByName, parts)


def traps(world: World) -> DataFrame:
    """What is planted to mislead."""
    rows: list[tuple[object, ...]] = [
        (name, kind, table, column, None, words) for name, kind, table, column, words in TRAPS
    ]
    rows += [
        ("giant employer", "giant", "customer", "employer_id", None, "colleagues there are no acquaintances"),
        ("drift", "drift", None, None, world.drift_on, "from here on hazards are higher and more people apply by app"),
    ]
    schema = "name string, kind string, table_name string, column_name string, since date, description string"
    return world.spark.createDataFrame(rows, schema)
