"""Connected clients, bridges and limits against networkx and plain loops on random ties in one frame."""

import random
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import networkx as nx
import pytest

from strata.graph import GraphError, GraphTypeError
from strata.graph.algorithms import whole_components as engine
from strata.graph.risk.connected_clients import bridges, connected_clients, group_links, limit_breaches

pytestmark = pytest.mark.oracle

FINBENCH = Path(__file__).parents[2].parent / "shared" / "data" / "ldbc_finbench_sample" / "snapshot"
TIES = "src long, dst long, kind string, known_ts timestamp, amount decimal(18,2)"
EXPOSURES = "customer_id long, exposure_amt decimal(18,2)"
KNOWN = datetime(2025, 1, 1)
CUSTOMERS = 900


@pytest.fixture(scope="module")
def rows():
    """Blocks of nine ids, the last of each an outsider; ties inside blocks, some twice, some the other way round."""
    rng, ties = random.Random(2), {"control": [], "dependency": []}
    for block in range(0, CUSTOMERS, 9):
        own = range(block, block + 9)
        for relation, kind, most in (("control", "ownership", 5), ("dependency", "guarantee", 7)):
            for _ in range(rng.randrange(most)):
                tie = (rng.choice(own), rng.choice(own), kind, KNOWN, Decimal(rng.randrange(100)))
                ties[relation] += [tie] * rng.choice([1, 1, 1, 2])
    exposures = {
        n: Decimal(rng.randrange(1, 10**6)) / 100 for n in range(CUSTOMERS) if n % 9 != 8 and rng.random() < 0.8
    }
    return ties, exposures


@pytest.fixture(scope="module")
def tables(spark, rows):
    ties, exposures = rows
    made = (
        spark.range(CUSTOMERS).where("id % 9 <> 8").withColumnRenamed("id", "customer_id"),
        *(spark.createDataFrame(ties[relation], TIES).persist() for relation in ("control", "dependency")),
        spark.createDataFrame(list(exposures.items()), EXPOSURES).persist(),
    )
    yield made
    for frame in made[1:]:
        frame.unpersist()


def groups_of(*relations):
    whole = nx.Graph(tie[:2] for ties in relations for tie in ties)
    whole.add_nodes_from(range(CUSTOMERS))
    return {one: part for part in nx.connected_components(whole) for one in part}


def test_groups_are_those_of_networkx(rows, tables):
    ties, exposures = rows
    control, dependency = groups_of(ties["control"]), groups_of(ties["dependency"])
    both = groups_of(*ties.values())
    found = {row["customer_id"]: row for row in connected_clients(*tables).collect()}
    assert sorted(found) == [n for n in range(CUSTOMERS) if n % 9 != 8]
    for one, row in found.items():
        inside = [other for other in both[one] if other % 9 != 8]
        assert tuple(row)[1:] == (
            min(control[one]),
            min(dependency[one]),
            min(both[one]),
            exposures.get(one, 0),
            sum(exposures.get(other, 0) for other in inside),
            len(inside),
        )
    assert Counter(len(part) for part in both.values()).keys() >= {1, 2, 5, 9}
    links = group_links(tables[1], tables[2]).collect()
    told = Counter((relation, *tie) for relation in ties for tie in ties[relation])
    assert Counter(tuple(row)[1:] for row in links) == told
    assert all(row["group_id"] == min(both[row["src"]]) for row in links)


@pytest.mark.parametrize("one_task", [True, False])
def test_bridges_are_those_of_networkx(rows, tables, monkeypatch, one_task):
    if not one_task:
        monkeypatch.setattr(engine, "SINGLE_TASK_ROWS", 0)
    ties, exposures = rows
    merged = [(relation, *tie) for relation in ties for tie in ties[relation]]
    whole = nx.Graph(tie[1:3] for tie in merged if tie[1] != tie[2])
    times = Counter(frozenset(tie[1:3]) for tie in merged)
    alone = {frozenset(pair) for pair in nx.bridges(whole) if times[frozenset(pair)] == 1}
    found = bridges(group_links(tables[1], tables[2]), tables[3]).collect()
    assert Counter(tuple(row)[1:7] for row in found) == Counter(
        tie for tie in merged if tie[1] != tie[2] and frozenset(tie[1:3]) in alone
    )
    for row in found:
        cut = whole.copy()
        cut.remove_edge(row["src"], row["dst"])
        sides = [nx.node_connected_component(cut, row[end]) for end in ("src", "dst")]
        told = [value for side in sides for value in (len(side), sum(exposures.get(one, 0) for one in side))]
        assert list(row)[7:] == told
    assert 100 < len(found) < len(merged) / 2


def test_a_long_chain_and_a_ring(spark):
    chain = spark.range(3000).selectExpr("id AS src", "id + 1 AS dst")
    ring = spark.range(3000).selectExpr("5000 + id AS src", "5000 + (id + 1) % 3000 AS dst")
    owed = spark.range(3001).selectExpr("id AS customer_id", "CAST(0.01 AS DECIMAL(18,2)) AS exposure_amt")
    found = bridges(chain.unionAll(ring), owed).collect()
    assert {tuple(row) for row in found} == {
        (n, n + 1, n + 1, Decimal(n + 1) / 100, 3000 - n, Decimal(3000 - n) / 100) for n in range(3000)
    }


def test_limits(tables):
    groups = connected_clients(*tables).persist()
    told = {row["group_id"]: (row["group_members"], row["group_exposure_amt"]) for row in groups.collect()}
    capital = Decimal(100_000)
    found = {row["group_id"]: tuple(row)[1:] for row in limit_breaches(groups, capital).collect()}
    expected = {}
    for group, (members, owed) in told.items():
        limit = capital * (Decimal("0.2") if members > 1 else Decimal("0.15"))
        if owed >= capital * Decimal("0.025"):
            ratio = pytest.approx(float(owed) / 100_000)
            expected[group] = (members, owed, ratio, limit, limit - owed, int(owed > limit))
    assert found == expected
    assert {row[-1] for row in found.values()} == {0, 1} and {row[0] == 1 for row in found.values()} == {True, False}
    strict = limit_breaches(groups, 1e5, share=0.1, single=0.05, large=0.05).collect()
    assert sum(row["breach_flag"] for row in strict) > sum(row[-1] for row in found.values())
    groups.unpersist()


def test_an_exposure_of_just_the_limit_is_no_breach(spark):
    rows = [(1, 1, Decimal(150)), (2, 2, Decimal(200)), (3, 2, Decimal("200.01")), (4, 1, Decimal(25))]
    rows += [(5, 1, Decimal("24.99"))]
    groups = spark.createDataFrame(rows, "group_id long, group_members long, group_exposure_amt decimal(28,2)")
    found = {
        row["group_id"]: (row["headroom_amt"], row["breach_flag"]) for row in limit_breaches(groups, 1000).collect()
    }
    assert found == {1: (0, 0), 2: (0, 0), 3: (Decimal("-0.01"), 1), 4: (125, 0)}


def test_nothing_and_what_is_refused(spark, tables):
    none, owed = spark.createDataFrame([], TIES), spark.createDataFrame([], EXPOSURES)
    alone = connected_clients(tables[0].limit(2), none, none, owed).collect()
    assert [(r["group_id"] == r["customer_id"], r["group_exposure_amt"], r["group_members"]) for r in alone] == [
        (True, 0, 1)
    ] * 2
    assert bridges(none, owed).collect() == [] == group_links(none, none).collect()
    soft = spark.createDataFrame([(1, 2, "contact", KNOWN, None), (1, 2, "guarantee", KNOWN, None)], TIES)
    with pytest.raises(GraphError, match="dependency: contact are soft ties, which connect no clients; leave them out"):
        connected_clients(tables[0], none, soft, owed)
    with pytest.raises(GraphError, match="control: column known_ts is missing"):
        group_links(none.drop("known_ts"), none)
    groups = spark.createDataFrame([], "group_id long, group_members long, group_exposure_amt decimal(28,2)")
    with pytest.raises(GraphError, match="capital: a number above 0 is expected, not 0"):
        limit_breaches(groups, 0)
    with pytest.raises(GraphError, match="share: a number above 0 and up to 1 is expected, not 20"):
        limit_breaches(groups, 1000, share=20)
    with pytest.raises(GraphTypeError, match="capital: a number is expected, not '1000'"):
        limit_breaches(groups, "1000")


@pytest.mark.skipif(not FINBENCH.exists(), reason="the LDBC FinBench sample is not there")
def test_finbench_owners_are_connected_through_chains(spark):
    """Who owns more than half of a company controls it, and what it controls."""
    held = []
    for name, kind in (("PersonInvestCompany", "p"), ("CompanyInvestCompany", "c")):
        table = spark.read.csv(str(FINBENCH / f"{name}.csv"), sep="|", header=True)
        held += [(f"{kind}{r[0]}", f"c{r[1]}", "ownership", KNOWN, None) for r in table.where("ratio > 0.5").collect()]
    text = TIES.replace("src long, dst long", "src string, dst string")
    control, none = spark.createDataFrame(held, text), spark.createDataFrame([], text)
    people = control.selectExpr("explode(array(src, dst)) AS customer_id").distinct()
    owed = people.selectExpr("customer_id", "CAST(1 AS DECIMAL(18,2)) AS exposure_amt")
    found = {row["customer_id"]: row for row in connected_clients(people, control, none, owed).collect()}
    owns = nx.DiGraph(tie[:2] for tie in held)
    assert all(
        found[one]["group_id"] == found[other]["group_id"] for one in owns for other in nx.descendants(owns, one)
    )
    assert {row["group_id"] for row in found.values()} == {min(part) for part in nx.weakly_connected_components(owns)}
    assert all(row["dependency_group"] == row["customer_id"] for row in found.values())
    assert (
        max(row["group_exposure_amt"] for row in found.values())
        == max(row["group_members"] for row in found.values())
        > 2
    )
