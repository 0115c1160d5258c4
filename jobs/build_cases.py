"""The training set of each model: its cases with features as of each one's moment, and what became of them."""

from __future__ import annotations

import argparse
import sys

from strata.conf.settings import Settings
from strata.jobs.feature_store.slices_and_sets import every_view, feature_sources
from strata.jobs.job_runner import run
from strata.jobs.modelling import cases
from strata.jobs.modelling.chosen import each_model, model_option, models_of, why_none
from strata.jobs.runtime.job import Context, Job


def body(context: Context) -> None:
    """Cases, features, outcomes and manifest of one model after the other."""
    each_model(context, cases.build)


def _reads(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    specs = models_of(settings, options)
    return tuple(dict.fromkeys(name for s in specs for name in (*s.reads, *(one.table for one in s.beside))))


def _may_read(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    """What the views are made of, the network's among them, and people's consents."""
    return feature_sources(every_view(settings))


def _writes(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    return (*(spec.training_set for spec in models_of(settings, options)), "training_manifest")


JOB = Job(
    "cases",
    "the training set of each model: cases, features as of each, outcomes",
    body,
    reads=_reads,
    may_read=_may_read,
    writes=_writes,
    options=model_option,
    refuses=why_none,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
