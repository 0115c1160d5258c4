"""Pairs for referral against networkx, and who knows whom against plain loops over what was known."""

import random
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import product

import networkx as nx
import numpy as np
import pytest

from strata import graph
from strata.graph.referral import referral_pairs as referral
from strata.graph.ties import dated_edges as build
from strata.graph.ties import person_ties as people
from strata.graph.ties import warm_ties as warm

pytestmark = pytest.mark.oracle

CAPS = {"contact": 4, "call": 2, "colleague": 2}
KINDS = (*CAPS, "unheard")
DAMPING = 0.6


def random_world():
    """60 communities of persons inside and out, some of whom are hubs of a kind; ties with a loop here and there."""
    rng = random.Random(3)
    persons, ties = [], {}
    for _ in range(60):
        own = list(range(len(persons), len(persons) + rng.randint(2, 14)))
        persons += [(i, 1000 + i if rng.random() < 0.6 else None, rng.randrange(3)) for i in own]
        for _ in range(rng.randint(1, 4 * len(own))):
            src, dst = rng.choice(own), rng.choice(own)
            ties[min(src, dst), max(src, dst), rng.choice(KINDS)] = rng.randint(1, 12) / 4
    return persons, [(*key, weight) for key, weight in ties.items()]


@pytest.fixture(scope="module", params=["long", "string"])
def case(spark, request):
    persons, ties = random_world()
    name = (lambda i: i) if request.param == "long" else (lambda i: f"p{i:04}")
    persons = [(name(i), c, n) for i, c, n in persons]
    ties = [(name(a), name(b), kind, weight) for a, b, kind, weight in ties]
    frames = (
        spark.createDataFrame(ties, f"src {request.param}, dst {request.param}, kind string, weight double"),
        spark.createDataFrame(persons, f"id {request.param}, customer_id long, referral_cnt long"),
    )
    return persons, ties, *frames


def links_of(persons, ties, caps=CAPS):
    """The graph without any tie of a hub: strength and kinds on the edges."""
    near = defaultdict(set)
    used = [t for t in ties if t[2] in caps and t[0] != t[1]]
    for a, b, kind, _ in used:
        near[a, kind].add(b)
        near[b, kind].add(a)
    hubs = {end for end, others in near.items() if len(others) > caps[end[1]]}
    found = nx.Graph()
    found.add_nodes_from(p[0] for p in persons)
    for a, b, kind, weight in used:
        if (a, kind) not in hubs and (b, kind) not in hubs:
            found.add_edge(a, b)
            found.edges[a, b]["strength"] = found.edges[a, b].get("strength", 0) + weight
            found.edges[a, b].setdefault("kinds", set()).add(kind)
    return found, hubs


def walked(links, source, steps):
    """Personalised PageRank after ``steps`` rounds, from its definition."""
    ids = sorted(nx.node_connected_component(links, source))
    matrix = nx.to_numpy_array(links, nodelist=ids, weight="strength").T
    matrix = matrix / matrix.sum(axis=0)
    start = np.array([float(i == source) for i in ids])
    rank = start
    for _ in range(steps):
        rank = (1 - DAMPING) * start + DAMPING * matrix @ rank
    return dict(zip(ids, rank))


def expected_pairs(persons, ties):
    links, hubs = links_of(persons, ties)
    customer = {i: c for i, c, _ in persons if c is not None}
    brought = {i: n for i, _, n in persons}
    found = {}
    for a, b in product(customer, (i for i, c, _ in persons if c is None)):
        common = sorted(nx.common_neighbors(links, a, b)) if links.degree(a) and links.degree(b) else []
        if not common and not links.has_edge(a, b):
            continue
        edge = links.edges[a, b] if links.has_edge(a, b) else {"strength": 0.0, "kinds": set()}
        strengths = [(links.edges[a, z]["strength"], links.edges[z, b]["strength"]) for z in common]
        found[a, b] = {
            "customer_id": customer[a],
            "step_cnt": 1 if edge["kinds"] else 2,
            "tie_kinds": sorted(edge["kinds"]),
            "tie_strength": edge["strength"],
            "tie_kind_cnt": len(edge["kinds"]),
            "common_contact_cnt": len(common),
            "common_colleague_cnt": sum("colleague" in links.edges[a, z]["kinds"] for z in common),
            "adamic_adar": next(nx.adamic_adar_index(links, [(a, b)]))[2],
            "resource_allocation": next(nx.resource_allocation_index(links, [(a, b)]))[2],
            "path_strength": sum(one * two for one, two in strengths),
            "walk_rank": walked(links, a, 2)[b],
            "prospect_degree_cnt": links.degree(b),
            "referrer_degree_cnt": links.degree(a),
            "referral_cnt": brought[a],
        }
    return found, links, hubs


def test_pairs_are_those_of_networkx(case):
    persons, ties, tie_rows, person_rows = case
    expected, links, hubs = expected_pairs(persons, ties)
    rows = referral.referral_candidates(tie_rows, person_rows, caps=CAPS, damping=DAMPING).collect()
    found = {(r["referrer_id"], r["prospect_id"]): r.asDict() for r in rows}
    assert len(found) == len(rows) and found.keys() == expected.keys()
    for pair, wanted in expected.items():
        assert found[pair]["reason_text"] == in_words(wanted)
        assert found[pair]["tie_kinds"] == wanted.pop("tie_kinds")
        got = {name: found[pair][name] for name in wanted}
        assert got == pytest.approx(wanted, rel=1e-9), pair
    steps = [row["step_cnt"] for row in rows]
    assert steps.count(1) > 50 and steps.count(2) > 50 and len(hubs) > 15
    assert sum(row["common_colleague_cnt"] > 0 for row in rows) > 10


def in_words(pair):
    count, work = pair["common_contact_cnt"], pair["common_colleague_cnt"]
    words = [f"{count} common contact{'s' if count > 1 else ''}"] if count else []
    if work:
        words[0] += f" ({work} of the same employer)"
    return ", ".join(words + [referral.WORDS[kind] for kind in pair["tie_kinds"]])


def test_a_walk_of_two_steps_is_near_to_the_endless_one(spark, case):
    persons, ties, tie_rows, person_rows = case
    expected, links, _ = expected_pairs(persons, ties)
    firsts = Counter(a for a, _ in expected)
    source = min(firsts, key=lambda a: (-firsts[a], a))
    both = [(a, b, links.edges[a, b]["strength"]) for a, b in links.edges]
    edges = spark.createDataFrame(
        both + [(b, a, w) for a, b, w in both], tie_rows.select("src", "dst", "weight").schema
    )
    ours = graph.personalised_pagerank(
        person_rows.select("id"), edges, seeds=[source], damping=DAMPING, iterations=2, weight="weight"
    )
    two = {row["id"]: row["rank"] for row in ours.collect()}
    endless = nx.pagerank(links, alpha=DAMPING, personalization={source: 1}, weight="strength", tol=1e-12)
    pairs = [b for a, b in expected if a == source]
    assert len(pairs) > 2
    for b in pairs:
        assert expected[source, b]["walk_rank"] == pytest.approx(two[b])
        assert abs(two[b] - endless[b]) <= DAMPING**3


def test_a_hub_makes_no_pairs(spark):
    """A phone that seven know and a customer with seven contacts; one less each, and there are pairs."""
    persons = [(i, i if i < 10 else None) for i in range(20)]
    person_rows = spark.createDataFrame(persons, "id long, customer_id long")

    def pairs(known, contacts):
        ties = [(i, 19, "contact", 1.0) for i in range(known)]
        ties += [(9, 10 + i, "contact", 1.0) for i in range(contacts)]
        rows = spark.createDataFrame(ties, "src long, dst long, kind string, weight double")
        found = referral.referral_candidates(rows, person_rows, caps={"contact": 6})
        return {(r["referrer_id"], r["prospect_id"]) for r in found.collect()}

    assert pairs(7, 7) == set()
    assert pairs(6, 6) == {(i, 19) for i in range(6)} | {(9, 10 + i) for i in range(6)}


def test_what_is_refused(spark):
    ties = spark.createDataFrame([(1, 2, "contact", 1.0)], "src long, dst long, kind string, weight double")
    persons = spark.createDataFrame([(1, 1), (2, None)], "id long, customer_id long")
    candidates = referral.referral_candidates
    for call, message in (
        (lambda: candidates(ties.drop("kind"), persons), "ties: column kind is missing"),
        (lambda: candidates(ties, persons.drop("customer_id")), "persons: column customer_id is missing"),
        (lambda: candidates(ties, persons.where("id = 1")), "1 ends .* are no vertex"),
        (lambda: candidates(ties, persons, caps={"contact": 0}), "caps: contact: a whole number from 1"),
        (lambda: candidates(ties, persons, damping=1.5), "damping: a number from 0 to 1"),
        (lambda: candidates(ties.selectExpr("src", "dst", "kind", "-weight AS weight"), persons), "weight: 1 values"),
    ):
        with pytest.raises(graph.GraphError, match=message):
            call()


def test_paths_are_the_ties_of_the_two_and_of_their_best_contacts(case):
    persons, ties, tie_rows, _ = case
    expected, links, hubs = expected_pairs(persons, ties)
    asked = sorted(expected)[::3]
    between = defaultdict(set)
    for a, b, kind, _ in ties:
        if kind in CAPS and (a, kind) not in hubs and (b, kind) not in hubs:
            between[frozenset((a, b))].add(kind)
    wanted = set()
    for a, b in asked:
        common = nx.common_neighbors(links, a, b)
        strengths = {z: links.edges[a, z]["strength"] * links.edges[z, b]["strength"] for z in common}
        best = sorted(strengths, key=lambda z: (-strengths[z], z))[:2]
        legs = [(a, b), *((a, z) for z in best), *((z, b) for z in best)]
        wanted |= {(a, b, *leg, kind) for leg in legs for kind in between[frozenset(leg)]}
    of_one = tie_rows.schema["src"].dataType.simpleString()
    pairs = tie_rows.sparkSession.createDataFrame(asked, f"referrer_id {of_one}, prospect_id {of_one}")
    known = tie_rows.selectExpr("*", "CAST(weight * 4 AS LONG) AS evidence_count", "current_timestamp() AS known_ts")
    rows = referral.referral_paths(known, pairs, caps=CAPS, most=2).collect()
    found = {(r["referrer_id"], r["prospect_id"], r["src"], r["dst"], r["kind"]) for r in rows}
    assert found == wanted and len(rows) == len(found) > 100
    weights = {(*sorted(t[:2]), t[2]): t[3] for t in ties}
    assert all(r["evidence_count"] == 4 * weights[(*sorted((r["src"], r["dst"])), r["kind"])] for r in rows)
    with pytest.raises(graph.GraphError, match="most: a whole number from 1 is expected, not 0"):
        referral.referral_paths(known, pairs, caps=CAPS, most=0)
    with pytest.raises(graph.GraphError, match="ties: column evidence_count is missing"):
        referral.referral_paths(tie_rows, pairs, caps=CAPS)


def test_guard_rails(spark):
    rows = [(r, r + 1000, p) for r, p in product(range(40), range(500, 700))]
    pairs = spark.createDataFrame(rows, "referrer_id long, customer_id long, prospect_id long")
    consents = spark.createDataFrame([(r + 1000,) for r in range(30)] * 2, "customer_id long")
    risky = spark.createDataFrame([(5,), (35,), (501,)], "id long")
    found = referral.allowed(pairs, consents=consents, risky=risky, holdout=0.2).collect()
    assert sorted((r[0], r[1], r[2]) for r in found) == rows
    held = {r["prospect_id"] for r in found if r["refusal"] == referral.HELD_OUT}
    for row in found:
        referrer, prospect = row["referrer_id"], row["prospect_id"]
        expected = (
            (referrer >= 30 and referral.NO_CONSENT)
            or (referrer == 5 and referral.RISKY_REFERRER)
            or (prospect == 501 and referral.RISKY_PROSPECT)
            or (prospect in held and referral.HELD_OUT)
            or None
        )
        assert row["refusal"] == expected and row["is_allowed"] == (expected is None)
    assert 20 < len(held) < 60
    again = referral.allowed(pairs, consents=consents, risky=risky, holdout=0.2, salt="another")
    others = {r["prospect_id"] for r in again.where(again["refusal"] == referral.HELD_OUT).collect()}
    assert others != held
    nobody = referral.allowed(pairs, consents=consents, risky=risky, holdout=0.0)
    assert nobody.where(nobody["refusal"] == referral.HELD_OUT).count() == 0
    with pytest.raises(graph.GraphError, match="holdout: a share of prospects"):
        referral.allowed(pairs, consents=consents, risky=risky, holdout=1.0)
    with pytest.raises(graph.GraphError, match="risky: column id is missing"):
        referral.allowed(pairs, consents=consents, risky=consents)


def test_outcomes(spark):
    pairs = spark.createDataFrame([(1, 5), (1, 6), (2, 5)], "referrer_id long, prospect_id long")
    came = spark.createDataFrame([(1, 6), (1, 6), (2, 6), (9, 5)], "referrer_id long, prospect_id long")
    found = referral.with_outcome(pairs, came).collect()
    assert sorted(tuple(r) for r in found) == [(1, 5, 0), (1, 6, 1), (2, 5, 0)]


START = datetime(2026, 1, 1)
STAR_CAPS = {"phone": 2, "contact": 4, "call": 5, "address": 3}
EVIDENCE = (
    "src_key string, dst_key string, kind string, event_ts timestamp, known_ts timestamp, pieces int, "
    "amount decimal(18,2)"
)


def day(number):
    return START + timedelta(days=number)


@pytest.fixture(scope="module")
def evidence():
    """30 customers with phones, two of some and one for several; address books, calls, family and referrals."""
    rng = random.Random(8)
    rows = [(f"customer:{c}", f"phone:{rng.choice([c, c, c, c % 9])}", "phone", rng.randrange(60)) for c in range(30)]
    rows += [(f"customer:{c}", f"phone:{100 + c}", "phone", 70) for c in range(6)]
    for _ in range(120):
        book = f"customer:{rng.randrange(30)}", f"phone:{rng.choice([rng.randrange(30), 100 + rng.randrange(30)])}"
        rows.append((*book, "contact", rng.randrange(90)))
    for _ in range(150):
        ends = (f"phone:{rng.choice([rng.randrange(30), 100 + rng.randrange(30)])}" for _ in range(2))
        rows.append((*ends, "call", rng.randrange(90)))
    rows += [(f"customer:{c}", f"address:{rng.randrange(9)}", "address", rng.randrange(60)) for c in range(30)]
    rows += [(f"customer:{c}", f"customer:{c + 1}", "family", rng.randrange(90)) for c in range(0, 28, 3)]
    rows += [(f"customer:{rng.randrange(20)}", f"customer:{c}", "referral", rng.randrange(90)) for c in range(20, 30)]
    return [row for row in rows if row[0] != row[1]]


@pytest.fixture(scope="module")
def tables(spark, evidence):
    return tables_of(spark, evidence)


def tables_of(spark, evidence, ids=None):
    rows = [(a, b, kind, day(n), day(n), 1, None) for a, b, kind, n in evidence]
    frame = spark.createDataFrame(rows, EVIDENCE)
    nobody = spark.createDataFrame([], "customer_id long, account_id long, known_ts timestamp")
    vertices = build.relation_vertices(nobody, nobody, frame)
    vertices = vertices.join(build.extend_ids(vertices) if ids is None else ids, on="key", how="inner")
    vertices = vertices.localCheckpoint()
    edges = build.build_edges(frame, vertices).localCheckpoint()
    hubs = build.hub_register(edges, STAR_CAPS).localCheckpoint()
    return vertices, edges, hubs, people.person_ties(vertices, edges, hubs).localCheckpoint()


def known_at(evidence, at):
    """kind -> (src, dst) -> days of its evidence, without those of hubs; and all of them."""
    ties, near = defaultdict(lambda: defaultdict(list)), defaultdict(set)
    for a, b, kind, n in evidence:
        if n <= at:
            ties[kind][a, b].append(n)
            near[a, kind].add(b)
            near[b, kind].add(a)
    hubs = {end for end, others in near.items() if len(others) > STAR_CAPS.get(end[1], 999)}
    linked = {
        kind: {pair: days for pair, days in pairs.items() if not {(pair[0], kind), (pair[1], kind)} & hubs}
        for kind, pairs in ties.items()
    }
    return linked, ties, hubs


def expected_ties(evidence, at):
    """Pairs of customers, or of a customer and a phone that nobody had, by kind: number of pieces."""
    linked, ties, hubs = known_at(evidence, at)
    owners = defaultdict(set)
    for customer, phone in linked["phone"]:
        owners[phone].add(customer)
    owned = {phone for _, phone in ties["phone"]}
    found = defaultdict(int)

    def tie(one, other, kind, pieces):
        if one != other:
            found[(*sorted((one, other)), kind)] += pieces

    for kind in ("contact", "call"):
        for (src, dst), days in linked[kind].items():
            ends = [{end} if end.startswith("customer") or end not in owned else owners[end] for end in (src, dst)]
            for one, other in product(*ends):
                if one.startswith("customer") or other.startswith("customer"):
                    tie(one, other, kind, len(days))
    for src, dst in linked["family"]:
        tie(src, dst, "family", 1)
    lived = sorted(linked["address"])
    for (a, home), (b, other) in product(lived, lived):
        if home == other and a < b:
            tie(a, b, "shared_address", 1)
    return dict(found), hubs


@pytest.mark.parametrize("at", [45, 80])
def test_warm_ties(evidence, tables, at):
    vertices, edges, hubs, ties = tables
    as_of = day(at).astimezone()
    found = warm.warm_ties(ties, vertices, edges, hubs, as_of).localCheckpoint()
    expected, crowded = expected_ties(evidence, at)
    key = {r["id"]: r["key"] for r in vertices.collect()}
    rows = {(*sorted((key[r["src"]], key[r["dst"]])), r["kind"]): r for r in found.collect()}
    assert {pair: r["evidence_count"] for pair, r in rows.items()} == expected
    assert all(r["weight"] == pytest.approx(np.log1p(r["evidence_count"])) for r in rows.values())
    assert any(pair[1].startswith("phone") for pair in rows) and len(crowded) > 4
    persons = warm.persons_as_of(found, vertices, edges, as_of).collect()
    customers = {key[r["id"]]: r["customer_id"] for r in persons}
    traces = {end for a, b, _, n in evidence if n <= at for end in (a, b) if end.startswith("customer")}
    outside = {end for pair in rows for end in pair[:2] if end.startswith("phone")}
    assert customers == {end: int(end.split(":")[1]) for end in traces} | dict.fromkeys(outside)
    brought = defaultdict(int)
    for a, _, kind, n in evidence:
        brought[a] += kind == "referral" and n <= at
    assert {key[r["id"]]: r["referral_cnt"] for r in persons} == {end: brought[end] for end in customers}


def test_referrals_lead_to_the_phone_that_was_outside(evidence, tables):
    vertices, edges, _, _ = tables
    found = warm.referrals_between(edges, day(30).astimezone(), day(75).astimezone())
    key = {r["id"]: r["key"] for r in vertices.collect()}
    phones = defaultdict(set)
    for customer, phone, kind, n in evidence:
        if kind == "phone" and n <= 75:
            phones[customer].add(phone)
    told = [(a, b) for a, b, kind, n in evidence if kind == "referral" and 30 < n <= 75]
    expected = sorted((a, phone) for a, b in told for phone in phones[b])
    assert sorted((key[r["referrer_id"]], key[r["prospect_id"]]) for r in found.collect()) == expected != []


def test_what_is_known_later_changes_no_tie(spark, evidence, tables):
    as_of = day(45).astimezone()
    vertices, edges, hubs, ties = tables
    early = tables_of(spark, [row for row in evidence if row[3] <= 45], vertices.select("key", "id"))

    def rows(of):
        return sorted(tuple(r) for r in warm.warm_ties(of[3], *of[:3], as_of).collect())

    assert rows(early) == rows(tables) != []
