"""Score every customer of a day with the champion, and place them in segments and tiers."""

from __future__ import annotations

import sys

from strata.conf.policies import load_policies
from strata.conf.settings import Settings
from strata.jobs.runtime.run import Context, Job, run
from strata.jobs.runtime.tracking import CHAMPION, Tracking
from strata.jobs.steps import scoring as steps
from strata.models.specs import loan_default as loans


def body(context: Context) -> None:
    """Read the day's snapshot, apply the champion, place customers, replace the day."""
    model, policy = steps.champion(context), load_policies().at(context.as_of)
    rows = steps.book(context)
    steps.publish(context, rows, model, policy)
    rows.unpersist()


def fingerprint(settings: Settings) -> str:
    """A promotion changes the scores though no table has changed."""
    return str(Tracking(settings.tracking_uri).version(loans.NAME, CHAMPION))


JOB = Job(
    "score",
    "scores with reasons, segments and tiers of every customer of a day, by the champion",
    body,
    reads=(*steps.SNAPSHOTS, "account_holder"),
    writes=("scores", "customer_segment", "customer_tier", "segment_profile", "segment_trial"),
    fingerprint=fingerprint,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
