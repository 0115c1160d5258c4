"""The best assignment of a problem of any size: prices first, then HiGHS where they leave it open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from strata.models.marketing.assignment_dual import Prices, dual_bound, find_prices
from strata.models.marketing.assignment_exact import exact_choice, smallest_shortfall
from strata.models.marketing.assignment_problem import Flags, Floats, Places, Problem, best_rows, top_rows

# So many candidates are solved exactly, without prices; of a larger problem so many are its core at first.
EXACT_ROWS, CORE_ROWS = 20_000, 40_000
# How often blocks are added to a core that can't meet the minimums.
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
        nothing = Prices.none(len(problem.minimum))
        return Solution(np.zeros(0, bool), nothing, 0.0, float(problem.minimum.sum()))
    if problem.rows <= EXACT_ROWS:
        least, _ = smallest_shortfall(problem)
        chosen, prices, missing = exact_choice(replace(problem, missing=least), thorough=True)
        return Solution(chosen, prices, dual_bound(replace(problem, missing=missing), prices), missing)
    return _solve_by_core(problem)


@dataclass(frozen=True)
class _Core:
    """Blocks to decide exactly, the rows that all others take (-1 is none), and the problem that these leave."""

    blocks: Flags
    fixed: Places
    inside: Problem


def _solve_by_core(problem: Problem) -> Solution:
    reachable = problem.with_limits(_reachable(problem), problem.maximum)
    prices = find_prices(reachable)
    core = _feasible_core(reachable, reachable.value - reachable.costs(prices.net))
    part, refined, _ = exact_choice(core.inside, thorough=False)
    chosen = np.zeros(problem.rows, bool)
    chosen[core.fixed[core.fixed >= 0]] = True
    chosen[np.flatnonzero(core.blocks[reachable.block])[part]] = True
    final = replace(reachable, missing=float(np.maximum(reachable.minimum - reachable.usage(chosen), 0).sum()))
    bound, best = min(((dual_bound(final, one), one) for one in (prices, refined)), key=lambda found: found[0])
    unmet = float((problem.minimum - reachable.minimum).sum())
    return Solution(chosen, best, bound, final.missing + unmet)


def _feasible_core(problem: Problem, worth: Floats) -> _Core:
    """Contested blocks, and as many more as it takes to exceed no maximum and, if possible, to meet the minimums."""
    settled, blocks = best_rows(problem, worth), _contested(problem, worth)
    for turn in count(1):
        fixed = np.where(blocks, -1, settled)
        left = _left_over(problem, fixed)
        excess = np.maximum(-left.maximum, 0)
        inside = problem.part(blocks[problem.block]).with_limits(left.minimum, np.maximum(left.maximum, 0))
        missing, shortfalls = smallest_shortfall(inside)
        more = _to_unsettle(problem, worth, fixed, excess, shortfalls) & ~blocks
        if not more.any() or (turn >= ROUNDS and not excess.any()):
            break
        blocks = blocks | more
    return _Core(blocks, fixed, replace(inside, missing=missing))


def _reachable(problem: Problem) -> Floats:
    """The minimums, none above the number of blocks that have a candidate for it."""
    found = problem.minimum.copy()
    rows = problem.usage(np.ones(problem.rows))
    most = np.diff(np.append(problem.start, problem.rows)).max()
    for limit in np.flatnonzero((found > 0) & (rows < found * most)).tolist():
        found[limit] = min(found[limit], len(np.unique(problem.block[problem.counts_towards(limit)])))
    return np.minimum(found, problem.maximum)


def _contested(problem: Problem, worth: Floats) -> Flags:
    """Blocks whose two best choices (nothing is one) are nearest to each other, about as many rows as a core has."""
    first, top = top_rows(problem, worth)
    others = worth.copy()
    others[first] = -np.inf
    second = np.maximum.reduceat(others, problem.start)
    # Nothing, which is worth 0, is the best, the second or neither.
    gap = np.where(top > 0, top - np.maximum(second, 0), -top)
    order = np.argsort(gap, kind="stable")
    sizes = np.diff(np.append(problem.start, problem.rows))
    is_core = np.zeros(len(gap), bool)
    is_core[order[np.cumsum(sizes[order]) <= CORE_ROWS]] = True
    return is_core


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
    for limit in np.flatnonzero((excess > 0) | (missing > 0)).tolist():
        counts = problem.counts_towards(limit)
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
