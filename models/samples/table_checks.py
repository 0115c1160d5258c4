"""Checks of the tables that models receive, told in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame
from pyspark.sql import types as T


def require_columns(rows: DataFrame, argument: str, names: Iterable[str]) -> None:
    """Raise ``ValueError`` naming the first of ``names`` that ``rows`` lacks."""
    for name in names:
        if name not in rows.columns:
            raise ValueError(f"{argument}: column {name!r} is missing; there are: {', '.join(rows.columns)}")


def require_numbers(rows: DataFrame, argument: str, names: Iterable[str]) -> None:
    """Raise ``ValueError`` naming the first of ``names`` that ``rows`` lacks or that is neither number nor flag."""
    wanted = tuple(names)
    require_columns(rows, argument, wanted)
    for name in wanted:
        if not isinstance(rows.schema[name].dataType, (T.NumericType, T.BooleanType)):
            raise ValueError(f"{argument}: column {name!r} is not a number; turn it into one or leave it out")
