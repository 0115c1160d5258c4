"""What the scripts of part features share: the job, and how it is timed. Nothing of this needs a library.

A job is JSON: ``task`` (windows or states), ``way`` (which of a peer's ways), ``folder`` (Parquet of ``events``,
``spine`` and ``state0``…), ``known`` (whether rows must be known by ``at``), ``days``, ``aggs``, ``tables`` (names of
states), ``columns`` (of each state), ``output`` (Parquet: the spine's columns and the answers), ``answer`` (a path).
The answers are called ``amount_<agg>_<d>d`` and ``<table>__<column>``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Job = dict[str, Any]
DAY_MICROS = 86_400_000_000


def job() -> Job:
    """The job whose path is the only argument."""
    given: Job = json.loads(Path(sys.argv[1]).read_text())
    return given


def answer(given: Job, found: dict[str, float]) -> None:
    """Write what was found."""
    Path(given["answer"]).write_text(json.dumps(found))


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


def timed_twice(given: Job, session: Callable[[], Any], compute: Callable[[Any], Any]) -> None:
    """Answer a job by Spark: seconds in a cold session, whose start is apart, and once more in the same one.

    ``session`` starts it, or returns the one that there is; ``compute`` makes a DataFrame of it.
    """
    found, spark = {"session_seconds": timed(session)}, session()
    for turn in ("seconds", "again_seconds"):
        found[turn] = timed(lambda: compute(spark).write.mode("overwrite").parquet(given["output"]))
        # At once: a cap that the second time runs into leaves the first.
        answer(given, found)
    spark.stop()
