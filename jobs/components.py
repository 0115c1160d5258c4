"""Connected components of anybody's edges: from a CSV, Parquet or Delta table of src and dst."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from strata.jobs.job_runner import run
from strata.jobs.own_table import component_steps
from strata.jobs.own_table.any_input import add_reading_options
from strata.jobs.runtime.job import Context, Job


def _options(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--edges", type=Path, required=True, metavar="PATH", help="a table with columns src and dst")
    arguments.add_argument("--vertices", type=Path, metavar="PATH", help="a table with column id, for lone vertices")
    arguments.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the answer is written")
    add_reading_options(arguments)


def body(context: Context) -> None:
    """Read the edges, find each vertex's component, write it for Delta's readers and as CSV."""
    options = context.options
    vertices, ties = component_steps.read(context, options.edges, options.vertices)
    component_steps.write(context, component_steps.components(context, vertices, ties), options.output)


JOB = Job(
    "components",
    "connected components of any CSV, Parquet or Delta table of edges",
    body,
    options=_options,
    inputs=lambda options: [path for path in (options.edges, options.vertices) if path],
    recorded=False,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
