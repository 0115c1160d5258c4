"""Which pairs become links: a logistic regression on what is known of a pair, for ranking them.

Every feature is taken as ln(1 + x / m), m being the median of its positive values, in standard deviations: counts,
sums and probabilities of any scale become alike. More of a feature never lowers a chance, unless it is named ``free``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.models.binning.bin_counts import Floats
from strata.models.samples.training_rows import column, require_column
from strata.models.scorecard.logistic import (
    Pass,
    Sums,
    likelihood_sums,
    maximise,
    penalised,
    read_sums,
    standard_errors,
    wald_p_value,
)

_SLICES = 1 << 20


@dataclass(frozen=True)
class LinkRanking:
    """A fitted ranking; arrays are in the order of ``features``.

    The log-odds of a link are ``intercept`` + sum of coefficients · (ln(1 + x / unit) − mean) / spread.
    ``standard_errors`` are NaN where a coefficient rests on its bound of 0.
    """

    features: tuple[str, ...]
    units: Floats
    means: Floats
    spreads: Floats
    intercept: float
    coefficients: Floats
    standard_errors: Floats
    pairs: int
    links: int

    def score(self, pairs: DataFrame) -> DataFrame:
        """Add ``link_probability``; a missing feature counts as 0. No shuffle."""
        parts = [
            _scaled(name, unit, mean, spread) * float(beta)
            for name, unit, mean, spread, beta in zip(
                self.features, self.units, self.means, self.spreads, self.coefficients
            )
            if beta
        ]
        odds = reduce(add, parts, F.lit(self.intercept))
        return pairs.withColumn("link_probability", 1 / (1 + F.exp(-odds)))

    def table(self) -> pd.DataFrame:
        """A row a feature: coefficient (log-odds a standard deviation), standard_error, p_value; by coefficient."""
        p_values = [wald_p_value(b, e) for b, e in zip(self.coefficients, self.standard_errors)]
        columns = {"coefficient": self.coefficients, "standard_error": self.standard_errors, "p_value": p_values}
        table = pd.DataFrame(columns, index=pd.Index(self.features, name="feature"))
        return table.sort_values("coefficient", ascending=False, kind="stable")


def fit_link_ranking(
    pairs: DataFrame,
    *,
    target: str,
    features: Sequence[str],
    key: Sequence[str],
    free: Sequence[str] = (),
    penalty: float = 1.0,
    most: int = 200_000,
) -> LinkRanking:
    """Fit a ranking to ``pairs``, of which ``target`` says whether they became links (1 or 0).

    ``features`` are numbers from 0 (null is 0), known before the period in which links were made. Links are rare, so
    of each class at most about ``most`` pairs are kept, drawn by a hash of ``key`` and weighted back: probabilities
    are those of all pairs, and standard errors, which take a weight for rows, are slightly small where the class of
    links was cut. ``penalty`` · (sum of squared coefficients) / 2 is taken from the log-likelihood.
    Plan: one scan to count, one to bring the drawn pairs to the driver; no shuffle. Raises ``ValueError`` on a missing
    column, a target that is null or not 0/1, a negative or infinite feature, or when there are no links or only links.
    """
    _check(pairs, target, features, key, free)
    counts = _counts(pairs, target, features)
    rows = _drawn(pairs, target, features, key, [most / count for count in counts]).toPandas()
    link = rows["link"].to_numpy(np.int64)
    weight = (counts / np.bincount(link, minlength=2))[link]
    return fit_rows(rows[list(features)].to_numpy(np.float64), link, weight, features, free, penalty)


def fit_rows(
    x: Floats,
    link: NDArray[np.int64],
    weight: Floats,
    features: Sequence[str],
    free: Sequence[str] = (),
    penalty: float = 1.0,
) -> LinkRanking:
    """``fit_link_ranking`` of drawn rows: features (rows x features), links (0 or 1) and weights."""
    units = np.array([np.median(part[part > 0]) if (part > 0).any() else 1.0 for part in x.T])
    logs = np.log1p(x / units)
    means = np.average(logs, axis=0, weights=weight)
    spreads = np.sqrt(np.average((logs - means) ** 2, axis=0, weights=weight))
    moving = spreads > 1e-12
    scaled = np.where(moving, (logs - means) / np.where(moving, spreads, 1.0), 0.0)
    # The solver bounds coefficients from above, so features stand with their sign turned.
    sums = _pass(np.column_stack([np.ones(len(link)), -scaled]), link.astype(float), weight, penalty)
    upper = np.array([np.inf, *(np.inf if name in free else 0.0 for name in features)])
    start = np.zeros(len(features) + 1)
    start[0] = math.log(weight @ link / (weight @ (1 - link)))
    used = np.array([True, *moving])
    at = maximise(sums, sums(start), used, upper)
    errors = standard_errors(at, used & (at.beta < upper))
    spreads = np.where(moving, spreads, 1.0)
    sizes = round(float(weight.sum())), round(float(weight @ link))
    return LinkRanking(
        tuple(features), units, means, spreads, float(at.beta[0]), -at.beta[1:] + 0.0, errors[1:], *sizes
    )


def _pass(x: Floats, link: Floats, weight: Floats, penalty: float) -> Pass:
    def one(beta: Floats) -> Sums:
        return penalised(read_sums(likelihood_sums(x, link, weight, beta), beta, x.shape[1]), penalty)

    return one


def _scaled(name: str, unit: float, mean: float, spread: float) -> Column:
    value = F.coalesce(column(name).cast("double"), F.lit(0.0))
    return (F.log1p(value / float(unit)) - float(mean)) / float(spread)


def _check(pairs: DataFrame, target: str, features: Sequence[str], key: Sequence[str], free: Sequence[str]) -> None:
    for role, names in (("target", [target]), ("features", features), ("key", key)):
        for name in names:
            require_column(pairs, role, name)
    if strange := sorted({*free} - {*features}):
        raise ValueError(f"free: {strange[0]!r} is none of the features: {', '.join(features)}")


def _counts(pairs: DataFrame, target: str, features: Sequence[str]) -> tuple[int, int]:
    """Pairs that became no link, and those that did."""
    link = column(target).cast("double")

    def count(condition: Column) -> Column:
        return F.count_if(F.coalesce(condition, F.lit(False)))

    # NaN is above every number.
    values = [column(name).cast("double") for name in features]
    bad = [count((value < 0) | (value >= float("inf"))) for value in values]
    row = pairs.agg(count(link == 0), count(link == 1), F.count(F.lit(1)), *bad).head()
    assert row is not None
    if row[0] + row[1] != row[2]:
        raise ValueError(f"target: {target!r} is null or not 0/1 in {row[2] - row[0] - row[1]} pairs")
    if not (row[0] and row[1]):
        raise ValueError("target: there must be pairs that became links and pairs that didn't")
    for name, wrong in zip(features, row[3:]):
        if wrong:
            raise ValueError(f"features: {name!r} is negative, NaN or infinite in {wrong} pairs")
    return row[0], row[1]


def _drawn(
    pairs: DataFrame, target: str, features: Sequence[str], key: Sequence[str], shares: Sequence[float]
) -> DataFrame:
    """``link`` and the features of a share of those without a link, and of those with one."""
    link = column(target).cast("int")
    slice_of = F.pmod(F.xxhash64(*(column(name) for name in key)), F.lit(_SLICES))
    without, with_one = (math.ceil(min(share, 1.0) * _SLICES) for share in shares)
    numbers = [F.coalesce(column(name).cast("double"), F.lit(0.0)).alias(name) for name in features]
    return pairs.where(slice_of < F.when(link == 1, with_one).otherwise(without)).select(link.alias("link"), *numbers)
