"""What the network finds among people: groups, circles, rings, identities, who can introduce whom; with evidence."""

from __future__ import annotations

from collections.abc import Sequence

from strata.conf.contracts import Column, Layer, Personal, Table, col, rule
from strata.conf.tables.network import MONEY_SUM
from strata.conf.tables.shapes import CURRENCY, listed, person

CIRCLES = ("cycle", "mutual", "joint", "chain", "single")
ALERTS = ("ring", "mule", "cycle")
CASES = (*ALERTS, "circle", "exposure")
MOVES = ("born", "grown", "shrunk", "merged", "split", "ended")
DAY = col("as_of_date", "date", "the bank day; only what was known by its first moment")


def _found(
    name: str, grain: str, description: str, key: Sequence[str], columns: Sequence[Column], **more: object
) -> Table:
    """A gold table of what a day's network says."""
    return Table(
        name=name, layer=Layer.GOLD, grain=grain, description=description, key=("as_of_date", *key),
        columns=(DAY, *columns), slice_by=("as_of_date",), owner="risk", **more,
    )  # fmt: skip


def _amount(name: str, description: str, *, nullable: bool = False) -> Column:
    return col(name, MONEY_SUM, description, unit=CURRENCY, nullable=nullable)


person_identity = _found(
    "person_identity",
    "one row a customer record and day",
    "Which records are one person: by what they hold together, with hubs and contradictions left apart.",
    ("customer_id",),
    [
        person(),
        person("person_id", "smallest record of the person"),
        col("evidence", "string", "by which rule the record is tied to which other; empty for a record alone"),
        col("known_ts", "timestamp", "when the newest evidence was known"),
    ],
)
network_group = _found(
    "network_group",
    "one row a customer of a group of two or more and day",
    "Groups over strong ties (family, guarantee, joint account, shared device or phone), stable from day to day.",
    ("customer_id",),
    [person(), col("group_id", "bigint", "the group; kept while most of its members stay together")],
)
network_group_event = _found(
    "network_group_event",
    "one row a day, group, kind of change and other group",
    "How groups came, grew, merged, split and went since the day before that was looked at.",
    ("group_id", "kind", "from_group", "to_group"),
    [
        col("group_id", "bigint", "the group that changed"),
        col("kind", "string", ", ".join(MOVES)),
        col("from_group", "bigint", "where the members were; -1: in none"),
        col("to_group", "bigint", "where they are; -1: in none"),
        col("member_cnt", "bigint", "how many"),
    ],
    checks=(listed("kind", *MOVES),),
)
guarantee_circle = _found(
    "guarantee_circle",
    "one row a member of a circle and day",
    "Circles and chains of guarantees (担保圈、担保链), and what the default of each member would do.",
    ("customer_id",),
    [
        person(),
        col("circle_id", "bigint", "smallest customer of the circle"),
        col("kind", "string", ", ".join(CIRCLES)),
        col("members", "bigint", "people in it"),
        col("guarantees", "bigint", "guarantees in it"),
        _amount("amount", "guaranteed in it"),
        col("mutual_pairs", "bigint", "pairs who back each other"),
        col("largest_cycle", "bigint", "members of its largest cycle; 0 without one"),
        col("guarantors_of_one_loan", "bigint", "most guarantors of one loan"),
        col("chain_depth", "bigint", "guarantees on its longest way"),
        col("core", "bigint", "its largest core number"),
        col("in_cycle_flag", "int", "1 when the member is in a cycle"),
        _amount("guaranteed_amt", "what the member guarantees"),
        _amount("backed_amt", "what is guaranteed for the member"),
        col("depth", "bigint", "guarantees on the longest way on from the member"),
        _amount("net_worth_amt", "what the member is known to own at the bank", nullable=True),
        col("over_guarantee_ratio", "double", "guaranteed by what is owned; null when nothing is known", nullable=True),
        col("failed_cnt", "bigint", "others that would fail if the member defaulted"),
        _amount("called_amt", "what would be called on guarantors"),
        _amount("loss_amt", "what the bank would lose after they have paid"),
        col("debt_rank", "double", "share of the circle's debt that would be in distress (DebtRank)"),
    ],
    checks=(listed("kind", *CIRCLES),),
)
guarantee_unwinding = _found(
    "guarantee_unwinding",
    "one row a guarantee in a circle and day",
    "Which guarantee to have replaced first: by how much the expected loss of its circle would fall.",
    ("circle_id", "rank"),
    [
        col("circle_id", "bigint", "the circle"),
        col("rank", "int", "1: first"),
        person("guarantor_id", "who guarantees"),
        person("borrower_id", "for whom"),
        col("loan_id", "bigint", "which loan", nullable=True),
        _amount("amount", "guaranteed", nullable=True),
        _amount("loss_fall_amt", "by how much the mean loss falls; null when not tried", nullable=True),
        col("failures_fall", "double", "by how many the mean failures fall", nullable=True),
        _amount("called_amt", "what is called on it in the mean"),
        col("is_exact", "boolean", "whether each cascade was tried"),
    ],
)
connected_group = _found(
    "connected_group",
    "one row a customer and day",
    "Connected clients by the large-exposure rules (大额风险暴露): control and economic dependency, apart and merged.",
    ("customer_id",),
    [
        person(),
        col("control_group", "bigint", "smallest id of the group by control"),
        col("dependency_group", "bigint", "smallest id of the group by dependency"),
        col("group_id", "bigint", "smallest id of the group by either"),
        _amount("exposure_amt", "what the customer owes"),
        _amount("group_exposure_amt", "what the group owes"),
        col("group_members", "bigint", "customers in the group"),
    ],
)
large_exposure = _found(
    "large_exposure",
    "one row a group of connected clients, or client alone, with a large exposure, and day",
    "Large exposures (大额风险暴露) against the bank's tier 1 capital, and which are above their limit.",
    ("group_id",),
    [
        person("group_id", "smallest customer of the group"),
        col("group_members", "bigint", "customers in the group"),
        _amount("group_exposure_amt", "what the group owes"),
        col("capital_ratio", "double", "what it owes by tier 1 capital"),
        _amount("limit_amt", "what it may owe"),
        _amount("headroom_amt", "how much is left; negative above the limit"),
        col("breach_flag", "int", "1 above the limit"),
    ],
)
fraud_alert = _found(
    "fraud_alert",
    "one row an alert and day",
    "Rings over devices and phones, mule accounts, and money that goes in circles; each with its reason in words.",
    ("case_id",),
    [
        col("case_id", "string", "kind and what it is about; evidence stands in network_evidence"),
        col("kind", "string", ", ".join(ALERTS)),
        col("score", "double", "share of the signs that are there, or how surely money is passed on", unit="0 to 1"),
        col("members", "bigint", "people or accounts in it"),
        col("reason", "string", "in words"),
    ],
    checks=(listed("kind", *ALERTS), rule("score BETWEEN 0 AND 1", "score is not 0 to 1")),
)
network_evidence = _found(
    "network_evidence",
    "one row a case, tie and piece of evidence and day",
    "What a case rests on: ties, dates and amounts.",
    ("case_id", "src_key", "dst_key", "kind", "event_ts", "amount"),
    [
        col("case_id", "string", f"kind ({', '.join(CASES)}) and what the case is about"),
        col("src_key", "string", "vertex from: entity and natural key", personal=Personal.QUASI),
        col("dst_key", "string", "vertex to", personal=Personal.QUASI),
        col("kind", "string", "kind of tie"),
        col("event_ts", "timestamp", "when it happened, or was first known where the source has no time"),
        _amount("amount", "money in it; 0 without"),
    ],
)
referral_candidate = _found(
    "referral_candidate",
    "one row a customer, somebody outside the bank and day",
    "Who can introduce whom: the best-ranked pairs, those that may not be asked with the reason why.",
    ("customer_id", "prospect_key"),
    [
        person(description="the customer who can introduce"),
        col("prospect_key", "string", "somebody outside: vertex key of the phone's token", personal=Personal.QUASI),
        col("manager_id", "int", "who looks after the customer", nullable=True),
        col("step_cnt", "int", "steps between the two over warm ties"),
        col("score", "double", "chance, or rank of a walk, by which pairs of one day are ordered"),
        col("place", "int", "place among the customer's prospects, from 1"),
        col("is_allowed", "boolean", "whether the customer may be asked"),
        col("refusal", "string", "why not; null when allowed", nullable=True),
        col("reason", "string", "why the two may know each other"),
    ],
)
referral_path = _found(
    "referral_path",
    "one row a tie on the way from a customer to a prospect that may be asked for, and day",
    "By whom a customer reaches a prospect: the ties between the two, and those to the best contacts in common.",
    ("customer_id", "prospect_key", "src_key", "dst_key", "kind"),
    [
        person(description="the customer who can introduce"),
        col("prospect_key", "string", "somebody outside, as in referral_candidate", personal=Personal.QUASI),
        col("src_key", "string", "vertex from: the customer, or a contact in common", personal=Personal.QUASI),
        col("dst_key", "string", "vertex to: a contact in common, or the prospect", personal=Personal.QUASI),
        col("kind", "string", "kind of tie"),
        col("evidence_count", "bigint", "pieces of evidence for it"),
        col("known_ts", "timestamp", "when it was first known"),
    ],
)
key_customer = _found(
    "key_customer",
    "one row a manager's key customer and day",
    "Whom each manager talks to first, so that together they reach most people.",
    ("manager_id", "seed_rank"),
    [
        col("manager_id", "int", "the manager"),
        col("seed_rank", "int", "1: first"),
        person(),
        col("degree_cnt", "bigint", "people whom the customer knows"),
        col("gain_cnt", "bigint", "people reached that those before don't reach"),
        col("reached_cnt", "bigint", "people reached so far"),
    ],
)
