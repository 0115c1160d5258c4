"""Simulate a bank: raw files as its source systems would land them, and the truth behind them, apart."""

from __future__ import annotations

import argparse
import sys

from strata.jobs.job_runner import day, run
from strata.jobs.runtime.job import Context, Job
from strata.jobs.simulate import landing_steps


def body(context: Context) -> None:
    """Land what the drops asked for hold; then, for a whole simulation, the truth."""
    bank = landing_steps.bank(context)
    sent = landing_steps.send(context, bank)
    if context.options.day is None:
        landing_steps.tell_truth(context, bank, sent)


def options(arguments: argparse.ArgumentParser) -> None:
    """Size, time and seed; each has its value in the settings' ``simulation``."""
    arguments.add_argument("--customers", type=int, metavar="N", help="how many customers (default: settings)")
    arguments.add_argument("--start", type=day, metavar="YYYY-MM-01", help="first day, the first of a month")
    arguments.add_argument("--months", type=int, metavar="N", help="how many months")
    arguments.add_argument("--drop", choices=("day", "month", "quarter"), help="one folder per day, month …")
    arguments.add_argument("--seed", type=int, metavar="N", help="another seed, another bank")
    arguments.add_argument(
        "--day", type=day, metavar="YYYY-MM-DD", help="land the files of this one day, after the months"
    )


JOB = Job(
    "simulate",
    "raw files of a bank with known truth, landed as its source systems would",
    body,
    options=options,
    # The same numbers land the same files: nothing to look up, and no lake is needed.
    recorded=False,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
