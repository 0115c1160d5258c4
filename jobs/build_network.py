"""The relationship network: who is tied to whom, as known on each day, and what that says of accounts."""

from __future__ import annotations

import argparse
import sys

from strata.conf.banks import load_bank
from strata.conf.settings import Settings
from strata.graph.ties.tie_evidence import SOURCES
from strata.jobs.job_runner import run
from strata.jobs.network import network_tables, relation_steps
from strata.jobs.runtime.job import Context, Job

GRAPH = ("vertex", "relationship", "hub_register")
ACCOUNTS = ("network_risk", "feature_application_network")
PEOPLE = (
    "person_identity", "person_tie", "network_contagion", "feature_application_contagion", "network_group",
    "network_group_event", "guarantee_circle", "guarantee_unwinding", "connected_group", "fraud_alert",
    "network_evidence", "referral_candidate", "referral_path", "key_customer",
)  # fmt: skip


def body(context: Context) -> None:
    """Trust GraphFrames, build vertices and ties, then judge by them whom the bank knows: accounts, or people."""
    network_tables.trust_graphframes(context)
    network_tables.build(context)
    if context.bank.network == "accounts":
        network_tables.judge(context)
    else:
        relation_steps.judge(context)


def _may_read(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    """What ties are made of, and what is known of those who are tied."""
    if load_bank(settings.bank).network == "accounts":
        return (*SOURCES, "loan", "loan_outcome")
    return (*SOURCES, "loan", "delinquency", "loan_application", "blacklist", "wealth_holding", "consent")


def _writes(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    if load_bank(settings.bank).network == "accounts":
        return (*GRAPH, *ACCOUNTS)
    return (*GRAPH, *PEOPLE, *(("large_exposure",) if settings.tier1_capital is not None else ()))


JOB = Job(
    "network",
    "people, accounts and what they share as one dated graph: components, rank, hubs, neighbours' defaults",
    body,
    reads=("customer", "account"),
    may_read=_may_read,
    writes=_writes,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
