"""Bins and points as Spark SQL text: the one form in which rows are scored."""

from __future__ import annotations

from collections.abc import Sequence

from strata.models.binning_bins import FeatureBins
from strata.models.binning_rows import quoted


def case_sql(bins: FeatureBins, values: Sequence[str]) -> str:
    """A CASE expression that gives each row the value of its bin: SQL texts in the order of the codes."""
    tests = _number_tests(bins) if bins.kind == "number" else _text_tests(bins)
    whens = " ".join(f"WHEN {test} THEN {values[code]}" for code, test in tests)
    return f"CASE {whens} ELSE {values[_otherwise(bins)]} END"


def _otherwise(bins: FeatureBins) -> int:
    if bins.kind == "number":
        return bins.ordinary - 1
    return bins.missing + 1 if bins.rest is None else bins.rest


def _number_tests(bins: FeatureBins) -> list[tuple[int, str]]:
    x = f"CAST({quoted(bins.feature)} AS DOUBLE)"
    tests = [(bins.missing, f"{x} IS NULL OR isnan({x})")]
    tests += [(bins.ordinary + i, f"{x} = {number_sql(float(value))}") for i, value in enumerate(bins.specials)]
    return tests + [(i, f"{x} < {number_sql(edge)}") for i, edge in enumerate(bins.edges)]


def _text_tests(bins: FeatureBins) -> list[tuple[int, str]]:
    x = quoted(bins.feature)
    tests = [(bins.missing, f"{x} IS NULL")]
    tests += [(bins.ordinary + i, f"{x} = {text_sql(str(value))}") for i, value in enumerate(bins.specials)]
    return tests + [
        (i, f"{x} IN ({', '.join(map(text_sql, levels))})") for i, levels in enumerate(bins.groups) if levels
    ]


def number_sql(value: float) -> str:
    """A double literal that reads back as exactly ``value``."""
    if value in (float("inf"), float("-inf")):
        return f"CAST('{'-' if value < 0 else ''}Infinity' AS DOUBLE)"
    return f"{float(value)!r}D"


def text_sql(value: str) -> str:
    """A string literal of Spark SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
