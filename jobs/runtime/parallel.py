"""Small pieces of work side by side: a Delta commit of a small table is mostly waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pyspark.sql import SparkSession

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = 4


def at_once(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do ``work`` on several items at a time, answers in their order. The first failure is raised.

    Each thread has the caller's session: without it SQL would read times in the JVM's zone, not the bank's.
    """
    with ThreadPoolExecutor(AT_ONCE, initializer=_adopt, initargs=(SparkSession.getActiveSession(),)) as pool:
        return list(pool.map(work, items))


def _adopt(session: SparkSession | None) -> None:
    if session is not None:
        session._jvm.org.apache.spark.sql.SparkSession.setActiveSession(session._jsparkSession)
