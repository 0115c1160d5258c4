"""The steps of ``strata simulate``: the world asked for, its files, its truth."""

from __future__ import annotations

from argparse import Namespace
from functools import reduce

from pydantic import ValidationError
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from strata.conf.banks import Feed
from strata.conf.settings import Settings
from strata.conf.simulation import Simulation, load_simulation
from strata.conf.tables.truth import TRUTH
from strata.jobs.runtime.errors import UsageError
from strata.jobs.runtime.hadoop import absolute
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.parallel import at_once
from strata.jobs.simulate import truth
from strata.jobs.simulate.bank import Bank
from strata.jobs.simulate.delivery import DROP, FAULT, FEEDS, VARIANT, delivered, drops
from strata.jobs.simulate.files import KIND, Landing, clear, land, lines, shipments
from strata.jobs.simulate.world import World, month_of
from strata.jobs.table_catalog import lake_at

# Rows come late by weeks and corrected after others: a day's files hold rows of these months before.
MONTHS_BACK = 3
# What the rows that were sent are counted by.
SENT = (KIND, DROP, VARIANT, FAULT)


def bank(context: Context) -> Bank:
    """The bank asked for. Raises ``UsageError`` naming the option that can't be."""
    settings, asked = context.settings, context.options
    if context.bank.name != "simulated" or settings.landing is None:
        raise UsageError("this lands the files of a simulated bank: use --env simulated, or set bank and landing")
    sim = _simulation(settings, asked)
    if sim.start.day != 1:
        raise UsageError(f"--start {sim.start}: must be the first of a month")
    return Bank(_world(context, sim))


def _world(context: Context, sim: Simulation) -> World:
    """All months, or those that a day after them needs."""
    day = context.options.day
    if day is None:
        return World(context.spark, sim, 0, sim.months - 1)
    if day < month_of(sim.start, sim.months):
        raise UsageError(f"--day {day}: lies within the {sim.months} months from {sim.start} that are landed whole")
    number = (day.year - sim.start.year) * 12 + day.month - sim.start.month
    return World(context.spark, sim.model_copy(update={"drop": "day"}), number - MONTHS_BACK, number)


def _simulation(settings: Settings, asked: Namespace) -> Simulation:
    given = {name: getattr(asked, name) for name in ("customers", "start", "months", "drop", "seed")}
    of_bank = settings.simulation.model_dump()
    chosen = {**of_bank.pop("numbers"), **of_bank, "seed": settings.seed}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        return load_simulation(**{**chosen, **given})
    except ValidationError as wrong:
        first = wrong.errors()[0]
        raise UsageError(f"simulation: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def send(context: Context, bank: Bank) -> list[Row]:
    """Land every feed that the bank declares, text a few in one write; rows sent by feed, drop, form, fault."""
    generators = bank.feeds()
    days = [context.options.day] if context.options.day else drops(bank.world)
    home = simulated_home(context.settings)
    declared = {feed.kind for feed in context.bank.feeds}
    with context.progress.step("people, loans and their fates") as step:
        step.says(f"{bank.people.count():,} people, {bank.lent.count():,} loans, {bank.due.count():,} instalments")

    if context.options.day is None:
        clear(context.spark, home)

    def one(feeds: list[Feed]) -> list[Row]:
        with context.progress.step(", ".join(feed.kind for feed in feeds)) as step:
            made = [lines(feed, delivered(bank.world, feed, generators[feed.kind]())) for feed in feeds]
            rows = reduce(DataFrame.unionByName, made).where(F.col(DROP).isin(*days))
            rows = rows.persist(StorageLevel.MEMORY_AND_DISK)
            counted = rows.groupBy(*SENT).agg(F.count("*").alias("rows")).collect()
            files = land(context.spark, feeds, rows, days, home)
            step.says(f"{sum(row.rows for row in counted):,} rows in {files} files")
            rows.unpersist()
        return counted

    shipped = shipments([feed for feed in FEEDS if feed.kind in declared])
    return [row for counted in at_once(one, shipped) for row in counted]


def tell_truth(context: Context, bank: Bank, sent: list[Row]) -> None:
    """Write the truth beside the landing folder, where no job but evaluation looks."""
    home = simulated_home(context.settings)
    lake = lake_at(context.spark, home.parent, context.run_id)
    for table in TRUTH.values():
        lake.declare(table)
    with context.progress.step("truth") as step:
        delivery = context.spark.createDataFrame([tuple(row) for row in sent], TRUTH["truth_delivery"].schema_ddl)
        written = lake.replace_all({**truth.tables(bank), "truth_delivery": delivery})
        step.says(f"{len(written)} tables in {home.parent}/truth")


def simulated_home(settings: Settings) -> Landing:
    """The landing folder."""
    return Landing(absolute(str(settings.landing)))
