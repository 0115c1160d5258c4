"""Who knows whom: contacts, calls, declared ties and referrals.

Friends are mostly near in position (two people at a distance up to a dozen may be friends, by a hash of the pair, so
that both know it) and some far away; households know each other; everybody knows people outside the bank.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.simulate.credit import guaranteed
from strata.jobs.simulate.delivery import AT
from strata.jobs.simulate.groups import CIRCLES
from strata.jobs.simulate.world import World, moment, phone

REACH = 12
# How often a friend is looked for among neighbours: about every second one is.
ATTEMPTS = 5
FAMILY, NEAR, FAR, OUTSIDE = "family", "near", "far", "outside"


def are_friends(world: World, one: Column, other: Column) -> Column:
    """Whether two neighbouring positions know each other: the nearer the likelier, the same seen from both."""
    distance = F.abs(one - other)
    chance = world.sim.social.near * 0.9 / (1 + distance / 3)
    return world.draws.happens(chance, "friends", F.least(one, other), F.greatest(one, other))


def contacts(world: World, people: DataFrame) -> DataFrame:
    """A row an owner and contact: ``other`` (position, or number of an outsider), contact_phone, tie. No shuffle."""
    draws, social = world.draws, world.sim.social
    shares = draws.happens(
        F.least(social.contacts_shared * F.exp(0.25 * F.col("digital")), F.lit(0.95)), "shares book", "position"
    )
    rows = people.where(shares)
    me = F.col("position")
    family = F.transform(
        F.filter(_range(0, 4), lambda n: (n < F.col("household_size")) & (F.col("household") + n != me)),
        lambda n: _known(F.col("household") + n, FAMILY),
    )
    # Each is known in one way: family, near or far.
    apart = F.col("household") - me, F.col("household") + F.col("household_size") - 1 - me
    friends = F.filter(
        _range(-REACH, REACH),
        lambda d: (
            ~d.between(*apart)
            & (d != 0)
            & (me + d).between(0, world.sim.customers - 1)
            & are_friends(world, me, me + d)
        ),
    )
    near = F.transform(friends, lambda d: _known(me + d, NEAR))
    # A Pareto number of distant acquaintances: few have very many.
    tail = F.least(F.pow(1 - draws.uniform("far tail", "position"), F.lit(-1 / social.tail)), F.lit(12.0))
    number = F.round(tail * F.exp(0.4 * F.col("sociability"))).cast("int")
    met = F.transform(_range(1, number), lambda n: F.floor(world.sim.customers * draws.uniform("far", me, n)))
    far = F.transform(F.filter(met, lambda other: F.abs(other - me) > REACH), lambda other: _known(other, FAR))
    outside = F.transform(
        _range(1, F.round(2 * tail).cast("int")),
        lambda n: _known(F.floor(social.outside * world.sim.customers * draws.uniform("outside", me, n)), OUTSIDE),
    )
    lonely = F.col("ring_kind") == "synthetic_identity"
    known = F.when(lonely, F.slice(outside, 1, 3)).otherwise(F.concat(family, near, far, outside))
    rows = rows.withColumn("_known", F.explode(F.array_distinct(known)))
    rows = rows.withColumns({"tie": F.col("_known.tie"), "other": F.col("_known.position")})
    inside = F.col("tie") != OUTSIDE
    theirs = F.when(inside, phone(world.customer("other"))).otherwise(outside_phone(F.col("other")))
    return rows.withColumn("contact_phone", theirs).drop("_known")


def _range(low: int, high: Column | int) -> Column:
    top = high if isinstance(high, Column) else F.lit(high)
    return F.sequence(F.lit(low), F.greatest(top, F.lit(low)))


def _known(position: Column, tie: str) -> Column:
    return F.struct(position.cast("long").alias("position"), F.lit(tie).alias("tie"))


def outside_phone(number: Column) -> Column:
    """The phone of somebody who is no customer."""
    return F.concat(F.lit("12"), F.lpad(number.cast("string"), 9, "0"))


def contact_rows(world: World, known: DataFrame) -> DataFrame:
    """The feed: who shares a book does so some time after coming; labels are there for half of it."""
    draws = world.draws
    who = ("position", "other")
    seen = F.date_add("opened_on", draws.whole(1, 120, "book shared", "position"))
    colleague = (F.col("tie") == NEAR) & draws.happens(world.sim.social.colleagues, "colleague", *who)
    label = (
        F.when(F.col("tie") == FAMILY, "family")
        .when(colleague, "colleague")
        .when((F.col("tie") == OUTSIDE) & draws.happens(world.sim.social.services, "service", *who), "service")
        .otherwise("friend")
    )
    return known.select(
        F.col("customer_id").alias("owner_id"),
        "contact_phone",
        F.when(draws.happens(world.sim.social.labelled, "labelled", *who), label).alias("relation_label"),
        seen.alias("first_seen"),
        seen.cast("timestamp").alias(AT),
    )


def calls(world: World, known: DataFrame) -> DataFrame:
    """Calls with a part of the contacts, month by month; with a synthetic identity nobody talks."""
    draws, social = world.draws, world.sim.social
    me, other = F.col("position"), F.col("other")
    called = draws.happens(social.called, "called", "position", "other") & (
        F.col("ring_kind").isNull() | (F.col("ring_kind") != "synthetic_identity")
    )
    rows = known.where(called).crossJoin(F.broadcast(world.months())).where(F.last_day("month") > F.col("opened_on"))
    mean = social.calls_monthly / (social.contacts * social.called)
    often = mean * F.exp(0.3 * F.col("sociability"))
    rows = draws.arrivals(rows, often, "calls", me, other, "month_no", most=6)
    who = ("position", "other", F.col("tie") == OUTSIDE, "month_no", "nth")
    night = draws.happens(0.05 + 0.1 * F.coalesce((F.col("ring").isNotNull()).cast("int"), F.lit(0)), "night", *who)
    hour = F.when(night, F.pmod(draws.whole(23, 29, "night hour", *who), F.lit(24))).otherwise(
        draws.whole(7, 22, "hour", *who)
    )
    day = F.date_add("month", draws.whole(0, F.col("days") - 1, "call day", *who))
    started = moment(day, hour * 60 + draws.whole(0, 59, "minute", *who), draws.whole(0, 59, "second", *who))
    outward = draws.happens(0.5, "outward", *who)
    received = started + F.make_interval(days=F.lit(1))
    return rows.select(
        draws.number("call", *who).alias("call_id"),
        F.when(outward, F.col("phone")).otherwise(F.col("contact_phone")).alias("caller_phone"),
        F.when(outward, F.col("contact_phone")).otherwise(F.col("phone")).alias("callee_phone"),
        draws.skewed(60.0, 1.0, "length", *who).cast("int").alias("seconds"),
        ((hour >= 23) | (hour < 6)).alias("is_night"),
        started.alias("started_at"),
        received.alias("received_at"),
        received.alias(AT),
    )


def declared(world: World, people: DataFrame, lent: DataFrame) -> DataFrame:
    """Declared ties: half of the family ties, most referrals, and all guarantees."""
    kinds = [_family(world, people), _referred(world, people), guarantees(world, lent)]
    rows = kinds[0].unionByName(kinds[1], allowMissingColumns=True).unionByName(kinds[2], allowMissingColumns=True)
    return rows.where(F.col("valid_from") < F.lit(world.until)).withColumn(AT, F.col("valid_from").cast("timestamp"))


def _family(world: World, people: DataFrame) -> DataFrame:
    head = world.customer("household")
    rows = people.where(
        (F.col("household_place") > 0)
        & world.draws.happens(world.sim.social.family_declared, "family declared", "position")
    )
    return rows.select(
        (F.col("customer_id") * 100 + 1).alias("tie_id"),
        F.col("customer_id").alias("src_customer_id"),
        head.alias("dst_customer_id"),
        F.lit("family").alias("kind"),
        F.date_add("opened_on", 3).alias("valid_from"),
    )


def referrals(world: World, people: DataFrame) -> DataFrame:
    """True referrals: who came by one, and the friend who was a customer before. One join."""
    came = people.where("acquisition_channel = 'referral'").withColumn("by", _friend(world, "referrer"))
    earlier = people.select(F.col("position").alias("by"), F.col("opened_on").alias("by_opened_on"))
    rows = came.join(earlier, on="by", how="inner").where("by_opened_on < opened_on")
    return rows.select(
        "position", "customer_id", world.customer("by").alias("referrer_id"), F.col("opened_on").alias("referred_on")
    )


def _friend(world: World, name: str) -> Column:
    """The position of some friend; null for the few who find none in a handful of draws."""
    draws, me = world.draws, F.col("position")

    def tried(attempt: int) -> Column:
        side = F.when(draws.happens(0.5, f"{name} side {attempt}", me), 1).otherwise(-1)
        other = me + draws.whole(1, REACH, f"{name} {attempt}", me) * side
        return F.when(are_friends(world, me, other), other)

    return F.coalesce(*(tried(attempt) for attempt in range(ATTEMPTS)))


def _referred(world: World, people: DataFrame) -> DataFrame:
    told = referrals(world, people).where(
        world.draws.happens(world.sim.social.referral_declared, "referral told", "position")
    )
    return told.select(
        (F.col("customer_id") * 100 + 2).alias("tie_id"),
        F.col("referrer_id").alias("src_customer_id"),
        F.col("customer_id").alias("dst_customer_id"),
        F.lit("referral").alias("kind"),
        F.col("referred_on").alias("valid_from"),
    )


def guarantees(world: World, lent: DataFrame) -> DataFrame:
    """Guarantor to borrower, in circles: explodes the places that a member guarantees, and joins their loans."""
    size = world.sim.groups.circle_size
    rows = lent.where("circle IS NOT NULL")
    backed = F.array().cast("array<int>")
    for kind in CIRCLES:
        for place in range(size):
            places = F.array(*(F.lit(other) for other in guaranteed(kind, place, size))).cast("array<int>")
            here = (F.col("circle_kind") == kind) & (F.col("circle_place") == place)
            backed = F.when(here, places).otherwise(backed)
    backers = rows.select("circle", "customer_id", F.explode(backed).alias("circle_place"))
    borrowers = rows.select(
        "circle", "circle_place", F.col("customer_id").alias("borrower_id"), "loan_id", "principal", "opened_on"
    )
    return backers.join(borrowers, on=["circle", "circle_place"], how="inner").select(
        (F.col("borrower_id") * 1000 + 500 + F.pmod(F.col("customer_id"), F.lit(400))).alias("tie_id"),
        F.col("customer_id").alias("src_customer_id"),
        F.col("borrower_id").alias("dst_customer_id"),
        F.lit("guarantee").alias("kind"),
        "loan_id",
        F.col("principal").alias("amount"),
        F.col("opened_on").alias("valid_from"),
    )
