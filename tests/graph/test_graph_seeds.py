"""Key customers against brute force, a greedy that looks at everybody, and the plain degree discount."""

import random
from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest

from strata import graph
from strata.graph.referral import seeds

pytestmark = pytest.mark.oracle

CAPS = {"contact": 5, "call": 5}
MOST = 4


def random_near(rng, customers, outside):
    """Whom each customer is tied to: customers both ways, and people outside."""
    near = [set() for _ in range(customers)]
    for _ in range(rng.randint(0, 2 * customers)):
        a, b = rng.randrange(customers), rng.randrange(customers + outside)
        if a != b:
            near[a].add(b)
            if b < customers:
                near[b].add(a)
    return [np.array(sorted(others), np.int64) for others in near]


def reach(near, chosen):
    return {code for seed in chosen for code in (seed, *near[seed].tolist())}


def greedy(near, most):
    chosen = []
    while len(chosen) < most:
        gain = {c: len(reach(near, [*chosen, c])) - len(reach(near, chosen)) for c in range(len(near)) if len(near[c])}
        best = max(gain, key=lambda c: (gain[c], -c), default=None)
        if best is None or gain[best] == 0:
            break
        chosen.append(best)
    return chosen


def discounted(near, most, probability):
    """Algorithm 4 of Chen, Wang and Yang, from its text."""
    degree = {c: len(near[c]) for c in range(len(near)) if len(near[c])}
    tied, left, chosen = defaultdict(int), dict(degree), []
    for _ in range(min(most, len(left))):
        best = max(left, key=lambda c: (left[c], -c))
        del left[best]
        chosen.append(best)
        for other in near[best].tolist():
            if other in left:
                tied[other] += 1
                d, t = degree[other], tied[other]
                left[other] = d - 2 * t - (d - t) * t * probability
    return chosen


def test_lazy_greedy_is_greedy_and_near_the_best():
    rng = random.Random(4)
    worse = 0
    for _ in range(300):
        near = random_near(rng, rng.randint(1, 9), rng.randint(0, 6))
        most = rng.randint(1, 4)
        found = seeds.greedy_cover(near, most)
        assert found == greedy(near, most)
        some = [c for c in range(len(near)) if len(near[c])]
        best = max((len(reach(near, team)) for team in combinations(some, min(most, len(some)))), default=0)
        mine = len(reach(near, found))
        assert mine >= (1 - 1 / np.e) * best
        worse += mine < best
        assert list(seeds.gains(near, found)) == [
            len(reach(near, found[: n + 1])) - len(reach(near, found[:n])) for n in range(len(found))
        ]
    assert worse > 0


@pytest.mark.parametrize("probability", [0.0, 0.01, 0.5, 1.0])
def test_degree_discount(probability):
    rng = random.Random(5)
    for _ in range(200):
        near = random_near(rng, rng.randint(1, 12), rng.randint(0, 6))
        assert seeds.degree_discount(near, 5, probability) == discounted(near, 5, probability)


@pytest.fixture(scope="module")
def bank():
    """40 customers of four managers, or of none, 30 people outside, ties of two kinds and of one that is not used."""
    rng = random.Random(6)
    persons = [(i, i, rng.choice(["m1", "m2", "m3", "m4", None])) for i in range(40)]
    persons += [(i, None, None) for i in range(40, 70)]
    ties = {}
    for _ in range(150):
        a, b = rng.randrange(45), rng.randrange(70)
        ties[min(a, b), max(a, b), rng.choice(["contact", "call", "unheard"])] = rng.randint(1, 9) / 4
    return persons, [(*key, weight) for key, weight in ties.items()]


def expected_groups(persons, ties):
    """Of each manager: the customers with a tie to own people, whom each is tied to; owners of those outside."""
    ends = defaultdict(set)
    used = [t for t in ties if t[2] in CAPS and t[0] != t[1]]
    for a, b, kind, _ in used:
        ends[a, kind].add(b)
        ends[b, kind].add(a)
    hubs = {end for end, others in ends.items() if len(others) > CAPS[end[1]]}
    strength = defaultdict(float)
    for a, b, kind, weight in used:
        if not {(a, kind), (b, kind)} & hubs:
            strength[a, b] += weight
            strength[b, a] += weight
    group = {i: manager for i, customer, manager in persons if customer is not None and manager is not None}
    pull = defaultdict(lambda: defaultdict(float))
    for (a, b), weight in strength.items():
        if a >= 40 and b in group:
            pull[a][group[b]] += weight
    owner = dict(group) | {i: min(found, key=lambda m: (-found[m], m)) for i, found in pull.items()}
    own = defaultdict(lambda: defaultdict(set))
    for a, b in strength:
        if a in group and owner.get(b) == group[a]:
            own[group[a]][a].add(b)
    return own, hubs


@pytest.mark.parametrize("method", ["coverage", "degree_discount"])
def test_seeds_of_each_group(spark, bank, method):
    persons, ties = bank
    rows = seeds.coverage_seeds(
        spark.createDataFrame(ties, "src long, dst long, kind string, weight double"),
        spark.createDataFrame(persons, "id long, customer_id long, manager_id string"),
        per_group=MOST, method=method, probability=0.2, caps=CAPS,
    ).collect()  # fmt: skip
    own, hubs = expected_groups(persons, ties)
    assert {r["manager_id"] for r in rows} == set(own) and len(own) == 4 and hubs
    reached_by = []
    for manager, near in own.items():
        mine = sorted((r for r in rows if r["manager_id"] == manager), key=lambda r: r["seed_rank"])
        ids = sorted(near)
        people = ids + sorted(set().union(*near.values()) - set(ids))
        coded = [np.array(sorted(map(people.index, near[i])), np.int64) for i in ids]
        chosen = greedy(coded, MOST) if method == "coverage" else discounted(coded, MOST, 0.2)
        assert [r["id"] for r in mine] == [ids[c] for c in chosen]
        assert [r["seed_rank"] for r in mine] == list(range(1, len(mine) + 1))
        assert [r["degree_cnt"] for r in mine] == [len(coded[c]) for c in chosen]
        assert [r["reached_cnt"] for r in mine] == [len(reach(coded, chosen[: n + 1])) for n in range(len(mine))]
        assert sum(r["gain_cnt"] for r in mine) == mine[-1]["reached_cnt"]
        reached_by.append({people[code] for code in reach(coded, chosen)})
    assert sum(map(len, reached_by)) == len(set().union(*reached_by))


def test_what_is_refused(spark, bank, monkeypatch):
    persons, ties = bank
    tie_rows = spark.createDataFrame(ties, "src long, dst long, kind string, weight double")
    person_rows = spark.createDataFrame(persons, "id long, customer_id long, manager_id string")
    for changed, message in (
        ({"per_group": 0}, "per_group: a whole number from 1"),
        ({"method": "luck"}, "method: one of coverage, degree_discount"),
        ({"probability": 2}, "probability: a number from 0 to 1"),
        ({"group": "branch_id"}, "persons: column branch_id is missing"),
    ):
        with pytest.raises(graph.GraphError, match=message):
            seeds.coverage_seeds(tie_rows, person_rows, **{"per_group": 2, **changed})
    monkeypatch.setattr(seeds, "MAX_GROUP_ROWS", 3)
    with pytest.raises(graph.GraphError, match="one group has .* ties, more than one task holds"):
        seeds.coverage_seeds(tie_rows, person_rows, per_group=2)
