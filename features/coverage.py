"""Where partial data are whole: only there may an empty window be read as nothing happened."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def with_whole_history(
    spine: DataFrame, coverage: DataFrame, *, key: str | Sequence[str], since: str, until: str
) -> DataFrame:
    """Add ``has_whole_history``: whether the spans of ``coverage`` hold every day of [since, until).

    ``coverage`` has the key, ``covered_from`` and ``covered_to`` (dates, the end exclusive); spans may
    overlap or adjoin. ``since`` and ``until`` are date columns of the spine. Every spine row comes
    back once. One shuffle of the coverage by key and one join; the spans of a key are few.
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
    return (
        spine.join(spans_by_key, keys, "left")
        .withColumn("has_whole_history", F.coalesce(reached >= F.col(until), F.lit(False)))
        .drop("_spans")
    )
