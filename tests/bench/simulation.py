"""Part simulation: what it costs to land a simulated bank, at three sizes.

Each size runs in a process of its own: ``python -m tests.bench.simulation CUSTOMERS ANSWER``.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from strata.conf.settings import load_settings
from strata.jobs import simulate_bank
from strata.jobs.runtime.session import open_session
from tests.bench.kept import HERE, RESULTS, SCRATCH, Measurement, apart, kept, stamp_of, table, write
from tests.bench.meter import metered, run_job

MONTHS = 24


@dataclass(frozen=True)
class Sizes:
    """Customers at each size; ``folder`` keeps the results."""

    customers: tuple[int, ...]
    folder: Path


FULL = Sizes((10_000, 30_000, 100_000), RESULTS)
SMALL = Sizes((1_000, 2_000, 4_000), SCRATCH / "results_small")


def run(sizes: Sizes = FULL) -> None:
    """Measure what is missing, then print and keep the table."""
    root = HERE.parents[1]
    stamp = stamp_of(root / "jobs" / "simulate", root / "conf" / "simulation.yml")
    measured = [
        kept(
            sizes.folder / "simulation" / f"{customers}.json",
            stamp,
            partial(apart, "simulation", customers),
        )
        for customers in sizes.customers
    ]
    text = simulation_table(measured)
    (sizes.folder / "simulation.md").write_text(text)
    print(text)


def simulation_table(measured: list[Measurement]) -> str:
    """A row a size, and the exponents of time and bytes."""
    titles = ["customers", "rows landed", "postings", "seconds", "GB landed", "shuffled GB", "peak GB"]
    rows = [
        [f"{one['customers']:,}", f"{one['rows']:,}", f"{one['postings']:,}", f"{one['seconds']:.0f}"]
        + [f"{one[name] / 1e9:.2f}" for name in ("bytes", "shuffle_bytes", "peak_bytes")]
        for one in measured
    ]
    sizes = np.log([one["customers"] for one in measured])
    slopes = {name: np.polyfit(sizes, np.log([one[name] for one in measured]), 1)[0] for name in ("seconds", "bytes")}
    return (
        f"# Landing a simulated bank of {MONTHS} months, a drop a month\n\n"
        f"2 cores, local mode, {measured[0]['memory']} driver, session start not counted; one run each.\n\n"
        + table(titles, rows)
        + f"\nExponent with customers: seconds {slopes['seconds']:.2f}, bytes {slopes['bytes']:.2f}.\n"
    )


def measure(customers: int) -> Measurement:
    """Land one bank in a scratch folder, which is emptied again."""
    folder = SCRATCH / "simulation" / str(customers)
    shutil.rmtree(folder, ignore_errors=True)
    settings = load_settings(
        "simulated",
        lake=str(folder / "lake"),
        landing=str(folder / "landing"),
        simulation={"customers": customers, "months": MONTHS},
        spark={"memory": "12g", "cores": 2, "shuffle_partitions": 8},
    )
    spark = open_session(settings)
    with metered(spark) as reading:
        run_job(simulate_bank.JOB, settings, spark)
    truth = spark.read.format("delta").load(str(folder / "truth" / "truth_delivery"))
    rows = {row.kind: row["sum(rows)"] for row in truth.groupBy("kind").sum("rows").collect()}
    landed = sum(path.stat().st_size for path in (folder / "landing").rglob("*.*") if path.is_file())
    shutil.rmtree(folder)
    return {
        "customers": customers, "rows": sum(rows.values()), "postings": rows["core_transaction"], "bytes": landed,
        "memory": settings.spark.memory, **vars(reading),
    }  # fmt: skip


if __name__ == "__main__":
    write(Path(sys.argv[2]), measure(int(sys.argv[1])))
