"""One case of the network as a page: a ring, mule, cycle of money, circle, exposure, group or way to prospects."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from strata.jobs.job_runner import run
from strata.jobs.reports.pages import case_contents
from strata.jobs.reports.pages.page import written
from strata.jobs.runtime.job import Context, Job


def body(context: Context) -> None:
    """Read what the network job found, draw it, write one self-contained page."""
    name = context.options.case
    with context.progress.step("case") as step:
        page = case_contents.case_of(context, name)
        path = Path(context.settings.reports) / f"case_{name.replace(':', '_')}_{context.as_of}.html"
        step.says(f"open {written(path, page.html())}")


def options(arguments: argparse.ArgumentParser) -> None:
    """Which case."""
    arguments.add_argument(
        "--case",
        required=True,
        metavar="KIND:ID",
        help="a case_id of fraud_alert, circle:<id>, exposure:<id>, group:<id> or referral:<customer>",
    )


JOB = Job(
    "case",
    "a page of one case: who is tied to whom, evidence, timeline",
    body,
    may_read=case_contents.READS,
    options=options,
    recorded=False,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
