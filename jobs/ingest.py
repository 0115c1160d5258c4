"""Ingest the bank: delivered files to bronze, bronze to silver, every row accounted for."""

from __future__ import annotations

import sys

from strata.jobs.runtime.run import Context, Job, run
from strata.jobs.sources import flow
from strata.jobs.sources.berka import SOURCE, write_coverage


def body(context: Context) -> None:
    """Land, judge, quarantine, gate; then silver, coverage and the accounts."""
    landed = flow.arrive(context, SOURCE)
    rows = flow.judge(context, SOURCE, landed)
    try:
        files = flow.account(context, rows)
        flow.quarantine(context, rows, files)
        flow.gate(context, files)
        flow.publish(context, rows)
        write_coverage(context, rows["transaction"], files)
        flow.prove(context, landed, files)
    finally:
        for part in rows.values():
            part.unpersist()


JOB = Job(
    "ingest",
    "delivered files to bronze and silver, with quarantine and exact accounts",
    body,
    writes=(*SOURCE.writes, "transaction_coverage", "ops_ingest"),
    fingerprint=lambda settings: flow.fingerprint(SOURCE, settings),
)

if __name__ == "__main__":
    sys.exit(run(JOB))
