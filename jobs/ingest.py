"""Ingest the bank: delivered files to bronze, bronze to silver, every row accounted for."""

from __future__ import annotations

import sys

from strata.conf.settings import Settings
from strata.jobs.runtime.run import Context, Job, run
from strata.jobs.sources import berka, flow, simulated

SOURCES = {"berka": berka.SOURCE, "simulated": simulated.SOURCE}


def body(context: Context) -> None:
    """Land, judge, quarantine, gate; then silver, coverage and the accounts."""
    source = SOURCES[context.settings.bank]
    landed = flow.arrive(context, source)
    rows = flow.judge(context, source, landed)
    files = flow.account(context, rows)
    flow.quarantine(context, rows, files)
    flow.gate(context, files)
    flow.publish(context, rows)
    flow.cover(context, source, rows, files)
    flow.prove(context, landed, files)


def _writes(settings: Settings) -> tuple[str, ...]:
    return (*SOURCES[settings.bank].writes, "transaction_coverage", "ops_ingest")


JOB = Job(
    "ingest",
    "delivered files to bronze and silver, with quarantine and exact accounts",
    body,
    writes=_writes,
    fingerprint=lambda settings: flow.fingerprint(SOURCES[settings.bank], settings),
)

if __name__ == "__main__":
    sys.exit(run(JOB))
