"""Rings and their signs, against networkx and loops over a small world of people, phones, devices and calls."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import datetime, timedelta

import networkx as nx
import pytest

from strata.graph.fraud.rings import FEWEST, SIGNS, ring_alerts, ring_evidence, ring_members

pytestmark = pytest.mark.oracle

START = datetime(2025, 1, 1)
PEOPLE = 90
AS_OF = START + timedelta(days=30)


@pytest.fixture(scope="module")
def world():
    rng = random.Random(2)
    # Groups of five have one device or phone, or not.
    phones = [(who, 200 + (who if rng.random() < 0.6 else who // 5)) for who in range(1, PEOPLE + 1)]
    devices = [(who, 400 + (who if rng.random() < 0.6 else who // 5)) for who in range(1, PEOPLE + 1)]
    contacts = {(who, 200 + rng.randrange(100)) for who in range(1, PEOPLE + 1) for _ in range(2) if who % 3}
    calls = {(200 + rng.randrange(100), 200 + rng.randrange(100)) for _ in range(60)}
    calls |= {(phones[who - 1][1], contact) for who, contact in contacts if who % 4}
    rows = [(a, b, "phone") for a, b in phones] + [(a, b, "device") for a, b in devices]
    rows += [(a, b, "contact") for a, b in sorted(contacts)] + [(a, b, "call") for a, b in sorted(calls)]
    applied = [
        (who, 1000 * who + n, START + timedelta(days=rng.randrange(0, 45), hours=rng.randrange(24)))
        for who in range(1, PEOPLE + 1)
        for n in range(rng.randrange(3))
    ]
    return rows, applied, {7, 8, 21, 40}


def expected(world):
    """ring_id -> (members, counts of signs)."""
    rows, applied, bad = world
    graph = nx.Graph((a, b) for a, b, kind in rows if kind in ("phone", "device"))
    phone = {a: b for a, b, kind in rows if kind == "phone"}
    talked = {frozenset(row[:2]) for row in rows if row[2] == "call"}
    books = defaultdict(set)
    for a, b, kind in rows:
        if kind == "contact":
            books[a].add(b)
    found = {}
    for group in nx.connected_components(graph):
        people = {one for one in group if one <= PEOPLE}
        if len(people) < FEWEST:
            continue
        crowd = {kind: defaultdict(set) for kind in ("phone", "device")}
        for a, b, kind in rows:
            if kind in crowd and a in people:
                crowd[kind][b].add(a)
        asked = [(who, at) for who, _, at in applied if who in people and at <= AS_OF]
        week = timedelta(days=7)
        found[min(people)] = (
            people,
            {
                "device_cnt": max(len(who) for who in crowd["device"].values()),
                "phone_cnt": max(len(who) for who in crowd["phone"].values()),
                "burst_cnt": max((len({w for w, at in asked if end - week <= at <= end}) for _, end in asked),
                                 default=0),
                "silent_cnt": sum(
                    bool(books[who]) and not any(frozenset((phone[who], contact)) in talked for contact in books[who])
                    for who in people
                ),
                "bad_cnt": len(people & bad),
            },
        )  # fmt: skip
    return found


def test_rings_have_the_signs_that_loops_find(spark, world):
    rows, applied, bad = world
    ids = sorted({end for row in rows for end in row[:2]})
    vertices = spark.createDataFrame(
        [(n, f"customer:{n}" if n <= PEOPLE else f"thing:{n}") for n in ids], "id long, key string"
    ).selectExpr("*", "substring_index(key, ':', 1) AS entity")
    ties = spark.createDataFrame([(*row, START) for row in rows], "src long, dst long, kind string, known_ts timestamp")
    asked = spark.createDataFrame(
        [(who, number, at, at) for who, number, at in applied],
        "customer_id long, application_id long, event_ts timestamp, known_ts timestamp",
    )
    names = spark.createDataFrame([(who,) for who in sorted(bad)], "customer_id long")
    members = ring_members(vertices, ties, asked, names, AS_OF.astimezone()).localCheckpoint()
    wanted = expected(world)
    assert len(wanted) > 4
    found = defaultdict(set)
    for row in members.collect():
        found[row.ring_id].add(row.customer_id)
        assert row.members == len(wanted[row.ring_id][0])
        assert {name: row[name] for name in SIGNS} == wanted[row.ring_id][1], row.ring_id
    assert found == {ring: people for ring, (people, _) in wanted.items()}

    alerts = {row.ring_id: row for row in ring_alerts(members).collect()}
    signs = {
        ring: sum(count >= (1 if name == "bad_cnt" else FEWEST) for name, count in counts.items())
        for ring, (_, counts) in wanted.items()
    }
    assert {ring: row.signs for ring, row in alerts.items()} == {ring: n for ring, n in signs.items() if n >= 2}
    assert len(alerts) < len(wanted)
    for ring, row in alerts.items():
        counts = wanted[ring][1]
        assert row.reason.startswith(f"of {len(wanted[ring][0])} people ")
        assert ("sign in from one device" in row.reason) == (counts["device_cnt"] >= FEWEST)
        assert ("90 days past due" in row.reason) == (counts["bad_cnt"] >= 1)

    evidence = {(r.ring_id, r.customer_id, r.thing, r.kind) for r in ring_evidence(members, ties).collect()}
    ring_of = {who: ring for ring, people in found.items() for who in people}
    assert evidence == {(ring_of[a], a, b, k) for a, b, k in rows if k in ("phone", "device") and a in ring_of}
