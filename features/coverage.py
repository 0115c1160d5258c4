"""Where partial data are whole: only there may an empty window be read as nothing happened."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def whole_until(spine: DataFrame, coverage: DataFrame, *, key: str | Sequence[str], since: str) -> DataFrame:
    """Add ``whole_until``: the first day from ``since`` on that the spans of ``coverage`` don't hold (date).

    ``coverage`` has the key, ``covered_from`` and ``covered_to`` (dates, the end exclusive); spans may
    overlap or adjoin. Every spine row comes back once. One shuffle of the coverage by key and one join;
    the spans of a key are few.
    """
    keys = [key] if isinstance(key, str) else list(key)
    spans = F.array_sort(F.collect_set(F.struct("covered_from", "covered_to")))
    spans_by_key = coverage.groupBy(*keys).agg(spans.alias("_spans"))
    # Walking the spans in order: each moves the first day that is not covered yet as far as it reaches.
    reached = F.aggregate(
        F.coalesce(F.col("_spans"), F.array().cast(spans_by_key.schema["_spans"].dataType)),
        F.col(since),
        lambda day, span: F.when(
            (span["covered_from"] <= day) & (span["covered_to"] > day), span["covered_to"]
        ).otherwise(day),
    )
    return spine.join(spans_by_key, keys, "left").withColumn("whole_until", reached).drop("_spans")


def with_whole_history(
    spine: DataFrame, coverage: DataFrame, *, key: str | Sequence[str], since: str, until: str
) -> DataFrame:
    """Add ``has_whole_history``: whether the spans of ``coverage`` hold every day of [since, until).

    ``since`` and ``until`` are date columns of the spine; as ``whole_until`` otherwise.
    """
    reached = whole_until(spine, coverage, key=key, since=since)
    whole = F.coalesce(F.col("whole_until") >= F.col(until), F.lit(False))
    return reached.withColumn("has_whole_history", whole).drop("whole_until")
