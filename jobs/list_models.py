"""``strata models``: every model that the bank can fill or could, with champion, challenger and last figures."""

from __future__ import annotations

import sys

from strata.jobs.job_runner import run
from strata.jobs.modelling.listing import listed_models
from strata.jobs.runtime.job import Context, Job


def body(context: Context) -> None:
    """Print one paragraph per model."""
    print(listed_models(context))


JOB = Job(
    "models",
    "every model with champion, challenger and last figures, and what the bank lacks for others",
    body,
    may_read=("model_validation",),
    recorded=False,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
