"""Planted groups: households, fraud rings and guarantee circles, as functions of the position.

Rings are the last positions and circles those before; everybody else lives in households of neighbouring positions.
Customers' numbers are scrambled positions, so a group's numbers say nothing.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from strata.jobs.simulate.world import World, person_id, phone

# Blocks of six positions fall into households in one of these ways; by the census of 2020 one has 2.6 people.
PATTERNS = ((1, 2, 3), (2, 4), (3, 3), (1, 1, 4), (2, 2, 2), (1, 5))
BLOCK = 6
RINGS = ("shared_device", "synthetic_identity", "mule_chain", "transfer_cycle")
CIRCLES = ("mutual", "cycle", "joint", "chain")


def columns(world: World) -> dict[str, Column]:
    """household, place in it and its size; ring, ring_kind, ring_place; circle, circle_kind, circle_place."""
    return {**_rings(world), **_circles(world), **_households(world)}


def _rings(world: World) -> dict[str, Column]:
    size = world.sim.groups.ring_size
    inside = F.col("position") >= world.rings_from
    number = F.floor((F.col("position") - world.rings_from) / size)
    return {
        "ring": F.when(inside, number),
        "ring_kind": F.when(inside, _named(RINGS, number)),
        "ring_place": F.when(inside, ((F.col("position") - world.rings_from) % size).cast("int")),
    }


def _circles(world: World) -> dict[str, Column]:
    size = world.sim.groups.circle_size
    inside = F.col("position").between(world.circles_from, world.rings_from - 1)
    number = F.floor((F.col("position") - world.circles_from) / size)
    return {
        "circle": F.when(inside, number),
        "circle_kind": F.when(inside, _named(CIRCLES, number)),
        "circle_place": F.when(inside, ((F.col("position") - world.circles_from) % size).cast("int")),
    }


def _named(kinds: tuple[str, ...], number: Column) -> Column:
    return F.element_at(F.array(*(F.lit(kind) for kind in kinds)), (number % len(kinds) + 1).cast("int"))


def _households(world: World) -> dict[str, Column]:
    """A household is named by the position of its first member."""
    block, place = F.floor(F.col("position") / BLOCK), (F.col("position") % BLOCK).cast("int")
    pattern = world.draws.whole(0, len(PATTERNS) - 1, "household", block)
    starts = [[sum(sizes[:n]) for n, size in enumerate(sizes) for _ in range(size)] for sizes in PATTERNS]
    counts = [[size for size in sizes for _ in range(size)] for sizes in PATTERNS]
    alone = F.col("position") >= world.circles_from
    first = block * BLOCK + _cell(starts, pattern, place)
    # The last block may reach into the circles: who is beyond lives alone.
    size = F.least(_cell(counts, pattern, place).cast("long"), world.circles_from - first)
    return {
        "household": F.when(alone, F.col("position")).otherwise(first),
        "household_size": F.when(alone, 1).otherwise(size).cast("int"),
        "household_place": F.when(alone, 0).otherwise(F.col("position") - first).cast("int"),
    }


def _cell(table: list[list[int]], row: Column, column: Column) -> Column:
    flat = F.array(*(F.lit(value) for values in table for value in values))
    return F.element_at(flat, row * BLOCK + column + 1)


def ring_phone(world: World) -> Column:
    """Members of a synthetic ring have two phones among them: those of its first two members."""
    first = F.col("position") - F.col("ring_place")
    shared = person_id(first + F.col("ring_place") % 2, world.sim.customers)
    return F.when(F.col("ring_kind") == "synthetic_identity", phone(shared, 2))


def ring_device(world: World) -> Column:
    """Members of a device ring sign in from one device; those of other rings from their own."""
    first = person_id(F.col("position") - F.col("ring_place"), world.sim.customers)
    return F.when(F.col("ring_kind") == "shared_device", F.concat(F.lit("SN9"), first.cast("string")))


def out_for_money() -> Column:
    """Whether a person is in a ring that borrows to run: of one device or of made-up identities."""
    return F.coalesce(F.col("ring_kind").isin("shared_device", "synthetic_identity"), F.lit(False))


def ring_month(world: World) -> Column:
    """The month in which a ring strikes."""
    return world.draws.whole(0, max(0, world.sim.months - 1), "ring month", "ring")


def circle_month(world: World) -> Column:
    """The month in which a circle has borrowed."""
    return world.draws.whole(-world.sim.credit.history_months, -4, "circle month", "circle")
