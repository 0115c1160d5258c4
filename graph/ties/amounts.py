"""Money between tables and tasks: decimals in the bank's currency, and whole cents, which tasks add exactly."""

from __future__ import annotations

import numpy as np
from pyspark.sql import Column
from pyspark.sql import functions as F

from strata.graph.algorithms.arrays import Ints

MONEY = "decimal(18,2)"
MONEY_SUM = "decimal(28,2)"


def in_cents(amount: Column) -> Column:
    """An amount as a whole number of cents (long), 0 for null."""
    return F.coalesce(amount.cast(MONEY_SUM) * 100, F.lit(0)).cast("long")


def from_cents(cents: Column) -> Column:
    """Cents, rounded to whole ones, as an amount."""
    return (F.round(cents).cast("decimal(28,0)") / 100).cast(MONEY_SUM)


def totals(n: int, place: Ints, values: Ints) -> Ints:
    """The sum of ``values`` at each of the places 0 to ``n`` - 1."""
    total = np.zeros(n, dtype=np.int64)
    np.add.at(total, place, values)
    return total
