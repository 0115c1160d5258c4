"""Part book: what each step costs with the book copied 1×, 4× and 16× under new keys.

Each size runs in a process of its own: ``python -m tests.bench.growth COPIES ANSWER``.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from strata.conf.settings import load_settings
from strata.jobs import run_all
from strata.jobs.runtime.job import in_order
from strata.jobs.runtime.ledger import code_version
from strata.jobs.runtime.session import open_session
from tests.bench.book import copy_book
from tests.bench.kept import RESULTS, Measurement, apart, kept, table, write
from tests.bench.meter import metered, run_job

COPIES = (1, 4, 16)


def run() -> None:
    """Measure what is missing, then print and keep the table."""
    sizes = [kept(RESULTS / "book" / f"{n}.json", code_version(), partial(apart, "growth", n)) for n in COPIES]
    text = growth_table(sizes)
    (RESULTS / "book.md").write_text(text)
    print(text)


def growth_table(sizes: list[Measurement]) -> str:
    """A row a step: seconds, shuffled MB and peak GB at each size, the fixed cost and seconds a million rows more."""
    millions = [size["postings"] / 1e6 for size in sizes]
    titles = [f"{size['copies']}× ({size['postings']:,} postings): s / shuffle MB / peak GB" for size in sizes]
    rows = []
    for step in sizes[0]["steps"]:
        cells = [size["steps"][step] for size in sizes]
        slope, fixed = np.polyfit(millions, [cell["seconds"] for cell in cells], 1)
        shown = [f"{c['seconds']:.1f} / {c['shuffle_bytes'] / 1e6:.1f} / {c['peak_bytes'] / 1e9:.1f}" for c in cells]
        rows.append([step, *shown, f"{fixed:.1f}", f"{slope:.1f}"])
    return (
        "# Growth of the whole way with the book copied under new keys\n\n"
        f"2 cores, local mode, {sizes[0]['memory']} driver; code {sizes[0]['stamp']}.\n"
        "Fixed cost and slope are a straight line through the sizes; rows are postings.\n\n"
        + table(["step", *titles, "fixed s", "s per million rows"], rows)
    )


def measure(copies: int) -> Measurement:
    """Run every step of the whole way on ``copies`` books; the registry's models are trained on them too."""
    with tempfile.TemporaryDirectory() as folder:
        landing = Path(folder, "landing")
        postings = copy_book(landing, copies)
        settings = load_settings(
            "local",
            lake=f"{folder}/lake",
            landing=str(landing),
            reports=f"{folder}/reports",
            tracking_uri=f"sqlite:///{folder}/mlflow.db",
            token_key_file=f"{folder}/token.key",
        )
        steps = {}
        spark = open_session(settings)
        for step in in_order(run_all.JOB.steps, settings):
            with metered(spark) as reading:
                run_job(step, settings, spark)
            steps[step.name] = vars(reading)
    return {"copies": copies, "postings": postings, "memory": settings.spark.memory, "steps": steps}


if __name__ == "__main__":
    write(Path(sys.argv[2]), measure(int(sys.argv[1])))
