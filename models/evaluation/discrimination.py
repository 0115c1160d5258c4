"""How well a probability of bad separates and is calibrated, from one bounded table of grouped scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from strata.models.evaluation.intervals import Z_95, Interval, wilson
from strata.models.evaluation.score_table import ScoreTable

Floats = NDArray[np.float64]
CELLS_AT_ONCE = 1_000_000


def auc(table: ScoreTable) -> float:
    """Area under the ROC curve: how often a bad is riskier than a good, ties one half."""
    return float(_areas(*_shares(table)))


def gini(table: ScoreTable) -> float:
    """2 · AUC − 1."""
    return 2 * auc(table) - 1


def ks(table: ScoreTable) -> float:
    """The largest distance between the distributions of goods and of bads."""
    return float(_distances(*_shares(table)))


def _shares(table: ScoreTable) -> tuple[Floats, Floats]:
    return table.good / table.good.sum(), table.bad / table.bad.sum()


def _areas(good: Floats, bad: Floats) -> Floats:
    """AUC from shares of goods and of bads by rising risk, along the last axis."""
    answer: Floats = (bad * (np.cumsum(good, axis=-1) - good / 2)).sum(axis=-1)
    return answer


def _distances(good: Floats, bad: Floats) -> Floats:
    """KS from the same shares."""
    answer: Floats = np.abs(np.cumsum(good - bad, axis=-1)).max(axis=-1)
    return answer


def brier(table: ScoreTable) -> float:
    """Mean squared error of the probability."""
    error = table.bad @ (1 - table.risk) ** 2 + table.good @ table.risk**2
    return float(error) / table.rows


def auc_interval(table: ScoreTable) -> Interval:
    """AUC with DeLong's 95 % interval on the logit scale, from the grouped table (weights count as rows)."""
    value, goods, bads = auc(table), table.good.sum(), table.bad.sum()
    of_bad = (np.cumsum(table.good) - table.good / 2) / goods
    of_good = 1 - (np.cumsum(table.bad) - table.bad / 2) / bads
    spread_bad = table.bad @ (of_bad - value) ** 2 / max(bads - 1, 1) / bads
    spread_good = table.good @ (of_good - value) ** 2 / max(goods - 1, 1) / goods
    error = math.sqrt(float(spread_bad + spread_good))
    if not 0 < value < 1:
        return Interval(value, value, value, "DeLong 95 %")
    middle, half = math.log(value / (1 - value)), Z_95 * error / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-(middle + side * half))) for side in (-1, 1))
    return Interval(value, low, high, "DeLong 95 %")


def bootstrap_intervals(
    table: ScoreTable, *, draws: int = 500, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """``auc``, ``ks`` and ``gini`` with intervals of the stratified bootstrap, all from one set of draws.

    Goods and bads are resampled apart, so their numbers stay as they are. Percentiles are bias-corrected
    (Efron, Canadian Journal of Statistics 9 (1981) 139-172), because KS is a maximum and its draws lie above
    it; still, with some 100 bads a 95 % interval holds the true KS in 88 of 100 cases (AUC: 94), and one near
    0 hardly ever. A weight counts as so many equal rows: with weights that are not counts (sampling, fuzzy
    outcomes) scale them to add up to the effective number of rows first. Memory does not grow with ``draws``
    or distinct risks: some draws are made at a time, and how many at a time does not change them. Raises
    ``ValueError`` for fewer than 2 ``draws`` or a ``level`` that is not between 0 and 1.
    """
    if draws < 2 or not 0 < level < 1:
        raise ValueError(f"draws, level: {draws} and {level} won't do; take at least 2 and a share such as 0.95")
    found = [(_areas(goods, bads), _distances(goods, bads)) for goods, bads in _resampled(table, draws, seed)]
    areas, distances = (np.concatenate(parts) for parts in zip(*found, strict=True))
    drawn = {"auc": (auc(table), areas), "ks": (ks(table), distances), "gini": (gini(table), 2 * areas - 1)}
    return {name: _percentiles(value, values, level) for name, (value, values) in drawn.items()}


def _percentiles(value: float, drawn: Floats, level: float) -> Interval:
    """Bias-corrected: the percentiles move by twice the normal score of the share of draws below the value."""
    normal, least = NormalDist(), 0.5 / len(drawn)
    below = float(np.mean(drawn < value) + np.mean(drawn == value) / 2)
    moved, half = 2 * normal.inv_cdf(min(max(below, least), 1 - least)), normal.inv_cdf((1 + level) / 2)
    low, high = np.quantile(drawn, (normal.cdf(moved - half), normal.cdf(moved + half)))
    method = f"bootstrap {100 * level:g} %, bias-corrected, {len(drawn)} draws"
    return Interval(value, float(low), float(high), method)


def _resampled(table: ScoreTable, draws: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """Shares of goods and of bads by risk (draws × risks), at most ``CELLS_AT_ONCE`` cells of each at a time."""
    sides = [
        (rng, max(round(part.sum()), 1), part / part.sum())
        for rng, part in zip(np.random.default_rng(seed).spawn(2), (table.good, table.bad), strict=True)
    ]
    most = max(1, CELLS_AT_ONCE // len(table.risk))
    for first in range(0, draws, most):
        size = min(most, draws - first)
        goods, bads = (rng.multinomial(rows, shares, size=size) / rows for rng, rows, shares in sides)
        yield goods, bads


def roc_points(table: ScoreTable) -> pd.DataFrame:
    """The ROC curve from (0, 0) to (1, 1): threshold, false_positive_rate, true_positive_rate."""
    goods, bads = (np.cumsum(part[::-1]) / part.sum() for part in (table.good, table.bad))
    return pd.DataFrame(
        {
            "threshold": np.concatenate([[np.inf], table.risk[::-1]]),
            "false_positive_rate": np.concatenate([[0.0], goods]),
            "true_positive_rate": np.concatenate([[0.0], bads]),
        }
    )


def _part_of(table: ScoreTable, parts: int) -> NDArray[np.int64]:
    """Parts of about equal weight from the safest (0) up; equal risks stay together."""
    weight = table.good + table.bad
    middle = (np.cumsum(weight) - weight / 2) / weight.sum()
    return np.minimum((middle * parts).astype(np.int64), parts - 1)


def calibration_table(table: ScoreTable, *, parts: int = 10) -> pd.DataFrame:
    """Predicted against realised by risk: part, count, mean_probability, bad_rate, low, high (Wilson 95 %)."""
    place = _part_of(table, parts)
    weight = table.good + table.bad
    count, bads, expected = (np.bincount(place, x, parts) for x in (weight, table.bad, weight * table.risk))
    filled = count > 0
    count, rate = count[filled], bads[filled] / count[filled]
    low, high = wilson(bads[filled], count)
    return pd.DataFrame(
        {
            "part": np.flatnonzero(filled) + 1,
            "count": count,
            "mean_probability": expected[filled] / count,
            "bad_rate": rate,
            "low": low,
            "high": high,
        }
    )


def calibration_line(table: ScoreTable, *, slope: bool = True) -> tuple[float, float]:
    """Intercept and slope of the regression of the outcome on the logit of the probability; ideal is (0, 1).

    A slope below 1 says that the probabilities are too extreme. Without ``slope`` it stays 1 and the
    intercept alone is fitted, which takes fewer bads. Raises ``ValueError`` when a probability is not between
    0 and 1 or all are equal.
    """
    if table.risk.min() < 0 or table.risk.max() > 1 or len(table.risk) < 2:
        raise ValueError("risk: calibration needs at least two different probabilities from 0 to 1")
    p = np.clip(table.risk, 1e-15, 1 - 1e-15)
    x = np.column_stack([np.ones(len(p)), np.log(p / (1 - p))])
    beta, weight = np.array([0.0, 1.0]), table.good + table.bad
    fitted = slice(2 if slope else 1)
    for _ in range(100):
        risk = 1 / (1 + np.exp(-np.clip(x @ beta, -500, 500)))
        hessian = (x * (weight * risk * (1 - risk))[:, None]).T @ x
        step = np.linalg.pinv(hessian[fitted, fitted]) @ (x.T @ (table.bad - weight * risk))[fitted]
        beta[fitted] += np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-10:
            break
    return float(beta[0]), float(beta[1])


def gains_table(table: ScoreTable, *, parts: int = 10) -> pd.DataFrame:
    """From the riskiest part down: part, count, bads, bad_rate, share_of_bads (cumulative), lift (cumulative)."""
    place = parts - 1 - _part_of(table, parts)
    weight = table.good + table.bad
    count, bads = np.bincount(place, weight, parts), np.bincount(place, table.bad, parts)
    filled = count > 0
    count, bads = count[filled], bads[filled]
    captured = np.cumsum(bads) / bads.sum()
    return pd.DataFrame(
        {
            "part": np.flatnonzero(filled) + 1,
            "count": count,
            "bads": bads,
            "bad_rate": bads / count,
            "share_of_bads": captured,
            "lift": captured / (np.cumsum(count) / count.sum()),
        }
    )


def psi(expected: Sequence[float] | Floats, actual: Sequence[float] | Floats) -> float:
    """Population stability index of two distributions of counts over the same cells, in the same order.

    A cell that is empty on one side gets 0.5 there; one empty on both is nothing. Shares that add up to 1 give what
    their counts would; half the smallest share of a side then stands in its empty cells. Below 0.1 is commonly read as
    stable, above 0.25 as shifted. Raises ``ValueError`` for unequal lengths or an empty side.
    """
    left, right = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    if left.shape != right.shape or left.sum() <= 0 or right.sum() <= 0:
        raise ValueError("expected, actual: give counts of the same cells, not all zero")
    used = (left > 0) | (right > 0)
    a, b = (np.where(x[used] > 0, x[used], _in_empty(x)) / x.sum() for x in (left, right))
    return float(np.sum((b - a) * np.log(b / a)))


def _in_empty(counts: Floats) -> float:
    """What stands in an empty cell: half a row, of shares half the smallest."""
    smallest = float(counts[counts > 0].min())
    return 0.5 * (smallest if counts.sum() <= 1 + 1e-9 else min(smallest, 1.0))


def psi_noise(expected: Sequence[float] | Floats, actual: Sequence[float] | Floats, *, level: float = 0.999) -> float:
    """The PSI that two samples of one population stay under with probability ``level``.

    PSI is about (1/n + 1/m) times a chi-squared variable with cells − 1 degrees of freedom (Yurdakul and Naranjo
    2020, "Statistical properties of the population stability index").
    """
    left, right = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    cells = int(((left > 0) | (right > 0)).sum())
    return float(chi2.ppf(level, max(cells - 1, 1)) * (1 / left.sum() + 1 / right.sum()))


def measures(table: ScoreTable) -> dict[str, float]:
    """AUC, KS, Gini, Brier, bad rate and rows at one look."""
    return {
        "auc": auc(table),
        "ks": ks(table),
        "gini": gini(table),
        "brier": brier(table),
        "bad_rate": table.bad_rate,
        "n": table.rows,
    }
