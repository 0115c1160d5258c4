"""Fairness of decisions: approval, bad and error rates by group, with intervals.

The only place where protected attributes meet decisions: they are compared with outcomes here and never
enter a model. Rates carry Wilson intervals; the adverse impact ratio carries the log-ratio interval of Katz
et al. 1978. A ratio under four fifths is the usual alarm (29 CFR 1607.4 D); it says that rates differ, not
why.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

_COUNTS = ("count", "approved", "known", "bad", "approved_known", "approved_bad", "good_refused")


def fairness_report(
    decided: DataFrame,
    *,
    attributes: Sequence[str],
    approved: str,
    bad: str | None = None,
    confidence: float = 0.95,
    min_count: int = 30,
    ratio_floor: float = 0.8,
) -> DataFrame:
    """One row per (attribute, group): how decisions and outcomes fell.

    ``decided`` has one row per case; ``approved`` is a boolean column; ``bad`` is 1 or 0, null where the
    outcome is not known. A null attribute is the group ``unknown``. Columns: ``attribute``, ``group``,
    ``count``, ``approval_rate`` (of cases that have a decision), ``bad_rate`` (of known outcomes),
    ``approved_bad_rate`` (among the approved), ``good_refused_rate`` (goods not approved), each with
    ``_low`` and ``_high``; ``reference`` (the group with the highest approval rate among those with
    ``min_count`` cases), ``adverse_impact_ratio`` (approval rate over the reference's) with its interval, and
    ``verdict``: reference | fair | adverse (whole interval below ``ratio_floor``) | inconclusive | too few.

    Plan: one scan, one shuffle of counts by group, one window over a handful of rows.
    Raises ``ValueError`` naming a column that is missing or of a wrong type.
    """
    _check(decided, attributes, approved, bad, confidence)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    counts = _counts(decided, attributes, approved, bad)
    rates = counts
    for name, hits, cases in (
        ("approval_rate", "approved", "count"),
        ("bad_rate", "bad", "known"),
        ("approved_bad_rate", "approved_bad", "approved_known"),
        ("good_refused_rate", "good_refused", "good"),
    ):
        rates = rates.withColumns(_rate(name, F.col(hits), F.col(cases), z))
    compared = _compare(rates, z, min_count)
    return compared.withColumn("verdict", _verdict(min_count, ratio_floor)).drop("good", *_COUNTS[1:])


def age_band(birth_date: Column, at: Column) -> Column:
    """Age on a day in bands of ten years ("20-29"; "0-19", "70+"); null when either date is. For reports only."""
    age = F.floor(F.months_between(at.cast("date"), birth_date.cast("date")) / 12).cast("int")
    decade = F.floor(age / 10).cast("int") * 10
    band = F.concat_ws("-", decade, decade + 9)
    return F.when(age < 20, "0-19").when(age >= 70, "70+").when(age.isNotNull(), band)


def _check(decided: DataFrame, attributes: Sequence[str], approved: str, bad: str | None, confidence: float) -> None:
    if isinstance(attributes, str) or not attributes:
        raise ValueError("attributes: give a list with at least one column name")
    if not 0 < confidence < 1:
        raise ValueError("confidence: give a share between 0 and 1, such as 0.95")
    for argument, name in [("approved", approved), *([("bad", bad)] if bad else [])]:
        _check_column(decided, argument, name)
    for name in attributes:
        _check_column(decided, "attributes", name)
    if not isinstance(decided.schema[approved].dataType, T.BooleanType):
        raise ValueError(f"approved: column {approved!r} is not true or false; compare the decision first")
    if bad and not isinstance(decided.schema[bad].dataType, T.NumericType):
        raise ValueError(f"bad: column {bad!r} is not a number; give 1 for bad and 0 for good")


def _check_column(decided: DataFrame, argument: str, name: str) -> None:
    if name not in decided.columns:
        raise ValueError(f"{argument}: the decided cases have no column {name!r}")


def _counts(decided: DataFrame, attributes: Sequence[str], approved: str, bad: str | None) -> DataFrame:
    said_yes, outcome = F.col(f"`{approved}`"), F.col(f"`{bad}`") if bad else F.lit(None).cast("int")
    groups = [
        F.struct(
            F.lit(name).alias("attribute"),
            F.coalesce(F.col(f"`{name}`").cast("string"), F.lit("unknown")).alias("group"),
        )
        for name in attributes
    ]
    stacked = decided.where(said_yes.isNotNull()).select(
        F.explode(F.array(*groups)).alias("of"), said_yes.alias("yes"), outcome.alias("outcome")
    )
    cases = stacked.select("of.attribute", "of.group", "yes", "outcome")
    known, turned_bad = F.col("outcome").isNotNull(), F.col("outcome") == 1
    flags = (F.lit(True), F.col("yes"), known, turned_bad, F.col("yes") & known, F.col("yes") & turned_bad,
             ~F.col("yes") & ~turned_bad)  # fmt: skip
    sums = [F.sum(F.when(flag, 1).otherwise(0)).alias(name) for flag, name in zip(flags, _COUNTS)]
    return cases.groupBy("attribute", "group").agg(*sums).withColumn("good", F.col("known") - F.col("bad"))


def _rate(name: str, hits: Column, cases: Column, z: float) -> dict[str, Column]:
    """The share and its Wilson interval; null without cases."""
    share = hits / cases
    scale = 1 + z * z / cases
    middle = (share + z * z / (2 * cases)) / scale
    half = z * F.sqrt(share * (1 - share) / cases + z * z / (4 * cases * cases)) / scale
    low, high = F.greatest(middle - half, F.lit(0.0)), F.least(middle + half, F.lit(1.0))
    bounds = {name: share, f"{name}_low": low, f"{name}_high": high}
    return {column: F.when(cases > 0, value) for column, value in bounds.items()}


def _compare(rates: DataFrame, z: float, min_count: int) -> DataFrame:
    # Small groups rank last, so the reference is one of the large ones whenever there is one.
    order = [(F.col("count") >= min_count).desc(), F.col("approval_rate").desc(), F.col("group").asc()]
    best = Window.partitionBy("attribute").orderBy(*order)
    first = F.first(F.struct("group", "approved", "count")).over(best)
    paired = rates.withColumn("__first", first)
    yes, cases, best_yes, best_cases = (
        F.col(name).cast("double") for name in ("approved", "count", "__first.approved", "__first.count")
    )
    some = F.when((yes > 0) & (best_yes > 0), 0.0).otherwise(0.5)
    spread = F.sqrt(1 / (yes + some) - 1 / (cases + some) + 1 / (best_yes + some) - 1 / (best_cases + some))
    centre = F.log(((yes + some) / (cases + some)) / ((best_yes + some) / (best_cases + some)))
    other = F.col("group") != F.col("__first.group")
    return paired.withColumns(
        {
            "reference": F.col("__first.group"),
            "adverse_impact_ratio": F.when(best_yes > 0, (yes / cases) / (best_yes / best_cases)),
            "adverse_impact_ratio_low": F.when(other, F.exp(centre - z * spread)),
            "adverse_impact_ratio_high": F.when(other, F.exp(centre + z * spread)),
        }
    ).drop("__first")


def _verdict(min_count: int, ratio_floor: float) -> Column:
    low, high = F.col("adverse_impact_ratio_low"), F.col("adverse_impact_ratio_high")
    return (
        F.when(F.col("count") < min_count, "too few")
        .when(F.col("group") == F.col("reference"), "reference")
        .when(high < ratio_floor, "adverse")
        .when(low >= ratio_floor, "fair")
        .otherwise("inconclusive")
    )
