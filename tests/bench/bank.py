"""Simulated banks of 24 months, landed and ingested once: what the parts on customers' features read."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from strata.conf.settings import Settings, load_settings
from strata.jobs import ingest, simulate_bank
from strata.jobs.runtime.session import open_session
from tests.bench.kept import HERE, SCRATCH, stamp_of
from tests.bench.meter import run_job
from tests.bench.simulation import MONTHS

# Contracts of tables that are made of landed ones.
MADE_LATER = ("__init__", "book", "gold", "network", "relations")


def folder_of(customers: int) -> Path:
    """Where a bank of that size lies."""
    return SCRATCH / "banks" / str(customers)


def settings_of(customers: int) -> Settings:
    """Where a bank of that size has its parts, and how its jobs run."""
    folder = folder_of(customers)
    return load_settings(
        "simulated",
        lake=str(folder / "lake"),
        landing=str(folder / "landing"),
        token_key_file=str(folder / "token.key"),
        tracking_uri=f"sqlite:///{folder}/mlflow.db",
        reports=str(folder / "reports"),
        simulation={"customers": customers, "months": MONTHS},
        spark={"memory": "12g", "cores": 2, "shuffle_partitions": 8 if customers < 50_000 else 32},
    )


def prepared(customers: int) -> None:
    """See to it that the bank is there: made in a process of its own when the code that makes it has changed."""
    folder = folder_of(customers)
    mark = folder / "stamp"
    if not mark.exists() or mark.read_text() != _stamp():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "tests.bench.bank", str(customers)], check=True)
        mark.write_text(_stamp())


def _stamp() -> str:
    root = HERE.parents[1]
    landed = [path for path in (root / "conf" / "tables").glob("*.py") if path.stem not in MADE_LATER]
    return stamp_of(root / "jobs" / "simulate", root / "jobs" / "sources", *landed, root / "conf" / "simulation.yml")


def make(customers: int) -> None:
    """Land and ingest."""
    settings = settings_of(customers)
    spark = open_session(settings)
    for job in (simulate_bank.JOB, ingest.JOB):
        run_job(job, settings, spark)


if __name__ == "__main__":
    make(int(sys.argv[1]))
