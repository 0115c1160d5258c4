"""Evidence from silver: what is tied by which kind, since when, and what a later version takes back."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from strata.graph import GraphError
from strata.graph.ties import dated_edges as build
from strata.graph.ties.tie_evidence import SOURCES, relation_evidence


def at(day: int) -> datetime:
    return datetime(2025, 3, day)


CLOCKS = "event_ts timestamp, known_ts timestamp"
POSTINGS = (
    f"transaction_id long, account_id long, amount decimal(18,2), direction string, counterparty_bank string, "
    f"counterparty_hash string, {CLOCKS}"
)
TABLES = {
    "account": ("account_id long, account_hash string", [(1, "n1"), (2, "n2"), (2, "n2"), (3, None)]),
    "transaction": (
        POSTINGS,
        [
            (1, 1, Decimal(10), "debit", "own", "n2", at(1), at(2)),
            # The other side of the same payment, and a later version of it in which it was another amount.
            (2, 2, Decimal(10), "credit", "own", "n1", at(1), at(2)),
            (1, 1, Decimal(7), "debit", "own", "n2", at(1), at(9)),
            (3, 1, Decimal(5), "credit", "other", "x", at(3), at(4)),
            # Corrected to another payee.
            (4, 1, Decimal(6), "debit", "other", "y", at(3), at(4)),
            (4, 1, Decimal(6), "debit", "other", "z", at(3), at(6)),
            (5, 1, Decimal(6), "debit", None, None, at(3), at(4)),
        ],
    ),
    "account_holder": (f"customer_id long, account_id long, {CLOCKS}", [(7, 1, at(1), at(1))]),
    "customer": (
        f"customer_id long, phone_hash string, home_address_hash string, employer_id long, {CLOCKS}",
        [(7, "p", "a", 50, None, at(1)), (7, "p", "a", 51, None, at(5)), (8, None, "a", None, None, at(2))],
    ),
    "device": (f"customer_id long, device_hash string, {CLOCKS}", [(7, "d", at(1), at(2)), (8, "d", at(3), at(4))]),
    "address_use": (
        f"customer_id long, kind string, address_hash string, {CLOCKS}",
        [(7, "shipping", "b", at(1), at(2)), (7, "work", "w", at(1), at(2))],
    ),
    "contact_book": (
        f"owner_id long, contact_phone_hash string, {CLOCKS}",
        [(8, "p", at(1), at(3)), (8, "p", at(1), at(8))],
    ),
    "call_record": (
        f"call_id long, caller_hash string, callee_hash string, {CLOCKS}",
        [(1, "p", "q", at(1), at(2)), (2, "p", "q", at(3), at(4))],
    ),
    "declared_tie": (
        f"tie_id long, src_customer_id long, dst_customer_id long, kind string, amount decimal(18,2), {CLOCKS}",
        [(1, 7, 8, "guarantee", Decimal(900), at(1), at(2)), (2, 8, 7, "family", None, at(1), at(2))],
    ),
}
WANTED = {
    ("co_account", "customer:7", "account:1"): (1, None),
    ("transfer", "account:1", "account:2"): (1, Decimal(7)),
    ("receipt", "counterparty:other:x", "account:1"): (1, Decimal(5)),
    ("transfer", "account:1", "counterparty:other:z"): (1, Decimal(6)),
    ("phone", "customer:7", "phone:p"): (1, None),
    ("address", "customer:7", "address:a"): (1, None),
    ("address", "customer:8", "address:a"): (1, None),
    ("address", "customer:7", "address:b"): (1, None),
    ("employer", "customer:7", "employer:50"): (1, None),
    ("employer", "customer:7", "employer:51"): (1, None),
    ("device", "customer:7", "device:d"): (1, None),
    ("device", "customer:8", "device:d"): (1, None),
    ("contact", "customer:8", "phone:p"): (1, None),
    ("call", "phone:p", "phone:q"): (2, None),
    ("guarantee", "customer:7", "customer:8"): (1, Decimal(900)),
    ("family", "customer:8", "customer:7"): (1, None),
}


@pytest.fixture(scope="module")
def ties(spark):
    tables = {name: spark.createDataFrame(rows, columns) for name, (columns, rows) in TABLES.items()}
    evidence = relation_evidence(tables).localCheckpoint()
    keys = evidence.selectExpr("explode(array(src_key, dst_key)) AS key")
    ids = build.extend_ids(keys).localCheckpoint()
    edges, names = build.build_edges(evidence, ids).localCheckpoint(), dict(ids.select("id", "key").collect())

    def standing(day: int) -> dict[tuple[str, str, str], tuple[int, Decimal | None]]:
        rows = build.edges_as_of(edges, at(day).astimezone()).collect()
        return {(row.kind, names[row.src], names[row.dst]): (row.evidence_count, row.amount) for row in rows}

    return standing


def test_every_source_makes_its_ties(ties):
    assert set(TABLES) - {"account"} == set(SOURCES)
    assert ties(20) == WANTED


def test_what_a_correction_takes_back_stood_until_it_was_known(ties):
    assert ties(5)["transfer", "account:1", "account:2"] == (1, Decimal(10))
    assert ties(9)["transfer", "account:1", "account:2"] == (1, Decimal(7))
    assert ("transfer", "account:1", "counterparty:other:y") in ties(5)
    assert ("transfer", "account:1", "counterparty:other:y") not in ties(6)


def test_ties_are_known_from_the_first_time_that_they_are_said(ties):
    early = {kind for kind, *_ in ties(2)}
    assert early == {"co_account", "transfer", "phone", "address", "employer", "device", "call", "guarantee", "family"}
    assert ("contact", "customer:8", "phone:p") in ties(3)
    assert ("employer", "customer:7", "employer:51") not in ties(4)


def test_a_bank_without_any_of_the_tables_is_refused():
    with pytest.raises(GraphError, match="tables: none of account_holder, transaction, .* is there"):
        relation_evidence({})
