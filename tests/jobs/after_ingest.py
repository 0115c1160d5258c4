"""The jobs between ingest and decisions, as one to submit to a cluster."""

from __future__ import annotations

import sys

from strata.jobs import build_cases, build_features, build_network, score, train
from strata.jobs.job_runner import run
from strata.jobs.runtime.job import Job

JOB = Job(
    "after-ingest",
    "features, network, models and scores of a bank that is ingested",
    steps=(build_features.JOB, build_network.JOB, build_cases.JOB, train.JOB, score.JOB),
)

if __name__ == "__main__":
    sys.exit(run(JOB))
