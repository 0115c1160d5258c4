"""Decide every application of the book under the policy in force: approve, refer or decline, with price and trace."""

from __future__ import annotations

import sys

from strata.conf.policies import load_policies
from strata.jobs.runtime.run import Context, Job, run
from strata.jobs.steps import decisions as steps
from strata.models.specs import loan_default as loans


def body(context: Context) -> None:
    """Read applications with their scores out of fold, decide, replace."""
    steps.decide(context, steps.applications(context), load_policies().at(context.as_of))


JOB = Job(
    "decide",
    "approve, refer or decline each application under the policy, with price, reasons and trace",
    body,
    reads=(*steps.SOURCES, "application_score", loans.TRAINING_SET, "feature_application_network", "customer"),
    writes=("application_decision", "decision_fairness"),
)

if __name__ == "__main__":
    sys.exit(run(JOB))
