"""Neighbours' features against plain loops over the evidence known at each row's own moment."""

import random
from collections import defaultdict
from datetime import datetime, timedelta

import networkx as nx
import pytest

from strata import graph
from strata.graph.risk import neighbour_risk as risk
from strata.graph.ties import dated_edges as build
from strata.graph.ties.tie_evidence import relation_evidence

pytestmark = pytest.mark.oracle

START = datetime(1997, 1, 1)
CAPS = {"co_account": 3, "transfer": 4, "receipt": 4}
HOLDERS = "holder_id long, customer_id long, account_id long, role string, event_ts timestamp, known_ts timestamp"
TRANSACTIONS = (
    "transaction_id long, account_id long, event_ts timestamp, known_ts timestamp, amount decimal(18,2), "
    "direction string, counterparty_bank string, counterparty_hash string"
)
LOANS = "loan_id long, account_id long, principal decimal(18,2), known_ts timestamp"
OUTCOMES = "loan_id long, is_bad int, is_running boolean, known_ts timestamp"


def day(number):
    return START + timedelta(days=number)


@pytest.fixture(scope="module")
def rows():
    """A bank of 50 accounts whose few counterparties are shared enough to make neighbours and hubs."""
    rng = random.Random(5)
    holders = [(n, n % 40, n, "owner", day(0), day(0)) for n in range(50)]
    holders += [(50 + n, rng.randrange(45), rng.randrange(50), "authorised", None, day(60)) for n in range(12)]
    transactions = []
    for n in range(420):
        when = rng.randrange(90)
        to = f"h{int(rng.paretovariate(0.5)) % 60}" if rng.random() < 0.9 else None
        row = (n, rng.randrange(50), day(when), day(when + 1), n, rng.choice(["debit", "debit", "credit"]), "AB", to)
        transactions.append(row)
    loans = [(n, rng.choice([n, n % 30]), 100 + n, day(rng.randrange(60))) for n in range(45)]
    outcomes = [(n, rng.randrange(2), rng.random() < 0.4, day(30 + rng.randrange(60))) for n in range(45)]
    return {"holders": holders, "transactions": transactions, "loans": loans, "outcomes": outcomes}


@pytest.fixture(scope="module")
def tables(spark, rows):
    made = tables_of(spark, rows)
    yield made
    for frame in made.values():
        frame.unpersist()


def tables_of(spark, rows):
    money = [(*r[:4], None, *r[5:]) for r in rows["transactions"]]
    transactions = spark.createDataFrame(money, TRANSACTIONS)
    transactions = transactions.withColumn("amount", transactions["transaction_id"].cast("decimal(18,2)"))
    holders = spark.createDataFrame(rows["holders"], HOLDERS)
    customers = spark.createDataFrame([(n, day(99)) for n in range(45)], "customer_id long, known_ts timestamp")
    accounts = spark.createDataFrame([(n, day(n % 20)) for n in range(50)], "account_id long, known_ts timestamp")
    evidence = relation_evidence({"account_holder": holders, "transaction": transactions})
    vertices = build.relation_vertices(customers, accounts, evidence)
    vertices = vertices.join(build.extend_ids(vertices), on="key", how="inner").persist()
    loans = spark.createDataFrame([(a, b, None, d) for a, b, _, d in rows["loans"]], LOANS)
    loans = loans.withColumn("principal", (loans["loan_id"] + 100).cast("decimal(18,2)"))
    return {
        "vertices": vertices,
        "edges": build.build_edges(evidence, vertices).persist(),
        "loans": loans,
        "outcomes": spark.createDataFrame(rows["outcomes"], OUTCOMES),
    }


def ties_of(rows, at):
    """kind -> set of (customer or counterparty, account) known by ``at``; and those whose ends are no hubs."""
    ties = {"co_account": {(c, a) for _, c, a, _, _, known in rows["holders"] if known <= at}}
    for kind, direction in (("transfer", "debit"), ("receipt", "credit")):
        found = (r for r in rows["transactions"] if r[5] == direction and r[7] is not None and r[3] <= at)
        ties[kind] = {(r[7], r[1]) for r in found}
    linked = {}
    for kind, pairs in ties.items():
        near = defaultdict(set)
        for other, account in pairs:
            near["o", other].add(account)
            near["a", account].add(other)
        hubs = {end for end, others in near.items() if len(others) > CAPS[kind]}
        linked[kind] = {(o, a) for o, a in pairs if ("o", o) not in hubs and ("a", a) not in hubs}
    return ties, linked


def expected_of(rows, account, at):
    if account is None or at is None:
        return (0, 0, 0, 0, None, 0)
    ties, linked = ties_of(rows, at)
    mine = {c for c, a in ties["co_account"] if a == account}
    own = {a for c, a in ties["co_account"] if c in mine}
    payees = {p for p, a in linked["transfer"] if a == account}
    met = {(p, a) for p, a in linked["transfer"] if p in payees and a not in own | {account}}
    near = {a for _, a in met}
    loans = [(n, principal) for n, a, principal, known in rows["loans"] if a in near and known <= at]
    told = {n: (bad, running) for n, bad, running, known in rows["outcomes"] if known <= at}
    bads = [told[n][0] for n, _ in loans if n in told]
    exposure = sum(principal for n, principal in loans if n not in told or told[n][1])
    ratio = sum(bads) / len(bads) if bads else None
    return (len(near), len({p for p, _ in met}), len(loans), len(bads), ratio, exposure)


def test_neighbour_features(spark, rows, tables):
    rng = random.Random(9)
    asked = [(n, rng.randrange(55), day(rng.randrange(100))) for n in range(250)]
    asked += [(250, None, day(50)), (251, 3, None), (252, 7, day(80)), (252, 7, day(80))]
    spine = spark.createDataFrame(asked, "row long, account_id long, as_of_ts timestamp")
    found = risk.neighbour_features(spine, *tables.values(), caps=CAPS).collect()
    expected = sorted((n, *expected_of(rows, a, at)) for n, a, at in asked)
    assert sorted((r["row"], *map(plain, r[3:])) for r in found) == [
        (*e[:5], pytest.approx(e[5]), e[6]) for e in expected
    ]
    assert sum(e[1] > 0 for e in expected) > 30 and sum(e[5] is not None for e in expected) > 10


def plain(value):
    return value if value is None or isinstance(value, float) else int(value)


AT = day(55)


@pytest.fixture(scope="module")
def network(tables):
    return risk.network_table(*tables.values(), AT.astimezone(), caps=CAPS).orderBy("account_id").collect()


def test_network_table(rows, network):
    at, found = AT, {row["account_id"]: row for row in network}
    ties, linked = ties_of(rows, at)
    assert sorted(found) == list(range(50))
    for account, row in found.items():
        got = (
            row[name] for name in (*risk.COUNTS, "network_neighbour_default_ratio", "network_neighbour_exposure_amt")
        )
        wanted = expected_of(rows, account, at)
        assert tuple(map(plain, got)) == (*wanted[:4], pytest.approx(wanted[4]), wanted[5])
        for kind in CAPS:
            assert row[f"network_{kind}_cnt"] == sum(a == account for _, a in ties[kind])
        above = any(row[f"network_{kind}_cnt"] > CAPS[kind] for kind in CAPS)
        assert row["network_hub_flag"] == int(above)
    whole = nx.Graph((("a", a), (kind == "co_account", o)) for kind in CAPS for o, a in linked[kind])
    whole.add_nodes_from(("a", a) for a in range(50))
    parts = {a: frozenset(part) for part in nx.connected_components(whole) for end, a in part if end == "a"}
    for account, row in found.items():
        assert row["network_component_size_cnt"] == len(parts[account])
        same = {a for a, r in found.items() if r["network_component"] == row["network_component"]}
        assert same == {a for a in parts if parts[a] == parts[account]}
    assert len(set(parts.values())) > 3
    assert 0 < sum(r["network_pagerank"] for r in found.values()) < 1


def test_what_is_known_later_changes_nothing(spark, rows, tables, network):
    at = AT
    early = {
        "holders": [r for r in rows["holders"] if r[5] <= at],
        "transactions": [r for r in rows["transactions"] if r[3] <= at],
        "loans": [r for r in rows["loans"] if r[3] <= at],
        "outcomes": [r for r in rows["outcomes"] if r[3] <= at],
    }
    # Ids depend on the keys that were ever seen, so the early bank takes those of the whole one.
    then = tables_of(spark, early)
    then["edges"] = tables["edges"].where(tables["edges"]["known_ts"] <= at)
    then["vertices"] = tables["vertices"].where(tables["vertices"]["known_ts"] <= at)
    found = risk.network_table(*then.values(), at.astimezone(), caps=CAPS).orderBy("account_id").collect()
    assert found == network


def test_components_are_asserted_and_cross_checked(spark, tables):
    edges = build.edges_as_of(tables["edges"], "1997-03-01").select("src", "dst").persist()
    vertices = tables["vertices"].select("id")
    right = graph.connected_components(vertices, edges).persist()
    risk.assert_components(vertices, edges, right, cross_check=True)
    own = vertices.selectExpr("id", "id AS component")
    with pytest.raises(graph.GraphError, match="edges have their ends in two components"):
        risk.assert_components(vertices, edges, own)
    with pytest.raises(graph.GraphError, match="ids don't stand exactly once"):
        risk.assert_components(vertices, edges, right.where("id > 1"))
    merged = vertices.selectExpr("id", "1L AS component")
    with pytest.raises(graph.GraphError, match="another component by GraphFrames"):
        risk.assert_components(vertices, edges, merged, cross_check=True)
    edges.unpersist()
    right.unpersist()


def test_a_spine_without_its_columns_is_refused(spark, tables):
    with pytest.raises(graph.GraphError, match="spine: column as_of_ts is missing"):
        risk.neighbour_features(spark.createDataFrame([(1,)], "account_id long"), *tables.values())
