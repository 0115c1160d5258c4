"""The Qini curve of an uplift model: what treating the best rows first would gain, with intervals."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from strata.models.evaluation.intervals import Z_95
from strata.models.uplift.uplift_table import UpliftTable, uplift_tables

Floats = NDArray[np.float64]
# Groups of neighbouring uplifts that errors are drawn from, how often, and the shares that they are kept at.
GROUPS, GROUP_ROWS, DRAWS, STEPS = 1_000, 20, 400, 100


class Estimate(float):
    """A number with the ends of its 95 % interval, ``low`` and ``high``."""

    low: float
    high: float

    def __new__(cls, value: float, error: float) -> Estimate:
        """``value`` plus and minus 1.96 standard errors."""
        made = super().__new__(cls, value)
        made.low, made.high = value - Z_95 * error, value + Z_95 * error
        return made

    def __reduce__(self) -> tuple[type[Estimate], tuple[float, float]]:
        return Estimate, (float(self), (self.high - float(self)) / Z_95)


@dataclass(frozen=True)
class Qini:
    """How well an uplift orders the rows of an experiment; every figure is a number with ``low`` and ``high``.

    ``ate`` is the average effect: mean outcome of the treated less that of the others. ``curve`` has
    ``share`` of all rows treated, the highest uplift first, and ``gain`` in outcomes per head of all rows,
    which ends at ``ate``, with ``low`` and ``high``. ``area`` is that between the curve and the straight
    line to its end, ``normalised`` the area of scikit-uplift's curve by that of a perfect model's, see
    ``qini``. ``rows`` is the weight of control and treated.
    """

    ate: Estimate
    area: Estimate
    normalised: Estimate
    curve: pd.DataFrame
    rows: tuple[float, float]
    _grid_errors: Floats = field(repr=False)

    def at(self, share: float) -> Estimate:
        """The uplift among the ``share`` of rows with the highest predicted uplift: observed, treated less others.

        Raises ``ValueError`` unless 0 < share <= 1.
        """
        if not 0 < share <= 1:
            raise ValueError(f"share: {share} is not above 0 and at most 1; give a share such as 0.3")
        gain = float(np.interp(share, self.curve["share"], self.curve["gain"]))
        return Estimate(gain / share, self._error(share) / share)

    def best_share(self, *, cost: float, value: float) -> tuple[float, Estimate]:
        """The share to treat with the largest net gain, and that gain per head of all rows.

        Net gain is gain · ``value`` − share · ``cost``, looked for at every hundredth. The share is chosen on
        the same rows, so the gain is a little too high; the interval is that of a share fixed beforehand.
        """
        shares = np.linspace(0, 1, STEPS + 1)
        net = value * np.interp(shares, self.curve["share"], self.curve["gain"]) - cost * shares
        best = int(net.argmax())
        return float(shares[best]), Estimate(float(net[best]), value * self._error(shares[best]))

    def _error(self, share: float) -> float:
        return float(np.interp(share, np.linspace(0, 1, STEPS + 1), self._grid_errors))


def qini(
    rows: DataFrame, *, outcome: str, treatment: str, uplift: str, weight: str | None = None, seed: int = 0
) -> Qini:
    """Measure the order that ``uplift`` gives to ``rows`` of an experiment with 0/1 ``treatment``.

    With n_t, n_c rows and y_t, y_c outcomes of both arms among the k rows of highest uplift, of n rows:

    - gain(k/n) = (y_t/n_t − y_c/n_c) · k/n, 0 while an arm is empty; ``area`` = ∫ gain − ate/2;
    - ``normalised`` = (A − R)/(P − R), with A the area under q(k) = y_t − y_c · n_t/n_c over k, R the
      triangle under the line to q(n), and P the area under q when rows are sorted by y for the treated and by
      −y for the others: ``qini_auc_score`` of scikit-uplift (Radcliffe 2007; Devriendt et al. 2020).

    Rows of one uplift are taken together, so their order never matters. Null outcomes and treatments other
    than 0/1 raise ``ValueError``. ``weight`` weighs rows, by the inverse of the chance of their arm where the
    treatment was not random. Intervals are ± 1.96 errors: of ``ate`` Welch's, of the others from 400 draws of
    a multiplier bootstrap of the grouped table (at most
    1,000 groups of 20 rows); the perfect area counts as fixed. One scan and
    one shuffle of distinct values, see ``uplift_tables``.
    """
    table, perfect = uplift_tables(rows, outcome=outcome, treatment=treatment, uplift=uplift, weight=weight)
    rows_of = table.weight.sum(axis=1)
    if not (rows_of > 0).all():
        raise ValueError(f"treatment: column {treatment!r} has rows of one arm only; both are needed")
    shares, gains = _gain_curve(table.weight, table.outcome)
    best = float(_above_line(*_count_curve(perfect.weight, perfect.outcome)))
    errors = _bootstrap_errors(table.joined(_groups(rows_of)), best, seed)
    ate, area = float(gains[-1]), float(_above_line(shares, gains))
    found = float(_above_line(*_count_curve(table.weight, table.outcome)))
    return Qini(
        Estimate(ate, _difference_error(table.sums.sum(axis=-1))),
        Estimate(area, errors.area),
        Estimate(found / best if best > 0 else 0.0, errors.normalised),
        _curve_table(shares, gains, errors.grid),
        (float(rows_of[0]), float(rows_of[1])),
        errors.grid,
    )


def _groups(rows_of: Floats) -> int:
    """How many groups errors are drawn from: thin ones could be drawn with a weight below 0."""
    return int(np.clip(rows_of.sum() / GROUP_ROWS, 1, GROUPS))


def _curve_table(shares: Floats, gains: Floats, grid_errors: Floats) -> pd.DataFrame:
    half = Z_95 * np.interp(shares, np.linspace(0, 1, STEPS + 1), grid_errors)
    return pd.DataFrame({"share": shares, "gain": gains, "low": gains - half, "high": gains + half})


def _gain_curve(weight: Floats, outcome: Floats) -> tuple[Floats, Floats]:
    """Shares and gains per head from sums (…, arm, value), each with a first point of 0."""
    n, y = np.cumsum(weight, axis=-1), np.cumsum(outcome, axis=-1)
    of_both = (n > 0).all(axis=-2)
    mean = np.divide(y, n, out=np.zeros_like(y), where=n > 0)
    share = n.sum(axis=-2) / n[..., -1:].sum(axis=-2)
    gain = np.where(of_both, mean[..., 1, :] - mean[..., 0, :], 0.0) * share
    return _from_zero(share), _from_zero(gain)


def _count_curve(weight: Floats, outcome: Floats) -> tuple[Floats, Floats]:
    """Rows and q(k) = y_t − y_c · n_t/n_c, each with a first point of 0."""
    n, y = np.cumsum(weight, axis=-1), np.cumsum(outcome, axis=-1)
    control = n[..., 0, :]
    ratio = np.divide(n[..., 1, :], control, out=np.zeros_like(control), where=control > 0)
    return _from_zero(n.sum(axis=-2)), _from_zero(y[..., 1, :] - y[..., 0, :] * ratio)


def _from_zero(values: Floats) -> Floats:
    return np.concatenate([np.zeros_like(values[..., :1]), values], axis=-1)


def _above_line(x: Floats, y: Floats) -> Floats:
    """The area between a curve and the straight line to its end, by trapezoids."""
    under = ((x[..., 1:] - x[..., :-1]) * (y[..., 1:] + y[..., :-1])).sum(axis=-1) / 2
    answer: Floats = under - x[..., -1] * y[..., -1] / 2
    return answer


def _difference_error(sums: Floats) -> float:
    """Standard error of the difference of the arms' means; ``sums`` are (sum, arm)."""
    weight, outcome, squares, cross, outcome_squares = sums
    mean = outcome / weight
    variance = (outcome_squares - 2 * mean * cross + mean**2 * squares) / weight**2
    return float(np.sqrt(np.maximum(variance, 0.0).sum()))


@dataclass(frozen=True)
class _Errors:
    """Standard errors of both areas, and of the gain at every hundredth of the rows."""

    area: float
    normalised: float
    grid: Floats


def _bootstrap_errors(table: UpliftTable, best: float, seed: int) -> _Errors:
    """Each draw multiplies every row by 1 + a normal number; its sums by group are drawn from their distribution."""
    rng, grid = np.random.default_rng(seed), np.linspace(0, 1, STEPS + 1)
    areas, counts, gains = [], [], []
    for _ in range(DRAWS):
        weight, outcome = _drawn_sums(table.sums, rng)
        shares, gain = _gain_curve(weight, outcome)
        areas.append(float(_above_line(shares, gain)))
        counts.append(float(_above_line(*_count_curve(weight, outcome))))
        gains.append(np.interp(grid, shares, gain))
    scale = best if best > 0 else np.inf
    return _Errors(float(np.std(areas)), float(np.std(counts)) / scale, np.std(gains, axis=0))


def _drawn_sums(sums: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Σw and Σwy of one draw by arm and group: normal around their values, with the second moments of the rows."""
    weight, outcome, squares, cross, outcome_squares = sums
    first, second = rng.standard_normal((2, *weight.shape))
    slope = np.divide(cross, squares, out=np.zeros_like(cross), where=squares > 0)
    rest = np.sqrt(np.maximum(outcome_squares - slope * cross, 0.0))
    return weight + np.sqrt(squares) * first, outcome + slope * np.sqrt(squares) * first + rest * second
