"""The bank's own structure: districts, branches, managers, products, campaigns, and the employers around it."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.conf.tables.people import CHANNELS
from strata.jobs.simulate.draws import Who, column
from strata.jobs.simulate.world import (
    BRANCHES,
    BRANCHES_A_DISTRICT,
    DISTRICTS,
    FIRST_EMPLOYER,
    World,
    month_of,
)

GIANT = 0
# The middle of the first district and how far apart districts are, in degrees.
LATITUDE, LONGITUDE, APART = 30.6, 114.2, 0.12


def districts(world: World) -> DataFrame:
    """A row a district; some are much bigger than others."""
    draws = world.draws
    rows = world.spark.range(DISTRICTS).select(F.col("id").cast("int").alias("number"))
    return rows.select(
        (F.col("number") + 1).alias("district_id"),
        F.format_string("District %02d", F.col("number") + 1).alias("name"),
        F.format_string("Region %d", (F.col("number") / 6 + 1).cast("int")).alias("region"),
        (F.lit(2_400_000) / F.pow(F.col("number") + 1, F.lit(0.6))).cast("int").alias("population"),
        latitude(F.col("number")).alias("lat"),
        longitude(F.col("number")).alias("lon"),
        (5200 + 3800 * draws.uniform("district salary", "number")).cast("int").alias("average_salary_amt"),
    )


def latitude(number: Column) -> Column:
    """Latitude of a district's middle: districts lie in a square of five by five."""
    return F.round(LATITUDE + (number % 5) * APART, 5)


def longitude(number: Column) -> Column:
    """Longitude of a district's middle."""
    return F.round(LONGITUDE + F.floor(number / 5) * APART, 5)


def branches(world: World) -> DataFrame:
    """A row a branch: two a district."""
    number, draws = F.col("number"), world.draws
    rows = world.spark.range(BRANCHES).select(F.col("id").cast("int").alias("number"))
    home = (number / BRANCHES_A_DISTRICT).cast("int")
    return rows.select(
        (number + 1).alias("branch_id"),
        (home + 1).alias("district_id"),
        F.format_string("Branch %02d", number + 1).alias("name"),
        F.round(latitude(home) + 0.02 * draws.normal("branch lat", "number"), 5).alias("lat"),
        F.round(longitude(home) + 0.02 * draws.normal("branch lon", "number"), 5).alias("lon"),
        draws.whole(150, 600, "branch capacity", "number").alias("system_capacity"),
        F.date_sub(F.lit(world.start), draws.whole(1500, 9000, "branch opening", "number")).alias("opened_on"),
    )


def managers(world: World) -> DataFrame:
    """A row a manager."""
    number, draws = F.col("number"), world.draws
    rows = world.spark.range(BRANCHES * world.managers_a_branch).select(F.col("id").cast("int").alias("number"))
    grade = draws.whole(1, 4, "manager grade", "number")
    offline = draws.happens(0.4, "manager line", "number")
    return rows.select(
        (number + 1).alias("manager_id"),
        (number / world.managers_a_branch + 1).cast("int").alias("branch_id"),
        grade.alias("grade"),
        F.when(offline, "offline").otherwise("online").alias("production_line"),
        (20 + 15 * grade).alias("monthly_capacity"),
        F.date_sub(F.lit(world.start), draws.whole(100, 3000, "manager since", "number")).alias("valid_from"),
    )


def products(world: World) -> DataFrame:
    """A row a product; loans bear the rates of the simulation."""
    loans = world.sim.credit.products
    rows = [
        (code, one.name, one.kind, one.role, str(loans[code].rate) if code in loans else one.base_rate)
        + (one.funding_cost, one.capital_weight, one.limit_min, one.limit_max, one.term_months)
        for code, one in world.sim.products.items()
    ]
    names = "product_code, name, kind, role, base_rate, funding_cost, capital_weight, limit_min, limit_max, term_months"
    types = ["string"] * 6 + ["double"] + ["string"] * 2 + ["int"]
    schema = ", ".join(f"{name} {kind}" for name, kind in zip(names.split(", "), types, strict=True))
    since = date(world.start.year - 3, 1, 1)
    return world.spark.createDataFrame(rows, schema).withColumn("valid_from", F.lit(since))


def campaign_rows(world: World) -> list[tuple[int, str, str, str, date, date]]:
    """A campaign a quarter and channel: id, name, product, channel, first and last day."""
    marketing = world.sim.marketing
    offered = marketing.offered
    return [
        (
            quarter * len(CHANNELS) + number + 1,
            f"{offered[(quarter + number) % len(offered)]} by {channel} {quarter + 1}",
            offered[(quarter + number) % len(offered)],
            channel,
            month_of(world.start, 3 * quarter),
            month_of(world.start, 3 * quarter) + timedelta(days=marketing.campaign_days),
        )
        for quarter in range(world.last // 3 + 1)
        for number, channel in enumerate(CHANNELS)
    ]


def campaigns(world: World) -> DataFrame:
    """A row a campaign."""
    marketing = world.sim.marketing
    rows = [(*row, marketing.touch_cost[row[3]], marketing.control) for row in campaign_rows(world)]
    return world.spark.createDataFrame(
        rows,
        "campaign_id int, name string, product_code string, channel string, started_on date, ended_on date, "
        "unit_cost string, control_share double",
    )


def employer_id(number: Column) -> Column:
    """The employer's number."""
    return (number + FIRST_EMPLOYER).cast("long")


def employer_traits(world: World, number: Who) -> dict[str, Column]:
    """What an employer is, from its position: ownership, level, industry, payday, is_specialised_sme."""
    draws = world.draws
    at = column(number)
    drawn = draws.choice(world.sim.people.ownership, "employer ownership", at)
    ownership = F.when(at == GIANT, "state_owned").otherwise(drawn)
    private = ownership.isin("private", "joint_stock")
    return {
        "ownership": ownership,
        "level": F.when(at == GIANT, 1).otherwise(
            F.when(private, 4).otherwise(draws.whole(1, 4, "employer level", at))
        ),
        "industry": draws.choice(world.sim.people.industries, "employer industry", at),
        "payday": F.element_at(
            F.array(*(F.lit(day) for day in (5, 8, 10, 15, 20, 25))), draws.whole(1, 6, "payday", at)
        ),
        "is_specialised_sme": private & draws.happens(world.sim.people.specialised, "specialised", at),
    }


def employers(world: World) -> DataFrame:
    """A row an employer; the first is a giant."""
    rows = world.spark.range(world.employers).select(F.col("id").alias("number"))
    traits = employer_traits(world, "number")
    own = world.draws.skewed(40.0, 1.2, "headcount", "number")
    return rows.select(
        employer_id(F.col("number")).alias("employer_id"),
        *(traits[name].alias(name) for name in ("ownership", "level", "industry")),
        F.when(F.col("number") == GIANT, 180_000).otherwise(F.greatest(F.lit(3.0), own)).cast("int").alias("headcount"),
        traits["is_specialised_sme"].alias("is_specialised_sme"),
        F.lit(date(world.start.year - 5, 1, 1)).alias("valid_from"),
    )
