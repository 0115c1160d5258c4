"""Proxies: how much each feature tells about sensitive attributes, so that none enters a model unnoticed."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql.types import BooleanType, IntegralType, NumericType, StringType
from scipy.stats import chi2

from strata.features.engine.inputs import FeatureError, FeatureTypeError, check_column, check_frame, quoted
from strata.features.governance.proxy_counts import Crossed, Floats, crossed

_SCHEMA = (
    "feature string, attribute string, n bigint, levels int, groups int, cramers_v double, noise double, "
    "eta double, uncertainty double, is_proxy boolean"
)


def proxy_report(
    rows: DataFrame,
    features: Sequence[str],
    sensitive: Sequence[str],
    *,
    bins: int = 10,
    max_levels: int = 100,
    threshold: float = 0.3,
    confidence: float = 0.999,
) -> DataFrame:
    """One row a feature and sensitive attribute: how strongly they hang together, the strongest first.

    Features are numbers or flags (cut at their ``bins`` quantiles, fewer where values repeat) or text (its
    ``max_levels`` most frequent values, the rest pooled); missing has a bin of its own, NaN is missing.
    Sensitive attributes are text, flags or whole-number codes, their groups capped in the same way (put
    ages into bands first). Rows where an attribute is null are left out of its comparisons. Columns:

    - ``n`` rows compared, ``levels`` of the feature and ``groups`` of the attribute that occur in them;
    - ``cramers_v``: Cramér's V of levels by groups, corrected for bias (Bergsma 2013), from 0 to 1;
    - ``noise``: the V that unrelated columns of this shape and n stay under with ``confidence`` (the
      chi-square quantile; rough where most cells hold fewer than five rows);
    - ``eta``: correlation ratio, the root of the share of a number's variance that lies between groups; of
      finite values, null for text and for constants;
    - ``uncertainty``: the share of the attribute's entropy that the feature takes away (Theil's U), less what
      chance alone would (Miller 1955): the measure to compare features of all kinds by;
    - ``is_proxy``: V is at least ``threshold`` and above ``noise``. 0.3 is a medium effect (Cohen 1988).

    Measures are null when there are fewer than two levels or groups, or too few rows to correct for bias.
    Plan: each column is read twice, once for its quantiles or frequent values, once for the counts of all
    pairs, which are added up in batches; one shuffle of partial sums each; only sums by pair, level and
    group reach the driver.
    Raises ``FeatureError`` or ``FeatureTypeError`` naming the argument and column.
    """
    numbers, texts = _check(rows, features, sensitive)
    for argument, value, least in (("bins", bins, 2), ("max_levels", max_levels, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise FeatureError(f"{argument}: a whole number from {least} is expected, not {value!r}")
    for argument, share in (("threshold", threshold), ("confidence", confidence)):
        if not 0 < share < 1:
            raise FeatureError(f"{argument}: a number between 0 and 1 is expected, not {share!r}")
    attributes = {name: quoted(name).cast("string") for name in sensitive}
    pairs = crossed(rows, numbers, texts, attributes, bins=bins, max_levels=max_levels)
    for (_, attribute), pair in pairs.items():
        if not pair.counts.size:
            raise FeatureError(f"sensitive: column {attribute!r} has no value in rows; leave it out")
    answers = [_answer(names, pair, threshold, confidence) for names, pair in pairs.items()]
    answers.sort(key=lambda row: (-(row[8] or 0.0), row[:2]))
    return rows.sparkSession.createDataFrame(answers, _SCHEMA)


def _check(
    rows: DataFrame, features: Sequence[str], sensitive: Sequence[str]
) -> tuple[dict[str, Column], dict[str, Column]]:
    """The features that are numbers, as doubles, and those that are text."""
    check_frame("rows", rows)
    for argument, names in (("features", features), ("sensitive", sensitive)):
        if isinstance(names, str) or not names or len(set(names)) != len(names):
            raise FeatureError(f"{argument}: a list of at least one column, each once, is expected, not {names!r}")
    numbers, texts = {}, {}
    for name in features:
        kind = check_column("features", rows, "rows", name)
        if isinstance(kind, NumericType | BooleanType):
            numbers[name] = quoted(name).cast("double")
        elif isinstance(kind, StringType):
            texts[name] = quoted(name)
        else:
            raise FeatureTypeError(
                f"features: column {name!r} is {kind.simpleString()}; a number, flag or text is expected"
            )
    for name in sensitive:
        kind = check_column("sensitive", rows, "rows", name)
        if not isinstance(kind, StringType | BooleanType | IntegralType):
            raise FeatureTypeError(
                f"sensitive: column {name!r} is {kind.simpleString()}; put its values into bands of text first"
            )
    return numbers, texts


def _answer(
    names: tuple[str, str], pair: Crossed, threshold: float, confidence: float
) -> tuple[str, str, int, int, int, float | None, float | None, float | None, float | None, bool]:
    """A row of the report."""
    counts = pair.counts
    levels, groups = counts.shape
    n, freedom = counts.sum(), (levels - 1) * (groups - 1)
    strength = noise = uncertainty = None
    if freedom:
        strength = _corrected_v(_chi_square(counts), counts)
        noise = _corrected_v(float(chi2.ppf(confidence, freedom)), counts)
        uncertainty = _uncertainty(counts)
    is_proxy = strength is not None and noise is not None and strength >= threshold and strength > noise
    return (*names, int(n), levels, groups, strength, noise, _eta(pair.moments), uncertainty, is_proxy)


def _chi_square(counts: Floats) -> float:
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


def _corrected_v(chi_square: float, counts: Floats) -> float | None:
    """Bergsma, A bias-correction for Cramér's V and Tschuprow's T, 2013; null when there are too few rows."""
    n, (levels, groups) = float(counts.sum()), counts.shape
    phi = max(0.0, chi_square / n - (levels - 1) * (groups - 1) / (n - 1))
    most = min(size - 1 - (size - 1) ** 2 / (n - 1) for size in (levels, groups))
    return min(1.0, sqrt(phi / most)) if most > 0 else None


def _uncertainty(counts: Floats) -> float:
    """Mutual information, less its mean by chance, over the entropy of the groups."""
    n, (levels, groups) = counts.sum(), counts.shape
    by_group = counts.sum(axis=0)
    shared = _entropy(by_group) + _entropy(counts.sum(axis=1)) - _entropy(counts)
    chance = (levels - 1) * (groups - 1) / (2 * n)
    return float(min(1.0, max(0.0, shared - chance) / _entropy(by_group)))


def _entropy(counts: Floats) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _eta(moments: Floats) -> float | None:
    """The root of the sum of squares between groups over that of all finite values; null when they don't vary."""
    number, total, squares = moments[:, moments[0] > 0]
    if not number.size:
        return None
    offset = total.sum() ** 2 / number.sum()
    between, whole = (total**2 / number).sum() - offset, squares.sum() - offset
    return sqrt(min(1.0, max(0.0, between / whole))) if whole > 0 else None
