"""From what happened to what source systems send: drops, and rows that come late, twice, wrong at first or broken.

Every true row is delivered; broken ones are garbled copies beside it, so that a bank that refuses them all has lost
nothing. What was done to the rows is counted for the truth tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.conf.banks import NEXT_MORNING, Feed, Fill, load_bank
from strata.conf.contracts import Column as SilverColumn
from strata.conf.contracts import Table
from strata.conf.tables import SILVER
from strata.conf.tables.shapes import MONEY
from strata.jobs.simulate.draws import Draws
from strata.jobs.simulate.world import World, month_of

# When a row can be sent, and the drop it is in.
AT, DROP, VARIANT, FAULT = "_at", "_drop", "_variant", "_fault"
OWN, LATE, AGAIN, WRONG, RIGHT, BROKEN = ("own", "late", "again", "wrong", "right", "broken")
UNKNOWN_ID = "999999999"
NO_SUCH = {"int": "12x", "bigint": "12x", MONEY: "1,5o", "date": "2025-02-30", "boolean": "maybe"}
FEEDS = load_bank("simulated").feeds
REFERRED = {reference.table for feed in FEEDS for reference in feed.fill.references.values()}
POSITIVE = re.compile(r"(\w+) >=? 0")


@dataclass(frozen=True)
class Garbling:
    """One way to break a row: the delivered column and what stands in it instead; without a column, the line."""

    fault: str
    column: str | None = None
    text: str | None = None


def drop_of(world: World, at: Column) -> Column:
    """The day of the drop that a row is in: its own, its month's or quarter's last; history comes on the eve."""
    day = F.to_date(at)
    months_end, last = F.last_day(day), F.lit(world.until - timedelta(days=1))
    quarters_end = F.last_day(F.add_months(F.trunc(day, "quarter"), 2))
    # The last quarter may not be whole; what comes after it is never sent.
    within = F.when(day <= last, F.least(quarters_end, last)).otherwise(quarters_end)
    regular = {"day": day, "month": months_end, "quarter": within}[world.sim.drop]
    eve = F.lit(world.start - timedelta(days=1))
    return F.when(at < F.lit(world.start).cast("timestamp"), eve).otherwise(regular)


def drops(world: World) -> list[date]:
    """All regular drops of the months asked for, and the eve of the start when those begin with it."""
    first = month_of(world.start, world.first)
    days = [first + timedelta(days=number) for number in range((world.until - first).days)]
    if world.sim.drop != "day":
        days = [day for day in days if (day + timedelta(days=1)).day == 1]
    if world.sim.drop == "quarter":
        days = [day for day in days if day.month % 3 == 0 or day == days[-1]]
    return ([world.start - timedelta(days=1)] if world.first == 0 else []) + days


def delivered(world: World, feed: Feed, happened: DataFrame) -> DataFrame:
    """The rows of a feed as they are sent: its columns as typed values, ``_drop``, ``_variant`` and ``_fault``.

    ``happened`` has the feed's columns (those that it lacks are null) and ``_at``, the moment from which a row can be
    sent. No shuffle.
    """
    contract, seed = SILVER[feed.fill.table], world.sim.seed
    values = {
        name: (F.col(name) if name in happened.columns else F.lit(None)).cast(kind)
        for name, kind in feed.types(contract).items()
    }
    bits = F.xxhash64(F.lit(seed), F.lit(feed.kind), *(values[name] for name in _identity(feed, contract)))
    shaped = (value.alias(name) for name, value in values.items())
    rows = happened.select(*shaped, F.col(AT).cast("timestamp"), bits.alias("_bits"))
    rows = rows.select("*", F.explode(_variants(world, feed, contract)).alias(VARIANT))
    sent = {name: F.col(name) for name in values} | _later(world, feed) | _wrong_at_first(contract)
    tags = {DROP: drop_of(world, _sent_at(world, feed)), VARIANT: F.col(VARIANT), FAULT: _fault(world, feed)}
    return rows.select(*(value.alias(name) for name, value in (sent | tags).items()))


def _identity(feed: Feed, contract: Table) -> list[str]:
    clear = feed.fill.clear()
    return [clear.get(name, name) for name in contract.key if name != "known_ts"]


def _moves(feed: Feed) -> bool:
    """Whether a row can come later without its event being another; what others refer to never does."""
    fill = feed.fill
    if fill.table in REFERRED:
        return False
    return fill.known == NEXT_MORNING or (_has_time(fill) and fill.known != fill.event)


def _has_time(fill: Fill) -> bool:
    """Whether the source itself says when a row was known."""
    return fill.known in fill.clocks(SILVER[fill.table])


def _variants(world: World, feed: Feed, contract: Table) -> Column:
    """How often and in which forms a row is sent: an array of variants."""
    shares, draw = world.sim.delivery, Draws(0)
    # Where there is no amount nothing can be wrong with it.
    amount = _amount(contract) if _moves(feed) else None
    corrects = F.col(amount).isNotNull() if amount else F.lit(False)
    fate = draw.uniform("fate", "_bits")
    late = shares.late if _moves(feed) else 0.0
    corrected = F.lit(late) + F.when(corrects, shares.correction).otherwise(0.0)
    again = corrected + shares.duplicate
    forms = (
        F.when(fate < late, F.array(F.lit(LATE)))
        .when(fate < corrected, F.array(F.lit(WRONG), F.lit(RIGHT)))
        .when(fate < again, F.array(F.lit(OWN), F.lit(AGAIN)))
        .otherwise(F.array(F.lit(OWN)))
    )
    broken = draw.happens(shares.broken, "broken", "_bits")
    return F.when(broken, F.concat(forms, F.array(F.lit(BROKEN)))).otherwise(forms)


def _delay(world: World) -> Column:
    """Later forms are sent days later."""
    draw, numbers = Draws(0), world.sim.delivery
    days = F.when(F.col(VARIANT) == LATE, draw.whole(*numbers.days_late, "days late", "_bits"))
    days = days.when(F.col(VARIANT) == RIGHT, draw.whole(*numbers.days_to_correct, "days to correct", "_bits"))
    return F.make_interval(days=F.coalesce(days, F.lit(0)))


def _later(world: World, feed: Feed) -> dict[str, Column]:
    """The time at which the source had a row moves along with its sending, but not that of a repeat."""
    known = feed.fill.known
    return {known: F.col(known) + _delay(world)} if _has_time(feed.fill) else {}


def _sent_at(world: World, feed: Feed) -> Column:
    """A repeat comes with the drop after; so does what is right, where a drop is all that says when a row was known."""
    after = F.date_add(drop_of(world, F.col(AT)), 1).cast("timestamp")
    waits = [AGAIN, RIGHT] if feed.fill.known == NEXT_MORNING else [AGAIN]
    return F.when(F.col(VARIANT).isin(*waits), after).otherwise(F.col(AT)) + _delay(world)


def _amount(contract: Table) -> str | None:
    """The column that is wrong at first: the first amount of money."""
    return next((column.name for column in contract.columns if column.type == MONEY), None)


def _wrong_at_first(contract: Table) -> dict[str, Column]:
    amount = _amount(contract)
    if amount is None:
        return {}
    wrong = (F.col(amount) * F.lit("1.10").cast("decimal(3,2)") + F.lit("1.00").cast("decimal(3,2)")).cast(MONEY)
    return {amount: F.when(F.col(VARIANT) == WRONG, wrong).otherwise(F.col(amount))}


def garblings(feed: Feed) -> list[Garbling]:
    """Every way to break a row of a feed that its contract must notice."""
    contract = SILVER[feed.fill.table]
    columns = feed.named(contract)
    found = [Garbling("missing", next(name for name, column in columns.items() if not column.nullable))]
    if feed.fill.references:
        found.append(Garbling("orphan", next(iter(feed.fill.references)), UNKNOWN_ID))
    for check in contract.checks:
        positive = POSITIVE.match(check.sql)
        if positive and positive[1] in columns:
            found.append(Garbling("rule", positive[1], "-7"))
        elif check.reason.startswith("unknown "):
            found.append(Garbling("word", check.sql.split()[0], "no_such_word"))
    # Parquet holds typed values: only text can be no number.
    return found if feed.format == "parquet" else [*found, *_text_garblings(feed, columns)]


def _text_garblings(feed: Feed, columns: Mapping[str, SilverColumn]) -> list[Garbling]:
    found = []
    for kind, text in NO_SUCH.items():
        name = next((name for name, column in columns.items() if column.type == kind), None)
        if name:
            found.append(Garbling(f"not {kind.split('(')[0]}", name, text))
    return [*found, Garbling("fields" if feed.format == "csv" else "cut"), Garbling("encoding")]


def _fault(world: World, feed: Feed) -> Column:
    """What is wrong with a broken row: its number in ``garblings``, null for all others."""
    pick = Draws(world.sim.seed).whole(0, len(garblings(feed)) - 1, "fault", "_bits")
    return F.when(F.col(VARIANT) == BROKEN, pick)
