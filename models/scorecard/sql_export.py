"""Bins and points as SQL text, for Spark and for databases of standard SQL: the one form in which rows are scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from strata.models.binning.feature_bins import FeatureBins

# The value of a reading inside its case: no column of anybody's table has this name.
READ = "strata_number_read"


class Lost(NamedTuple):
    """The bins of one feature, and the points that each of its codes loses against the best."""

    bins: FeatureBins
    points: Sequence[int]


@dataclass(frozen=True)
class Dialect:
    """How a database writes names, texts and types, and how it finds the features that lost most points.

    ``reasons`` makes the expressions of reason_1..n: of equal losses the first in the scorecard's order.
    ``matching`` and ``textual`` are the tests of a text against a pattern and of a value's type.
    """

    name: str
    tick: str
    number: str
    string: str
    matching: str
    textual: str
    escapes: tuple[tuple[str, str], ...]
    reasons: Callable[[Sequence[Lost], int], list[str]]

    def column(self, name: str) -> str:
        """The column of exactly this name, whatever characters it has."""
        return self.tick + name.replace(self.tick, self.tick * 2) + self.tick

    def text(self, value: str) -> str:
        """A string literal."""
        for plain, escaped in self.escapes:
            value = value.replace(plain, escaped)
        return f"'{value}'"

    def double(self, value: float) -> str:
        """A literal of a double that reads back as exactly ``value``; an exponent makes it one in standard SQL."""
        if value in (float("inf"), float("-inf")):
            return f"CAST('{'-' if value < 0 else ''}Infinity' AS {self.number})"
        plain = repr(float(value))
        return plain if "e" in plain else f"{plain}E0"

    def matches(self, text: str, pattern: str) -> str:
        """Whether the whole of ``text`` fits a pattern of ``models/readings/text_readings.py``."""
        return self.matching.format(text=text, pattern=self.text(self.matching_pattern(pattern)))

    def matching_pattern(self, pattern: str) -> str:
        """The pattern with the ends that the test needs: RLIKE looks for it anywhere, SIMILAR TO wants all."""
        return f"^({pattern})$" if "RLIKE" in self.matching else pattern

    def is_text(self, value: str) -> str:
        """Whether ``value`` is of a type of text."""
        return self.textual.format(value=value)


def case_sql(bins: FeatureBins, values: Sequence[str], dialect: Dialect | None = None) -> str:
    """A CASE expression that gives each row the value of its bin: SQL texts in the order of the codes.

    Spark's by default. Of a feature with a reading the number that it makes of the value counts. A number passes the
    test of its bin, or, null and NaN, none: that is missing. Nothing but NaN fails ``<= Infinity``, both where NaN is
    above all numbers (Spark, DuckDB, PostgreSQL) and where it compares with nothing (IEEE 754).
    """
    dialect = dialect or SPARK
    tests, otherwise = (_number_tests if bins.kind == "number" else _text_tests)(bins, dialect)
    whens = " ".join(f"WHEN {test} THEN {values[code]}" for code, test in tests)
    case = f"CASE {whens} ELSE {values[otherwise]} END"
    if bins.reading is None:
        return case
    # Once by name, not once a test; databases put such a subquery of no table in its place.
    read = bins.reading.sql(dialect.column(bins.feature), dialect)
    return f"(SELECT {case} FROM (SELECT {read} AS {READ}) AS strata_reading)"


def _number_tests(bins: FeatureBins, dialect: Dialect) -> tuple[list[tuple[int, str]], int]:
    x = READ if bins.reading else f"CAST({dialect.column(bins.feature)} AS {dialect.number})"
    specials = [(bins.ordinary + i, f"{x} = {dialect.double(float(v))}") for i, v in enumerate(bins.specials)]
    inner = [(i, f"{x} < {dialect.double(edge)}") for i, edge in enumerate(bins.edges)]
    last = (bins.ordinary - 1, f"{x} <= {dialect.double(float('inf'))}")
    return [*specials, *inner, last], bins.missing


def _text_tests(bins: FeatureBins, dialect: Dialect) -> tuple[list[tuple[int, str]], int]:
    x = dialect.column(bins.feature)
    missing = (bins.missing, f"{x} IS NULL")
    specials = [(bins.ordinary + i, f"{x} = {dialect.text(str(value))}") for i, value in enumerate(bins.specials)]
    groups = [(i, f"{x} IN ({', '.join(map(dialect.text, levels))})") for i, levels in enumerate(bins.groups) if levels]
    return [missing, *specials, *groups], bins.missing + 1 if bins.rest is None else bins.rest


def number_sql(value: float) -> str:
    """A double literal of Spark SQL that reads back as exactly ``value``."""
    return SPARK.double(value)


def _sorted_reasons(lost: Sequence[Lost], wanted: int) -> list[str]:
    """Spark's: one array of the row's ranks, sorted; Spark computes it once for all reasons."""
    names = ["CAST(NULL AS STRING)", *(SPARK.text(bins.feature) for bins, _ in reversed(lost))]
    worst = f"sort_array(array({', '.join(_rank_cases(lost, SPARK) or ['0'])}), false)"
    return [f"get(array({', '.join(names)}), get({worst}, {n}) % {len(names)})" for n in range(wanted)]


def _nested_reasons(lost: Sequence[Lost], wanted: int) -> list[str]:
    """Standard SQL's: a subquery a reason, each level of which finds the greatest rank below the one before.

    GREATEST is of SQL:2023; DuckDB, PostgreSQL and most others have it.
    """
    if not lost:
        return ["CAST(NULL AS VARCHAR)"] * wanted
    names = [f"k{turn}" for turn in range(len(lost))]
    above = max(max(ranks) for ranks in _ranks(lost)) + 1
    table = f"(VALUES ({', '.join(_rank_cases(lost, ANSI))}, {above})) AS lost({', '.join(names)}, worst)"
    whens = " ".join(f"WHEN {k} THEN {ANSI.text(bins.feature)}" for k, (bins, _) in zip(names, lost, strict=True))
    below = ", ".join(f"CASE WHEN {k} < worst THEN {k} ELSE 0 END" for k in names)
    reasons = []
    for _ in range(wanted):
        table = f"(SELECT {', '.join(names)}, GREATEST({below}) AS worst FROM {table}) AS ranked"
        reasons.append(f"(SELECT CASE worst WHEN 0 THEN NULL {whens} END FROM {table})")
    return reasons


def _rank_cases(lost: Sequence[Lost], dialect: Dialect) -> list[str]:
    return [
        case_sql(bins, [str(rank) for rank in ranks], dialect)
        for (bins, _), ranks in zip(lost, _ranks(lost), strict=True)
    ]


def _ranks(lost: Sequence[Lost]) -> list[list[int]]:
    """By feature and code: a whole number that is greater for a greater loss, of equal losses for the earlier
    feature; 0 for none. The remainder by the number of features and one counts the features from the last.
    """
    count = len(lost)
    return [
        [loss * (count + 1) + count - turn if loss > 0 else 0 for loss in points]
        for turn, (_, points) in enumerate(lost)
    ]


# Spark puts a variable's value in the place of ${name}, in text literals too, unless the dollar is escaped.
SPARK_ESCAPES = (("\\", "\\\\"), ("'", "\\'"), ("$", "\\u0024"))
SPARK = Dialect(
    "spark", "`", "DOUBLE", "STRING",
    "{text} RLIKE {pattern}", "typeof({value}) LIKE 'string%'",
    SPARK_ESCAPES, _sorted_reasons,
)  # fmt: skip
# Only of a text JSON begins with a quote (in PostgreSQL also of infinity and NaN, which are read as what they are).
ANSI = Dialect(
    "ansi", '"', "DOUBLE PRECISION", "VARCHAR",
    "{text} SIMILAR TO {pattern}", "coalesce(CAST(to_json({value}) AS VARCHAR), '') LIKE '\"%'",
    (("'", "''"),), _nested_reasons,
)  # fmt: skip
DIALECTS = {dialect.name: dialect for dialect in (SPARK, ANSI)}
