"""Statistics of features: one row a feature, and the population stability index between two sets."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, NumericType

from strata.features.engine.inputs import FeatureError, FeatureTypeError, check_column, check_frame, quoted

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
# A value for each hundredth of the values, from the lowest to the highest: the middle one of it.
RANKS = tuple((place + 0.5) / 100 for place in range(100))
# Relative error of a quantile's rank is one over this.
_ACCURACY = 10_000


def measurable(rows: DataFrame, features: Sequence[str]) -> list[str]:
    """Those of ``features`` that are numbers or flags in ``rows``, in the order of its columns."""
    kinds = {field.name: field.dataType for field in rows.schema.fields}
    return [
        name for name, kind in kinds.items() if name in set(features) and isinstance(kind, NumericType | BooleanType)
    ]


def feature_statistics(rows: DataFrame, features: Sequence[str]) -> DataFrame:
    """One row a feature: rows, nulls, null_ratio, distinct (about 2 % off), mean, std, min, max, q01 … q99, ranks.

    Features are numbers or flags; NaN counts as null. Figures of values are doubles, null without values.
    ``ranks`` are a hundred values in order, one for each hundredth of the values: ``histogram`` counts them.
    Bins of equal width would be counted in a second pass, as their borders are known only after the first;
    ranks come from the sketch that has the quantiles, for next to nothing.
    A set without rows has no answers. Plan: one scan, unpivoted; one shuffle of partial aggregates by
    feature. Raises ``FeatureError`` or ``FeatureTypeError``.
    """
    values = _values(rows, features, "rows")
    # Long rows and one set of aggregates: a sketch a feature side by side would make thousands of buffer columns.
    pairs = F.array(*(F.struct(F.lit(name).alias("feature"), value.alias("value")) for name, value in values.items()))
    long = rows.select(F.explode(pairs).alias("pair")).select("pair.*")
    figures = long.groupBy("feature").agg(*_figures(F.col("value")))
    named = {f"q{round(q * 100):02d}": F.col("_quantiles")[place] for place, q in enumerate(QUANTILES)}
    ranks = F.slice("_quantiles", len(QUANTILES) + 1, len(RANKS))
    return figures.withColumns({**named, "ranks": ranks}).drop("_quantiles")


def histogram(ranks: Sequence[float], low: float, high: float, bins: int = 12) -> list[int]:
    """Hundredths of the values below ``low``, in each of ``bins`` equal parts from it to ``high``, and above.

    ``ranks`` as ``feature_statistics`` gives them, so each figure is half a hundredth off at either border. A value on
    a border belongs to the part above it, ``high`` itself to the last. One value alone fills the last part.
    """
    counts = [0] * (bins + 2)
    for value in ranks:
        if value < low or value > high:
            counts[0 if value < low else bins + 1] += 1
        else:
            # Where all but a few values are one, there is no width to part.
            inside = bins - 1 if value == high else int((value - low) / (high - low) * bins)
            counts[1 + min(inside, bins - 1)] += 1
    return counts


def population_stability(
    reference: DataFrame, actual: DataFrame, features: Sequence[str], *, bins: int = 10
) -> DataFrame:
    """One row a feature and its PSI: sum of (actual - reference share) * ln(actual / reference share) over bins.

    Bins are cut at the quantiles of ``reference`` (fewer where values repeat), missing has its own; half a
    row is added to every bin of both sets so that empty ones stay finite. Under 0.1 is stable, over
    0.25 is another population (the usual rule of thumb, Siddiqi 2006). Sets may differ in size; an
    empty one raises.

    Plan: two scans of ``reference`` and one of ``actual``, one small shuffle each.
    """
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 2:
        raise FeatureError(f"bins: a whole number from 2 is expected, not {bins!r}")
    _values(actual, features, "actual")
    values = _values(reference, features, "reference")
    cuts = [step / bins for step in range(1, bins)]
    edges = reference.agg(
        *(F.percentile_approx(value, cuts, _ACCURACY).alias(f"e{i}") for i, value in enumerate(values.values()))
    ).first()
    assert edges is not None
    borders = [sorted(set(edges[f"e{i}"] or ())) for i in range(len(values))]
    shares = []
    for frame, owner in ((reference, "reference"), (actual, "actual")):
        counted = _bin_counts(frame, list(_values(frame, features, owner).values()), borders)
        if not counted[0] or not sum(counted[0]):
            raise FeatureError(f"{owner}: it has no rows")
        shares.append([[(n + 0.5) / (sum(counts) + 0.5 * len(counts)) for n in counts] for counts in counted])
    answers = [(name, _psi(old, new)) for name, old, new in zip(features, *shares)]
    return reference.sparkSession.createDataFrame(answers, "feature string, psi double")


def _psi(reference: Sequence[float], actual: Sequence[float]) -> float:
    return sum((new - old) * log(new / old) for old, new in zip(reference, actual))


def _values(rows: DataFrame, features: Sequence[str], owner: str) -> dict[str, Column]:
    """Each feature as a double, NaN as null."""
    check_frame(owner, rows)
    if not features:
        raise FeatureError("features: at least one column is expected")
    values = {}
    for name in features:
        kind = check_column("features", rows, owner, name)
        if not isinstance(kind, NumericType | BooleanType):
            raise FeatureTypeError(f"features: column {name!r} is {kind.simpleString()}; a number or flag is expected")
        value = quoted(name).cast("double")
        values[name] = F.when(~F.isnan(value), value)
    return values


def _figures(value: Column) -> list[Column]:
    nulls = F.count(F.lit(1)) - F.count(value)
    return [
        F.count(F.lit(1)).alias("rows"),
        nulls.alias("nulls"),
        (nulls / F.count(F.lit(1))).alias("null_ratio"),
        F.approx_count_distinct(value, 0.02).alias("distinct"),
        F.avg(value).alias("mean"),
        F.stddev_samp(value).alias("std"),
        F.min(value).alias("min"),
        F.max(value).alias("max"),
        # One list, so one sketch.
        F.percentile_approx(value, [*QUANTILES, *RANKS], _ACCURACY).alias("_quantiles"),
    ]


def _bin_counts(rows: DataFrame, values: Sequence[Column], borders: Sequence[Sequence[float]]) -> list[list[int]]:
    """Rows of each bin of each feature: (..., first border], (first, second], ..., above the last, missing."""
    counts = []
    for number, (value, cuts) in enumerate(zip(values, borders)):
        place = F.lit(0)
        for cut in cuts:
            place = place + (value > cut).cast("int")
        place = F.coalesce(place, F.lit(len(cuts) + 1))
        counts += [F.count_if(place == n).alias(f"c{number}_{n}") for n in range(len(cuts) + 2)]
    found = rows.agg(*counts).first()
    assert found is not None
    return [[found[f"c{i}_{n}"] for n in range(len(cuts) + 2)] for i, cuts in enumerate(borders)]
