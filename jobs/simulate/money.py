"""Accounts, their postings and what is held beside them.

A month's postings begin with a balance that follows from person and month alone, and end with a sweep to or from the
money market that brings the next month's: so any month can be made without those before it, and balances still add up.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from strata.jobs.simulate.delivery import AT
from strata.jobs.simulate.draws import looked_up, repeated
from strata.jobs.simulate.groups import ring_month
from strata.jobs.simulate.structure import employer_id
from strata.jobs.simulate.ties import REACH, are_friends
from strata.jobs.simulate.work import employer_in, in_work, income_in, person_months
from strata.jobs.simulate.world import World, account_id, account_number, moment

CENT = "decimal(18,2)"
POSTING = (
    "kind",
    "nth",
    "occurred_at",
    "amount",
    "direction",
    "channel",
    "purpose",
    "merchant_category",
    "counterparty_account",
)


def accounts(world: World, people: DataFrame, lent: DataFrame) -> DataFrame:
    """A row an account and state: opened, dormant, woken, closed; frozen long after an owner stopped paying. A join."""
    stopped = lent.where("stops IS NOT NULL AND cured_on IS NULL").groupBy("position")
    frozen = stopped.agg(
        F.min(F.date_add(F.add_months("opened_on", F.col("stops")), world.sim.accounts.frozen_after_days)).alias(
            "frozen_on"
        )
    )
    people = people.join(frozen, on="position", how="left")
    opened = moment("opened_on", 10 * 60)
    asleep = F.greatest(
        F.date_add("opened_on", world.sim.accounts.dormant_after_days), F.date_sub(F.lit(world.start), 30)
    )
    closes = F.when(F.col("closes").isNotNull(), world.month("closes"))
    states = F.array_compact(
        F.array(
            F.struct(F.lit("active").alias("status"), F.lit(None).cast("date").alias("closed_on"), opened.alias("at")),
            F.when(F.col("dormant"), _state("dormant", asleep)),
            F.when(F.col("wakes").isNotNull(), _state("active", F.date_add(world.month("wakes"), 3))),
            F.when(F.col("frozen_on").isNotNull(), _state("frozen", F.col("frozen_on"))),
            F.when(closes.isNotNull(), _state("closed", closes)),
        )
    )
    rows = people.withColumn("_state", F.explode(states))
    return rows.select(
        "account_id",
        (F.col("district") + 1).alias("district_id"),
        F.when(F.col("acquisition_channel") == "payroll", "PAY").otherwise("CUR").alias("product_code"),
        "opened_on",
        F.col("_state.closed_on").alias("closed_on"),
        F.col("_state.status").alias("status"),
        "account_number",
        F.col("_state.at").alias("booked_at"),
        F.col("_state.at").alias(AT),
    )


def _state(status: str, day: Column) -> Column:
    closed = day if status == "closed" else F.lit(None).cast("date")
    return F.struct(F.lit(status).alias("status"), closed.alias("closed_on"), day.cast("timestamp").alias("at"))


def holders(world: World, people: DataFrame) -> DataFrame:
    """Owners; in a third of the households the second member holds the first one's account too."""
    opened = moment("opened_on", 10 * 60)
    own = people.select(
        (F.col("customer_id") * 10 + 1).alias("holder_id"),
        "customer_id",
        "account_id",
        F.lit("owner").alias("role"),
        opened.alias("booked_at"),
        opened.alias(AT),
    )
    joint = people.where(
        (F.col("household_place") == 1) & world.draws.happens(world.sim.accounts.joint, "joint", "household")
    )
    head = people.select(
        F.col("position").alias("household"),
        F.col("opened_on").alias("_head_since"),
        F.col("account_id").alias("_head"),
    )
    later = F.date_add(F.greatest("opened_on", "_head_since"), 20).cast("timestamp")
    shared = joint.join(head, on="household", how="inner").select(
        (F.col("customer_id") * 10 + 2).alias("holder_id"),
        "customer_id",
        F.col("_head").alias("account_id"),
        F.lit("joint").alias("role"),
        later.alias("booked_at"),
        later.alias(AT),
    )
    return own.unionByName(shared)


def account_months(world: World, people: DataFrame) -> DataFrame:
    """People × months with an open account: the income, and what the account holds as this and the next begin."""
    months = person_months(world, people).where(F.col("closes").isNull() | (F.col("month_no") < F.col("closes")))
    months = months.withColumn("income_now", income_in(world, F.col("month_no"))).withColumns(_buffers(world))
    return months.select(*PERSON, *OF_PERSON, "month", "days", "income_now")


def transactions(world: World, months: DataFrame, people: DataFrame, lent: DataFrame, paid: DataFrame) -> DataFrame:
    """Every posting of the months asked for, with running balances. One shuffle by account and month.

    ``months`` are account months, ``lent`` loans with their borrowers, ``paid`` repayments.
    """
    parts = [_income(world, months), _spending(world, months), _rent(world, months), _cash(world, months)]
    parts += [
        _interest(world, months),
        *_transfers(world, months),
        _rings(world, people),
        _grants(world, lent),
        _loan_payments(world, lent, paid),
    ]
    rows = reduce(DataFrame.unionByName, parts)
    # Nothing is posted before an account is there.
    rows = rows.where(F.to_date("occurred_at") >= F.col("opened_on")).where(
        F.col("occurred_at") < F.lit(world.until).cast("timestamp")
    )
    return _balanced(world, rows)


PERSON = ("position", "account_id", "opened_on", "month_no", "buffer", "next_buffer")
OF_PERSON = (
    "account_number", "household", "household_place", "work", "age", "payday", "employer", "next_employer", "new_job",
    "work_lost", "income", "willingness", "sociability", "digital", "dormant", "wakes", "ring", "ring_kind",
)  # fmt: skip


def _posting(rows: DataFrame, kind: str, **values: Column) -> DataFrame:
    """The columns of a posting; what isn't given is null, the moment's place in the month its number."""
    given = {
        "kind": F.lit(kind),
        "nth": F.lit(0),
        "channel": F.lit("transfer"),
        "merchant_category": F.lit(None).cast("string"),
        "counterparty_account": F.lit(None).cast("string"),
        "purpose": F.lit(kind),
        **values,
    }
    rows = rows.withColumns({name: given[name] for name in POSTING})
    rows = rows.withColumn("amount", F.round("amount", 2).cast(CENT)).where("amount > 0")
    return rows.select(*PERSON, *POSTING)


def _buffers(world: World) -> dict[str, Column]:
    """What the account holds as the month and the next begin: the willing and able keep more."""
    level = F.col("income") * world.sim.accounts.buffer * F.exp(0.35 * F.col("willingness") + 0.25 * F.col("ability"))

    def at(month: Column) -> Column:
        return F.round(level * F.exp(0.25 * world.draws.normal("buffer", "position", month)), 2).cast(CENT)

    return {"buffer": at(F.col("month_no")), "next_buffer": at(F.col("month_no") + 1)}


def _income(world: World, months: DataFrame) -> DataFrame:
    """Wages on the employer's payday, pensions, and what the self-employed take in, a few times a month."""
    draws = world.draws
    employed, own = F.col("work") == "employed", F.col("work") == "self_employed"
    number = F.when(own, 4).otherwise(1)
    rows = months.where(F.when(employed, in_work(world, F.col("month_no"))).otherwise(own | (F.col("age") > 55)))
    rows, who = repeated(rows, number), ("position", "month_no", "nth")
    day = F.when(own, draws.whole(0, F.col("days") - 1, "takes in on", *who)).otherwise(F.col("payday") - 1)
    exact = F.when(own, draws.skewed(1.0, 0.4, "takes in", *who) / 4).otherwise(1 + 0.03 * draws.normal("wage", *who))
    bonus = F.when(
        employed & (F.month("month") == 1) & draws.happens(world.sim.accounts.bonus, "bonus", "position"), 2.0
    ).otherwise(1.0)
    payer = F.when(employed, F.concat(F.lit("E"), employer_id(employer_in(F.col("month_no"))).cast("string")))
    client = F.concat(F.lit("C"), draws.whole(1, 900_000, "client", *who).cast("string"))
    return _posting(
        rows,
        "income",
        nth=F.col("nth"),
        occurred_at=moment(
            F.date_add("month", F.least(day, F.col("days") - 1)), draws.whole(540, 1080, "paid at", *who)
        ),
        amount=F.col("income_now") * exact * bonus,
        direction=F.lit("credit"),
        purpose=F.when(employed, "salary").when(own, "business").otherwise("pension"),
        counterparty_account=F.when(own, client).otherwise(F.coalesce(payer, F.lit("PENSION"))),
    )


def _spending(world: World, months: DataFrame) -> DataFrame:
    """Payments by purpose: more of the digital and the better off; none by the dormant until they wake.

    Members of rings live by other accounts too, and identities that are made up buy little, to pass for people.
    """
    numbers, draws = world.sim.spending, world.draws
    asleep = F.col("dormant") & (F.col("wakes").isNull() | (F.col("month_no") < F.col("wakes")))
    made_up = F.col("ring_kind") == "synthetic_identity"
    share = F.when(made_up, numbers.made_up).when(F.col("ring_kind").isNotNull(), numbers.rings).otherwise(1.0)
    mean = share * numbers.payments_monthly * F.exp(0.2 * F.col("digital") + 0.15 * F.col("sociability") - 0.05)
    rows = months.where(~asleep)
    rows = repeated(rows, draws.many(F.least(mean, F.lit(60.0)), "payments", "position", "month_no"))
    who = ("position", "month_no", "nth")
    rows = rows.withColumn("merchant_category", draws.choice(numbers.frequency, "bought", *who))
    rows = rows.join(F.broadcast(world.slots()), on="month_no", how="inner")
    essential = F.col("merchant_category").isin(*numbers.essential)
    draw = draws.uniform("bought on", *who)
    day = F.when(essential, world.day_in(draw, "essential_slots")).otherwise(world.day_in(draw))
    hour = F.pmod(F.round(F.lit(14) + 4 * draws.normal("bought at", *who)), F.lit(24)).cast("int")
    each = {name: numbers.purposes[name] / share for name, share in numbers.frequency.items()}
    scale = looked_up(each, F.col("merchant_category"))
    # Who is unwilling to save spends more of what comes in.
    thrift = F.exp(-0.12 * F.col("willingness"))
    usual = F.col("income_now") * numbers.share_of_income * thrift * scale / numbers.payments_monthly
    shop = F.concat(F.lit("M"), F.floor(60_000 * F.pow(draws.uniform("shop", *who), F.lit(2))).cast("string"))
    return _posting(
        rows,
        "spending",
        nth=F.col("nth"),
        occurred_at=moment(
            day, hour * 60 + draws.whole(0, 59, "minute bought", *who), draws.whole(0, 59, "second bought", *who)
        ),
        amount=draws.skewed(usual, numbers.spread, "price", *who) * F.lit(2.718281828 ** (-(numbers.spread**2) / 2)),
        direction=F.lit("debit"),
        channel=F.lit("card"),
        purpose=F.col("merchant_category"),
        merchant_category=F.col("merchant_category"),
        counterparty_account=shop,
    )


def _rent(world: World, months: DataFrame) -> DataFrame:
    rows = months.where(
        world.draws.happens(world.sim.spending.renters, "rents", "household") & (F.col("household_place") == 0)
    )
    landlord = F.concat(F.lit("L"), F.floor(F.col("household") / 3).cast("string"))
    return _posting(
        rows,
        "rent",
        occurred_at=moment(F.date_add("month", 1), 600),
        amount=F.col("income") * world.sim.spending.rent,
        direction=F.lit("debit"),
        counterparty_account=landlord,
    )


def _cash(world: World, months: DataFrame) -> DataFrame:
    draws, who = world.draws, ("position", "month_no")
    rows = months.where(
        draws.happens(
            F.least(world.sim.spending.cash_monthly * F.exp(-0.5 * F.col("digital")), F.lit(0.9)), "cash", *who
        )
    )
    return _posting(
        rows,
        "cash",
        occurred_at=moment(
            F.date_add("month", draws.whole(0, F.col("days") - 1, "cash on", *who)),
            draws.whole(480, 1320, "cash at", *who),
        ),
        amount=F.ceil(F.col("income") * world.sim.spending.cash_share * draws.uniform("cash amount", *who) / 100) * 100,
        direction=F.lit("debit"),
        channel=F.lit("cash"),
    )


def _interest(world: World, months: DataFrame) -> DataFrame:
    """A posting on the 21st of every month, so that every open account has one a month."""
    return _posting(
        months,
        "interest",
        occurred_at=moment(F.date_add("month", 20), 60),
        amount=F.greatest(F.lit(0.01), F.col("buffer").cast("double") * world.sim.accounts.interest / 12),
        direction=F.lit("credit"),
        channel=F.lit("internal"),
    )


def _transfers(world: World, months: DataFrame) -> list[DataFrame]:
    """Transfers to friends: a debit here and, in a customer's account, the credit there. One join by the receiver."""
    draws, who = world.draws, ("position", "month_no")
    rows = months.where(F.col("ring").isNull() & ~F.col("dormant"))
    rows = rows.where(
        draws.happens(
            F.least(world.sim.spending.transfers_monthly * F.exp(0.4 * F.col("sociability")), F.lit(0.9)), "sends", *who
        )
    )
    away = draws.whole(1, REACH, "sends to", *who) * F.when(draws.happens(0.5, "sends side", *who), 1).otherwise(-1)
    other = F.col("position") + away
    inside = other.between(0, world.sim.customers - 1)
    rows = rows.withColumn("other", F.when(inside & are_friends(world, F.col("position"), other), other))
    day = F.date_add("month", draws.whole(0, F.col("days") - 1, "sends on", *who))
    amount = F.round(draws.skewed(world.sim.spending.transfer_share * F.col("income"), 0.9, "sends amount", *who), 0)
    rows = rows.withColumns({"sent_at": moment(day, draws.whole(420, 1380, "sends at", *who)), "sent": amount})
    outside = F.concat(F.lit("X"), draws.whole(1, 900_000, "outside payee", *who).cast("string"))
    payee = F.when(F.col("other").isNotNull(), account_number(account_id(world.customer("other")))).otherwise(outside)
    out = _posting(
        rows, "sent", occurred_at=F.col("sent_at"), amount=F.col("sent"), direction=F.lit("debit"),
        purpose=F.lit("transfer"), counterparty_account=payee,
    )  # fmt: skip
    sent = rows.where("other IS NOT NULL").select(
        F.col("other").alias("position"),
        "month_no",
        "sent_at",
        "sent",
        F.col("position").alias("nth"),
        F.col("account_number").alias("payer"),
    )
    into = _posting(
        months.join(sent, on=["position", "month_no"], how="inner"), "received",
        nth=F.col("nth"), occurred_at=F.col("sent_at") + F.make_interval(mins=F.lit(1)), amount=F.col("sent"),
        direction=F.lit("credit"),
        purpose=F.lit("transfer"), counterparty_account=F.col("payer"),
    )  # fmt: skip
    return [out, into]


def _rings(world: World, people: DataFrame) -> DataFrame:
    """Mule chains and cycles, monthly from the strike on: money from many goes on within hours; a sum goes round."""
    draws, numbers = world.draws, world.sim.groups
    size = numbers.ring_size
    months = person_months(world, people.where("ring_kind IN ('mule_chain', 'transfer_cycle')"))
    months = months.where(F.col("month_no") >= ring_month(world)).withColumns(_buffers(world))
    mule, place = F.col("ring_kind") == "mule_chain", F.col("ring_place")
    whole = F.when(mule, draws.skewed(numbers.mule_amount, 0.3, "ring sum", "ring", "month_no")).otherwise(
        draws.skewed(numbers.cycle_amount, 0.3, "ring sum", "ring", "month_no")
    )
    first = F.date_add("month", draws.whole(0, 24, "ring on", "ring", "month_no"))
    begin = moment(first, draws.whole(480, 720, "ring at", "ring", "month_no"))
    hops = F.when(mule, F.lit(numbers.mule_minutes)).otherwise(F.lit(numbers.cycle_minutes))

    def neighbour(step: int) -> Column:
        return account_number(account_id(world.customer(F.col("position") - place + F.pmod(place + step, F.lit(size)))))

    def at(hop: Column, later: int = 0) -> Column:
        return begin + F.make_interval(mins=hop * hops + draws.whole(0, 20, "hop", "ring", "month_no", hop) + later)

    def sum_at(hop: Column) -> Column:
        return F.round(whole * F.pow(F.lit(1 - numbers.mule_fee), hop), 0)

    last = F.when(mule, place == size - 1).otherwise(F.lit(False))
    source = F.when(mule & (place == 0), F.lit(None)).otherwise(F.pmod(place - 1, F.lit(size)))
    # The head of a chain takes in from victims; a cycle's last payment comes back to its first member.
    fan = F.when(mule & (place == 0), F.array(*(F.lit(n) for n in range(6)))).otherwise(F.array(F.lit(-1)))
    taken = months.withColumns({"hop_in": source, "fan": F.explode(fan)})
    victim = F.concat(F.lit("V"), draws.whole(1, 900_000, "victim", "position", "month_no", "fan").cast("string"))
    hour = F.make_interval(mins=F.lit(-30) - 20 * F.col("fan"))
    into = _posting(
        taken, "ring in", nth=F.col("fan"),
        occurred_at=F.when(F.col("fan") >= 0, begin + hour).otherwise(at(F.col("hop_in"), 1)),
        amount=F.when(F.col("fan") >= 0, F.round(whole / 6, 0)).otherwise(sum_at(F.col("hop_in"))),
        direction=F.lit("credit"), purpose=F.lit("transfer"),
        counterparty_account=F.when(F.col("fan") >= 0, victim).otherwise(neighbour(-1)),
    )  # fmt: skip
    outside = F.concat(F.lit("X9"), F.col("ring").cast("string"))
    out = _posting(
        months, "ring out", occurred_at=at(place), amount=sum_at(place), direction=F.lit("debit"),
        purpose=F.lit("transfer"), counterparty_account=F.when(last, outside).otherwise(neighbour(1)),
    )  # fmt: skip
    return into.unionByName(out)


def _grants(world: World, lent: DataFrame) -> DataFrame:
    """Loans paid out."""
    rows = lent.withColumn("month_no", world.month_number("opened_on")).withColumns(_buffers(world))
    rows = rows.withColumns({"granted_on": F.col("opened_on"), "opened_on": F.col("customer_since")})
    return _posting(
        rows.where(F.col("month_no").between(world.since, world.last)),
        "loan_grant",
        nth=F.col("loan_id"),
        occurred_at=moment("granted_on", 660),
        amount=F.col("principal").cast("double"),
        direction=F.lit("credit"),
        counterparty_account=F.concat(F.lit("LOAN"), F.col("loan_id").cast("string")),
    )


def _loan_payments(world: World, lent: DataFrame, paid: DataFrame) -> DataFrame:
    """Loans paid back. One join by loan."""
    rows = paid.join(lent.drop("month_no"), on="loan_id", how="inner").withColumn("opened_on", F.col("customer_since"))
    rows = rows.withColumn("month_no", world.month_number("paid_on")).withColumns(_buffers(world))
    return _posting(
        rows.where(F.col("month_no").between(world.since, world.last)),
        "loan_payment",
        nth=F.col("repayment_id"),
        occurred_at=F.col("posted_at"),
        amount=F.col("paid_amount").cast("double"),
        direction=F.lit("debit"),
        counterparty_account=F.concat(F.lit("LOAN"), F.col("loan_id").cast("string")),
    )


def _balanced(world: World, rows: DataFrame) -> DataFrame:
    """Running balances, and the two postings that make them hold: a top-up before the first, a sweep after the last."""
    draws = world.draws
    rows = rows.withColumn("transaction_id", draws.number("posting", "position", F.crc32("kind"), "month_no", "nth"))
    signed = F.when(F.col("direction") == "credit", F.col("amount")).otherwise(-F.col("amount"))
    month = Window.partitionBy("account_id", "month_no")
    in_order = month.orderBy("occurred_at", "transaction_id")
    so_far = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    rows = rows.withColumns({"_sum": F.sum(signed).over(so_far).cast(CENT), "_nth": F.row_number().over(in_order)})
    rows = rows.withColumns({"_least": F.min("_sum").over(month), "_count": F.count("*").over(month)})
    began = F.trunc(F.col("occurred_at"), "month")
    opening = F.when(F.col("opened_on") < began, F.col("buffer")).otherwise(F.lit(0)).cast(CENT)
    rows = rows.withColumns({"_began": began, "_opening": opening})
    rows = rows.withColumn(
        "_top", F.ceil(F.greatest(F.lit(0), -(F.col("_least") + F.col("_opening"))) / 100).cast(CENT) * 100
    )
    balance = (F.col("_opening") + F.col("_top") + F.col("_sum")).cast(CENT)
    rows = rows.withColumn("balance_after", balance)
    own = F.struct(*(F.col(name) for name in _LINE))
    top = _line(
        number=draws.number("top-up", "position", "month_no"),
        at=moment(F.greatest("_began", "opened_on"), 5),
        change=F.col("_top"),
        balance=(F.col("_opening") + F.col("_top")).cast(CENT),
    )
    sweep = _line(
        number=draws.number("sweep", "position", "month_no"),
        at=moment(F.last_day("_began"), 1435),
        change=(F.col("next_buffer") - F.col("balance_after")).cast(CENT),
        balance=F.col("next_buffer"),
    )
    before = F.when((F.col("_nth") == 1) & (F.col("_top") > 0), top)
    after = F.when((F.col("_nth") == F.col("_count")) & (F.col("next_buffer") != F.col("balance_after")), sweep)
    lines = rows.select("account_id", F.explode(F.array_compact(F.array(before, own, after))).alias("line"))
    lines = lines.select("account_id", *(F.col(f"line.{name}") for name in _LINE))
    posted = F.when(F.col("channel") == "card", moment(F.date_add("occurred_at", 1), 2 * 60))
    posted = posted.otherwise(F.col("occurred_at") + F.make_interval(mins=F.lit(1)))
    lines = lines.withColumn("posted_at", posted).withColumn(AT, F.col("posted_at"))
    bank = F.when(F.col("counterparty_account").rlike("^(6225|LOAN)"), "own").when(
        F.col("counterparty_account").isNotNull(), "other"
    )
    return lines.withColumn("counterparty_bank", bank)


_LINE = (
    "transaction_id", "occurred_at", "amount", "direction", "channel", "purpose", "merchant_category",
    "counterparty_account", "balance_after",
)  # fmt: skip


def _line(number: Column, at: Column, change: Column, balance: Column) -> Column:
    """A posting to or from the money market, by the bank itself."""
    values = {
        "transaction_id": number,
        "occurred_at": at,
        "amount": F.abs(change).cast(CENT),
        "direction": F.when(change > 0, "credit").otherwise("debit"),
        "channel": F.lit("internal"),
        "purpose": F.lit("money_market"),
        "merchant_category": F.lit(None).cast("string"),
        "counterparty_account": F.lit(None).cast("string"),
        "balance_after": balance.cast(CENT),
    }
    return F.struct(*(values[name].alias(name) for name in _LINE))


def holdings(world: World, people: DataFrame) -> DataFrame:
    """Month ends of what is held: the able and stable hold more, and prices move alike for all."""
    draws = world.draws
    kinds = [
        (name, number, one.share, one.incomes, one.risk_level, one.yearly, one.spread)
        for number, (name, one) in enumerate(world.sim.wealth.items())
    ]
    table = world.spark.createDataFrame(
        kinds,
        "product_type string, kind int, chance double, incomes double, risk_level int, yearly double, spread double",
    )
    real = people.where("ring_kind IS NULL OR ring_kind <> 'synthetic_identity'")
    rows = person_months(world, real).crossJoin(F.broadcast(table))
    holds = draws.uniform("holds", "position", "kind") < F.col("chance") * F.exp(
        0.5 * F.col("ability") + 0.2 * F.col("stability")
    )
    price = F.col("yearly") * F.month("month") / 12 + F.col("spread") * draws.normal("price", "kind", "month_no") * 0.5
    begun = F.greatest(F.lit(0), draws.whole(-24, world.sim.months, "holds since", "position", "kind"))
    rows = rows.where(holds & (F.col("month_no") >= begun))
    held = F.col("income") * F.col("incomes") * draws.skewed(1.0, 0.7, "held", "position", "kind") * (1 + price)
    return rows.select(
        "customer_id", "product_type", F.last_day("month").alias("month_end"),
        F.round(held, 2).cast(CENT).alias("balance"), "risk_level", F.round(price, 6).alias("return_ytd"),
        F.date_add(F.last_day("month"), 1).cast("timestamp").alias(AT),
    )  # fmt: skip
