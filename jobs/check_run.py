"""Ask the ledger how a job went: cluster managers lose exit codes, the ledger doesn't."""

from __future__ import annotations

import argparse
import sys

from strata.jobs.job_runner import run
from strata.jobs.runtime import ledger
from strata.jobs.runtime.errors import InputError, JobError
from strata.jobs.runtime.job import Context, Job


def _options(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--job", required=True, help="the job to ask about")


def body(context: Context) -> None:
    """Print the newest entry of the job for the day; fail with that run's exit code when it failed."""
    name = context.options.job
    entry = ledger.last(context.lake, name, context.as_of)
    if entry is None:
        raise InputError(f"{name} has never run for {context.as_of} on {context.lake.root}")
    print(f"{entry.run_id} {entry.status} started {entry.started_at:%Y-%m-%d %H:%M:%S} seconds {entry.seconds}")
    for written in entry.outputs:
        print(f"  {written.name} version {written.version} rows {written.rows}")
    if entry.status != "succeeded":
        failure = JobError(f"{name} {entry.status}: {entry.error or 'no end recorded: running, or killed'}")
        failure.exit_code = entry.exit_code or 1
        raise failure


JOB = Job("check-run", "how the newest run of a job went, from the ledger", body, options=_options, recorded=False)

if __name__ == "__main__":
    sys.exit(run(JOB))
