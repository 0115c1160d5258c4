"""Chance that is a function: every draw is a hash of the seed, what is drawn and for whom.

So a draw is the same whatever the order, partitions or cores, any row can be made alone, and another row's draw
can be known without joining it. Two draws are independent when their names differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import TypeAlias

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Who: TypeAlias = Column | str
# A double has 53 bits.
_STEP = 2.0**-53


@dataclass(frozen=True)
class Draws:
    """Draws of one seed."""

    seed: int

    def bits(self, name: str, *who: Who) -> Column:
        """64 random bits (long)."""
        return F.xxhash64(F.lit(self.seed), F.lit(name), *(column(one).cast("long") for one in who))

    def number(self, name: str, *who: Who) -> Column:
        """A number of 62 bits (long): hardly two rows have the same."""
        return F.shiftrightunsigned(self.bits(name, *who), 2)

    def uniform(self, name: str, *who: Who) -> Column:
        """A double in [0, 1)."""
        return F.shiftrightunsigned(self.bits(name, *who), 11) * F.lit(_STEP)

    def normal(self, name: str, *who: Who) -> Column:
        """A standard normal (Box and Muller)."""
        radius = F.sqrt(-2 * F.log(1 - self.uniform(f"{name} radius", *who)))
        return radius * F.cos(2 * F.pi() * self.uniform(f"{name} angle", *who))

    def happens(self, chance: Column | float, name: str, *who: Who) -> Column:
        """True with probability ``chance``."""
        return self.uniform(name, *who) < chance

    def whole(self, low: int, high: Column | int, name: str, *who: Who) -> Column:
        """A whole number from ``low`` to ``high``, both included, all alike."""
        top = high if isinstance(high, Column) else F.lit(high)
        return (F.floor(self.uniform(name, *who) * (top - low + 1)) + low).cast("int")

    def choice(self, weights: Mapping[str, float], name: str, *who: Who) -> Column:
        """One of the words, each as likely as its weight."""
        return chosen(self.uniform(name, *who), weights)

    def counted(
        self, rows: DataFrame, column: str, mean: Column | float, name: str, *who: Who, most: int = 12
    ) -> DataFrame:
        """``rows`` with a Poisson number in ``column``, at most ``most``: for small means, by distribution function.

        Mean and draw stand in columns of their own first: each is used once a term.
        """
        given = mean if isinstance(mean, Column) else F.lit(mean)
        rows = rows.withColumns({"_mean": given.cast("double"), "_draw": self.uniform(name, *who)})
        below = [F.exp(-F.col("_mean")) * _partial(number) for number in range(most)]
        found = sum(((F.col("_draw") >= bound).cast("int") for bound in below), start=F.lit(0))
        return rows.withColumn(column, found).drop("_mean", "_draw")

    def arrivals(self, rows: DataFrame, mean: Column | float, name: str, *who: Who, most: int = 12) -> DataFrame:
        """Each row a Poisson number of times, numbered ``nth`` from 1."""
        return repeated(self.counted(rows, "_n", mean, name, *who, most=most), F.col("_n")).drop("_n")

    def many(self, mean: Column, name: str, *who: Who) -> Column:
        """A whole number about ``mean`` with a Poisson's spread: for means above some five."""
        return F.greatest(F.lit(0), F.round(mean + F.sqrt(mean) * self.normal(name, *who))).cast("int")

    def skewed(self, median: Column | float, spread: float, name: str, *who: Who) -> Column:
        """A lognormal; ``spread`` is the standard deviation of the logarithm."""
        return (median if isinstance(median, Column) else F.lit(median)) * F.exp(spread * self.normal(name, *who))


def chosen(draw: Column, weights: Mapping[str, float]) -> Column:
    """The word into whose share of the weights a uniform ``draw`` falls."""
    words, total = [*weights], sum(weights.values())
    found, below = F.lit(words[-1]), 1.0
    for word in reversed(words[:-1]):
        below -= weights[words[words.index(word) + 1]] / total
        found = F.when(draw < below, F.lit(word)).otherwise(found)
    return found


def _partial(terms: int) -> Column:
    """1 + m + m²/2 + … + mⁿ/n! of the mean, by Horner's rule."""
    value = F.lit(1.0)
    for number in range(terms, 0, -1):
        value = 1 + F.col("_mean") / number * value
    return value


def repeated(rows: DataFrame, number: Column, name: str = "nth") -> DataFrame:
    """Each row ``number`` times, numbered from 1: not at all for 0."""
    return rows.withColumn(name, F.explode(F.sequence(F.lit(0), number))).where(F.col(name) > 0)


def logistic(value: Column) -> Column:
    """1 / (1 + exp(-value))."""
    return 1 / (1 + F.exp(-value))


def slots(weights: Sequence[float], size: int = 1000) -> list[int]:
    """``size`` slots that hold the numbers of the weights, each as often as its weight: a draw in one lookup."""
    found: list[int] = []
    total, below = sum(weights), 0.0
    for number, weight in enumerate(weights):
        below += weight
        found += [number] * (round(size * below / total) - len(found))
    return found


def odds(chance: float) -> float:
    """The logistic function's argument at ``chance``."""
    return log(chance / (1 - chance))


def column(one: Who) -> Column:
    """A column, given or by its name."""
    return F.col(one) if isinstance(one, str) else one


def looked_up(table: Mapping[str, str | float], word: Column) -> Column:
    """What the table has for the word in a row; null for a word that it doesn't have."""
    return F.element_at(F.create_map(*(F.lit(part) for pair in table.items() for part in pair)), word)
