"""Work and what the state's files show: wages, social insurance, housing fund, degrees, identity checks, firms."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.simulate.delivery import AT
from strata.jobs.simulate.structure import employer_id
from strata.jobs.simulate.world import FIRST_CUSTOMER, World, moment

FIRST_BUSINESS = 700_001


def in_work(world: World, month: Column) -> Column:
    """Whether an employed person has work in a month: it may be lost for some months."""
    away = F.col("work_lost").isNotNull() & (month >= F.col("work_lost"))
    away = away & (month < F.col("work_lost") + world.sim.people.months_without_work)
    return (F.col("work") == "employed") & ~away


def employer_in(month: Column) -> Column:
    """The employer in a month: another one after a change of job; null out of work or self-employed."""
    changed = F.col("new_job").isNotNull() & (month >= F.col("new_job"))
    return F.when(F.col("work") == "employed", F.when(changed, F.col("next_employer")).otherwise(F.col("employer")))


def income_in(world: World, month: Column) -> Column:
    """Income of a month (CNY): a fifth of it without work, more with a new job, uneven for the self-employed."""
    changed = F.col("new_job").isNotNull() & (month >= F.col("new_job"))
    numbers = world.sim.people
    uneven = F.exp(numbers.own_income_spread * world.draws.normal("month's business", "position", month))
    return F.col("income") * (
        F.when(F.col("work") == "self_employed", uneven)
        .when((F.col("work") == "employed") & ~in_work(world, month), numbers.income_without_work)
        .when(changed, numbers.new_job_raise)
        .otherwise(1.0)
    )


def person_months(world: World, people: DataFrame, first: int | None = None) -> DataFrame:
    """People × months asked for: a broadcast join without shuffle, from the month in which somebody came."""
    months = world.months(first)
    rows = people.crossJoin(F.broadcast(months))
    return rows.where(F.last_day("month") >= F.col("opened_on"))


def social_insurance(world: World, people: DataFrame) -> DataFrame:
    """Contribution months of the employed, and of some of the self-employed."""
    numbers = world.sim.contributions
    return _contributions(world, people, "social", F.lit(numbers.social_rate), own=numbers.self_employed)


def housing_fund(world: World, people: DataFrame) -> DataFrame:
    """Contribution months of those whose employer pays in: nearly all outside of private firms."""
    numbers = world.sim.contributions
    rates = numbers.fund_rates
    rate = F.element_at(
        F.array(*(F.lit(share) for share in rates)), world.draws.whole(1, len(rates), "fund", "employer")
    )
    paid = (F.col("ownership") != "private") | world.draws.happens(numbers.private_fund, "fund paid", "employer")
    return _contributions(world, people.where(paid), "fund", rate, own=0.0)


def _contributions(world: World, people: DataFrame, name: str, rate: Column, own: float) -> DataFrame:
    """Files for a month come weeks after it, so the months before the first one asked for are looked at too."""
    numbers, draws = world.sim.contributions, world.draws
    rows = person_months(world, people, first=world.reported_from)
    month = F.col("month_no")
    alone = (F.col("work") == "self_employed") & draws.happens(own, f"{name} own", "position")
    rows = rows.where(((F.col("work") == "employed") & (in_work(world, month) | (month == F.col("work_lost")))) | alone)
    # Employers declare less than they pay now and then; floors and ceilings hold.
    less = draws.happens(numbers.declares_less, "declares less", "employer")
    declared = F.col("income") / numbers.net_of_gross * (1 - numbers.undeclared * less.cast("int"))
    base = F.least(F.greatest(declared, F.lit(numbers.base_floor)), F.lit(numbers.base_ceiling))
    stopped = month == F.coalesce("work_lost", F.lit(-999))
    late = draws.happens(numbers.late, f"{name} late", "employer", month)
    status = F.when(stopped, "stopped").when(late, "late").otherwise("paid")
    sent = F.date_add(F.last_day("month"), draws.whole(numbers.lag_days - 8, numbers.lag_days, f"{name} lag", month))
    return rows.select(
        "customer_id",
        "month",
        F.round(base, 2).alias("base"),
        F.round(F.when(stopped, 0.0).otherwise(base * rate), 2).alias("amount"),
        status.alias("status"),
        employer_id(employer_in(month)).alias("employer_id"),
        sent.cast("timestamp").alias(AT),
    )


def education_records(world: World, people: DataFrame) -> DataFrame:
    """What the register confirms: of most degrees; a few people have declared more than they have."""
    draws = world.draws
    rows = people.where(F.col("education_level").isin("college", "bachelor", "master"))
    rows = rows.where(draws.happens(world.sim.people.degree_found, "degree found", "position"))
    age = F.when(F.col("education_level") == "college", 21).when(F.col("education_level") == "master", 25).otherwise(22)
    graduated = F.make_date(F.year("birth_date") + age, F.lit(6), F.lit(30))
    lower = F.when(F.col("education_level") == "master", "bachelor").otherwise("college")
    boasts = draws.happens(world.sim.people.boasts, "boasts", "position")
    return rows.where(graduated < F.col("opened_on")).select(
        (F.col("customer_id") * 10 + 3).alias("record_id"),
        "customer_id",
        F.when(boasts, lower).otherwise(F.col("education_level")).alias("level"),
        F.greatest(F.lit(1), F.least(F.lit(4), F.round(3 - F.col("ability") + draws.normal("tier", "position"))))
        .cast("int")
        .alias("institution_tier"),
        graduated.alias("graduated_on"),
        F.date_add("opened_on", 1).cast("timestamp").alias(AT),
    )


def security_checks(world: World, people: DataFrame) -> DataFrame:
    """A check when somebody becomes a customer: synthetic identities fail it more often, but not always."""
    draws, synthetic = world.draws, F.col("ring_kind") == "synthetic_identity"
    doubtful = F.coalesce(synthetic, F.lit(False))
    checked = moment("opened_on", draws.whole(540, 1020, "checked at", "position"))
    likeness = F.when(doubtful, 0.78).otherwise(0.93) + 0.05 * draws.normal("photo", "position")
    flagged = draws.happens(F.when(doubtful, 0.05).otherwise(0.002), "flag", "position")
    return people.select(
        (F.col("customer_id") * 10 + 4).alias("check_id"),
        "customer_id",
        (~draws.happens(F.when(doubtful, 0.25).otherwise(0.004), "id mismatch", "position")).alias("id_match"),
        F.round(F.greatest(F.lit(0.0), F.least(F.lit(1.0), likeness)), 4).alias("photo_match"),
        draws.happens(F.when(doubtful, 0.35).otherwise(0.82), "address match", "position").alias("address_match"),
        F.when(flagged, "lost_id").alias("risk_flag"),
        checked.alias("checked_at"),
        checked.alias(AT),
    )


def business_id(customer: Column) -> Column:
    """A customer's business."""
    return customer - FIRST_CUSTOMER + FIRST_BUSINESS


def businesses(world: World, people: DataFrame) -> DataFrame:
    """The firms of the self-employed."""
    draws = world.draws
    registered = F.date_sub(F.lit(world.start), draws.whole(60, 4000, "registered", "position"))
    return people.where(F.col("work") == "self_employed").select(
        business_id(F.col("customer_id")).alias("business_id"),
        "customer_id",
        draws.choice(world.sim.people.industries, "business industry", "position").alias("industry"),
        draws.skewed(3.0, 0.9, "staff", "position").cast("int").alias("staff"),
        registered.alias("registered_on"),
        draws.happens(world.sim.people.own_specialised, "own specialised", "position").alias("is_specialised_sme"),
        F.greatest(registered, "opened_on").alias("valid_from"),
        F.greatest(registered, "opened_on").cast("timestamp").alias(AT),
    )


def sales(world: World, people: DataFrame) -> DataFrame:
    """Monthly sales of the firms, in step with the owner's income; tax files come weeks later."""
    draws, month = world.draws, F.col("month_no")
    rows = person_months(world, people.where("work = 'self_employed'"), first=world.reported_from)
    season = 1 + 0.15 * F.sin(2 * F.pi() * F.month("month") / 12)
    sold = income_in(world, month) * draws.skewed(6.0, 0.5, "turnover", "position") * season
    bought = sold * (0.7 + 0.05 * draws.normal("purchases", "position", month))
    sent = F.date_add(F.last_day("month"), draws.whole(15, 25, "tax lag", month))
    return rows.select(
        business_id(F.col("customer_id")).alias("business_id"),
        "month",
        F.round(sold, 2).alias("sales_amount"),
        F.round(F.greatest(F.lit(0.0), bought), 2).alias("purchase_amount"),
        F.round(sold * 0.015, 2).alias("tax_paid"),
        F.greatest(F.lit(1), F.round(sold / 3000)).cast("int").alias("invoice_count"),
        sent.cast("timestamp").alias(AT),
    )


def customers(world: World, people: DataFrame) -> DataFrame:
    """A row a person and period: moving, a new job and a new phone each begin one; told to the bank days later."""
    draws = world.draws
    changes = F.array(
        *(F.struct(world.month(F.col(name)).alias("day"), F.lit(name).alias("what")) for name in ("moved", "new_job")),
        F.struct(
            F.when(
                F.col("changes_phone"), F.date_add("opened_on", draws.whole(40, 900, "new phone", "position"))
            ).alias("day"),
            F.lit("phone").alias("what"),
        ),
    )
    real = F.filter(changes, lambda one: one["day"].isNotNull() & (one["day"] > F.col("opened_on")))
    begins = F.array_sort(F.array_distinct(F.concat(F.array("opened_on"), F.transform(real, lambda one: one["day"]))))
    rows = people.withColumns({"_changes": real, "_begins": begins})
    rows = rows.select("*", F.posexplode("_begins").alias("_nth", "valid_from"))

    def since(what: str) -> Column:
        return F.exists("_changes", lambda one: (one["what"] == what) & (one["day"] <= F.col("valid_from")))

    def recorded(nth: Column, day: Column) -> Column:
        told = F.when(nth == 0, 0).otherwise(draws.whole(1, 25, "tells after", "position", nth))
        return moment(F.date_add(day, told), 15 * 60)

    # A period is delivered when it begins and, with its end, once more when the next is told.
    ends = F.get("_begins", F.col("_nth") + 1)
    forms = F.array(F.lit(False), F.when(ends.isNotNull(), F.lit(True)))
    rows = rows.withColumn("_ended", F.explode(F.array_compact(forms)))
    told = F.when(F.col("_ended"), recorded(F.col("_nth") + 1, ends)).otherwise(
        recorded(F.col("_nth"), F.col("valid_from"))
    )
    return rows.select(
        "customer_id",
        "birth_date",
        "gender",
        (F.when(since("moved"), F.col("next_district")).otherwise(F.col("district")) + 1).alias("district_id"),
        "id_number",
        F.when(since("phone"), F.col("next_phone")).otherwise(F.col("phone")).alias("phone"),
        F.when(since("moved"), F.col("next_address")).otherwise(F.col("home_address")).alias("home_address"),
        "marital_status",
        "education_level",
        F.when(
            F.col("work") == "employed",
            employer_id(F.when(since("new_job"), F.col("next_employer")).otherwise(F.col("employer"))),
        ).alias("employer_id"),
        "occupation",
        "opened_on",
        "branch_id",
        "manager_id",
        "acquisition_channel",
        "valid_from",
        F.when(F.col("_ended"), ends).alias("valid_to"),
        told.alias("recorded_at"),
        told.alias(AT),
    ).where(F.col("valid_from") < F.lit(world.until))
