"""Place every account of a day in segments, and in tiers of value and risk."""

from __future__ import annotations

import argparse
import sys

from strata.conf.policies import bank_policies
from strata.conf.settings import Settings
from strata.jobs.job_runner import run
from strata.jobs.modelling import segmenting
from strata.jobs.modelling.chosen import champions
from strata.jobs.runtime.job import Context, Job


def body(context: Context) -> None:
    """Read the day's slices and scores, replace the day."""
    segmenting.publish(context, bank_policies(context.bank.folder).at(context.as_of))


def _reads(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    return (*segmenting.sources(settings), "scores", "account_holder")


JOB = Job(
    "segments",
    "behaviour segments of every account of a day, and tiers of value and risk",
    body,
    reads=_reads,
    may_read=("feature_slice",),
    writes=("customer_segment", "customer_tier", "segment_profile", "segment_trial"),
    fingerprint=champions,
    refuses=segmenting.why_not,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
