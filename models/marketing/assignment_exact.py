"""Assignments by linear and integer programming with HiGHS: exact, for as many candidates as it can hold.

What prices can't settle, blocks with candidates of nearly equal net worth, is a small problem of its own, the core of
the large one (Balas and Zemel 1980); a small problem is its own core.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from strata.models.marketing.assignment_dual import Prices
from strata.models.marketing.assignment_problem import Flags, Floats, Places, Problem

# A share of a row this near to 0 or 1 is one.
WHOLE = 1e-6
# The integer search ends at this gap, or after so many nodes: by work, not by time, so that answers repeat.
GAP, NODES = 1e-7, 2_000
INFEASIBLE = 2
# Places, a part of one, by which limits are loosened to find prices.
ROOM = 1e-3


@dataclass(frozen=True)
class _System:
    """``matrix @ x <= ends`` and 0 <= x <= upper: the shares of all rows, then the missing places of minimums.

    Rows of the matrix: blocks, maximums (limits ``capped``), minimums (limits ``wanted``), all missing places.
    """

    matrix: sparse.csr_array
    ends: Floats
    upper: Floats
    capped: Places
    wanted: Places


def exact_choice(problem: Problem, *, thorough: bool) -> tuple[Flags, Prices, float]:
    """The chosen rows, the prices of the linear programme, and the places of minimums that are missing.

    ``problem.missing`` is where the places that may be missing begin: one more where no whole rows do with so few. The
    linear programme's answer is nearly always whole. Where it isn't, integers are searched for: among all rows if
    ``thorough``, else first among those of the few blocks that were parted.
    """
    shares, prices = _linear_choice(problem)
    while (chosen := _whole_choice(problem, shares, thorough)) is None:
        problem = replace(problem, missing=problem.missing + 1)
        shares, prices = _linear_choice(problem)
    return chosen, prices, problem.missing


def smallest_shortfall(problem: Problem) -> tuple[float, Floats]:
    """By how many places minimums must be missed together at the least, and where; by a linear programme."""
    short = np.zeros(len(problem.minimum))
    if not (problem.minimum > 0).any():
        return 0.0, short
    system = _system(replace(problem, missing=float(problem.minimum.sum())))
    costs = np.append(np.zeros(problem.rows), np.ones(len(system.wanted)))
    shares, _ = _relaxed(costs, system)
    missing = shares[problem.rows :]
    short[system.wanted] = np.ceil(missing - WHOLE)
    return float(np.ceil(missing.sum() - WHOLE)), short


def _linear_choice(problem: Problem) -> tuple[Floats, Prices]:
    """Shares of rows, and what one more place of each limit brings."""
    system, costs = _system(problem), _costs(problem)
    shares, _ = _relaxed(costs, system)
    # With exactly as many places as are used a price has a range; a little more room leaves what one more brings.
    room = np.zeros(len(system.ends))
    room[len(problem.start) : -1] = ROOM
    _, paid = _relaxed(costs, replace(system, ends=system.ends + room))
    of_maximum, of_minimum = np.zeros(len(problem.maximum)), np.zeros(len(problem.minimum))
    of_limits = paid[len(problem.start) :]
    of_maximum[system.capped] = of_limits[: len(system.capped)]
    of_minimum[system.wanted] = of_limits[len(system.capped) : -1]
    return shares[: problem.rows], Prices(of_maximum, of_minimum)


def _whole_choice(problem: Problem, shares: Floats, thorough: bool) -> Flags | None:
    """Whole rows near the shares; None where there are none with so few places missing."""
    is_parted = np.abs(shares - np.round(shares)) >= WHOLE
    if not is_parted.any():
        return shares > 0.5
    if not thorough:
        is_open = np.isin(problem.block, problem.block[is_parted])
        chosen = (shares > 0.5) & ~is_open
        used = problem.usage(chosen)
        left = np.maximum(problem.minimum - used, 0), problem.maximum - used
        rest = problem.part(is_open).with_limits(*left, problem.missing)
        if (found := _whole(_costs(rest), _system(rest))) is not None:
            chosen[is_open] = found[: rest.rows] > 0.5
            return chosen
    found = _whole(_costs(problem), _system(problem))
    return None if found is None else found[: problem.rows] > 0.5


def _costs(problem: Problem) -> Floats:
    return np.append(-problem.value, np.zeros(np.count_nonzero(problem.minimum > 0)))


def _system(problem: Problem) -> _System:
    rows, blocks = np.arange(problem.rows), len(problem.start)
    capped, wanted = np.flatnonzero(np.isfinite(problem.maximum)), np.flatnonzero(problem.minimum > 0)
    in_block = sparse.csr_array((np.ones(problem.rows), (problem.block, rows)), shape=(blocks, problem.rows))
    counted = sparse.csr_array(problem.member[problem.cell].T)
    count = len(wanted)
    matrix = sparse.block_array(
        [
            [sparse.vstack([in_block, counted[capped]]), sparse.csr_array((blocks + len(capped), count))],
            [-counted[wanted], -sparse.eye_array(count)],
            [sparse.csr_array((1, problem.rows)), sparse.csr_array(np.ones((1, count)))],
        ],
        format="csr",
    )
    ends = [np.ones(blocks), problem.maximum[capped], -problem.minimum[wanted], np.array([problem.missing])]
    most = np.minimum(problem.minimum[wanted], problem.missing)
    return _System(matrix, np.concatenate(ends), np.append(np.ones(problem.rows), most), capped, wanted)


def _relaxed(costs: Floats, system: _System) -> tuple[Floats, Floats]:
    """The cheapest shares of a system that has an answer, and the price of each row of its matrix."""
    bounds = np.column_stack([np.zeros(len(costs)), system.upper])
    found = linprog(costs, A_ub=system.matrix, b_ub=system.ends, bounds=bounds, method="highs")
    if found.status:
        raise RuntimeError(f"linear programme of {len(costs)} candidates: {found.message}")
    return found.x, np.maximum(-found.ineqlin.marginals, 0)


def _whole(costs: Floats, system: _System) -> Floats | None:
    """The cheapest whole numbers of a system; None where it has none."""
    found = milp(
        costs,
        integrality=np.ones(len(costs)),
        bounds=Bounds(0, system.upper),
        constraints=LinearConstraint(system.matrix, -np.inf, system.ends),
        options={"mip_rel_gap": GAP, "node_limit": NODES},
    )
    if found.status == INFEASIBLE:
        return None
    if found.x is None:
        raise RuntimeError(f"integer programme of {len(costs)} candidates: {found.message}")
    return np.asarray(found.x)
