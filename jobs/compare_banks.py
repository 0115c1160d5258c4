"""The simulated bank beside a real one: a page of pictures, and where they differ."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from strata.conf.settings import load_settings
from strata.jobs.job_runner import run
from strata.jobs.reports.pages import bank_comparison
from strata.jobs.runtime.job import Context, Job
from strata.jobs.table_catalog import lake_at


def body(context: Context) -> None:
    """Read both lakes, draw, write one self-contained page."""
    real = lake_at(context.spark, context.options.real, context.run_id)
    with context.progress.step("page") as step:
        page = bank_comparison.page(context, real)
        step.says(f"open {page.write(Path(context.settings.reports) / 'likeness.html')}")


def options(arguments: argparse.ArgumentParser) -> None:
    """Where the real bank lies."""
    lake = load_settings("local").lake
    arguments.add_argument("--real", metavar="DIR", default=lake, help=f"lake of the real bank (default {lake})")


JOB = Job(
    "likeness",
    "pictures of the simulated bank beside a real one",
    body,
    reads=bank_comparison.READS,
    options=options,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
