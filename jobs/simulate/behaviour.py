"""What people do: devices, app, addresses, places, interests, visits at partners."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.features.engine.geohash import BASE32
from strata.jobs.simulate.delivery import AT
from strata.jobs.simulate.draws import Who, repeated
from strata.jobs.simulate.groups import out_for_money
from strata.jobs.simulate.people import address
from strata.jobs.simulate.structure import latitude, longitude
from strata.jobs.simulate.work import person_months
from strata.jobs.simulate.world import DISTRICTS, World, moment

INPUT_PAGES = ("transfer", "loan")


def devices(world: World, people: DataFrame) -> DataFrame:
    """A device a customer, and for some a newer one later; rings sign in from rooted devices and emulators."""
    draws, numbers = world.draws, world.sim.behaviour
    second = draws.happens(numbers.second_device, "second device", "position") & F.col("ring").isNull()
    rows = people.withColumn("nth", F.explode(F.when(second, F.array(F.lit(0), F.lit(1))).otherwise(F.array(F.lit(0)))))
    who = ("position", "nth")
    tier = F.least(
        F.lit(4), F.greatest(F.lit(1), F.round(2.4 + 0.7 * F.col("ability") + 0.6 * draws.normal("tier", *who)))
    )
    brand = draws.choice(numbers.brands, "brand", *who)
    since = F.date_add(
        "opened_on", draws.whole(0, 60, "device since", *who) + F.col("nth") * draws.whole(90, 700, "newer", *who)
    )
    doubtful = out_for_money()
    return rows.select(
        F.when(F.col("nth") == 0, F.col("device_serial"))
        .otherwise(F.concat("device_serial", F.lit("B")))
        .alias("device_serial"),
        "customer_id",
        brand.alias("brand"),
        F.concat(brand, F.lit(" "), draws.whole(1, 12, "model", *who).cast("string")).alias("model"),
        tier.cast("int").alias("price_tier"),
        F.when(brand == "apple", "ios")
        .when((brand == "huawei") & draws.happens(0.6, "harmony", *who), "harmony")
        .otherwise("android")
        .alias("os"),
        draws.happens(
            F.when(doubtful, numbers.rooted["ring"]).otherwise(numbers.rooted["others"]), "rooted", *who
        ).alias("is_rooted"),
        draws.happens(
            F.when(F.col("ring_kind") == "synthetic_identity", numbers.emulator["made_up"]).otherwise(
                numbers.emulator["others"]
            ),
            "emulator",
            *who,
        ).alias("is_emulator"),
        draws.whole(1, 2, "sims", *who).alias("sim_count"),
        since.alias("valid_from"),
        since.cast("timestamp").alias(AT),
    ).where(F.col("valid_from") < F.lit(world.until))


def home(world: World) -> tuple[Column, Column]:
    """Latitude and longitude of a household's home."""
    return _near(world, F.col("district"), "home", "household")


def _near(world: World, district: Column, name: str, who: Who) -> tuple[Column, Column]:
    draws = world.draws
    return (
        F.round(latitude(district) + 0.025 * draws.normal(f"{name} lat", who), 4),
        F.round(longitude(district) + 0.025 * draws.normal(f"{name} lon", who), 4),
    )


def workplace(world: World) -> tuple[Column, Column]:
    """Latitude and longitude of the employer."""
    return _near(world, employer_district(world), "work", "employer")


def employer_district(world: World) -> Column:
    """The district that the employer is in."""
    return F.floor(DISTRICTS * world.draws.uniform("employer district", "employer")).cast("int")


def addresses(world: World, people: DataFrame) -> DataFrame:
    """Home, before and after moving, work and shipping addresses."""
    draws = world.draws
    moved_on = world.month("moved")
    moves = F.col("moved").isNotNull() & (moved_on > F.col("opened_on"))
    home_at, next_at, work_at = (
        home(world),
        _near(world, F.col("next_district"), "next home", "position"),
        workplace(world),
    )
    office = address(employer_district(world), F.col("employer"), F.lit(2))

    def use(
        kind: str, text: Column, district: Column, at: tuple[Column, Column], since: Column, until: Column
    ) -> Column:
        return F.struct(
            F.lit(kind).alias("kind"), text.alias("address"), (district + 1).cast("int").alias("district_id"),
            at[0].alias("lat"), at[1].alias("lon"), since.alias("valid_from"), until.alias("valid_to"),
        )  # fmt: skip

    never, since = F.lit(None).cast("date"), F.col("opened_on")
    employed = F.col("work") == "employed"
    uses = F.array_compact(
        F.array(
            use("home", F.col("home_address"), F.col("district"), home_at, since, never),
            F.when(moves, use("home", F.col("home_address"), F.col("district"), home_at, since, moved_on)),
            F.when(moves, use("home", F.col("next_address"), F.col("next_district"), next_at, moved_on, never)),
            F.when(employed, use("work", office, employer_district(world), work_at, since, never)),
            F.when(
                draws.happens(world.sim.behaviour.ships, "ships", "position"),
                use("shipping", F.col("home_address"), F.col("district"), home_at, F.date_add(since, 30), never),
            ),
        )
    )
    rows = people.withColumn("_use", F.explode(uses)).select("customer_id", "position", "_use.*")
    # An end is told with a later drop than the beginning: in one drop nobody could say which was said last.
    told = F.coalesce(
        F.greatest("valid_to", F.when(F.col("valid_to").isNotNull(), F.date_add("valid_from", 32))), "valid_from"
    )
    return rows.withColumn(
        AT, F.date_add(told, draws.whole(0, 20, "address told", "position")).cast("timestamp")
    ).where(F.col("valid_from") < F.lit(world.until))


def app_events(world: World, people: DataFrame) -> DataFrame:
    """Events of sessions: more of the digital; people who forge paste and type fast."""
    draws, numbers = world.draws, world.sim.behaviour
    mean = numbers.sessions_monthly * F.exp(0.5 * F.col("digital"))
    asleep = F.col("dormant") & (F.col("wakes").isNull() | (F.col("month_no") < F.col("wakes") - 1))
    awake = person_months(world, people).where(~asleep)
    rows = draws.arrivals(awake, F.least(mean, F.lit(6.0)), "sessions", "position", "month_no")
    rows = repeated(rows, F.lit(numbers.events_per_session), "step")
    rows = rows.join(F.broadcast(world.slots()), on="month_no", how="inner")
    session, who = ("position", "month_no", "nth"), ("position", "month_no", "nth", "step")
    began = moment(world.day_in(draws.uniform("session on", *session)), draws.whole(0, 1439, "session at", *session))
    occurred = began + F.make_interval(secs=F.col("step") * 20 + draws.whole(0, 15, "step at", *who))
    page = F.when(F.col("step") == 1, "home").otherwise(draws.choice(numbers.pages, "page", *who))
    typed = page.isin(*INPUT_PAGES) & (F.col("step") > 1)
    forges = out_for_money()
    lat, lon = home(world)
    far, pace, last = (
        F.when(forges, 1.5).otherwise(0.03),
        F.when(forges, numbers.typing_ms["ring"]).otherwise(numbers.typing_ms["others"]),
        numbers.events_per_session,
    )
    flags = F.when(forges, numbers.flags["ring"]).otherwise(numbers.flags["others"])
    once = draws.happens(numbers.pastes, "pastes", *who).cast("int")
    pastes = F.when(forges, draws.whole(0, 5, "pastes", *who)).otherwise(once)
    rows = rows.withColumns({"occurred_at": occurred, "page": page})
    received = F.col("occurred_at") + F.make_interval(secs=F.lit(30))
    return rows.select(
        draws.number("app event", *who).alias("app_event_id"),
        "customer_id",
        draws.number("session", *session).alias("session_id"),
        "device_serial",
        "page",
        F.when(typed, "input").when(F.col("step") == last, "click").otherwise("view").alias("action"),
        draws.skewed(numbers.dwell_ms, 0.8, "dwell", *who).cast("int").alias("dwell_ms"),
        F.when(typed, F.round(draws.skewed(pace, 0.3, "typing", *who), 1)).alias("typing_ms_per_char"),
        F.when(typed, pastes).alias("paste_count"),
        F.round(lat + far * draws.normal("event lat", *session), 4).alias("lat"),
        F.round(lon + far * draws.normal("event lon", *session), 4).alias("lon"),
        F.when(draws.happens(flags, "flag", *session), draws.choice(numbers.sdk_flags, "which flag", *session)).alias(
            "sdk_flags"
        ),
        "occurred_at",
        received.alias("received_at"),
        received.alias(AT),
    )  # fmt: skip


def pings(world: World, people: DataFrame) -> DataFrame:
    """Places by day and night: at home, at work, and elsewhere; after moving, at the new home."""
    draws, numbers = world.draws, world.sim.behaviour
    mean = numbers.pings_monthly * F.exp(0.3 * F.col("digital"))
    rows = person_months(world, people.where(draws.happens(numbers.shares_place, "shares place", "position")))
    rows = draws.arrivals(rows, F.least(mean, F.lit(6.0)), "pings", "position", "month_no")
    who = ("position", "month_no", "nth")
    minute = draws.whole(0, 1439, "ping at", *who)
    occurred = moment(F.date_add("month", draws.whole(0, F.col("days") - 1, "ping on", *who)), minute)
    moved = F.coalesce(F.col("month_no") >= F.col("moved"), F.lit(False))
    at_work = (
        minute.between(540, 1080) & (F.col("work") == "employed") & draws.happens(numbers.at_work, "at work", *who)
    )
    (home_lat, home_lon), (work_lat, work_lon) = home(world), workplace(world)
    next_lat, next_lon = _near(world, F.col("next_district"), "next home", "position")
    away = F.when(draws.happens(numbers.away, "away", *who), 0.08).otherwise(0.0005)
    lat = F.when(at_work, work_lat).when(moved, next_lat).otherwise(home_lat) + away * draws.normal("ping lat", *who)
    lon = F.when(at_work, work_lon).when(moved, next_lon).otherwise(home_lon) + away * draws.normal("ping lon", *who)
    received = F.col("occurred_at") + F.make_interval(hours=F.lit(1))
    rows = rows.withColumns({"occurred_at": occurred, "geohash7": geohash(lat, lon)})
    return rows.select(
        draws.number("ping", *who).alias("ping_id"),
        "customer_id",
        "geohash7",
        "occurred_at",
        received.alias("received_at"),
        received.alias(AT),
    )


def geohash(lat: Column, lon: Column, letters: int = 7) -> Column:
    """The geohash of a place: bits of longitude and latitude in turn, five a letter (Niemeyer 2008)."""
    bits = 5 * letters
    wide, high = (bits + 1) // 2, bits // 2
    x = F.floor((lon + 180) / 360 * 2**wide).cast("long")
    y = F.floor((lat + 90) / 180 * 2**high).cast("long")

    def bit(number: int) -> Column:
        """Bit ``number`` of the hash, from the left: even ones are the longitude's."""
        value, place = (x, wide - 1 - number // 2) if number % 2 == 0 else (y, high - 1 - number // 2)
        return F.shiftright(value, place).bitwiseAND(F.lit(1).cast("long"))

    def letter(number: int) -> Column:
        value = sum((bit(5 * number + place) * 2 ** (4 - place) for place in range(5)), start=F.lit(0).cast("long"))
        return F.lit(BASE32).substr((value + 1).cast("int"), F.lit(1))

    return F.concat(*(letter(number) for number in range(letters)))


def interests(world: World, people: DataFrame, asked: DataFrame) -> DataFrame:
    """What is read: in the two months before an application more of loans and of what they are for. One join."""
    draws, numbers = world.draws, world.sim.behaviour
    months = person_months(world, people)
    soon = asked.select("position", F.explode(F.array(F.col("month_no") - 1, F.col("month_no"))).alias("month_no"))
    soon = soon.distinct().withColumn("soon", F.lit(True))
    rows = months.join(soon, on=["position", "month_no"], how="left").withColumn(
        "soon", F.coalesce("soon", F.lit(False))
    )
    mean = (
        numbers.interests_monthly
        * F.exp(0.3 * F.col("digital"))
        * F.when(F.col("soon"), numbers.reads_before_loan).otherwise(1.0)
    )
    rows = draws.arrivals(rows, F.least(mean, F.lit(6.0)), "reads", "position", "month_no")
    who = ("position", "month_no", "nth")
    # A proxy is planted: what is read tells gender.
    women, men, eager = (
        {topic: weight * more.get(topic, 1.0) for topic, weight in numbers.topics.items()}
        for more in (numbers.women_read, numbers.men_read, numbers.before_loan)
    )
    usual = F.when(F.col("gender") == "F", draws.choice(women, "topic", *who)).otherwise(
        draws.choice(men, "topic", *who)
    )
    topic = F.when(F.col("soon"), draws.choice(eager, "topic", *who)).otherwise(usual)
    read = rows.select(
        "customer_id",
        topic.alias("topic"),
        F.date_add("month", draws.whole(0, F.col("days") - 1, "reads on", *who)).alias("day"),
        draws.whole(1, 9, "pages", *who).alias("visits"),
        draws.skewed(90.0, 0.8, "reads for", *who).cast("int").alias("seconds"),
    )
    once = read.groupBy("customer_id", "topic", "day").agg(
        F.sum("visits").cast("int").alias("visits"), F.sum("seconds").cast("int").alias("seconds")
    )
    return once.withColumn(AT, F.date_add("day", 1).cast("timestamp"))


def visits(world: World, people: DataFrame) -> DataFrame:
    """Visits and orders at partners; partners report weekly."""
    draws, numbers = world.draws, world.sim.behaviour
    mean = numbers.visits_monthly * F.exp(0.25 * F.col("sociability"))
    rows = draws.arrivals(person_months(world, people), F.least(mean, F.lit(5.0)), "visits", "position", "month_no")
    rows = rows.join(F.broadcast(world.slots()), on="month_no", how="inner")
    who = ("position", "month_no", "nth")
    scene = draws.choice(numbers.scenes, "visits", *who)
    ordered = draws.happens(numbers.orders, "orders", *who)
    amount = F.when(ordered, F.round(draws.skewed(numbers.order_share * F.col("income"), 0.8, "order", *who), 2)).cast(
        "decimal(18,2)"
    )
    visited = moment(world.day_in(draws.uniform("visit on", *who)), draws.whole(540, 1300, "visit at", *who))
    return rows.select(
        draws.number("visit", *who).alias("visit_id"),
        "customer_id",
        scene.alias("scene"),
        draws.whole(1, numbers.partners, "partner", *who).alias("partner_id"),
        amount.alias("order_amount"),
        visited.alias("visited_at"),
        (visited + F.make_interval(days=F.lit(numbers.partner_days))).alias(AT),
    )
