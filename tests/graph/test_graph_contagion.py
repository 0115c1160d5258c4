"""Ties between people and what those around a customer were known to be, against plain loops as of each moment."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import datetime, timedelta
from math import isclose, log

import pytest

from strata.graph import GraphError
from strata.graph.risk import contagion
from strata.graph.ties import dated_edges as build
from strata.graph.ties.person_ties import DIRECT, KINDS, SHARED, person_ties, person_ties_as_of

pytestmark = pytest.mark.oracle

START = datetime(2025, 1, 1)
PEOPLE, THINGS = 40, 14
CAPS = {"co_account": 3, "phone": 3, "device": 3, "address": 4, "employer": 5, "contact": 9}
FAR = contagion.FAR


def day(number: float) -> datetime:
    return START + timedelta(days=number)


@pytest.fixture(scope="module")
def world():
    """Edges among people (ids 1 to 40), phones (100s), devices (200s), addresses, employers, accounts."""
    rng = random.Random(11)
    bases = {"phone": 100, "device": 200, "address": 300, "employer": 400, "co_account": 500}
    rows = []
    for kind, base in bases.items():
        for _ in range(38 if kind == "employer" else 26):
            rows.append((rng.randint(1, PEOPLE), base + rng.randrange(THINGS), kind, day(rng.randrange(40)), 1))
    for _ in range(40):
        rows.append((rng.randint(1, PEOPLE), 100 + rng.randrange(THINGS), "contact", day(rng.randrange(40)), 1))
        rows.append((100 + rng.randrange(THINGS), 100 + rng.randrange(THINGS), "call", day(rng.randrange(40)), 2))
        rows.append((500 + rng.randrange(THINGS), 500 + rng.randrange(THINGS), "transfer", day(rng.randrange(40)), 1))
    for kind in ("guarantee", "family", "referral"):
        rows += [(rng.randint(1, PEOPLE), rng.randint(1, PEOPLE), kind, day(rng.randrange(40)), 1) for _ in range(9)]
    # Some transfers are taken back whole.
    rows += [(a, b, k, known + timedelta(days=9), -n) for a, b, k, known, n in rows if k == "transfer"][:15]
    # What somebody has is stated once.
    first = {(a, b, k): known for a, b, k, known, _ in sorted(rows, key=lambda r: r[3], reverse=True) if k in SHARED}
    rows = [row for row in rows if row[2] not in SHARED] + [(*key, known, 1) for key, known in first.items()]
    merged = defaultdict(int)
    for *key, pieces in rows:
        merged[tuple(key)] += pieces
    return [(*key, pieces) for key, pieces in merged.items()]


@pytest.fixture(scope="module")
def ties(spark, world):
    edges = spark.createDataFrame(world, "src long, dst long, kind string, known_ts timestamp, evidence_count long")
    edges = edges.selectExpr("*", "CAST(evidence_count AS decimal(28,2)) AS amount")
    ids = sorted({end for row in world for end in row[:2]} | set(range(1, PEOPLE + 1)))
    keys = [(n, f"customer:{n + 1000}" if n <= PEOPLE else f"thing:{n}") for n in ids]
    vertices = spark.createDataFrame(keys, "id long, key string").selectExpr(
        "*", "substring_index(key, ':', 1) AS entity"
    )
    hubs = build.hub_register(edges, CAPS).localCheckpoint()
    return person_ties(vertices, edges, hubs).persist()


def linked_at(world, moment):
    """Edge rows that count at a moment: known, and neither end a hub of the kind by then."""
    known = [row for row in world if row[3] <= moment]
    near = defaultdict(set)
    for src, dst, kind, *_ in known:
        near[src, kind].add(dst)
        near[dst, kind].add(src)
    hub = {end for end, others in near.items() if len(others) > CAPS.get(end[1], 10**9)}
    return [row for row in known if (row[0], row[2]) not in hub and (row[1], row[2]) not in hub]


def ties_at(world, moment):
    """(customer, neighbour, kind) -> pieces of evidence at a moment."""
    linked = linked_at(world, moment)
    owners = defaultdict(set)
    for src, dst, kind, *_ in linked:
        if kind in SHARED:
            owners[dst, kind].add(src)
    found = defaultdict(int)
    for (_, kind), people in owners.items():
        for one in people:
            for other in people - {one}:
                found[one, other, SHARED[kind]] = found[one, other, SHARED[kind]] + 1

    def carriers(end):
        return {end} if end <= PEOPLE else owners[end, "phone"] | owners[end, "co_account"]

    for src, dst, kind, _, pieces in linked:
        if kind in DIRECT:
            for one in carriers(src):
                for other in carriers(dst) - {one}:
                    found[one, other, kind] += pieces
                    found[other, one, "guaranteed" if kind == "guarantee" else kind] += pieces
    return {key: pieces for key, pieces in found.items() if pieces > 0}


@pytest.mark.parametrize("number", [0, 7, 21, 60])
def test_ties_between_people_at_any_moment(spark, world, ties, number):
    rows = person_ties_as_of(ties, day(number).astimezone()).collect()
    found = {(r.customer_id - 1000, r.neighbour_id - 1000, r.kind): r.evidence_count for r in rows}
    assert found == ties_at(world, day(number))
    assert all(isclose(r.weight, log(1 + r.evidence_count)) for r in rows)
    if number == 60:
        assert {kind for *_, kind in found} == set(KINDS)


def standing_rows(rng):
    rows = []
    for loan in range(45):
        who = rng.randint(1, PEOPLE)
        for month in range(3):
            rows.append((who, loan, day(rng.randrange(50)), rng.choice([0, 0, 30, 95]), 100 * loan + month))
    return rows


def expected(world, standing, listed, who, moment):
    """What ``contagion_features`` says of one customer at one moment, by loops."""
    ties = ties_at(world, moment)
    bad = {row[0] for row in standing if row[2] <= moment and row[3] >= 90}
    on_list = {one for one, since, until in listed if since <= moment and (until is None or until > moment)}
    near, onward = defaultdict(dict), defaultdict(set)
    for (one, other, kind), pieces in ties.items():
        if one == who:
            near[other][kind] = log(1 + pieces)
        if kind in FAR:
            onward[one].add(other)
    row = {}
    for kind in KINDS:
        people = [other for other, kinds in near.items() if kind in kinds]
        row[f"{kind}_cnt"], row[f"{kind}_bad_cnt"] = len(people), len(set(people) & bad)
        row[f"{kind}_bad_ratio"] = len(set(people) & bad) / len(people) if people else None
    weights = [(other in bad, weight) for other, kinds in near.items() for weight in kinds.values()]
    total = sum(weight for _, weight in weights)
    row["weighted_bad_ratio"] = sum(weight for is_bad, weight in weights if is_bad) / total if weights else None
    first = {other for other, kinds in near.items() if set(kinds) & set(FAR)}
    far = set().union(*(onward[other] for other in first)) - {who} - set(near)
    for name, people in (("all_", set(near)), ("far_", far)):
        row[f"{name}cnt"], row[f"{name}bad_cnt"] = len(people), len(people & bad)
        row[f"{name}bad_ratio"] = len(people & bad) / len(people) if people else None
    owed = {}
    for one, loan, known, _, balance in sorted(standing, key=lambda r: r[2]):
        if known <= moment and one in near:
            owed[one, loan] = balance
    row["exposure_amt"] = sum(owed.values())
    row["bad_exposure_amt"] = sum(balance for (one, _), balance in owed.items() if one in bad)
    third = set().union(*(onward[other] for other in far)) - {who}
    steps = [n for n, people in ((1, set(near)), (2, far), (3, third)) if people & on_list]
    row["listed_steps"] = min(steps) if steps else None
    return row


def test_contagion_is_as_of_each_rows_moment(spark, world, ties):
    rng = random.Random(3)
    standing = standing_rows(rng)
    # The newest month of a loan is told apart by when it was known.
    standing = list({(row[1], row[2]): row for row in standing}.values())
    listed = [(rng.randint(1, PEOPLE), day(rng.randrange(40)), rng.choice([None, day(45)])) for _ in range(4)]
    asked = [(who, day(n)) for who in range(1, PEOPLE + 1) for n in (5, 20, 47)] + [(99, day(20))]
    spine = spark.createDataFrame([(who + 1000, at) for who, at in asked], "customer_id long, as_of_ts timestamp")
    stood = spark.createDataFrame(
        [(who + 1000, loan, known, dpd, balance) for who, loan, known, dpd, balance in standing],
        "customer_id long, loan_id long, known_ts timestamp, days_past_due int, balance long",
    )
    names = spark.createDataFrame(
        [(who + 1000, *times) for who, *times in listed],
        "customer_id long, listed_from timestamp, listed_until timestamp",
    )
    rows = contagion.contagion_features(spine, ties, stood, names).collect()
    found = {(r["customer_id"] - 1000, r["as_of_ts"]): r.asDict() for r in rows}
    assert len(rows) == len(asked) == len(found)
    seen_steps = set()
    for (who, moment), row in found.items():
        wanted = expected(world, standing, listed, who, moment)
        seen_steps.add(wanted["listed_steps"])
        for name, value in wanted.items():
            ours = row[f"contagion_{name}"]
            assert (ours is None) == (value is None), (who, moment, name, ours, value)
            assert value is None or isclose(ours, value), (who, moment, name, ours, value)
    assert seen_steps == {None, 1, 2, 3}


def test_unknown_kinds_are_refused(spark, ties):
    spine = spark.createDataFrame([(1, day(1))], "customer_id long, as_of_ts timestamp")
    with pytest.raises(GraphError, match="kinds: 'neighbour' is unknown; there are: co_account"):
        contagion.contagion_features(spine, ties, ties, ties, kinds=["neighbour"])


def test_listings_name_customers_by_their_tokens(spark):
    customers = spark.createDataFrame(
        [(1, "i1", "p1", "a1", day(0)), (1, "i1", "p2", "a1", day(9)), (2, "i2", "p1", None, day(3))],
        "customer_id long, id_hash string, phone_hash string, home_address_hash string, known_ts timestamp",
    )
    blacklist = spark.createDataFrame(
        [
            (1, "phone", "p1", None, day(2)), (2, "person", "i1", None, day(1)), (2, "person", "i1", day(8), day(8)),
            (3, "device", "p1", None, day(1)), (4, "address", "a1", None, day(0)),
        ],
        "listing_id long, subject_type string, subject_hash string, removed_on timestamp, known_ts timestamp",
    )  # fmt: skip
    rows = contagion.listings(blacklist, customers).collect()
    found = {(r.customer_id, r.listed_from, r.listed_until) for r in rows}
    assert found == {(1, day(2), None), (2, day(3), None), (1, day(1), day(8)), (1, day(0), None)}
    assert len(rows) == 4
