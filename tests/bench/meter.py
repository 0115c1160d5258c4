"""A job run as the command runs it; time, shuffled bytes and peak memory of a step, measured from outside of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from strata.conf.settings import Settings
from strata.jobs.job_runner import execute, parser
from strata.jobs.runtime.job import Job

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Reading:
    """What a step cost. ``peak_bytes`` is the largest resident memory of this process and all its children."""

    seconds: float = 0.0
    shuffle_bytes: int = 0
    peak_bytes: int = 0


def run_job(job: Job, settings: Settings, spark: SparkSession, *arguments: str) -> None:
    """Run a job; raises ``RuntimeError`` when it didn't end well."""
    if code := execute(job, settings, parser(job).parse_args([*arguments]), spark):
        raise RuntimeError(f"{job.name} ended with exit code {code}")


@contextmanager
def metered(spark: SparkSession) -> Iterator[Reading]:
    """Measure what runs inside; the reading is complete when the block ends."""
    reading, done = Reading(), threading.Event()
    sampler = threading.Thread(target=_sample, args=(reading, done), daemon=True)
    before, start = _shuffled(spark), time.monotonic()
    sampler.start()
    try:
        yield reading
    finally:
        reading.seconds = time.monotonic() - start
        done.set()
        sampler.join()
        reading.shuffle_bytes = _shuffled(spark) - before


def _shuffled(spark: SparkSession) -> int:
    """Bytes written to shuffles since the session began, summed over its executors."""
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    executors = spark.sparkContext._jsc.sc().statusStore().executorList(False)
    return sum(executors.apply(place).totalShuffleWrite() for place in range(executors.size()))


def _sample(reading: Reading, done: threading.Event) -> None:
    while not done.wait(0.2):
        reading.peak_bytes = max(reading.peak_bytes, resident(family(os.getpid())))


def family(root: int) -> set[int]:
    """``root`` and all processes below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = _read(entry / "stat")
            if stat:
                parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
    found, grown = {root}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def resident(pids: set[int]) -> int:
    """Bytes of resident memory, summed over processes; pages that several share count for each."""
    statms = [_read(Path(f"/proc/{pid}/statm")) for pid in pids]
    return sum(int(statm.split()[1]) * PAGE for statm in statms if statm)


def _read(path: Path) -> str:
    """A process may end between listing and reading it; then it holds nothing."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
