"""Ingest the bank: delivered files to bronze, bronze to silver, every row accounted for."""

from __future__ import annotations

import argparse
import sys

from strata.conf.banks import load_bank
from strata.conf.settings import Settings
from strata.conf.tables.quarantine import quarantine_of
from strata.jobs.job_runner import run
from strata.jobs.runtime.job import Context, Job
from strata.jobs.sources import flow


def body(context: Context) -> None:
    """Stage, validate, quarantine, gate; then silver, coverage and the counts of all rows."""
    bank = context.bank
    staged = flow.stage(context, bank)
    rows = flow.validate(context, bank, staged)
    files = flow.count_rows(context, rows)
    flow.quarantine(context, rows, files)
    flow.gate(context, bank, files)
    flow.publish(context, bank, rows)
    flow.record_coverage(context, bank, rows, files)
    flow.reconcile(context, staged, files)


def _writes(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    """Bronze of every feed, silver, what is refused of each table, coverage and counts."""
    bank = load_bank(settings.bank)
    refused = (quarantine_of(table).name for table in bank.tables)
    return (*(feed.bronze for feed in bank.feeds), *bank.made, *refused, "ops_ingest")


JOB = Job(
    "ingest",
    "delivered files to bronze and silver, with quarantine and exact accounts",
    body,
    writes=_writes,
    fingerprint=lambda settings, options: flow.fingerprint(load_bank(settings.bank), settings),
)

if __name__ == "__main__":
    sys.exit(run(JOB))
