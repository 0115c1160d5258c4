"""Decide applications under the policy in force: approve, refer or decline, with price, reasons and trace."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from strata.conf.policies import bank_policies
from strata.conf.settings import Settings
from strata.jobs.job_runner import run
from strata.jobs.modelling import deciding
from strata.jobs.modelling.chosen import champions, each_model, model_option, models_of
from strata.jobs.runtime.job import Context, Job


def body(context: Context) -> None:
    """Each deciding model's applications with the champion's scores, decided and replaced."""
    each_model(context, partial(deciding.decide, policy=bank_policies(context.bank.folder).at(context.as_of)))


def _reads(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    specs = [spec for spec in models_of(settings, options) if spec.decision]
    sources = [name for spec in specs for name in (*spec.reads, spec.training_set)]
    return tuple(dict.fromkeys([*sources, "application_score", "customer"]))


def _refuses(settings: Settings, options: argparse.Namespace) -> str | None:
    deciding_models = [spec for spec in models_of(settings, options) if spec.decision]
    return None if deciding_models else "none of its models decides applications (ModelSpec.decision)"


JOB = Job(
    "decide",
    "approve, refer or decline each application under the policy, with price, reasons and trace",
    body,
    reads=_reads,
    writes=("application_decision", "decision_fairness"),
    options=model_option,
    fingerprint=champions,
    refuses=_refuses,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
