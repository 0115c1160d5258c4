"""An uplift model on any table of an experiment: whom a treatment moves, measured on rows that it never saw."""

from __future__ import annotations

import sys
import time

from strata.jobs.job_runner import run
from strata.jobs.own_table import uplift_fit, uplift_input, uplift_output
from strata.jobs.own_table.scorecard_input import refusals
from strata.jobs.own_table.uplift_options import UpliftOptions, add_options
from strata.jobs.reports.pages import uplift_page as report
from strata.jobs.runtime.job import Context, Job


def body(context: Context) -> None:
    """Read the experiment, check its arms, split it, fit the model, test it, write everything down."""
    start, options = time.monotonic(), UpliftOptions.of(context.options)
    with refusals():
        table = uplift_input.prepare(context, options)
        fitted = uplift_fit.fit(context, table)
        tested = uplift_fit.test(context, table, fitted)
    uplift_output.write(context, table, fitted, tested, seconds=time.monotonic() - start)
    with context.progress.step("report") as step:
        step.says(f"open {report.page(table, fitted, tested).write(options.output / 'report.html')}")
    uplift_output.track(context, table, tested)


JOB = Job(
    "uplift",
    "whom a treatment moves, from any CSV, Parquet or Delta table of an experiment",
    body,
    options=add_options,
    inputs=lambda options: [options.input],
    recorded=False,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
