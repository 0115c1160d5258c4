"""The spread of news against every possible course of it, and its fit against sharing that was planted."""

from itertools import product

import networkx as nx
import numpy as np
import pytest

from strata import graph
from strata.graph.referral import diffusion
from strata.graph.referral.diffusion import Sharing, community, expected_take_up, spread

pytestmark = pytest.mark.oracle


def small(seed):
    rng = np.random.default_rng(seed)
    whole = nx.gnp_random_graph(4, 0.6, seed=int(seed))
    src, dst = (np.array([edge[end] for edge in whole.edges], np.int64) for end in (0, 1))
    return community(4, src, dst, np.array([0]), rng.uniform(0.2, 0.9, 4)), whole


def exact(among, whole, sharing, rounds):
    """Probability that each has heard, and the expected take-up, over all courses of events."""
    states = {}
    for willing in product([0, 1], repeat=4):
        weight = np.prod([p if w else 1 - p for p, w in zip(among.chance, willing)])
        heard = tuple(int(i in among.seeds) for i in range(4))
        states[willing, heard] = weight
    for _ in range(rounds):
        after = {}
        for (willing, heard), weight in states.items():
            for told, part in heard_next(whole, willing, heard, sharing):
                after[willing, told] = after.get((willing, told), 0.0) + weight * part
        states = after
    reached = sum(w * np.array(heard) for (_, heard), w in states.items())
    taken = sum(w * np.mean(np.array(heard) * np.array(willing)) for (willing, heard), w in states.items())
    assert sum(states.values()) == pytest.approx(1)
    return reached, taken


def heard_next(whole, willing, heard, sharing):
    """Every outcome of one round and its probability: each tie from somebody who heard passes or doesn't."""
    ways = [(a, b) for a in whole for b in whole[a] if heard[a]]
    for passes in product([0, 1], repeat=len(ways)):
        part, told = 1.0, list(heard)
        for (a, b), passed in zip(ways, passes):
            share = sharing.taker if willing[a] else sharing.other
            part *= share if passed else 1 - share
            told[b] |= passed
        if part:
            yield tuple(told), part


@pytest.mark.parametrize("seed", [1, 2, 5])
@pytest.mark.parametrize("sharing", [Sharing(0.4, 0.1), Sharing(1.0, 0.0), Sharing(0.0, 0.7)])
def test_spread_is_that_of_all_courses(seed, sharing):
    among, whole = small(seed)
    reached, taken = exact(among, whole, sharing, 2)
    heard, took = spread(among, sharing, rounds=2, draws=60_000, seed=3)
    assert heard.mean(axis=0) == pytest.approx(reached, abs=0.01)
    assert took.mean() == pytest.approx(taken, abs=0.01)
    value, error = expected_take_up(among, sharing, rounds=2, draws=4_000)
    assert abs(value - taken) < 4 * error + 1e-9


def test_certain_sharing_reaches_whom_rounds_reach():
    whole = nx.path_graph(7)
    edges = np.array(whole.edges)
    among = community(7, edges[:, 0], edges[:, 1], np.array([3]), np.ones(7))
    for rounds in range(4):
        heard, took = spread(among, Sharing(1.0, 1.0), rounds=rounds, draws=3)
        near = nx.single_source_shortest_path_length(whole, 3, cutoff=rounds)
        assert (heard == [i in near for i in range(7)]).all() and (took == heard).all()
    assert spread(among, Sharing(0.0, 0.0), rounds=9, draws=2)[0].sum() == 2


def plain_moments(among, took):
    ties, seeds, n = among.ties > 0, set(among.seeds.tolist()), among.n
    near = {i: set(np.flatnonzero(ties[i]).tolist()) for i in range(n)}
    far = {i: set().union(*(near[j] for j in near[i])) - near[i] - {i} for i in range(n)}

    def mean(values):
        return sum(values) / len(values) if values else 0.0

    def covariance(of):
        pairs = [(took[i], mean([took[j] for j in of[i]])) for i in range(n) if of[i]]
        return mean([a * b for a, b in pairs]) - mean([a for a, _ in pairs]) * mean([b for _, b in pairs])

    rest = [i for i in range(n) if i not in seeds]
    touched = [i for i in rest if near[i] & seeds]
    by_taker = [i for i in touched if any(took[j] for j in near[i] & seeds)]
    groups = (rest, by_taker, [i for i in touched if i not in by_taker])
    return [*(mean([took[i] for i in group]) for group in groups), covariance(near), covariance(far)]


def random_community(seed, n=60, share=0.1):
    rng = np.random.default_rng(seed)
    edges = np.array(nx.gnp_random_graph(n, share, seed=int(seed)).edges)
    return community(n, edges[:, 0], edges[:, 1], rng.choice(n, 6, replace=False), rng.uniform(0.1, 0.6, n))


def test_moments_are_those_of_plain_loops():
    rng = np.random.default_rng(2)
    for seed in range(12):
        among = random_community(seed, share=0.03)
        took = rng.random((3, among.n)) < 0.3
        expected = np.mean([plain_moments(among, row.astype(int)) for row in took], axis=0)
        assert diffusion.moments(among, took) == pytest.approx(expected)
        assert diffusion.moments(among, took[0]) == pytest.approx(plain_moments(among, took[0].astype(int)))


def test_planted_sharing_is_found():
    villages = [random_community(seed) for seed in range(24)]
    grid = [Sharing(taker, other) for taker in (0.05, 0.15, 0.3, 0.5) for other in (0.0, 0.05, 0.15, 0.3)]
    for planted in (Sharing(0.3, 0.05), Sharing(0.05, 0.15)):
        taken = [spread(one, planted, rounds=4, draws=1, seed=90 + i)[1][0] for i, one in enumerate(villages)]
        fit = diffusion.fit_sharing(villages, taken, grid=grid, rounds=4, draws=60)
        assert fit.sharing == planted
        assert len(fit.distance) == len(grid) and fit.distance.argmin() == grid.index(planted)


def test_what_is_refused():
    one, none = np.array([0]), np.array([], np.int64)
    for call, message in (
        (lambda: community(2, one, np.array([2]), none, np.ones(2)), "dst: codes from 0 to 1"),
        (lambda: community(2, one, one, none, np.array([0.5, 1.5])), "chance: 2 probabilities"),
        (lambda: spread(random_community(1), Sharing(1.2, 0.0), rounds=1, draws=1), "sharing: two probabilities"),
        (lambda: spread(random_community(1), Sharing(0.2, 0.0), rounds=-1, draws=1), "rounds, draws: -1 and 1"),
        (
            lambda: diffusion.fit_sharing(
                [random_community(1)], [np.zeros(60)], grid=[Sharing(0.1, 0.1)], rounds=1, draws=2
            ),
            "1 communities are too few for 5 moments",
        ),
    ):
        with pytest.raises(graph.GraphError, match=message):
            call()
