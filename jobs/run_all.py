"""The whole way in one session, for any bank: every job that the bank can run, in the order that their tables give."""

from __future__ import annotations

import sys

from strata.jobs import build_cases, build_features, build_network, build_report, decide, ingest, score, segment, train
from strata.jobs.feature_commands import CATALOGUE
from strata.jobs.job_runner import run
from strata.jobs.runtime.job import Job

JOB = Job(
    "run",
    "the whole way: every job that the bank can run, one after the other",
    # Each is a job with a lock and ledger rows of its own, skipped when it is already done.
    steps=(
        ingest.JOB,
        build_network.JOB,
        build_features.JOB,
        build_cases.JOB,
        train.JOB,
        score.JOB,
        segment.JOB,
        decide.JOB,
        CATALOGUE,
        build_report.JOB,
    ),
)

if __name__ == "__main__":
    sys.exit(run(JOB))
