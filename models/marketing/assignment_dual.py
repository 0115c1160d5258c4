"""Prices of limits: the smoothed dual of an assignment, and the bound that any prices give.

With a price on each limit every block simply takes its best candidate net of prices. The dual value is what the blocks
then keep plus what the limits are worth at these prices; by weak duality no assignment within the limits is worth more.
The dual has kinks, so a block first takes a softmax of its candidates whose temperature falls, which L-BFGS-B
minimises in some hundred scans of the candidates (Cominetti and San Martin 1994; Nesterov 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from strata.models.marketing.assignment_problem import Flags, Floats, Problem

# Temperatures as shares of the spread of values, and how many steps each is given.
TEMPERATURES, STEPS = (0.3, 0.1, 0.03, 0.01, 0.003), 40
TOLERANCE = 1e-9
# Above so many candidates a tenth of the blocks finds the prices first, under a tenth of the limits.
MANY_ROWS, SAMPLE, LAST, DRAW = 500_000, 10, 2, 20261201
# No price is above so many spreads of values: that of a minimum that can't be met would have no end.
MOST = 1e3


@dataclass(frozen=True)
class Prices:
    """What one more place of each limit is worth: of a maximum (at least 0), of a minimum (what it costs)."""

    of_maximum: Floats
    of_minimum: Floats

    @classmethod
    def none(cls, limits: int) -> Prices:
        """Every place for nothing."""
        return cls(np.zeros(limits), np.zeros(limits))

    @property
    def net(self) -> Floats:
        """What a candidate pays for counting towards each limit; below 0 where a minimum wants it."""
        return self.of_maximum - self.of_minimum


def dual_bound(problem: Problem, prices: Prices) -> float:
    """No assignment within the limits is worth more, whatever the prices. One scan."""
    worth = problem.value - problem.costs(prices.net)
    kept = np.maximum(np.maximum.reduceat(worth, problem.start), 0.0).sum() if problem.rows else 0.0
    return float(kept + _worth_of_limits(problem, prices))


def find_prices(problem: Problem) -> Prices:
    """Prices that nearly minimise the dual; those of a large problem begin with those of a part of its blocks."""
    if problem.rows > MANY_ROWS and (begin := _prices_of_a_part(problem)):
        return _descended(problem, begin, TEMPERATURES[-LAST:])
    return _descended(problem, Prices.none(len(problem.minimum)), TEMPERATURES)


def _prices_of_a_part(problem: Problem) -> Prices | None:
    """The prices of blocks drawn under as small a part of the limits; None if they can't meet a minimum."""
    is_drawn = np.random.default_rng(DRAW).integers(SAMPLE, size=len(problem.start)) == 0
    if not is_drawn.any():
        return None
    part = problem.part(is_drawn[problem.block]).with_limits(problem.minimum / SAMPLE, problem.maximum / SAMPLE)
    found = find_prices(part)
    dearest = max(found.of_maximum.max(initial=0.0), found.of_minimum.max(initial=0.0))
    return found if dearest < MOST * _spread(part) / 2 else None


def _descended(problem: Problem, begin: Prices, temperatures: Sequence[float]) -> Prices:
    """Prices that nearly minimise the dual, from ``begin`` on; one scan of the candidates a step."""
    dual = _SmoothedDual(problem, _spread(problem), np.isfinite(problem.maximum), problem.minimum > 0)
    vector = dual.vector(begin)
    if not len(vector):
        return begin
    for temperature in temperatures:
        found = minimize(
            dual.value_and_slope,
            vector,
            (temperature * dual.spread,),
            "L-BFGS-B",
            jac=True,
            bounds=[(0, MOST)] * len(vector),
            options={"maxiter": STEPS, "ftol": TOLERANCE},
        )
        vector = found.x
    return dual.prices(vector)


@dataclass(frozen=True)
class _SmoothedDual:
    """The dual as a function of one vector: the prices, in spreads of values, of the limits that can bind.

    These are the maximums of the limits ``capped``, then the minimums of the limits ``wanted``.
    """

    problem: Problem
    spread: float
    capped: Flags
    wanted: Flags

    def vector(self, prices: Prices) -> Floats:
        """The prices as a vector."""
        return np.concatenate([prices.of_maximum[self.capped], prices.of_minimum[self.wanted]]) / self.spread

    def prices(self, vector: Floats) -> Prices:
        """The vector as prices."""
        found = Prices.none(len(self.problem.minimum))
        found.of_maximum[self.capped], found.of_minimum[self.wanted] = np.split(
            vector * self.spread, [int(self.capped.sum())]
        )
        return found

    def value_and_slope(self, vector: Floats, temperature: float) -> tuple[float, Floats]:
        """The smoothed dual, in spreads, and by how much each limit has places left over (a minimum: too many)."""
        problem, prices = self.problem, self.prices(vector)
        kept, shares = _softmax(problem, problem.value - problem.costs(prices.net), temperature)
        used = problem.usage(shares)
        slope = np.concatenate([(problem.maximum - used)[self.capped], (used - problem.minimum)[self.wanted]])
        return (kept + _worth_of_limits(problem, prices)) / self.spread, slope


def _spread(problem: Problem) -> float:
    """What values differ by; what they are where all are alike."""
    return float(np.std(problem.value)) or float(np.abs(problem.value).max()) or 1.0


def _worth_of_limits(problem: Problem, prices: Prices) -> float:
    ends = np.where(np.isfinite(problem.maximum), problem.maximum, 0.0)
    # A place that may be missing is worth as much as the dearest minimum.
    spared = prices.of_minimum.max(initial=0.0) * problem.missing
    return float(prices.of_maximum @ ends - prices.of_minimum @ problem.minimum + spared)


def _softmax(problem: Problem, worth: Floats, temperature: float) -> tuple[float, Floats]:
    """What blocks keep at this temperature, nothing being one of their choices, and how much of each row they take."""
    top = np.maximum(np.maximum.reduceat(worth, problem.start), 0.0)
    weights = np.exp((worth - top[problem.block]) / temperature)
    nothing = np.exp(-top / temperature)
    total = np.add.reduceat(weights, problem.start) + nothing
    kept = float((top + temperature * np.log(total)).sum())
    return kept, weights / total[problem.block]
