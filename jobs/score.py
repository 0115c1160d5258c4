"""Score by the champions: every customer or account of a day, and the cases that a model has not seen."""

from __future__ import annotations

import argparse
import sys

from strata.conf.settings import Settings
from strata.features.store.slice_contracts import feature_table
from strata.jobs.feature_store.slices_and_sets import published_views
from strata.jobs.job_runner import run
from strata.jobs.modelling import scoring
from strata.jobs.modelling.chosen import champions, each_model, model_option, models_of, why_none
from strata.jobs.runtime.job import Context, Job


def body(context: Context) -> None:
    """Replace each model's scores of the day and of its unseen cases."""
    each_model(context, scoring.score)


def _reads(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    specs = models_of(settings, options)
    booked = [spec for spec in specs if "book" in spec.outputs]
    views = [view for spec in booked for view in published_views(settings, spec.entity)]
    owners = [scoring.OWNERS] if any(spec.entity == "account" for spec in booked) else []
    sets = [spec.training_set for spec in specs if "cases" in spec.outputs]
    return tuple(dict.fromkeys([*(feature_table(view).name for view in views), *owners, *sets]))


def _writes(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    specs = models_of(settings, options)
    outputs = {"book": "scores", "cases": "application_score"}
    return tuple(table for output, table in outputs.items() if any(output in spec.outputs for spec in specs))


JOB = Job(
    "score",
    "scores with reasons by the champion of each model: the book of a day, and cases it has not seen",
    body,
    reads=_reads,
    may_read=("application_score", "feature_slice"),
    writes=_writes,
    options=model_option,
    after=("train",),
    fingerprint=champions,
    refuses=why_none,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
