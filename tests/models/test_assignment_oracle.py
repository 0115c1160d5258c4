"""Offers under limits: HiGHS on a formulation of its own, and every assignment tried one by one, agree."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from strata.models import AssignmentError, assign_offers
from strata.models.marketing import assignment_core, assignment_dual
from strata.models.marketing.assignment_core import solve
from strata.models.marketing.assignment_dual import Prices, dual_bound
from strata.models.marketing.assignment_problem import Problem

pytestmark = pytest.mark.oracle


def drawn(
    seed: int, *, blocks: int, units: int = 3, offers: int = 3, tight: float = 0.3, minimum: int = 2, room: int = 0
) -> Problem:
    """Random candidates; limits on each unit (with a minimum), each offer, one unit's offer, and on all."""
    rng = np.random.default_rng(seed)
    unit = rng.integers(units, size=blocks)
    some = [(b, int(unit[b]), o) for b in range(blocks) for o in range(offers) if rng.random() < 0.7]
    numbers = np.unique([b for b, _, _ in some], return_inverse=True)[1]
    start = np.searchsorted(numbers, np.arange(numbers.max() + 1))
    value = np.round(rng.normal(1.0, 2.0, len(some)) + [0.5 * o for _, _, o in some], 2)
    cell = np.array([u * offers + o for _, u, o in some])
    cells = [(u, o) for u in range(units) for o in range(offers)]
    columns = [[u == one for u, _ in cells] for one in range(units)]
    columns += [[o == one for _, o in cells] for one in range(offers)]
    columns += [[(u, o) == (0, 1) for u, o in cells], [True] * len(cells)]
    member = sparse.csr_array(np.array(columns, np.float64).T)
    low = np.array([minimum] * units + [0] * offers + [1, 0], np.float64)
    most = max(minimum, int(blocks * tight))
    high = np.array(
        [most] * units + [most] * offers + [np.inf, max(int(1.5 * most), room * units * minimum)], np.float64
    )
    return Problem(start, numbers, value, cell, member, low, high)


def by_highs(problem: Problem, missing: float) -> float:
    """The most value with so many places of minimums missing, one constraint written out at a time."""
    count, limits = problem.rows, len(problem.minimum)
    rows, low, high = [np.append(np.zeros(count), np.ones(limits))], [0.0], [missing]
    for block in range(len(problem.start)):
        rows.append(np.append(problem.block == block, np.zeros(limits)))
        low.append(0)
        high.append(1)
    for limit in range(limits):
        counts = problem.member.toarray()[:, limit][problem.cell]
        rows.append(np.append(counts, np.zeros(limits)))
        low.append(0)
        high.append(problem.maximum[limit])
        rows.append(np.append(counts, np.arange(limits) == limit))
        low.append(problem.minimum[limit])
        high.append(np.inf)
    found = milp(
        np.append(-problem.value, np.zeros(limits)),
        integrality=np.ones(count + limits),
        bounds=Bounds(0, np.append(np.ones(count), np.full(limits, np.inf))),
        constraints=LinearConstraint(np.array(rows, np.float64), low, high),
        options={"mip_rel_gap": 0},
    )
    return -found.fun


def by_trying(problem: Problem) -> tuple[float, float]:
    """The smallest sum of shortfalls, and the most value among the assignments that have it."""
    ends = np.append(problem.start, problem.rows)
    choices = [[-1, *range(ends[b], ends[b + 1])] for b in range(len(problem.start))]
    best = (np.inf, -np.inf)
    for choice in itertools.product(*choices):
        taken = np.zeros(problem.rows)
        taken[[row for row in choice if row >= 0]] = 1
        used = problem.usage(taken)
        if (used <= problem.maximum).all():
            short = np.maximum(problem.minimum - used, 0).sum()
            best = min(best, (short, -float(taken @ problem.value)))
    return best[0], -best[1]


def checked(problem: Problem):
    """Its solution; at most one row a block, no maximum exceeded, a bound that holds."""
    found = solve(problem)
    used = problem.usage(found.chosen)
    assert np.bincount(problem.block[found.chosen], minlength=1).max() <= 1
    assert (used <= problem.maximum).all()
    assert np.maximum(problem.minimum - used, 0).sum() == found.missing
    value = float(problem.value[found.chosen].sum())
    assert value <= found.bound + 1e-6
    return found, value


@pytest.mark.parametrize("seed", range(25))
def test_every_assignment_tried_one_by_one_gives_the_same(seed):
    problem = drawn(seed, blocks=6, minimum=1 + seed % 3, tight=0.2 + 0.1 * (seed % 4))
    found, value = checked(problem)
    short, most = by_trying(problem)
    assert found.missing == short and value == pytest.approx(most, abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_small_problems_are_as_highs_solves_them(seed):
    problem = drawn(100 + seed, blocks=300, units=8, offers=5, tight=0.08, minimum=3 + seed)
    found, value = checked(problem)
    assert value == pytest.approx(by_highs(problem, found.missing), abs=1e-7)
    assert found.bound - value <= 0.002 * found.bound


@pytest.mark.parametrize("seed", range(10))
def test_prices_and_a_core_reach_what_is_exact(seed, monkeypatch):
    problem = drawn(200 + seed, blocks=2_000, units=12, offers=5, tight=0.05, minimum=[0, 40, 80][seed % 3], room=1)
    exact, most = checked(problem)
    monkeypatch.setattr(assignment_core, "EXACT_ROWS", 0)
    monkeypatch.setattr(assignment_core, "CORE_ROWS", 700)
    found, value = checked(problem)
    assert found.missing == exact.missing
    if not exact.missing:
        assert most - value <= 1e-4 * most and found.bound - value <= 1e-3 * most


@pytest.mark.parametrize("seed", range(5))
def test_minimums_that_cannot_be_met_are_found_beside_a_core(seed, monkeypatch):
    problem = drawn(300 + seed, blocks=600, units=6, offers=4, tight=0.5, minimum=60)
    asked = problem.minimum.copy()
    asked[0] = 400
    problem = problem.with_limits(asked, np.where(np.arange(len(asked)) == 0, np.inf, problem.maximum))
    exact, most = checked(problem)
    monkeypatch.setattr(assignment_core, "EXACT_ROWS", 0)
    monkeypatch.setattr(assignment_core, "CORE_ROWS", 300)
    found, value = checked(problem)
    assert found.missing == exact.missing > 0
    assert value == pytest.approx(most, rel=2e-3) and found.bound >= most - 1e-6


@pytest.mark.parametrize("minimum", [2, 60])
def test_prices_begun_with_a_part_of_the_blocks_reach_what_is_exact(minimum, monkeypatch):
    problem = drawn(400, blocks=2_000, units=25, offers=4, tight=0.06, minimum=minimum, room=1)
    exact, most = checked(problem)
    monkeypatch.setattr(assignment_core, "EXACT_ROWS", 0)
    monkeypatch.setattr(assignment_core, "CORE_ROWS", 1_500)
    monkeypatch.setattr(assignment_dual, "MANY_ROWS", 3_000)
    monkeypatch.setattr(assignment_dual, "SAMPLE", 3)
    found, value = checked(problem)
    assert found.missing == exact.missing
    # Which minimums are missed may differ from what is best.
    assert value == pytest.approx(most, rel=1e-2 if exact.missing else 1e-4)


def test_a_core_grows_until_no_maximum_is_exceeded(monkeypatch):
    """Free prices settle nearly all blocks far beyond the limits, and one turn is all that minimums are given."""
    problem = drawn(500, blocks=800, units=6, offers=4, tight=0.05, minimum=10, room=1)
    nothing = Prices(np.zeros(len(problem.minimum)), np.zeros(len(problem.minimum)))
    monkeypatch.setattr(assignment_core, "EXACT_ROWS", 0)
    monkeypatch.setattr(assignment_core, "CORE_ROWS", 50)
    monkeypatch.setattr(assignment_core, "ROUNDS", 1)
    monkeypatch.setattr(assignment_core, "find_prices", lambda problem: nothing)
    checked(problem)


def test_many_candidates_without_a_limit_take_the_best_of_each_block(monkeypatch):
    problem = drawn(501, blocks=200)
    free = problem.with_limits(np.zeros(0), np.zeros(0))
    free = replace(free, member=sparse.csr_array((problem.member.shape[0], 0)))
    monkeypatch.setattr(assignment_core, "EXACT_ROWS", 0)
    monkeypatch.setattr(assignment_dual, "MANY_ROWS", 100)
    _, value = checked(free)
    assert value == pytest.approx(np.maximum(np.maximum.reduceat(free.value, free.start), 0).sum())


def test_any_prices_give_a_bound():
    problem = drawn(7, blocks=60)
    rng, count = np.random.default_rng(0), len(problem.minimum)
    found, value = checked(problem)
    reachable = replace(problem, missing=found.missing)
    for _ in range(50):
        prices = Prices(rng.exponential(1, count), rng.exponential(1, count))
        assert dual_bound(reachable, prices) >= value


@pytest.mark.parametrize("seed", range(4))
def test_a_price_is_what_one_more_place_brings(seed):
    problem = drawn(11 + seed, blocks=80, tight=0.1, room=1)
    found, _ = checked(problem)
    priced = np.flatnonzero(found.prices.of_maximum > 0)
    brought = []
    for limit in priced:
        more = problem.maximum.copy()
        more[limit] += 1
        brought.append(solve(problem.with_limits(problem.minimum, more)).bound - found.bound)
    # Never more; less only where another limit then binds.
    assert (np.array(brought) <= found.prices.of_maximum[priced] + 1e-6).all() and len(priced)
    assert np.isclose(brought, found.prices.of_maximum[priced]).mean() >= 0.5


# The door.
CANDIDATES = pd.DataFrame(
    [
        (1, "h1", "card", "north", "app", 5.0),
        (1, "h1", "loan", "north", "visit", 9.0),
        (2, "h1", "card", "north", "app", 8.0),
        (3, "h2", "loan", "north", "visit", 4.0),
        (3, "h2", "card", "north", "app", 3.0),
        (4, "h3", "card", "south", "app", -1.0),
        (5, "h4", "card", "south", "app", 2.0),
        (5, "h4", "loan", "south", "visit", 2.5),
        (6, "h5", "card", None, "app", 1.0),
    ],
    columns=["who", "home", "what", "branch", "how", "worth"],
)
LIMITS = "unit string, offer string, channel string, minimum double, maximum double"
ASKED = {"customer": "who", "offer": "what", "value": "worth", "unit": "branch", "channel": "how"}


@pytest.fixture(scope="module")
def candidates(spark):
    columns = "who long, home string, what string, branch string, how string, worth double"
    return spark.createDataFrame(CANDIDATES.astype(object).where(CANDIDATES.notna(), None), columns)


def picked(found) -> set[tuple[int, str]]:
    return {(row["who"], row["what"]) for row in found.chosen.collect()}


def test_a_door_of_its_own(spark, candidates):
    limits = spark.createDataFrame(
        [(None, "loan", None, None, 1.0), ("south", None, None, 2.0, None), ("south", None, "visit", None, 0.0)], LIMITS
    )
    found = assign_offers(candidates, limits=limits, **ASKED)
    # One loan only: customer 1 loses 4 without it, customer 3 one. South needs both of its people, at a loss.
    assert picked(found) == {(1, "loan"), (2, "card"), (3, "card"), (4, "card"), (5, "card"), (6, "card")}
    assert found.value == pytest.approx(22.0) == found.bound and found.gap == 0 and found.shortfalls.empty
    assert found.chosen.columns == list(CANDIDATES.columns)
    assert found.prices["used"].tolist() == [1, 2, 0]
    assert found.prices["price"].tolist()[0] == pytest.approx(1.0) and found.prices["price_minimum"][1] >= 1.0
    turned = candidates.orderBy(F.desc("worth")).repartition(5)
    assert picked(assign_offers(turned, limits=limits.orderBy("maximum"), **ASKED)) == picked(found)


def test_a_household_gets_one_offer_and_what_cannot_be_met_is_listed(spark, candidates):
    limits = spark.createDataFrame([("south", None, None, 5.0, None), ("west", None, None, 1.0, None)], LIMITS)
    found = assign_offers(candidates, block="home", limits=limits, **ASKED)
    assert picked(found) == {(1, "loan"), (3, "loan"), (4, "card"), (5, "loan"), (6, "card")}
    assert found.shortfalls[["unit", "minimum", "missing"]].to_numpy().tolist() == [["south", 5, 3], ["west", 1, 1]]
    nothing = assign_offers(candidates.limit(0), limits=limits, **ASKED)
    assert nothing.chosen.count() == 0 and nothing.value == nothing.bound == nothing.gap == 0
    assert nothing.shortfalls["missing"].tolist() == [5, 1]
    free = assign_offers(candidates, customer="who", offer="what", value="worth", channel="how", limits=limits.limit(0))
    assert (2, "card") in picked(free) and free.value == pytest.approx(9 + 8 + 4 + 2.5 + 1)


REFUSED = {
    "offer: the candidates have no column 'x'": ({"offer": "x"}, None),
    "value: the column 'what' is no number": ({"value": "what"}, None),
    "the minimum 3 of unit north is above its maximum 2": ({}, ("north", None, None, 3.0, 2.0)),
    "the maximum of offer card is no number of at least 0": ({}, (None, "card", None, None, -1.0)),
    "the minimum of all is no number of at least 0": ({}, (None, None, None, float("nan"), None)),
    "a limit on unit north, but no column of units was named": ({"unit": None}, ("north", None, None, 1.0, None)),
    "customer: 'who' is null in 1 of 10 candidates": ({}, "null"),
    "value: 'worth' is null or not finite in 1 of 10 candidates": ({}, "nan"),
    "1 repeat the customer, offer, unit and channel of another, such as those of customer 2": ({}, "twice"),
}
SPOILT = {"null": (None, "h", "card", "north", "app", 1.0), "nan": (9, "h", "card", "north", "app", float("nan")),
          "twice": (2, "h1", "card", "north", "app", 8.0)}  # fmt: skip


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_sentence(spark, candidates, sentence):
    changed, spoilt = REFUSED[sentence]
    rows = candidates
    if isinstance(spoilt, str):
        rows = rows.unionByName(spark.createDataFrame([SPOILT[spoilt]], rows.schema))
    limit = spoilt if isinstance(spoilt, tuple) else ("north", None, None, None, 1.0)
    with pytest.raises(AssignmentError, match=sentence.replace("(", r"\(")):
        assign_offers(rows, limits=spark.createDataFrame([limit], LIMITS), **{**ASKED, **changed})
