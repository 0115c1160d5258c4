"""Train the loan default models: a scorecard and its boosted challenger, validated, tracked and registered."""

from __future__ import annotations

import sys

from strata.jobs.runtime.run import Context, Job, run
from strata.jobs.steps import training as steps
from strata.models.specs import loan_default as loans


def body(context: Context) -> None:
    """Read the training set, fit both, validate every variant on the same folds, publish and register."""
    rows = steps.training_rows(context)
    card, boosted = steps.fit(context, rows)
    found, measured = steps.validate(context, rows, boosted)
    steps.publish(context, rows, found, measured)
    steps.register(context, card, boosted, measured)
    rows.unpersist()


JOB = Job(
    "train",
    "the loan default scorecard and its boosted challenger, validated, tracked and registered",
    body,
    reads=(loans.TRAINING_SET, "feature_application_network", "training_manifest"),
    writes=("model_validation", "application_score"),
)

if __name__ == "__main__":
    sys.exit(run(JOB))
