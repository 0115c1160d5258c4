"""Ingest and the publishing of features, as one job to submit to a cluster."""

from __future__ import annotations

import sys

from strata.jobs import feature_commands, ingest
from strata.jobs.job_runner import run
from strata.jobs.runtime.job import Job

BUILD = next(job for job in feature_commands.JOBS if job.name == "features build")
JOB = Job(
    "ingest-and-features",
    "from a bank's files to its published features",
    steps=(ingest.JOB, BUILD),
    options=BUILD.options,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
