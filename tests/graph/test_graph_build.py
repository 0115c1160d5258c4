"""The id map, the dated edge table, the hub policy, and GraphFrames' self-test."""

from datetime import UTC, date, datetime
from decimal import Decimal

import networkx as nx
import pytest
from graphframes import GraphFrame

from strata import graph
from strata.graph.algorithms import graphframes_calls as frames
from strata.graph.ties import dated_edges as build
from strata.graph.ties.tie_evidence import relation_evidence


def at(day, hour=0):
    return datetime(1997, 1, day, hour)


def pairs(frame, *columns):
    return sorted(tuple(row) for row in frame.select(*columns).collect())


def test_ids_are_dense_and_never_change(spark):
    words = [f"account:{n}" for n in range(500)] + ["customer:é", "counterparty:AB:\U0001f600"]
    first = build.extend_ids(spark.createDataFrame([(w,) for w in words] * 2, "key string").repartition(5))
    known = dict(first.collect())
    assert sorted(known.values()) == list(range(1, 503)) and set(known) == set(words)
    more = spark.createDataFrame([(w,) for w in [*words[::3], "account:900", "account:901", None]], "key string")
    later = dict(build.extend_ids(more, first).collect())
    assert known.items() <= later.items()
    assert {later["account:900"], later["account:901"]} == {503, 504} and len(later) == 504
    assert dict(build.extend_ids(more.limit(0), first.limit(0)).collect()) == {}
    with pytest.raises(graph.GraphError, match="known: column id is missing"):
        build.extend_ids(more, first.drop("id"))


@pytest.fixture(scope="module")
def bank(spark):
    holders = spark.createDataFrame(
        [(1, 7, 1, "owner", at(1), at(1)), (2, 8, 1, "authorised", None, at(30))],
        "holder_id long, customer_id long, account_id long, role string, event_ts timestamp, known_ts timestamp",
    )
    rows = [
        (1, 1, at(3), at(4), Decimal("10.50"), "debit", "AB", "x"),
        (2, 1, at(3), at(4), Decimal("1.50"), "debit", "AB", "x"),
        (3, 1, at(9), at(10), Decimal("5.00"), "debit", "AB", "x"),
        (4, 1, at(5), at(6), Decimal("99.00"), "credit", "AB", "x"),
        (5, 1, at(5), at(6), Decimal("3.00"), "debit", "CD", "x"),
        (6, 1, at(5), at(6), Decimal("4.00"), "debit", None, None),
    ]
    columns = "transaction_id long, account_id long, event_ts timestamp, known_ts timestamp, amount decimal(18,2), "
    columns += "direction string, counterparty_bank string, counterparty_hash string"
    evidence = relation_evidence({"account_holder": holders, "transaction": spark.createDataFrame(rows, columns)})
    customers = spark.createDataFrame([(7, at(30)), (8, at(30)), (9, at(30))], "customer_id long, known_ts timestamp")
    accounts = spark.createDataFrame([(1, at(1)), (2, at(2))], "account_id long, known_ts timestamp")
    vertices = build.relation_vertices(customers, accounts, evidence)
    vertices = vertices.join(build.extend_ids(vertices), on="key", how="inner").localCheckpoint()
    edges = build.build_edges(evidence, vertices).localCheckpoint()
    names = dict(vertices.select("id", "key").collect())
    return vertices, edges, names


def test_vertices_are_known_from_their_first_trace(bank):
    vertices, _, _ = bank
    assert pairs(vertices, "key", "entity", "known_ts") == [
        ("account:1", "account", at(1)),
        ("account:2", "account", at(2)),
        ("counterparty:AB:x", "counterparty", at(4)),
        ("counterparty:CD:x", "counterparty", at(6)),
        ("customer:7", "customer", at(1)),
        ("customer:8", "customer", at(30)),
        ("customer:9", "customer", at(30)),
    ]


def ties(bank, as_of):
    _, edges, names = bank
    # Aware, because rows made from naive datetimes are in the machine's zone, not in the session's.
    rows = build.edges_as_of(edges, as_of.astimezone()).collect()
    return {(r.kind, names[r.src], names[r.dst]): (r.evidence_count, r.amount, r.first_seen, r.last_seen) for r in rows}


def test_edges_hold_only_what_was_known(bank):
    owner = {("co_account", "customer:7", "account:1"): (1, None, at(1), at(1))}
    one = {("transfer", "account:1", "counterparty:AB:x"): (2, Decimal("12.00"), at(3), at(3))}
    assert ties(bank, at(3, 23)) == owner
    assert ties(bank, at(4)) == owner | one
    last = ties(bank, at(29))
    assert last["transfer", "account:1", "counterparty:AB:x"] == (3, Decimal("17.00"), at(3), at(9))
    assert last["transfer", "account:1", "counterparty:CD:x"] == (1, Decimal("3.00"), at(5), at(5))
    assert last["receipt", "counterparty:AB:x", "account:1"] == (1, Decimal("99.00"), at(5), at(5))
    assert len(last) == 4
    assert ("co_account", "customer:8", "account:1") in ties(bank, at(30))
    collapsed = build.edges_as_of(bank[1], at(29).astimezone())
    assert pairs(build.edges_as_of(collapsed, at(29).astimezone()), *collapsed.columns) == pairs(
        collapsed, *collapsed.columns
    )


def test_moments_are_the_banks(spark):
    zone = spark.conf.get("spark.sql.session.timeZone")
    frame = spark.range(1)
    row = frame.select(build.instant(date(1997, 7, 1)).cast("string"), build.instant("1997-07-01").cast("string"))
    assert tuple(row.first()) == ("1997-07-01 00:00:00",) * 2, zone
    naive, aware = datetime(1997, 7, 1, 5), datetime(1997, 7, 1, 5, tzinfo=UTC)
    assert frame.select(build.instant(naive).cast("string")).first()[0] == "1997-07-01 05:00:00"
    assert frame.select(build.instant(aware).cast("long")).first()[0] == int(aware.timestamp())


def test_hubs_from_the_day_they_became_one(spark):
    rows = [(s, 100, "transfer", at(d)) for s, d in ((1, 1), (2, 2), (3, 5), (4, 6))]
    rows += [
        (1, 100, "transfer", at(9)),
        (1, 200, "transfer", at(1)),
        (1, 100, "receipt", at(1)),
        (9, 100, "other", at(1)),
    ]
    edges = spark.createDataFrame(rows, "src long, dst long, kind string, known_ts timestamp")
    edges = edges.selectExpr(
        "*", "1L evidence_count", "cast(null AS decimal(18,2)) amount", "known_ts first_seen", "known_ts last_seen"
    )
    hubs = build.hub_register(edges, {"transfer": 2})
    reason = "4 neighbours of kind transfer, more than the cap of 2"
    assert [tuple(r) for r in hubs.collect()] == [(100, "transfer", 4, 2, at(5), reason)]
    assert (1, 100) in pairs(
        build.links_as_of(edges, hubs, at(4).astimezone()).where("kind = 'transfer'"), "src", "dst"
    )
    after = pairs(build.links_as_of(edges, hubs, at(5).astimezone()), "src", "dst", "kind")
    assert after == [(1, 100, "receipt"), (1, 200, "transfer"), (9, 100, "other")]
    dated = pairs(build.links(edges, hubs).where("dst = 100 AND kind = 'transfer'"), "src", "known_ts", "hub_from_ts")
    assert dated == [(1, at(1), at(5)), (2, at(2), at(5))]
    for caps, message in (({"transfer": 0}, "caps: transfer: a whole number from 1"), ({}, "caps: no kind has a cap")):
        with pytest.raises(graph.GraphError, match=message):
            build.hub_register(edges, caps)


def test_graphframes_is_trusted_where_it_is_used(spark):
    before = spark.conf.get(frames.ADAPTIVE)
    verdicts = frames.self_test(spark, frames.USED)
    assert [(v.call, v.trusted, v.reason) for v in verdicts] == [
        (c, True, "") for c in ("components", "motif", "pagerank")
    ]
    frames.require_trusted(verdicts)
    assert spark.conf.get(frames.ADAPTIVE) == before


def test_a_wrong_graphframes_is_found_out(spark, monkeypatch):
    # The 31 rounds of GraphFrames' own default cut a chain of 34; a call that is missing is named too.
    monkeypatch.setattr(frames, "MANY_ROUNDS", 2)
    monkeypatch.delattr(GraphFrame, "find")
    verdicts = {v.call: v for v in frames.self_test(spark, frames.USED)}
    assert not verdicts["components"].trusted
    assert not verdicts["motif"].trusted and "AttributeError" in verdicts["motif"].reason
    assert verdicts["pagerank"].trusted
    with pytest.raises(graph.GraphError, match="GraphFrames: components can't be trusted here: a chain of 34 vertices"):
        frames.require_trusted(tuple(verdicts.values()))


def test_graphframes_agrees_on_components_and_pagerank(spark):
    whole = nx.gnp_random_graph(60, 0.025, seed=4, directed=True)
    vertices, edges = spark.range(60), spark.createDataFrame(list(whole.edges), "src long, dst long")
    frame = build.to_graphframe(vertices, edges)
    ours = dict(graph.connected_components(vertices, edges).collect())
    assert dict(frames.frame_components(frame).collect()) == ours and len(set(ours.values())) > 3
    theirs = dict(frames.frame_pagerank(frame, damping=0.85, iterations=80).collect())
    assert dict(graph.pagerank(vertices, edges, iterations=80).collect()) == pytest.approx(theirs, rel=1e-3)
