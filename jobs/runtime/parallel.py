"""Small pieces of work side by side: a Delta commit of a small table is mostly waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = 4


def at_once(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do ``work`` on several items at a time, answers in their order. The first failure is raised."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, items))
