"""Train models: scorecard and boosted challenger, validated, tracked, registered, their cases scored out of fold."""

from __future__ import annotations

import argparse
import sys

from strata.conf.settings import Settings
from strata.jobs.job_runner import run
from strata.jobs.modelling import training
from strata.jobs.modelling.chosen import each_model, model_option, models_of, why_none
from strata.jobs.runtime.job import Context, Job


def body(context: Context) -> None:
    """Read each model's training set, fit, validate on the same folds, register, publish."""
    each_model(context, training.train)


def _reads(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    return (*(spec.training_set for spec in models_of(settings, options)), "training_manifest")


JOB = Job(
    "train",
    "models: scorecard and boosted challenger, validated, tracked and registered",
    body,
    reads=_reads,
    writes=("model_validation", "application_score"),
    options=model_option,
    refuses=why_none,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
