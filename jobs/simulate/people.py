"""The people: latent traits, and who they are because of them. A row a position; every later table reads it.

Six traits are standard normals with a common part: ability (to earn), willingness (to pay), stability, sociability,
digital habit and price sensitivity. Nobody but the truth tables sees them.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.simulate import groups
from strata.jobs.simulate.draws import chosen, logistic
from strata.jobs.simulate.structure import GIANT, employer_id, employer_traits
from strata.jobs.simulate.world import BRANCHES_A_DISTRICT, DISTRICTS, World, account_id, account_number, phone

FIRST_NUMBER = 110_000


def people(world: World) -> DataFrame:
    """Everybody, a row a position: traits, demographics, work, home, numbers, groups. No shuffle."""
    rows = world.spark.range(world.sim.customers).withColumnRenamed("id", "position")
    rows = rows.withColumn("customer_id", world.customer("position")).withColumns(_traits(world))
    rows = rows.withColumns(_age(world)).withColumns(groups.columns(world))
    rows = rows.withColumns(_standing(world)).withColumns(_work(world)).withColumns(_employer(world))
    rows = rows.withColumns(_income(world)).withColumns(_home(world)).withColumns(_life(world))
    return rows.withColumns(_numbers(world))


def _traits(world: World) -> dict[str, Column]:
    draws = world.draws
    ability = draws.normal("ability", "position")
    own = {
        name: share * ability + (1 - share**2) ** 0.5 * draws.normal(name, "position")
        for name, share in world.sim.people.with_ability.items()
    }
    return {"ability": ability, **own}


def _age(world: World) -> dict[str, Column]:
    """Age in years at the start; the young are at home in the digital world."""
    draws, ages = world.draws, world.sim.people.ages
    band = draws.choice(ages, "age band", "position")
    low, high = (F.split(band, "-")[place].cast("int") for place in (0, 1))
    days = low * 365.25 + draws.uniform("age", "position") * (high - low + 1) * 365.25
    born = F.date_sub(F.lit(world.start), F.ceil(days).cast("int"))
    return {
        "birth_date": born,
        "age": days / 365.25,
        "gender": F.when(draws.happens(0.5, "gender", "position"), "F").otherwise("M"),
        "digital": F.col("digital") + (40 - days / 365.25) / 25,
    }


def _standing(world: World) -> dict[str, Column]:
    """Education rises with ability; marriage comes with age."""
    draws, numbers = world.draws, world.sim.people
    # A normal of half ability and half chance, turned into a uniform by its distribution function (logistic stand-in).
    schooling = 0.7 * F.col("ability") + 0.714 * draws.normal("schooling", "position")
    rank = logistic(1.702 * schooling)
    married = draws.happens(logistic((F.col("age") - 28) / 4), "married", "position")
    return {
        "education_level": chosen(rank, numbers.education),
        "marital_status": F.when(
            married & draws.happens(numbers.divorced, "divorced", "position"), "divorced"
        ).otherwise(F.when(married, "married").otherwise("single")),
        "occupation": draws.choice(numbers.occupations, "occupation", "position"),
    }


def _work(world: World) -> dict[str, Column]:
    """Employed, self-employed or neither (retired, studying); members of guarantee circles run a business."""
    draws, numbers = world.draws, world.sim.people
    out = (F.col("age") > 60) | ((F.col("age") < 22) & draws.happens(numbers.studies, "studies", "position"))
    own = draws.happens(numbers.self_employed, "self employed", "position") | F.col("circle").isNotNull()
    drawn = F.floor(world.employers * F.pow(draws.uniform("employer", "position"), F.lit(numbers.employer_skew)))
    giant = draws.happens(numbers.giant_employer, "giant", "position")
    work = F.when(own & (F.col("age") > 22), "self_employed").otherwise(F.when(out, "none").otherwise("employed"))
    return {
        "work": work,
        "employer": F.when(giant, GIANT).otherwise(F.greatest(drawn, F.lit(GIANT + 1))),
        "next_employer": F.greatest(
            F.floor(world.employers * F.pow(draws.uniform("next employer", "position"), F.lit(numbers.employer_skew))),
            F.lit(1),
        ),
    }


def _employer(world: World) -> dict[str, Column]:
    traits = employer_traits(world, "employer")
    employed = F.col("work") == "employed"
    return {
        "employer_id": F.when(employed, employer_id(F.col("employer"))),
        "ownership": F.when(employed, traits["ownership"]),
        "payday": F.when(employed, traits["payday"]).otherwise(F.lit(12)),
    }


def _income(world: World) -> dict[str, Column]:
    """Monthly income in a month of work (CNY): lognormal, by ability, ownership, age and chance."""
    numbers, draws = world.sim.people, world.draws
    explained = numbers.income_from_ability**0.5
    unexplained = (1 - numbers.income_from_ability) ** 0.5
    level = numbers.income_spread * (explained * F.col("ability") + unexplained * draws.normal("income", "position"))
    prime = -0.0009 * F.pow(F.col("age") - 44, F.lit(2)) + 0.15
    secure = F.when(
        F.col("ownership").isin("civil_service", "state_owned", "listed"), numbers.secure_premium
    ).otherwise(0.0)
    idle = F.when(F.col("work") == "none", F.lit(numbers.idle_discount)).otherwise(0.0)
    return {"income": F.round(numbers.median_income * F.exp(level + prime + secure + idle), 0)}


def _home(world: World) -> dict[str, Column]:
    """A household lives in one district; some districts have more people than others."""
    draws = world.draws
    drawn = F.floor(DISTRICTS * F.pow(draws.uniform("district", "household"), F.lit(1.5))).cast("int")
    branch = drawn * BRANCHES_A_DISTRICT + draws.whole(0, BRANCHES_A_DISTRICT - 1, "branch", "position")
    moved_to = F.floor(DISTRICTS * draws.uniform("next district", "position")).cast("int")
    return {
        "district": drawn,
        "next_district": moved_to,
        "branch_id": branch + 1,
        "manager_id": branch * world.managers_a_branch + draws.whole(1, world.managers_a_branch, "manager", "position"),
    }


def _life(world: World) -> dict[str, Column]:
    """When they came to the bank, and the month, if any, in which they lose work, move, change employer or wake up.

    At most one of each a person; a month beyond the simulation never comes.
    """
    draws, numbers, months = world.draws, world.sim.people, world.sim.months
    early = draws.happens(numbers.at_start, "there at the start", "position") | F.col("circle").isNotNull()
    # Circles were customers before they borrowed; rings come weeks before they strike.
    longer = F.when(F.col("circle").isNotNull(), 500).otherwise(0)
    before = F.date_sub(F.lit(world.start), draws.whole(20, 3650, "days a customer", "position") + longer)
    since = F.date_add(F.lit(world.start), draws.whole(0, months * 30 - 1, "came after", "position"))
    weeks = draws.whole(10, 80, "ring came before", "position")
    opened = F.when(F.col("ring").isNotNull(), F.date_sub(world.month(groups.ring_month(world)), weeks))
    unsteady = F.exp(-0.5 * F.col("stability"))
    dormant = draws.happens(world.sim.spending.dormant, "dormant", "position") & early & F.col("ring").isNull()
    wakes = dormant & draws.happens(world.sim.spending.wakeable, "wakeable", "position")
    return {
        "opened_on": opened.when(early, before).otherwise(since),
        "work_lost": F.when(
            F.col("work") == "employed", _month_of(world, numbers.job_loss_monthly * unsteady, "work lost")
        ),
        "moved": _month_of(world, numbers.moves_yearly / 12 * unsteady, "moved"),
        "new_job": F.when(
            F.col("work") == "employed", _month_of(world, numbers.new_job_yearly / 12 * unsteady, "new job")
        ),
        "closes": F.when(
            early & F.col("ring").isNull() & draws.happens(numbers.closes, "closes", "position"),
            draws.whole(1, max(2, months), "closes in", "position"),
        ),
        "dormant": dormant,
        "acquisition_channel": _channel(world),
        "wakes": F.when(wakes, draws.whole(0, F.lit(max(1, months - 1)), "woken in", "position")),
    }


def _channel(world: World) -> Column:
    """How they came: rings and the digital by app, the sociable by a referral, employees often by payroll."""
    draws = world.draws
    referred = draws.happens(world.sim.social.referral * F.exp(0.3 * F.col("sociability")), "referred", "position")
    payroll = (F.col("work") == "employed") & draws.happens(world.sim.people.by_payroll, "by payroll", "position")
    digital = draws.happens(logistic(0.8 * F.col("digital") - 0.4), "by app", "position")
    return (
        F.when(F.col("ring").isNotNull(), "app")
        .when(referred, "referral")
        .when(payroll, "payroll")
        .when(digital, "app")
        .otherwise(
            F.when(draws.happens(world.sim.people.by_partner, "by partner", "position"), "partner").otherwise("branch")
        )
    )


def _month_of(world: World, monthly: Column, name: str) -> Column:
    """The month in which something of a monthly chance happens first: geometric, from the start on."""
    waited = F.floor(F.log(1 - world.draws.uniform(name, "position")) / F.log(1 - F.least(monthly, F.lit(0.5))))
    return waited.cast("int")


def _numbers(world: World) -> dict[str, Column]:
    """What identifies them, in clear, as the sources have it. Phones in a synthetic ring are shared."""
    draws, customer = world.draws, F.col("customer_id")
    region = (FIRST_NUMBER + F.floor(F.col("position") / 1000) % 800_000).cast("string")
    serial = F.lpad((F.col("position") % 1000).cast("string"), 3, "0")
    check = draws.whole(0, 9, "check digit", "position").cast("string")
    own_phone = F.when(
        draws.happens(world.sim.groups.hub_phone_owners, "hub phone", "position"),
        hub_phone(draws.whole(1, world.sim.groups.hub_phones, "which hub", "position")),
    ).otherwise(phone(customer))
    return {
        "account_id": account_id(customer),
        "account_number": account_number(account_id(customer)),
        "id_number": F.concat(region, F.date_format("birth_date", "yyyyMMdd"), serial, check),
        "phone": F.coalesce(groups.ring_phone(world), own_phone),
        "next_phone": phone(customer, 1),
        "changes_phone": draws.happens(world.sim.people.changes_phone, "changes phone", "position"),
        "home_address": address(F.col("district"), F.col("household"), F.lit(0)),
        "next_address": address(F.col("next_district"), F.col("position"), F.lit(1)),
        "device_serial": F.coalesce(groups.ring_device(world), F.concat(F.lit("SN"), customer.cast("string"))),
    }


def hub_phone(number: Column) -> Column:
    """A phone that many give as theirs, an agent's or a shop's: a trap for whoever takes it for a tie."""
    return F.concat(F.lit("10000000"), F.lpad(number.cast("string"), 3, "0"))


def address(district: Column, number: Column, kind: Column) -> Column:
    """An address's text."""
    road, door = (number * 7 + kind * 13) % 400, number * 4 + kind
    return F.format_string("District %02d, Road %d, No. %d", district + 1, road.cast("long"), door.cast("long"))
