"""Risk-based price: what a year of a loan must earn, as column expressions over a price policy.

Rate = probability of default within a year x loss given default + funding + operating cost + capital held x
its cost + margin, all on what is owed. A probability over the loan's term is brought to one year at a
constant hazard: 1 - (1 - p)^(12 / months). Each band of risk pays the price of one probability inside it,
so, all else equal, no better risk pays more.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column
from pyspark.sql import functions as F

from strata.conf.policies import PriceBand, PricePolicy

RATE = "decimal(6,4)"
MONEY = "decimal(18,2)"


def price_band(probability: Column, price: PricePolicy) -> Column:
    """The band's name (string); null for a null probability or one beyond the last band."""
    return _by_band(probability, price, lambda band: F.lit(band.band))


def needed_rate(probability: Column, term_months: Column, price: PricePolicy) -> Column:
    """The yearly rate (fraction, double) that covers the band's cost, before the policy's bounds."""
    yearly = _by_band(probability, price, lambda band: _yearly(band.probability, term_months, price))
    return yearly * F.lit(price.loss_given_default) + F.lit(price.costs)


def annual_rate(needed: Column, price: PricePolicy) -> Column:
    """The yearly rate that is charged (``decimal(6,4)``): what is needed, held within the policy's bounds."""
    held = F.least(F.greatest(needed, F.lit(price.lowest_rate)), F.lit(price.highest_rate))
    return F.when(needed.isNotNull(), held).cast(RATE)


def expected_loss(probability: Column, amount: Column, price: PricePolicy) -> Column:
    """Probability x loss given default x what is still owed at default, in money (``decimal(18,2)``)."""
    severity = price.loss_given_default * price.exposure_share
    return (probability * F.lit(severity) * amount.cast("double")).cast(MONEY)


def _by_band(probability: Column, price: PricePolicy, value: Callable[[PriceBand], Column]) -> Column:
    first, *others = price.bands
    chosen = F.when(probability < first.below, value(first))
    for band in others:
        chosen = chosen.when(probability < band.below, value(band))
    return chosen


def _yearly(probability: float, term_months: Column, price: PricePolicy) -> Column:
    months = term_months if price.probability_months is None else F.lit(price.probability_months)
    return F.lit(1.0) - F.pow(F.lit(1.0 - probability), F.lit(12.0) / months.cast("double"))
