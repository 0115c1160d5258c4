"""The relationship network: who is tied to whom, as known on each day, and what that says of accounts."""

from __future__ import annotations

import sys

from strata.jobs.runtime.run import Context, Job, run
from strata.jobs.steps import network as steps


def body(context: Context) -> None:
    """Trust GraphFrames, build vertices and ties, then judge accounts and applicants by them."""
    steps.trust_graphframes(context)
    steps.build(context)
    steps.judge(context)


JOB = Job(
    "network",
    "people, accounts and counterparties as one dated graph: components, rank, hubs, neighbours' defaults",
    body,
    reads=("customer", "account", "account_holder", "transaction", "loan", "loan_outcome"),
    writes=("vertex", "relationship", "hub_register", "network_risk", "feature_application_network"),
)

if __name__ == "__main__":
    sys.exit(run(JOB))
