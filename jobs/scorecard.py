"""A scorecard on any table: from a CSV, Parquet or Delta file to points, scores and a report, in one call."""

from __future__ import annotations

import sys
import time

from strata.jobs.job_runner import run
from strata.jobs.own_table import scorecard_fit, scorecard_input, scorecard_output
from strata.jobs.own_table.scorecard_options import CardOptions, add_options
from strata.jobs.reports.pages import scorecard_page
from strata.jobs.runtime.job import Context, Job


def body(context: Context) -> None:
    """Read and screen the table, split it, fit card and challengers, test them, write everything down."""
    start, options = time.monotonic(), CardOptions.of(context.options)
    with scorecard_input.refusals():
        table = scorecard_input.prepare(context, options)
        fitted = scorecard_fit.fit(context, table)
        tested = scorecard_fit.test(context, table, fitted)
    scorecard_output.write(context, table, fitted, tested, seconds=time.monotonic() - start)
    with context.progress.step("report") as step:
        step.says(f"open {scorecard_page.page(table, fitted, tested).write(options.output / 'report.html')}")
    scorecard_output.track(context, table, fitted, tested)
    scorecard_fit.warn_of_drops(context, fitted)


JOB = Job(
    "scorecard",
    "a scorecard on any CSV, Parquet or Delta table with a 0/1 target",
    body,
    options=add_options,
    inputs=lambda options: [options.input],
    recorded=False,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
