"""The simulated bank beside a real one: a page of pictures, and where they differ."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from strata.conf.settings import load_settings
from strata.jobs.reports import likeness
from strata.jobs.runtime.run import Context, Job, run
from strata.jobs.runtime.tables import Lake


def body(context: Context) -> None:
    """Read both lakes, draw, write one self-contained page."""
    real = Lake(context.spark, context.options.real, context.run_id)
    with context.progress.step("page") as step:
        page = likeness.page(context, real)
        step.says(f"open {page.write(Path(context.settings.reports) / 'likeness.html')}")


def options(arguments: argparse.ArgumentParser) -> None:
    """Where the real bank lies."""
    lake = load_settings("local").lake
    arguments.add_argument("--real", metavar="DIR", default=lake, help=f"lake of the real bank (default {lake})")


JOB = Job(
    "likeness",
    "pictures of the simulated bank beside a real one",
    body,
    reads=likeness.READS,
    options=options,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
