"""Guarantees as of a moment against plain loops, and circles of all shapes against networkx, in one frame."""

import random
from collections import defaultdict
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import networkx as nx
import pytest

from strata.graph import GraphError, GraphTypeError
from strata.graph.risk.guarantees import circle_ties, guarantee_circles, guarantees_as_of, over_guaranteed
from strata.jobs.simulate.credit import guaranteed

pytestmark = pytest.mark.oracle

FINBENCH = Path(__file__).parents[2].parent / "shared" / "data" / "ldbc_finbench_sample" / "snapshot"
GUARANTEES = "guarantor_id long, borrower_id long, loan_id long, amount decimal(18,2)"
TIES = (
    "tie_id long, src_customer_id long, dst_customer_id long, kind string, loan_id long, amount decimal(18,2), "
    "valid_from date, valid_to date, known_ts timestamp"
)
LOANS = "loan_id long, principal decimal(18,2), known_ts timestamp"
BALANCES = "loan_id long, month_end date, balance decimal(18,2), known_ts timestamp"
START = datetime(2025, 1, 1)
FACTS = (
    "kind", "members", "guarantees", "amount", "mutual_pairs", "largest_cycle", "guarantors_of_one_loan", "chain_depth",
    "core",
)  # fmt: skip


def on(day):
    return START + timedelta(days=day)


def shapes(rng):
    """Ties (guarantor, borrower) on 0..n-1 of one random circle."""
    shape, size = rng.choice(["cycle", "chain", "joint", "mutual", "any", "any", "any"]), rng.randint(2, 8)
    ring = [(i, (i + 1) % size) for i in range(size)]
    if shape == "any":
        pairs = [(rng.randrange(size), rng.randrange(size)) for _ in range(rng.randint(1, 2 * size))]
    else:
        pairs = {"cycle": ring, "chain": ring[:-1], "joint": [(i, 0) for i in range(1, size)], "mutual": ring[:1] * 2}
        pairs = list(pairs[shape])
    if shape == "mutual":
        pairs[1] = (1, 0)
    # Something that hangs on, in some.
    extra = [(rng.randrange(size), rng.randrange(size + 3)) for _ in range(rng.choice([0, 0, 1, 3]))]
    return pairs + extra


def random_guarantees(circles=300):
    """guarantor, borrower, loan, amount: unique by the first three, with self-guarantees and unknown loans."""
    rng, rows = random.Random(3), {}
    names = rng.sample(range(10**12, 10**12 + 10**6), 12 * circles)
    for n in range(circles):
        own = names[12 * n : 12 * n + 12]
        for a, b in shapes(rng):
            loan = rng.choice([None, own[b] * 10, own[b] * 10, own[b] * 10 + 1])
            rows[own[a], own[b], loan] = rng.choice([None, rng.randint(1, 9999), rng.randint(1, 99)])
    return [(*key, value and Decimal(value) / 100) for key, value in rows.items()]


def expected_circles(rows):
    """Every member's facts, by networkx and loops."""
    rows = [row for row in rows if row[0] != row[1]]
    whole = nx.DiGraph((a, b) for a, b, _, _ in rows)
    found = {}
    for part in nx.weakly_connected_components(whole):
        mine, graph = [row for row in rows if row[0] in part], whole.subgraph(part)
        folded = nx.condensation(graph)
        strong = [len(folded.nodes[c]["members"]) for c in folded]
        cyclic = {v for cycle in nx.simple_cycles(graph) for v in cycle}
        backers = defaultdict(set)
        for n, (a, b, loan, _) in enumerate(mine):
            backers[(b, loan) if loan else n].add(a)
        largest, most = max(strong), max(map(len, backers.values()))
        depth = nx.dag_longest_path_length(folded)
        kind = "cycle" if largest > 2 else "mutual" if largest == 2 else "joint" if most > 2 else "single"
        kind = "chain" if kind == "single" and depth > 1 else kind
        amount = sum(row[3] or 0 for row in mine)
        pairs = sum(graph.has_edge(b, a) for a, b in graph.edges) // 2
        core = max(nx.core_number(graph.to_undirected()).values())
        circle = (kind, len(part), len(mine), amount, pairs, largest if largest > 1 else 0, most, depth, core)
        for member in part:
            below = nx.descendants(folded, folded.graph["mapping"][member]) | {folded.graph["mapping"][member]}
            begin = folded.subgraph(below)
            given, received = (sum(row[3] or 0 for row in mine if row[end] == member) for end in (0, 1))
            own = (int(member in cyclic), given, received, nx.dag_longest_path_length(begin))
            found[member] = (min(part), *circle, *own)
    return found


def collected(frame):
    names = ("circle_id", *FACTS, "in_cycle_flag", "guaranteed_amt", "backed_amt", "depth")
    return {row["customer_id"]: tuple(row[name] for name in names) for row in frame.collect()}


def test_circles_are_those_of_networkx(spark):
    rows = random_guarantees()
    frame = spark.createDataFrame(rows, GUARANTEES)
    found, expected = guarantee_circles(frame), expected_circles(rows)
    assert collected(found) == expected
    assert {f[1] for f in expected.values()} == {"cycle", "mutual", "joint", "chain", "single"}
    assert {f[6] for f in expected.values()} >= {0, 2, 3, 4, 5, 6, 7, 8}
    assert found.dtypes[:3] == [("circle_id", "bigint"), ("customer_id", "bigint"), ("kind", "string")]
    ties = circle_ties(frame).collect()
    assert sorted((r[1], r[2], r[3] or 0, r[4] or 0) for r in ties) == sorted(
        (a, b, loan or 0, amount or 0) for a, b, loan, amount in rows if a != b
    )
    assert all(r["circle_id"] == expected[r["guarantor_id"]][0] == expected[r["borrower_id"]][0] for r in ties)


def planted(kind, first=0, size=6):
    """The circle that the simulated bank plants: everybody has one loan, of 100, guaranteed in full."""
    backed = [(place, other) for place in range(size) for other in guaranteed(kind, place, size)]
    return [(first + a, first + b, 1000 + first + b, Decimal(100)) for a, b in backed]


def test_the_four_planted_kinds(spark):
    rows = [row for n, kind in enumerate(("mutual", "cycle", "joint", "chain")) for row in planted(kind, 10 * n)]
    found = guarantee_circles(spark.createDataFrame(rows, GUARANTEES)).collect()
    circles = {row["circle_id"]: tuple(row[name] for name in FACTS) for row in found}
    assert circles == {
        0: ("mutual", 2, 2, 200, 1, 2, 1, 0, 1),
        2: ("mutual", 2, 2, 200, 1, 2, 1, 0, 1),
        4: ("mutual", 2, 2, 200, 1, 2, 1, 0, 1),
        10: ("cycle", 6, 6, 600, 0, 6, 1, 0, 2),
        20: ("joint", 6, 5, 500, 0, 0, 5, 1, 1),
        30: ("chain", 6, 5, 500, 0, 0, 1, 5, 1),
    }
    assert [row["depth"] for row in sorted(found, key=lambda r: r["customer_id"])][-6:] == [5, 4, 3, 2, 1, 0]


def test_text_ids_and_nothing(spark):
    rows = [("ä", "b", "i", Decimal(1)), ("b", "ä", None, Decimal(2)), ("中", "é", None, None), ("x", "x", None, None)]
    schema = GUARANTEES.replace("_id long", "_id string")
    found = collected(guarantee_circles(spark.createDataFrame(rows, schema)))
    assert {who: (f[0], f[1], f[-3]) for who, f in found.items()} == {
        "b": ("b", "mutual", 2),
        "ä": ("b", "mutual", 1),
        "é": ("é", "single", 0),
        "中": ("é", "single", 0),
    }
    assert guarantee_circles(spark.createDataFrame([(1, 1, 2, None)], GUARANTEES)).collect() == []


def test_what_is_refused(spark):
    with pytest.raises(GraphError, match="guarantees: column loan_id is missing; there are: guarantor_id"):
        circle_ties(spark.createDataFrame([], "guarantor_id long, borrower_id long, amount long"))
    with pytest.raises(GraphError, match="1 null ends"):
        guarantee_circles(spark.createDataFrame([(1, None, 3, None)], GUARANTEES))
    with pytest.raises(GraphTypeError, match="ids are long or string, not int"):
        guarantee_circles(spark.createDataFrame([(1, 2, 3, None)], GUARANTEES.replace("_id long", "_id int")))
    none = spark.createDataFrame([], TIES)
    with pytest.raises(GraphError, match="loans: column principal is missing"):
        guarantees_as_of(none, none, none, "2025-01-01")


def versions(rng):
    """Silver rows with later versions: ties that end, that change their amount, loans that pay off."""
    ties, loans, balances = [], [], []
    for n in range(150):
        loan = rng.choice([None, *range(60)])
        begun, known = rng.randrange(40), rng.randrange(40, 60)
        kind = rng.choice(["guarantee"] * 4 + ["family"])
        row = (n, rng.randrange(12), 12 + rng.randrange(8), kind, loan, rng.choice([None, rng.randint(1, 900)]))
        ties.append((*row, on(begun).date(), None, on(known)))
        if rng.random() < 0.4:
            ended = on(rng.randrange(known, 120)).date()
            ties.append((*row[:5], rng.choice([row[5], 7]), on(begun).date(), ended, on(rng.randrange(known + 1, 100))))
    for loan in range(50):
        known = rng.randrange(30, 70)
        loans += [(loan, rng.randint(100, 800), on(known)), (loan, rng.randint(100, 800), on(known + 30))]
        for month in range(rng.randrange(4)):
            left, told = rng.choice([0, rng.randint(1, 600)]), 31 * month + 35 + rng.randrange(40)
            balances.append((loan, on(31 * month + 30).date(), left, on(told)))
            if rng.random() < 0.3:
                balances.append((loan, on(31 * month + 30).date(), rng.choice([0, 5]), on(told + 20)))
    return ties, loans, balances


def expected_standing(ties, loans, balances, at, zone):
    def last(rows, key):
        return {key(row): row for row in sorted((r for r in rows if r[-1] <= at), key=lambda r: r[-1])}

    principal = {loan: amount for loan, amount, _ in last(loans, lambda r: r[0]).values()}
    left = {}
    for loan, _, balance, _ in sorted(last(balances, lambda r: (r[0], r[1])).values(), key=lambda r: r[1]):
        left[loan] = balance
    found = {}
    for _, src, dst, kind, loan, amount, begun, ended, known in last(ties, lambda r: r[0]).values():
        first, after = (datetime.combine(day, time(), zone) for day in (begun, ended or date(2999, 1, 1)))
        if kind != "guarantee" or not first <= at.astimezone() < after:
            continue
        owed = left.get(loan, principal.get(loan))
        if owed == 0:
            continue
        amount = owed if amount is None else amount
        stated, since, told = found.get((src, dst, loan), ([], begun, known))[:3]
        found[src, dst, loan] = ([*stated, amount], min(since, begun), max(told, known), owed)
    answer = set()
    for key, (stated, since, told, owed) in found.items():
        known = [amount for amount in stated if amount is not None]
        total = sum(known) if known else None
        amount = total if owed is None else min(total, owed)
        answer.add((*key, amount, total if owed is None else owed, since, told))
    return answer


@pytest.mark.parametrize("day", [45, 75, 110])
def test_what_stood_at_a_moment(spark, day):
    made = versions(random.Random(8))
    frames = [spark.createDataFrame(*one) for one in zip(whole(made), (TIES, LOANS, BALANCES))]
    at = on(day) + timedelta(hours=day % 2)
    found = guarantees_as_of(*frames, at.astimezone()).collect()
    expected = expected_standing(*made, at, ZoneInfo(spark.conf.get("spark.sql.session.timeZone")))
    assert {tuple(row) for row in found} == expected and len(found) == len(expected)
    assert len(expected) > 20 and {row[3] is None for row in expected} == {True, False}


def whole(made):
    """Amounts as decimals."""
    ties, loans, balances = made
    yield [(*r[:5], r[5] and Decimal(r[5]), *r[6:]) for r in ties]
    yield [(loan, Decimal(amount), known) for loan, amount, known in loans]
    yield [(loan, month, Decimal(left), known) for loan, month, left, known in balances]


def test_over_guarantees(spark):
    rows = [(1, 9, 1, Decimal(30)), (1, 8, 2, Decimal(60)), (1, 1, 3, Decimal(999)), (2, 9, 1, None)]
    rows += [(3, 9, 1, Decimal(5)), (4, 9, 1, Decimal(5)), (5, 9, 1, Decimal(5))]
    worth = [(1, Decimal(60)), (2, Decimal(10)), (3, Decimal(0)), (4, Decimal(-7)), (77, Decimal(1))]
    table = spark.createDataFrame(worth, "customer_id long, net_worth_amt decimal(18,2)")
    found = over_guaranteed(spark.createDataFrame(rows, GUARANTEES), table).collect()
    assert sorted(map(tuple, found)) == [
        (1, Decimal(90), Decimal(60), 1.5),
        (2, Decimal(0), Decimal(10), 0.0),
        (3, Decimal(5), Decimal(0), None),
        (4, Decimal(5), Decimal(-7), None),
        (5, Decimal(5), None, None),
    ]


@pytest.mark.skipif(not FINBENCH.exists(), reason="the LDBC FinBench sample is not there")
def test_finbench_has_chains_and_no_cycle(spark):
    table = spark.read.csv(str(FINBENCH / "PersonGuaranteePerson.csv"), sep="|", header=True, inferSchema=True)
    loan = "CAST(NULL AS LONG) AS loan_id"
    rows = table.selectExpr("fromId AS guarantor_id", "toId AS borrower_id", loan, "1.00 AS amount")
    found = guarantee_circles(rows).collect()
    whole = nx.DiGraph((row["fromId"], row["toId"]) for row in table.collect())
    assert {row["customer_id"]: row["members"] for row in found} == {
        member: len(part) for part in nx.weakly_connected_components(whole) for member in part
    }
    assert max(row["largest_cycle"] for row in found) == 0 == max(row["in_cycle_flag"] for row in found)
    assert {row["kind"] for row in found} == {"chain", "single"}
    assert max(row["depth"] for row in found) == nx.dag_longest_path_length(whole) == 7
