"""A scorecard on any table: from a CSV, Parquet or Delta file to points, scores and a report, in one call."""

from __future__ import annotations

import sys
import time

from strata.jobs.job_runner import run
from strata.jobs.own_table import scorecard_fit as card_fit
from strata.jobs.own_table import scorecard_input as card_input
from strata.jobs.own_table import scorecard_output as card_output
from strata.jobs.own_table.scorecard_options import CardOptions, add_options
from strata.jobs.reports.pages import scorecard_page as report
from strata.jobs.runtime.job import Context, Job


def body(context: Context) -> None:
    """Read and screen the table, split it, fit card and challengers, test them, write everything down."""
    start, options = time.monotonic(), CardOptions.of(context.options)
    with card_input.refusals():
        table = card_input.prepare(context, options)
        fitted = card_fit.fit(context, table)
        tested = card_fit.test(context, table, fitted)
    card_output.write(context, table, fitted, tested, seconds=time.monotonic() - start)
    with context.progress.step("report") as step:
        step.says(f"open {report.page(table, fitted, tested).write(options.output / 'report.html')}")
    card_output.track(context, table, fitted, tested)
    card_fit.warn_of_drops(context, fitted)


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
