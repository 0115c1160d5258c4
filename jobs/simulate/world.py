"""The frame of a simulated bank: its people by position, its numbers for them, its months and its days.

A person is a position from 0 to the number of customers; everything about them follows from it, so that a tie to
another position needs no join. Numbers that the bank gives are scrambled positions: neighbours in one are none in the
other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.conf.simulation import Simulation, load_calendar
from strata.jobs.simulate.draws import Draws, Who, column, slots

# A prime above any number of customers, so that multiplying by it only shuffles the positions.
SCRAMBLE = 2_147_483_647
FIRST_CUSTOMER, FIRST_EMPLOYER = 10_000_001, 500_001
DISTRICTS, BRANCHES_A_DISTRICT = 24, 2
BRANCHES = DISTRICTS * BRANCHES_A_DISTRICT


def person_id(position: Column, customers: int) -> Column:
    """The customer's number at a position."""
    return (position.cast("long") * SCRAMBLE) % customers + FIRST_CUSTOMER


def account_id(customer: Column) -> Column:
    """A customer's current account."""
    return customer * 10 + 1


def account_number(account: Column) -> Column:
    """The number by which others pay into an account."""
    return F.concat(F.lit("6225"), F.lpad(account.cast("string"), 14, "0"))


def phone(customer: Column, number: Column | int = 0) -> Column:
    """A customer's first, second … phone number."""
    nth = number if isinstance(number, Column) else F.lit(number)
    return F.concat(F.lit("1"), (nth % 7 + 3).cast("string"), F.lpad((customer % 1_000_000_000).cast("string"), 9, "0"))


def moment(day: Who, minutes: Column | int, seconds: Column | int = 0) -> Column:
    """A moment of a day (date or text of a column's name), so many minutes and seconds after its midnight."""
    parts = (part if isinstance(part, Column) else F.lit(part) for part in (minutes, seconds))
    return column(day).cast("timestamp") + F.make_interval(**dict(zip(("mins", "secs"), parts, strict=True)))


def _days(month: date) -> int:
    """How many days a month has, from its first."""
    return (month_of(month, 1) - month).days


def month_of(day: date, months: int) -> date:
    """The first of the month that lies ``months`` after that of ``day``."""
    number = day.year * 12 + day.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


@dataclass(frozen=True)
class World:
    """A simulation in a session; ``first`` and ``last`` bound the months whose happenings are asked for.

    Months count from the start: 0 is the first simulated one, negative ones lie before it.
    """

    spark: SparkSession
    sim: Simulation
    first: int
    last: int

    @property
    def draws(self) -> Draws:
        """Chance, by the simulation's seed."""
        return Draws(self.sim.seed)

    @property
    def start(self) -> date:
        """First simulated day."""
        return self.sim.start

    @property
    def since(self) -> int:
        """The first month asked for in which anything happens but credit and contributions: none before the start."""
        return max(0, self.first)

    @property
    def reported_from(self) -> int:
        """The first month that files of later months still tell of: a year before the start."""
        return self.first - 3 if self.first else -12

    @property
    def until(self) -> date:
        """First day after the months asked for."""
        return month_of(self.start, self.last + 1)

    @property
    def drift_month(self) -> int:
        """The month from which hazards are higher."""
        return round(self.sim.months * self.sim.drift.after)

    @property
    def drift_on(self) -> date:
        """The first day of that month."""
        return month_of(self.start, self.drift_month)

    @property
    def employers(self) -> int:
        """How many employers there are."""
        return max(30, self.sim.customers // self.sim.people.customers_per_employer)

    @property
    def managers_a_branch(self) -> int:
        """How many customer managers a branch has."""
        return max(2, self.sim.customers // (BRANCHES * 150))

    @property
    def rings_from(self) -> int:
        """The first position in a fraud ring: rings are the last positions."""
        groups = self.sim.groups
        return self.sim.customers - max(4, int(self.sim.customers * groups.ring_share) // groups.ring_size) * (
            groups.ring_size
        )

    @property
    def circles_from(self) -> int:
        """The first position in a guarantee circle: circles lie before the rings."""
        groups = self.sim.groups
        size = groups.circle_size
        return self.rings_from - max(4, int(self.sim.customers * groups.circle_share) // size) * size

    def customer(self, position: Who) -> Column:
        """The customer's number at a position."""
        return person_id(column(position), self.sim.customers)

    def month(self, number: Who) -> Column:
        """The first day of a month by its number."""
        return F.add_months(F.lit(self.start), column(number))

    def month_number(self, day: Who) -> Column:
        """The number of the month that a day is in."""
        when = column(day)
        return ((F.year(when) - self.start.year) * 12 + F.month(when) - self.start.month).cast("int")

    def months(self, first: int | None = None, last: int | None = None) -> DataFrame:
        """A row a month asked for: month_no, month, days."""
        rows = [
            (number, month_of(self.start, number), _days(month_of(self.start, number)))
            for number in self._numbers(first, last)
        ]
        return self.spark.createDataFrame(rows, "month_no int, month date, days int")

    def slots(self) -> DataFrame:
        """A row a month asked for: month_no, and a thousand slots of days, each day as often as it is spent on.

        ``day_slots`` are of all spending, ``essential_slots`` of what people can't do without: the calendar shows less.
        """
        rows = []
        for number in self._numbers(None, None):
            month = month_of(self.start, number)
            weights = [self.day_weight(month + timedelta(days=day)) for day in range(_days(month))]
            rows.append((number, slots(weights), slots([weight**0.3 for weight in weights])))
        return self.spark.createDataFrame(rows, "month_no int, day_slots array<int>, essential_slots array<int>")

    def _numbers(self, first: int | None, last: int | None) -> range:
        return range(self.since if first is None else first, (self.last if last is None else last) + 1)

    def day_weight(self, day: date) -> float:
        """How much is spent on a day, an ordinary working day being 1."""
        spending, calendar = self.sim.spending, load_calendar()
        weight = 1.0
        if day in calendar.holidays:
            weight = spending.holiday
        elif day.weekday() >= 5 and day not in calendar.worked:
            weight = spending.weekend
        if any(0 < (festival - day).days <= 14 for festival in calendar.spring_festival):
            weight *= spending.before_spring_festival
        return weight

    def day_in(self, draw: Column, slots_column: str = "day_slots") -> Column:
        """A day of the month in the row, by a uniform draw."""
        return F.date_add("month", F.element_at(slots_column, (F.floor(draw * 1000) + 1).cast("int")))
