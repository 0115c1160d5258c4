"""Make the challenger champion, or take it back: promotion swaps the two aliases."""

from __future__ import annotations

import argparse
import sys

from strata.jobs.job_runner import run
from strata.jobs.runtime.errors import UsageError
from strata.jobs.runtime.job import Context, Job
from strata.jobs.runtime.tracking import Tracking
from strata.models.specs import bank_models


def _options(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "--model", metavar="NAME", help="registered model (default: the bank's, if it has one alone)"
    )


def body(context: Context) -> None:
    """Swap champion and challenger of the model; running it once more swaps them back."""
    name = context.options.model or _only_model(context)
    new, former = Tracking(context.settings.tracking_uri).promote(name)
    context.progress.line(f"{name}: version {new} is champion, version {former or 'none'} was; again to take it back")


def _only_model(context: Context) -> str:
    """The bank's model, where it has one alone; any other registered one has to be named."""
    specs = bank_models(context.bank)
    if len(specs) != 1:
        raise UsageError(f"--model: name one of {', '.join(spec.name for spec in specs) or 'the registered models'}")
    return specs[0].name


JOB = Job("promote", "make the challenger champion; once more takes it back", body, options=_options, recorded=False)

if __name__ == "__main__":
    sys.exit(run(JOB))
