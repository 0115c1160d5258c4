"""The life of credit: applications, the old policy's decisions, loans, what is due and paid, arrears, collection.

A loan's fate is a hazard. In month k on book a borrower stops paying with the chance h_k, which the traits, the
product, the age of the loan, the drift and, in guarantee circles, the default of somebody guaranteed decide. Who has
stopped may cure; everybody may pay one instalment late. Nothing of this is seen but what is due and what is paid.
"""

from __future__ import annotations

from statistics import NormalDist

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.simulate.delivery import AT
from strata.jobs.simulate.draws import logistic, looked_up, odds
from strata.jobs.simulate.groups import circle_month, out_for_money, ring_month
from strata.jobs.simulate.work import in_work, income_in
from strata.jobs.simulate.world import FIRST_CUSTOMER, World, moment

PURPOSES = {"consumer": "consumption", "scene": "instalments", "business": "working_capital"}
FIRST_LOAN = 3_000_000_000


def applications(world: World, people: DataFrame) -> DataFrame:
    """A row an application, also of the year before the start, with all that decides it and what follows from it.

    Beside the feed's columns: the person's, ``month_no``, the monthly ``hazard`` of month 1 to 12 on book, and
    ``true_pd``, the chance of 90+ DPD within twelve months if granted. People × months without shuffle.
    """
    asked = _asked(world, people)
    asked = asked.withColumns(_request(world)).withColumns(_terms(world))
    asked = asked.withColumn("hazard", hazards(world)).withColumn("true_pd", true_pd(F.col("hazard")))
    return asked.withColumns(_decision(world))


def _asked(world: World, people: DataFrame) -> DataFrame:
    credit, draws = world.sim.credit, world.draws
    # A month more than asked for: what people read tells of it before.
    months = world.months(-credit.history_months, world.last + 1)
    rows = people.crossJoin(F.broadcast(months))
    need = F.exp(0.25 * F.col("price_sensitivity") - 0.15 * F.col("ability") - 0.1)
    eligible = F.col("age").between(20, 66) & (F.col("work") != "none")
    # Rings that are out for money ask together; circles borrowed together some months before the start.
    asks = F.when(out_for_money(), F.col("month_no") == ring_month(world))
    asks = asks.when(F.col("circle").isNotNull(), F.col("month_no") == circle_month(world))
    asks = asks.otherwise(eligible & draws.happens(credit.applies_monthly * need, "asks", "position", "month_no"))
    day = draws.whole(0, F.col("days") - 1, "asks on", "position", "month_no")
    # Members of a ring ask within one week.
    week = draws.whole(0, 20, "ring week", "ring") + draws.whole(0, 6, "ring day", "position")
    asked_on = F.date_add("month", F.when(F.col("ring").isNotNull(), week).otherwise(day))
    rows = rows.where(asks).withColumn("asked_on", asked_on)
    return rows.where(F.col("asked_on") > F.col("opened_on"))


def _request(world: World) -> dict[str, Column]:
    draws, credit = world.draws, world.sim.credit
    who = ("position", "month_no")
    shares = {name: product.share for name, product in credit.products.items() if name != "business"}
    own = (F.col("work") == "self_employed") & draws.happens(credit.for_business, "for business", *who)
    product = F.when(own | F.col("circle").isNotNull(), "business").otherwise(draws.choice(shares, "product", *who))
    digital = draws.happens(logistic(0.9 * F.col("digital") + 0.3), "asks by app", *who)
    later = (F.col("month_no") >= world.drift_month).cast("double")
    person = draws.choice(credit.asks_at, "asks at", *who)
    return {
        "product_code": product,
        "channel": F.when(F.col("ring").isNotNull() | digital, "app")
        .when(draws.happens(world.sim.drift.to_app * later, "drifts to app", *who), "app")
        .otherwise(person),
        "scene": F.when(product == "scene", draws.choice(credit.scenes, "scene", *who)).otherwise("none"),
        "purpose": looked_up(PURPOSES, product),
        "monthly_income": income_in(world, F.col("month_no")),
        "without_work": (F.col("work") == "employed") & ~in_work(world, F.col("month_no")),
        "applied_at": moment(
            "asked_on", draws.whole(8 * 60, 21 * 60, "asks at minute", *who), draws.whole(0, 59, "s", *who)
        ),
        "application_id": (F.col("customer_id") * 1000 + F.col("month_no") + 500).cast("long"),
    }


def _by_product(world: World, value: str) -> Column:
    """A number of the product in the row."""
    products = world.sim.credit.products
    return looked_up({name: float(getattr(one, value)) for name, one in products.items()}, F.col("product_code"))


def _terms(world: World) -> dict[str, Column]:
    """Amount, term, rate and instalment; rates were tried out a point up and down, whatever the risk."""
    draws, credit = world.draws, world.sim.credit
    products = credit.products
    who = ("position", "month_no")
    wanted = (
        _by_product(world, "incomes")
        * F.greatest("monthly_income", F.lit(2000))
        * draws.skewed(1.0, credit.wanted_spread, "wanted", *who)
    )
    term = F.lit(None).cast("int")
    for name, product in products.items():
        terms = F.array(*(F.lit(months) for months in product.terms))
        drawn = F.element_at(terms, draws.whole(1, len(product.terms), "term", *who))
        term = F.when(F.col("product_code") == name, drawn).otherwise(term)
    rate = _by_product(world, "rate") + credit.rate_step * draws.whole(-1, 1, "rate tried", *who)
    return {
        "requested_amount": F.greatest(F.lit(1000), F.least(F.round(wanted / 1000) * 1000, F.lit(900_000))).cast(
            "decimal(18,2)"
        ),
        "term_months": term,
        "offered_rate": rate.cast("decimal(9,6)"),
        "debt_to_income": F.least(
            wanted * (1 / term + rate / 24) / F.greatest("monthly_income", F.lit(1500)), F.lit(3.0)
        ),
    }


def driver_score(world: World) -> Column:
    """What traits and circumstances add to the logarithm of the hazard."""
    credit = world.sim.credit
    weights = credit.drivers
    traits = ("willingness", "ability", "stability", "price_sensitivity")
    score = sum((F.col(name) * weights[name] for name in traits), start=F.lit(0.0))
    score = score + weights["debt_to_income"] * (F.col("debt_to_income") - credit.usual_debt_to_income)
    return score + F.when(F.col("without_work"), weights["unemployed"]).otherwise(0.0)


def hazards(world: World) -> Column:
    """The chance to stop paying in month 1 to 12 on book, for who hasn't yet: array of doubles."""
    credit, drift = world.sim.credit, world.sim.drift
    yearly = -F.log(1 - _by_product(world, "pd")) * F.exp(driver_score(world) - credit.driver_mean)
    yearly = yearly * F.when(F.col("circle").isNotNull(), world.sim.groups.circle_hazard).otherwise(1.0)
    ring = F.when(out_for_money(), world.sim.groups.ring_default)

    def month(number: int) -> Column:
        drifted = F.when(F.col("month_no") + number >= world.drift_month, drift.hazard).otherwise(1.0)
        own = F.least(yearly / 12 * credit.seasoning[number - 1] * drifted, F.lit(credit.most_hazard))
        return F.coalesce(ring, own) if number == 1 else own

    return F.array(*(month(number) for number in range(1, 13)))


def true_pd(hazard: Column) -> Column:
    """The chance of 90+ DPD within twelve months: to have stopped by the ninth instalment."""
    survives = F.aggregate(F.slice(hazard, 1, 9), F.lit(1.0), lambda so_far, h: so_far * (1 - h))
    return 1 - survives


def policy_view(world: World) -> Column:
    """What the bank's old policy made of an applicant: higher is better, and half of what matters isn't in it."""
    sees = world.sim.credit.policy_sees
    secure = F.col("ownership").isin("civil_service", "public_institution", "state_owned", "listed")
    return (
        sees["income"] * F.log(F.greatest("monthly_income", F.lit(500)) / world.sim.people.median_income) / 0.62
        + sees["willingness"] * F.col("willingness")
        + sees["ownership"] * F.coalesce(secure.cast("double"), F.lit(0.0))
        + sees["noise"] * world.draws.normal("policy", "position", "month_no")
    )


def _decision(world: World) -> dict[str, Column]:
    """Refused, or offered and accepted or not: dearer offers less often, most of all by the price-sensitive."""
    draws, credit, sees = world.draws, world.sim.credit, world.sim.credit.policy_sees
    spread = (
        sees["income"] ** 2 + sees["willingness"] ** 2 + sees["noise"] ** 2 + 0.25 * sees["ownership"] ** 2
    ) ** 0.5
    bar = 0.35 * sees["ownership"] + NormalDist().inv_cdf(credit.refused) * spread
    by_app = F.col("channel") == "app"
    # The old policy knew nothing of rings, and circles were let in by people who knew the firms.
    refused = (policy_view(world) < bar) & F.col("circle").isNull()
    accepted = draws.happens(acceptance(world, F.col("offered_rate")), "accepts", "position", "month_no")
    waits = F.when(by_app, draws.whole(5, 40, "minutes", "position", "month_no")).otherwise(
        draws.whole(600, 4000, "minutes", "position", "month_no")
    )
    return {
        "decision": F.when(refused, "declined")
        .when(accepted | F.col("circle").isNotNull(), "approved")
        .otherwise("withdrawn"),
        "decided_by": F.when(by_app, "policy").otherwise("person"),
        "decided_at": F.col("applied_at") + F.make_interval(mins=waits),
    }


def acceptance(world: World, rate: Column) -> Column:
    """The true chance that an offer at an annual rate is accepted."""
    credit = world.sim.credit
    points = (rate.cast("double") - _by_product(world, "rate")) * 100
    return logistic(odds(credit.accepts) + credit.price_elasticity * F.exp(0.5 * F.col("price_sensitivity")) * points)


def application_rows(asked: DataFrame) -> DataFrame:
    """The feed: known when decided."""
    rate = F.when(F.col("decision") == "declined", F.lit(None)).otherwise(F.col("offered_rate"))
    return asked.withColumn("offered_rate", rate).withColumn(AT, F.col("decided_at"))


def loans(world: World, asked: DataFrame) -> DataFrame:
    """A row a loan, with its fate: ``stops`` (first instalment not paid, or null), ``cured_on``, ``infected_by``."""
    rows = asked.where("decision = 'approved'").withColumns(
        {
            "loan_id": loan_id(F.col("application_id")),
            "customer_since": F.col("opened_on"),
            "opened_on": F.date_add(F.to_date("decided_at"), 1),
            "principal": F.col("requested_amount"),
            "annual_rate": F.col("offered_rate"),
        }
    )
    rows = rows.withColumn("instalment_amt", instalment(F.col("principal"), F.col("annual_rate"), F.col("term_months")))
    alone = (
        rows.where("circle IS NULL")
        .withColumn("stops", _stops(world))
        .withColumn("infected_by", F.lit(None).cast("long"))
    )
    together = _circle_loans(world, rows.where("circle IS NOT NULL"))
    fates = alone.unionByName(together)
    cures = world.draws.happens(world.sim.credit.cures, "cures", "loan_id") & F.col("ring").isNull()
    stopped = F.add_months("opened_on", F.col("stops"))
    back = F.date_add(stopped, world.draws.whole(*world.sim.credit.cures_after, "cures after", "loan_id"))
    return fates.withColumn("cured_on", F.when(cures & F.col("stops").isNotNull(), back))


def loan_id(application: Column) -> Column:
    """The loan that comes of an application, if it is granted."""
    return application - 1000 * FIRST_CUSTOMER + FIRST_LOAN


def instalment(principal: Column, rate: Column, months: Column) -> Column:
    """The annuity of a loan, to the cent."""
    monthly = rate.cast("double") / 12
    return F.round(principal.cast("double") * monthly / (1 - F.pow(1 + monthly, -months)), 2).cast("decimal(18,2)")


def hazard_at(month: Column) -> Column:
    """The hazard of any month on book: that of the twelfth goes on."""
    return F.element_at("hazard", F.least(month, F.lit(12)).cast("int"))


def _stops(world: World) -> Column:
    """The first instalment that isn't paid any more; null if all are."""
    draws = world.draws
    months = F.sequence(F.lit(1), F.col("term_months"))
    stops = F.filter(months, lambda k: draws.uniform("stops", F.col("loan_id"), k) < hazard_at(k))
    return F.when(F.size(stops) > 0, F.element_at(stops, 1))


def _circle_loans(world: World, rows: DataFrame) -> DataFrame:
    """Fates in guarantee circles, month by month: who has guaranteed somebody that stopped is more likely to stop."""
    draws, factor, size = world.draws, world.sim.credit.contagion, world.sim.groups.circle_size
    months = F.sequence(F.lit(1), F.col("term_months"))
    rows = rows.withColumns(
        {
            "_draws": F.transform(months, lambda k: draws.uniform("stops", F.col("loan_id"), k)),
            "_hazards": F.transform(months, hazard_at),
        }
    )

    def fate(circle: pd.DataFrame) -> pd.DataFrame:
        return _fates(circle, factor, size)

    fates = rows.select("circle", "circle_kind", "circle_place", "customer_id", "loan_id", "_draws", "_hazards")
    found = fates.groupBy("circle").applyInPandas(fate, "loan_id long, stops int, infected_by long")
    return rows.drop("_draws", "_hazards").join(found, on="loan_id", how="left")


def guaranteed(kind: str, place: int, size: int) -> tuple[int, ...]:
    """The places in its circle whose loans the member at ``place`` guarantees."""
    if kind == "mutual":
        return (place + 1 if place % 2 == 0 else place - 1,)
    if kind == "cycle":
        return ((place + 1) % size,)
    if kind == "joint":
        return (0,) if place else ()
    return (place + 1,) if place + 1 < size else ()


def _fates(circle: pd.DataFrame, factor: float, size: int) -> pd.DataFrame:
    """Months on book run alike in a circle, for it borrowed in one month. One small circle at a time."""
    members = circle.sort_values("circle_place").to_dict("records")
    at = {member["circle_place"]: member for member in members}
    stops: dict[int, int] = {}
    infected: dict[int, int] = {}
    for month in range(1, max(len(member["_draws"]) for member in members) + 1):
        fallen = {place for place, when in stops.items() if when < month}
        for place, member in at.items():
            if place in stops or month > len(member["_draws"]):
                continue
            guilty = [other for other in guaranteed(member["circle_kind"], place, size) if other in fallen]
            hazard, draw = member["_hazards"][month - 1], member["_draws"][month - 1]
            if draw < min(hazard * (factor if guilty else 1), 0.9):
                stops[place] = month
                if guilty and draw >= hazard:
                    infected[place] = at[guilty[0]]["customer_id"]
    return pd.DataFrame(
        {
            "loan_id": [member["loan_id"] for member in members],
            "stops": pd.array([stops.get(place) for place in at], dtype="Int32"),
            "infected_by": pd.array([infected.get(place) for place in at], dtype="Int64"),
        }
    )


def booked(rows: DataFrame) -> DataFrame:
    """The feeds of loans and of what is due: booked, and all instalments known, on the morning of the grant."""
    morning = moment("opened_on", 9 * 60)
    return rows.withColumn("booked_at", morning).withColumn(AT, morning)


def instalments(world: World, lent: DataFrame) -> DataFrame:
    """A row a loan and instalment: due_on, due_amount, due_principal, balance after it, paid_on (null: never).

    What of the loan later tables need stands beside it.

    Explodes; no shuffle. Principal parts add up to the loan to the cent.
    """
    draws = world.draws
    rows = lent.withColumn("instalment", F.explode(F.sequence(F.lit(1), F.col("term_months"))))
    due = F.add_months("opened_on", F.col("instalment"))
    monthly = F.col("annual_rate").cast("double") / 12

    def owed(after: Column) -> Column:
        grown = F.pow(1 + monthly, F.col("term_months"))
        left = F.col("principal").cast("double") * (grown - F.pow(1 + monthly, after)) / (grown - 1)
        return F.round(left, 2).cast("decimal(18,2)")

    rows = rows.withColumns({"due_on": due, "balance": owed(F.col("instalment"))})
    rows = rows.withColumn("due_principal", owed(F.col("instalment") - 1) - F.col("balance"))
    interest = F.round(owed(F.col("instalment") - 1).cast("double") * monthly, 2).cast("decimal(18,2)")
    rows = rows.withColumn("due_amount", (F.col("due_principal") + interest).cast("decimal(18,2)"))
    auto = draws.happens(logistic(0.8 * F.col("willingness") + 0.6 * F.col("digital") + 0.6), "autopay", "loan_id")
    slips = draws.happens(slip_chance(world), "slips", "loan_id", "instalment")
    long = draws.happens(world.sim.credit.slip_two_months, "slips long", "loan_id", "instalment")
    who = ("loan_id", "instalment")
    late = F.when(long, draws.whole(31, 58, "days long", *who)).otherwise(draws.whole(1, 28, "days short", *who))
    early = F.when(auto, 0).otherwise(-draws.whole(0, 3, "days early", *who))
    paid = F.date_add("due_on", F.when(slips, late).otherwise(early))
    # Nobody pays back before the loan is there, nor what is due after a stop unless it is made good.
    stopped = F.col("instalment") >= F.col("stops")
    made_good = F.when(F.col("cured_on") >= F.col("due_on"), F.col("cured_on")).when(
        F.col("cured_on").isNotNull(), paid
    )
    return rows.select(
        "loan_id", "opened_on", "principal", "stops", "cured_on", "ring", "ability",
        "instalment", "due_on", "due_amount", "due_principal", "balance",
        (auto & ~slips & ~F.coalesce(stopped, F.lit(False))).alias("is_autopay"),
        F.when(F.coalesce(stopped, F.lit(False)), made_good).otherwise(paid).alias("paid_on"),
    )  # fmt: skip


def slip_chance(world: World) -> Column:
    """The chance that an instalment is paid late and made good."""
    return F.least(
        world.sim.credit.slip_monthly * F.exp(-0.8 * F.col("willingness") - 0.2 * F.col("stability")), F.lit(0.4)
    )


def repayments(world: World, due: DataFrame) -> DataFrame:
    """Payments: of instalments, and what is recovered from written-off loans in three parts."""
    paid = due.where("paid_on IS NOT NULL").select(
        (F.col("loan_id") * 100 + F.col("instalment")).alias("repayment_id"),
        "loan_id", "instalment", "paid_on", F.col("due_amount").alias("paid_amount"), "is_autopay",
    )  # fmt: skip
    rows = paid.unionByName(_recoveries(world, due))
    posted = moment("paid_on", 60 * world.draws.whole(8, 22, "posted hour", "repayment_id"))
    return rows.withColumn("posted_at", posted).withColumn(AT, posted).where(F.col("paid_on") < F.lit(world.until))


def recovered_share(world: World) -> Column:
    """The share of the balance that a written-off loan pays back in the end: the able pay more back."""
    credit = world.sim.credit
    alone = (
        credit.recovery + 0.15 * F.col("ability") + credit.recovery_spread * world.draws.normal("recovered", "loan_id")
    )
    share = F.when(F.col("ring").isNotNull(), world.sim.groups.ring_recovery).otherwise(alone)
    return F.greatest(F.lit(0.0), F.least(F.lit(1.0), share))


def _recoveries(world: World, due: DataFrame) -> DataFrame:
    lost = due.where((F.col("instalment") == F.col("stops")) & F.col("cured_on").isNull())
    lost = lost.withColumn("part", F.explode(F.array(F.lit(1), F.lit(2), F.lit(3))))
    owed = (F.col("balance") + F.col("due_principal")).cast("double")
    amount = F.round(owed * recovered_share(world) / 3, 2).cast("decimal(18,2)")
    days = (
        world.sim.credit.written_off_days
        + F.col("part") * 60
        + world.draws.whole(0, 40, "recovery day", "loan_id", "part")
    )
    return lost.where(amount > 0).select(
        (F.col("loan_id") * 100 + 60 + F.col("part")).alias("repayment_id"),
        "loan_id", "instalment", F.date_add("due_on", days).alias("paid_on"), amount.alias("paid_amount"),
        F.lit(False).alias("is_autopay"),
    )  # fmt: skip


def arrears(due: DataFrame) -> DataFrame:
    """Days past due and arrears by loan and month end, where there are any: one shuffle of late instalments."""
    last_unpaid = F.coalesce(F.date_sub("paid_on", 1), F.add_months("due_on", 12))
    late = due.where(F.last_day("due_on") <= last_unpaid)
    ends = F.sequence(F.trunc("due_on", "month"), last_unpaid, F.expr("INTERVAL 1 MONTH"))
    late = late.withColumn("month_end", F.explode(F.transform(ends, F.last_day)))
    late = late.where((F.col("month_end") <= last_unpaid) & (F.col("month_end") > F.col("due_on")))
    return late.groupBy("loan_id", "month_end").agg(
        F.min("due_on").alias("oldest"),
        F.sum("due_amount").alias("overdue_amount"),
        F.sum("due_principal").alias("behind"),
    )


def delinquencies(world: World, due: DataFrame) -> DataFrame:
    """Month ends of loans while anything is owed: reported the day after. Shuffles late instalments and loans."""
    behind = arrears(due)
    # The balance of a month end is the schedule's after that month's instalment, and what is behind.
    grid = due.select("loan_id", "balance", F.last_day("due_on").alias("month_end"))
    opening = due.where("instalment = 1").select(
        "loan_id", F.col("principal").alias("balance"), F.last_day("opened_on").alias("month_end")
    )
    grid = grid.unionByName(opening.where(F.last_day("due_on") > F.col("month_end")))
    beyond = behind.join(grid.groupBy("loan_id").agg(F.max("month_end").alias("end")), "loan_id", "inner")
    beyond = beyond.where("month_end > end").select(
        "loan_id", "month_end", F.lit(0).cast("decimal(18,2)").alias("balance")
    )
    rows = grid.unionByName(beyond)
    rows = rows.join(behind, on=["loan_id", "month_end"], how="left")
    days = F.coalesce(F.datediff("month_end", "oldest"), F.lit(0))
    rows = rows.withColumn("days_past_due", days).where(F.col("month_end") < F.lit(world.until))
    return rows.select(
        "loan_id",
        "month_end",
        "days_past_due",
        F.concat(F.lit("M"), bucket(F.col("days_past_due")).cast("string")).alias("bucket"),
        (F.col("balance") + F.coalesce("behind", F.lit(0))).cast("decimal(18,2)").alias("balance"),
        F.coalesce("overdue_amount", F.lit(0)).cast("decimal(18,2)").alias("overdue_amount"),
        (F.col("days_past_due") > world.sim.credit.written_off_days).alias("is_written_off"),
        F.date_add("month_end", 1).cast("timestamp").alias(AT),
    )


def bucket(days: Column) -> Column:
    """M0 for none, then 30 days each, to M7."""
    return F.least(F.ceil(days / 30), F.lit(7)).cast("int")
