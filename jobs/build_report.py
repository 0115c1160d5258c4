"""The page of a run: data quality, features, network, scorecard, segments and decisions, with figures and plots."""

from __future__ import annotations

import sys
from pathlib import Path

from strata.jobs.job_runner import run
from strata.jobs.reports.pages import run_page
from strata.jobs.runtime.job import Context, Job


def body(context: Context) -> None:
    """Read the tables of the run, draw, write one self-contained page."""
    with context.progress.step("page") as step:
        page = run_page.page(context)
        path = page.write(Path(context.settings.reports) / f"{context.as_of.isoformat()}.html")
        page.write(path.with_name("index.html"))
        step.says(f"open {path.with_name('index.html')}")


JOB = Job(
    "report",
    "the page of a run, self-contained HTML",
    body,
    reads=("ops_ingest",),
    may_read=run_page.READS,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
