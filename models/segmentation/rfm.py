"""RFM: customers scored by how recently, how often and for how much they transact, and named in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.conf.policies import RfmPolicy, RfmSegment
from strata.models.samples.table_checks import require_numbers

MEASURES = ("recency", "frequency", "monetary")
_ACCURACY = 10_000


@dataclass(frozen=True)
class Rfm:
    """Bounds of the score classes of one book; score later months with them to see customers move."""

    columns: Mapping[str, str]
    bounds: Mapping[str, tuple[float, ...]]
    policy: RfmPolicy

    def score(self, customers: DataFrame) -> DataFrame:
        """Add ``recency_score``, ``frequency_score``, ``monetary_score`` (1 to n; n is best), ``rfm`` (the
        digits together, such as "543"), ``rfm_segment`` and ``rfm_words``.

        A value on a bound belongs to the lower class of its measure, equal values always to one class. A
        null (nothing has happened) scores 1. One pass, no shuffle.
        """
        require_numbers(customers, "customers", tuple(self.columns.values()))
        scored = customers.withColumns({f"{name}_score": self._score(name) for name in MEASURES})
        return scored.withColumns(
            {
                "rfm": F.concat(*[F.col(f"{name}_score").cast("string") for name in MEASURES]),
                "rfm_segment": self._first("segment"),
                "rfm_words": self._first("words"),
            }
        )

    def _score(self, measure: str) -> Column:
        value = _number(self.columns[measure])
        passed = sum((F.when(value > bound, 1).otherwise(0) for bound in self.bounds[measure]), F.lit(0))
        best_first = measure == "recency"
        score = F.lit(self.policy.quantiles) - passed if best_first else passed + 1
        return F.when(value.isNull(), 1).otherwise(score)

    def _first(self, field: str) -> Column:
        *named, rest = self.policy.segments
        chosen = F.lit(getattr(rest, field))
        for segment in reversed(named):
            chosen = F.when(_holds(segment), getattr(segment, field)).otherwise(chosen)
        return chosen


def fit_rfm(customers: DataFrame, policy: RfmPolicy, *, recency: str, frequency: str, monetary: str) -> Rfm:
    """Find the bounds of the score classes in ``customers`` (one row each).

    ``recency`` is days since the last transaction, ``frequency`` a count and ``monetary`` an amount over one
    window. Bounds are the quantiles (smallest value with at least that share at or below it) among non-null
    values: exact up to 10,000 customers, beyond that within 0.01 % of ranks. One scan, no shuffle of rows.
    Raises ``ValueError`` naming a column that is missing, not a number, or null in every row.
    """
    columns = {"recency": recency, "frequency": frequency, "monetary": monetary}
    require_numbers(customers, "customers", tuple(columns.values()))
    shares = [step / policy.quantiles for step in range(1, policy.quantiles)]
    found = customers.agg(
        *[F.percentile_approx(_number(column), shares, _ACCURACY).alias(name) for name, column in columns.items()]
    ).collect()[0]
    for name, column in columns.items():
        if found[name] is None:
            raise ValueError(f"{name}: column {column!r} holds no value at all; there is nothing to rank")
    return Rfm(columns, {name: tuple(found[name]) for name in MEASURES}, policy)


def _number(column: str) -> Column:
    return F.nanvl(F.col(f"`{column}`").cast("double"), F.lit(None))


def _holds(segment: RfmSegment) -> Column:
    ranges = ((name, getattr(segment, name)) for name in MEASURES)
    tests = [F.col(f"{name}_score").between(*ends) for name, ends in ranges if ends]
    return reduce(and_, tests, F.lit(True))
