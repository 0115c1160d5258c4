"""Offers assigned to customers under limits, from a table of candidates: the most value that the limits allow."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from strata.jobs.job_runner import run
from strata.jobs.own_table import assignment_steps
from strata.jobs.own_table.any_input import add_reading_options
from strata.jobs.runtime.job import Context, Job


def _options(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "--candidates", type=Path, required=True, metavar="PATH", help="a row per customer and offer that is allowed"
    )
    arguments.add_argument(
        "--limits", type=Path, required=True, metavar="PATH",
        help="columns unit, offer, channel (empty: any), minimum, maximum (empty: none)",
    )  # fmt: skip
    for role, what in (
        ("customer", "who"),
        ("offer", "what"),
        ("value", "what choosing the row is worth"),
        ("unit", "the branch or manager whose places are limited"),
        ("channel", "how"),
    ):
        arguments.add_argument(f"--{role}", metavar="COLUMN", help=f"{what}; else the column {role}")
    arguments.add_argument("--block", metavar="COLUMN", help="who gets one offer at most, else the customer")
    arguments.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the answer is written")
    add_reading_options(arguments)


def body(context: Context) -> None:
    """Read candidates and limits, assign, write who gets what and what each limit costs."""
    inputs = assignment_steps.read(context)
    found, seconds = assignment_steps.assign(context, inputs)
    assignment_steps.write(context, inputs, found, seconds, context.options.output)


JOB = Job(
    "assign",
    "who gets which offer under limits, from any CSV, Parquet or Delta table of candidates",
    body,
    options=_options,
    inputs=lambda options: [options.candidates, options.limits],
    recorded=False,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
