"""Whose a lake is: its first run leaves the bank's name in it, and a run for another bank is refused."""

from __future__ import annotations

from pyspark.sql import SparkSession

from strata.jobs.runtime.errors import UsageError
from strata.jobs.runtime.hadoop import read_text, write_text

MARK = "_bank"


def require_owner(spark: SparkSession, root: str, bank: str) -> None:
    """Raise ``UsageError`` when the lake is another bank's; leave the bank's name where there is none yet."""
    place = f"{root}/{MARK}"
    owner = (read_text(spark, place) or "").strip()
    if not owner:
        write_text(spark, place, f"{bank}\n")
    elif owner != bank:
        raise UsageError(f"lake {root} is that of bank {owner}; name another with --lake, or that bank with --bank")
