"""The best assignment of a problem of any size: prices first, then HiGHS where they leave it open."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from strata.models.marketing.assignment_dual import Prices, dual_bound, find_prices
from strata.models.marketing.assignment_exact import exact_choice, smallest_shortfall
from strata.models.marketing.assignment_problem import Flags, Floats, Places, Problem, best_rows

# So many candidates are solved exactly, without prices; of a larger problem so many are its core at first.
EXACT_ROWS, CORE_ROWS = 20_000, 40_000
# How often blocks are added to a core that can't meet the limits.
ROUNDS = 12


@dataclass(frozen=True)
class Solution:
    """The chosen rows, prices, a bound that no assignment with as few missing places exceeds, and those places."""

    chosen: Flags
    prices: Prices
    bound: float
    missing: float


def solve(problem: Problem) -> Solution:
    """The most valuable assignment within the limits, of those that miss minimums by the fewest places in all.

    Up to 20,000 candidates it is exact. Beyond, ``bound`` says how near it is.
    """
    if not problem.rows:
        nothing = np.zeros(len(problem.minimum))
        return Solution(np.zeros(0, bool), Prices(nothing, nothing), 0.0, float(problem.minimum.sum()))
    if problem.rows <= EXACT_ROWS:
        least, _ = smallest_shortfall(problem)
        chosen, prices, missing = exact_choice(replace(problem, missing=least), thorough=True)
        return Solution(chosen, prices, dual_bound(replace(problem, missing=missing), prices), missing)
    return _solve_by_core(problem)


def _solve_by_core(problem: Problem) -> Solution:
    reachable = problem.with_limits(_reachable(problem), problem.maximum)
    prices = find_prices(reachable)
    worth = reachable.value - reachable.costs(prices.net)
    settled = best_rows(reachable, worth)
    core = _contested(reachable, worth)
    for _ in range(ROUNDS):
        fixed = np.where(core, -1, settled)
        left = _left_over(reachable, fixed)
        inside = reachable.part(core[reachable.block]).with_limits(left.minimum, np.maximum(left.maximum, 0))
        missing, shortfalls = smallest_shortfall(inside)
        more = _to_unsettle(reachable, worth, fixed, -np.minimum(left.maximum, 0), shortfalls)
        if not more.any():
            break
        core = core | more
    chosen = np.zeros(problem.rows, bool)
    chosen[fixed[fixed >= 0]] = True
    part, refined, _ = exact_choice(replace(inside, missing=missing), thorough=False)
    chosen[np.flatnonzero(core[reachable.block])[part]] = True
    final = replace(reachable, missing=float(np.maximum(reachable.minimum - reachable.usage(chosen), 0).sum()))
    best = min((prices, refined), key=lambda one: dual_bound(final, one))
    unmet = float((problem.minimum - reachable.minimum).sum())
    return Solution(chosen, best, dual_bound(final, best), final.missing + unmet)


def _reachable(problem: Problem) -> Floats:
    """The minimums, none above the number of blocks that have a candidate for it."""
    found = problem.minimum.copy()
    rows = problem.usage(np.ones(problem.rows))
    most = np.diff(np.append(problem.start, problem.rows)).max()
    for limit in np.flatnonzero((found > 0) & (rows < found * most)):
        counts = np.asarray(problem.member[:, [limit]].todense()).ravel()[problem.cell] > 0
        found[limit] = min(found[limit], len(np.unique(problem.block[counts])))
    return np.minimum(found, problem.maximum)


def _contested(problem: Problem, worth: Floats) -> Flags:
    """Blocks whose two best choices (nothing is one) are nearest to each other, about as many rows as a core has."""
    ordered = np.sort(_by_block(problem, worth), axis=1)
    gap = ordered[:, -1] - ordered[:, -2]
    order = np.argsort(gap, kind="stable")
    sizes = np.diff(np.append(problem.start, problem.rows))
    is_core = np.zeros(len(gap), bool)
    is_core[order[np.cumsum(sizes[order]) <= CORE_ROWS]] = True
    return is_core


def _by_block(problem: Problem, worth: Floats) -> Floats:
    """The two highest worths of each block, and 0 for nothing."""
    top = np.maximum.reduceat(worth, problem.start)
    first = np.unique(problem.block[worth == top[problem.block]], return_index=True)[1]
    row = np.flatnonzero(worth == top[problem.block])[first]
    rest = worth.copy()
    rest[row] = -np.inf
    return np.column_stack([top, np.maximum.reduceat(rest, problem.start), np.zeros(len(top))])


def _left_over(problem: Problem, fixed: Places) -> Problem:
    """The limits less what the settled blocks use; a maximum below 0 is one that they exceed."""
    taken = np.zeros(problem.rows)
    taken[fixed[fixed >= 0]] = 1
    used = problem.usage(taken)
    return problem.with_limits(np.maximum(problem.minimum - used, 0), problem.maximum - used)


def _to_unsettle(problem: Problem, worth: Floats, fixed: Places, excess: Floats, missing: Floats) -> Flags:
    """Settled blocks to decide anew: the cheapest that free an exceeded maximum or could serve a missed minimum."""
    found = np.zeros(len(fixed), bool)
    kept = np.where(fixed >= 0, worth[fixed], 0.0)
    for limit in np.flatnonzero((excess > 0) | (missing > 0)):
        counts = np.asarray(problem.member[:, [limit]].todense()).ravel()[problem.cell] > 0
        if excess[limit] > 0:
            blocks = np.flatnonzero((fixed >= 0) & counts[fixed])
            cost = kept[blocks]
        else:
            within = np.maximum.reduceat(np.where(counts, worth, -np.inf), problem.start)
            is_free = (fixed >= 0) & ~counts[fixed] | (fixed == -1)
            blocks = np.flatnonzero(is_free & np.isfinite(within))
            cost = kept[blocks] - within[blocks]
        many = int(2 * max(excess[limit], missing[limit])) + 8
        found[blocks[np.argsort(cost, kind="stable")[:many]]] = True
    return found
