"""Make the challenger champion, or take it back: promotion swaps the two aliases."""

from __future__ import annotations

import argparse
import sys

from strata.jobs.runtime.run import Context, Job, run
from strata.jobs.runtime.tracking import Tracking
from strata.models.specs import loan_default


def _options(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--model", default=loan_default.NAME, help="registered model (default %(default)s)")


def body(context: Context) -> None:
    """Swap champion and challenger of the model; running it once more swaps them back."""
    name = context.options.model
    new, former = Tracking(context.settings.tracking_uri).promote(name)
    context.progress.line(f"{name}: version {new} is champion, version {former or 'none'} was; again to take it back")


JOB = Job("promote", "make the challenger champion; once more takes it back", body, options=_options, recorded=False)

if __name__ == "__main__":
    sys.exit(run(JOB))
