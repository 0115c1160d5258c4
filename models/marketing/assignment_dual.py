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

from strata.models.marketing.assignment_problem import Floats, Problem

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
    if problem.rows <= MANY_ROWS:
        nothing = np.zeros(len(problem.minimum))
        return _descended(problem, Prices(nothing, nothing), TEMPERATURES)
    is_drawn = np.random.default_rng(DRAW).integers(SAMPLE, size=len(problem.start)) == 0
    part = problem.part(is_drawn[problem.block]).with_limits(problem.minimum / SAMPLE, problem.maximum / SAMPLE)
    begin = find_prices(part)
    if max(begin.of_maximum.max(), begin.of_minimum.max()) < MOST * np.std(part.value) / 2:
        return _descended(problem, begin, TEMPERATURES[-LAST:])
    # The part can't meet a minimum, so its prices say nothing.
    nothing = np.zeros(len(problem.minimum))
    return _descended(problem, Prices(nothing, nothing), TEMPERATURES)


def _descended(problem: Problem, begin: Prices, temperatures: Sequence[float]) -> Prices:
    """Prices that nearly minimise the dual, from ``begin`` on; one scan of the candidates a step."""
    capped, wanted = np.isfinite(problem.maximum), problem.minimum > 0
    count = len(problem.minimum)
    if not (capped.any() or wanted.any()):
        return begin
    spread = float(np.std(problem.value)) or float(np.abs(problem.value).max()) or 1.0
    ends = np.where(np.isfinite(problem.maximum), problem.maximum, 0.0)

    def unpacked(vector: Floats) -> Prices:
        of_maximum, of_minimum = np.zeros(count), np.zeros(count)
        of_maximum[capped], of_minimum[wanted] = np.split(vector * spread, [int(capped.sum())])
        return Prices(of_maximum, of_minimum)

    def smoothed(vector: Floats, temperature: float) -> tuple[float, Floats]:
        priced = unpacked(vector)
        kept, shares = _softmax(problem, problem.value - problem.costs(priced.net), temperature)
        used = problem.usage(shares)
        slope = np.concatenate([(ends - used)[capped], (used - problem.minimum)[wanted]])
        return (kept + _worth_of_limits(problem, priced)) / spread, slope

    vector = np.concatenate([begin.of_maximum[capped], begin.of_minimum[wanted]]) / spread
    for share in temperatures:
        found = minimize(
            smoothed,
            vector,
            (share * spread,),
            "L-BFGS-B",
            jac=True,
            bounds=[(0, MOST)] * len(vector),
            options={"maxiter": STEPS, "ftol": TOLERANCE},
        )
        vector = found.x
    return unpacked(vector)


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
