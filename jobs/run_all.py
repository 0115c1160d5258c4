"""The whole way in one session: raw files to silver, features, network, models, scores, decisions and the page."""

from __future__ import annotations

import sys

from strata.jobs import build_features, build_network, build_report, decide, ingest, score, train
from strata.jobs.feature_commands import CATALOGUE
from strata.jobs.runtime.run import Job, run

JOB = Job(
    "run",
    "the whole way: every job of the flow, one after the other",
    # Each is a job with a lock and ledger rows of its own, skipped when it is already done.
    steps=(
        ingest.JOB,
        build_features.JOB,
        build_network.JOB,
        train.JOB,
        score.JOB,
        decide.JOB,
        CATALOGUE,
        build_report.JOB,
    ),
)

if __name__ == "__main__":
    sys.exit(run(JOB))
