"""CSV as Spark columns: all is read as text, and one pass over all cells says what each column can be.

Each cell has one shape (an integer, a day written 31.12.2024, a null word, …), a bit; the shapes of a
column are the bits of its cells together. A column is a number or a date only when every filled cell is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Literal

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.jobs.runtime.errors import InputError
from strata.jobs.sources.csv_layout import Layout, raise_fault
from strata.jobs.sources.encodings import java_name
from strata.models.screening_columns import suggests_date

# What is missing, by the role of a column. Of a feature: the empty cell and these words, as they are spelt here. Of
# an identifier: the empty cell alone. Of an outcome of words: the empty cell alone; of one of numbers these words too.
NULL_WORDS = (
    *("NA", "N/A", "#N/A", "n/a", "n.a.", "NULL", "Null", "null", "NaN", "nan", "-nan", "None", "<NA>", "?", "-", "."),
    *("\\N", "NaT", "(null)", "<null>", "[NULL]", "nil", "--"),  # Hive, MySQL, MaxCompute; pandas; database tools
    *("#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!", "#NV"),  # Excel; #NV is its #N/A in German
)
# An identifier keeps every character, an outcome keeps its words, a time is a day or a number in (nearly) every row.
Role = Literal["feature", "identifier", "outcome", "time"]
LONGEST = 18  # digits of an integer that is exact in 64 bits whatever they are
SHOWN = 5  # columns that a note lists
COMPARED = 20  # columns in which a row that repeats the header is the header


class Shape(IntFlag):
    """What a filled cell looks like: exactly one of these."""

    TEXT = 1
    INTEGER = 2
    DECIMAL = 4
    INFINITE = 8
    CODE = 16  # an integer with a leading zero
    LONG = 32  # an integer that isn't exact as a number
    DAY8 = 64  # 20241231, an integer too
    COMMA = 128  # 1,5
    EITHER_COMMA = 256  # 1,500: a decimal comma or thousands
    FORMATTED = 512  # 1,234.50 or $5 or 12%
    ISO = 1024  # 2024-12-31
    YEAR_FIRST = 2048  # 2024/12/31
    DOTS = 4096  # 31.12.2024
    DAY_FIRST = 8192  # 31/12/2024
    MONTH_FIRST = 16384  # 12/31/2024
    EITHER_FIRST = 32768  # 01/02/2024
    TIME = 65536  # 2024-12-31 23:59:59
    TRUTH = 131072


SHAPES = sum(Shape)
WHOLE = Shape.INTEGER | Shape.DAY8
NUMBER = WHOLE | Shape.DECIMAL | Shape.INFINITE
COMMA_NUMBER = WHOLE | Shape.INFINITE | Shape.COMMA | Shape.EITHER_COMMA
# Bits 32 to 62 of a long: 31 words at most.
WORD_BITS = {word: 1 << (32 + i) for i, word in enumerate(NULL_WORDS)}


def _sql(word: str) -> str:
    """The word as a literal of Spark SQL."""
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _day(text: str, order: str) -> str:
    """SQL: the parts of ``text`` in the places ``order`` are year, month and day that exist."""
    parts = ", ".join(f"int(split({text}, '[-/.]')[{place}])" for place in order)
    return f"make_date({parts}) IS NOT NULL"


# Patterns are the dearest part of the scan, so bytes, casts and first letters decide before them.
_DIGITS8 = "concat_ws('-', substr(t, 1, 4), substr(t, 5, 2), substr(t, 7, 2))"
_INTEGER = f"""CASE WHEN ltrim('+-', t) LIKE '0_%' THEN {Shape.CODE:d}
  WHEN length(ltrim('+-', t)) > {LONGEST} THEN {Shape.LONG:d}
  WHEN length(t) = 8 AND t BETWEEN '19' AND '21' AND {_day(_DIGITS8, "012")} THEN {Shape.DAY8:d}
  ELSE {Shape.INTEGER:d} END"""
_SLASHES = f"""CASE WHEN {_day("t", "210")} THEN IF({_day("t", "201")}, {Shape.EITHER_FIRST:d}, {Shape.DAY_FIRST:d})
  WHEN {_day("t", "201")} THEN {Shape.MONTH_FIRST:d} ELSE {Shape.TEXT:d} END"""
_TIME = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?$"
_INFINITE = ", ".join(f"'{sign}{word}'" for sign in ("", "+", "-") for word in ("inf", "infinity"))
_OTHER = f"""CASE WHEN octet_length(t) > 9 THEN {Shape.TEXT:d}
  WHEN lower(t) IN ({_INFINITE}) THEN {Shape.INFINITE:d}
  WHEN lower(t) IN ('true', 'false') THEN {Shape.TRUTH:d}
  ELSE {Shape.TEXT:d} END"""
_NUMERIC = f"""CASE WHEN CAST(t AS BIGINT) IS NOT NULL AND instr(t, '.') = 0 THEN {_INTEGER}
  WHEN t RLIKE '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$'
    THEN IF(t RLIKE '^[+-]?[0-9]+$', {Shape.LONG:d}, {Shape.DECIMAL:d})
  WHEN t RLIKE '^[+-]?[1-9][0-9]{{0,2}},[0-9]{{3}}$' THEN {Shape.EITHER_COMMA:d}
  WHEN t RLIKE '^[+-]?[0-9]+,[0-9]+$' THEN {Shape.COMMA:d}
  WHEN t RLIKE '^[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}$' AND {_day("t", "012")} THEN {Shape.ISO:d}
  WHEN t RLIKE '^[0-9]{{4}}/[0-9]{{1,2}}/[0-9]{{1,2}}$' AND {_day("t", "012")} THEN {Shape.YEAR_FIRST:d}
  WHEN t RLIKE '^[0-9]{{1,2}}[.][0-9]{{1,2}}[.][0-9]{{4}}$' AND {_day("t", "210")} THEN {Shape.DOTS:d}
  WHEN t RLIKE '^[0-9]{{1,2}}/[0-9]{{1,2}}/[0-9]{{4}}$' THEN {_SLASHES}
  WHEN t RLIKE '{_TIME}' AND CAST(t AS TIMESTAMP) IS NOT NULL THEN {Shape.TIME:d}
  WHEN t RLIKE '^[-+$€£¥ ]*[0-9][0-9,. \\u00a0\\']*%?$' THEN {Shape.FORMATTED:d}
  ELSE {_OTHER} END"""
_WORDS = " ".join(f"WHEN {_sql(word)} THEN {bit}L" for word, bit in WORD_BITS.items())
_STARTS = ", ".join(str(ord(start)) for start in "+-.$€£¥0123456789")
# Null words first: some begin like a number. Only what begins like one is tried as one.
BITS = f"""CASE WHEN t IS NULL OR t = '' THEN 0L
  WHEN octet_length(t) <= {max(map(len, NULL_WORDS))} AND t IN ({", ".join(map(_sql, NULL_WORDS))})
    THEN CASE t {_WORDS} END
  WHEN ascii(t) IN ({_STARTS}) THEN {_NUMERIC}
  ELSE {_OTHER} END"""


@dataclass(frozen=True)
class Seen:
    """A column's cells together: shapes and null words as bits; cells, filled cells and those that are numbers."""

    bits: int
    cells: int
    filled: int
    numbers: int

    @property
    def shapes(self) -> int:
        """The shapes that occur."""
        return self.bits & SHAPES

    @property
    def words(self) -> tuple[str, ...]:
        """The null words that occur."""
        return tuple(word for word, bit in WORD_BITS.items() if self.bits & bit)


@dataclass(frozen=True)
class Reading:
    """How a text column becomes a typed one, and what a person should know about that."""

    parse: Callable[[Column], Column]
    note: str = ""

    @property
    def keeps_text(self) -> bool:
        """Whether the column stays text."""
        return self.parse is TEXT.parse


TEXT = Reading(lambda text: text)


def _parts(order: str, note: str = "") -> Reading:
    def parse(text: Column) -> Column:
        parts = F.split(text, "[-/.]")
        return F.make_date(*(parts[int(place)].cast("int") for place in order))

    return Reading(parse, note)


# Of the columns that are all days: the shapes allowed, and how they are read.
DAYS: tuple[tuple[int, Reading], ...] = (
    (Shape.ISO, _parts("012")),
    (Shape.YEAR_FIRST, _parts("012")),
    (Shape.DOTS, _parts("210")),
    (Shape.EITHER_FIRST, _parts("210", "dates are read as day/month/year, but could be month/day/year")),
    (Shape.EITHER_FIRST | Shape.DAY_FIRST, _parts("210", "dates are read as day/month/year")),
    (Shape.EITHER_FIRST | Shape.MONTH_FIRST, _parts("201", "dates are read as month/day/year")),
    (Shape.TIME | Shape.ISO, Reading(lambda text: text.cast("timestamp"))),
    (Shape.TRUTH, Reading(lambda text: F.lower(text) == "true")),
)


def reading(seen: Seen, name: str, *, comma: bool) -> Reading:
    """What a column of these shapes is; ``comma`` when numbers of the file have decimal commas."""
    shapes = seen.shapes
    if not shapes:
        return TEXT
    if shapes == Shape.DAY8 and suggests_date(name):
        return Reading(lambda text: F.to_date(text, "yyyyMMdd"), "days written like 20241231 are read as dates")
    if not shapes & ~WHOLE:
        return Reading(lambda text: text.cast("bigint"))
    if not shapes & ~NUMBER:
        return Reading(lambda text: text.cast("double"))
    if comma and not shapes & ~COMMA_NUMBER:
        return Reading(lambda text: F.translate(text, ",", ".").cast("double"), "decimal commas are read as points")
    for allowed, how in DAYS:
        if not shapes & ~allowed:
            return how
    return Reading(TEXT.parse, _why_text(seen))


def _why_text(seen: Seen) -> str:
    """Why a column stays text that could be taken for a number; empty when nobody would."""
    shapes = seen.shapes
    if not shapes & ~(WHOLE | Shape.CODE | Shape.LONG):
        return f"codes with leading zeros or more than {LONGEST} digits stay text"
    if not shapes & ~(NUMBER | COMMA_NUMBER | Shape.FORMATTED):
        return "numbers with thousands separators, other decimal marks or signs such as % stay text"
    if 2 * seen.numbers > seen.filled:
        return f"stays text, though {seen.numbers:,} of its {seen.filled:,} filled values are numbers"
    return ""


def texts(spark: SparkSession, shape: Layout, *, spans: bool) -> DataFrame:
    """The files as text columns ``c0`` … and ``broken``: the whole row when it has too many or too few fields.

    Files in which a line ends inside quotes can't be split: one task reads each.
    """
    width = len(shape.header)
    dialect = {
        "sep": shape.separator,
        "encoding": java_name(spark, shape.encoding),
        "header": True,
        "quote": '"',
        "escape": '"',
        "ignoreLeadingWhiteSpace": True,
        "ignoreTrailingWhiteSpace": True,
        "maxColumns": width + 20_480,
        "multiLine": spans,
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": "broken",
    }
    schema = ", ".join([*(f"c{i} string" for i in range(width)), "broken string"])
    return spark.read.options(**dialect).schema(schema).csv([plain_path(path) for path in shape.files])


def plain_path(path: Path) -> str:
    """The path as Spark takes it, which would read some characters as a pattern."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path.absolute()))


@dataclass(frozen=True)
class Scan:
    """What one scan of all cells tells: ``columns`` in the file's order, ``rows``, and the lines that are no rows.

    ``blank`` lines have separators alone (Excel writes them at the end); ``headers`` repeat the header.
    """

    columns: tuple[Seen, ...]
    rows: int
    blank: int
    headers: int


def scan(rows: DataFrame, shape: Layout) -> Scan:
    """Look at every cell: one scan, and a shuffle of one row a column and task.

    Raises ``InputError`` naming file and row when a row has another number of fields than the header.
    """
    blank, header = _is_blank(shape), _is_header(shape)
    no_cells = [F.lit(None).cast("string")] * len(rows.columns)
    cells = F.array(*rows.columns, *no_cells[:2])
    none = F.array(*no_cells, F.when(blank, "1"), F.when(header, "1"))
    every = rows.select(F.posexplode(F.when(blank | header, none).otherwise(cells)).alias("at", "cell"))
    bits = every.select("at", F.trim("cell").alias("t")).select("at", F.expr(BITS).alias("bits"))
    shapes, numbers = (F.col("bits").bitwiseAND(F.lit(int(mask))) for mask in (SHAPES, NUMBER))
    found = bits.groupBy("at").agg(
        F.bit_or("bits").alias("bits"),
        F.count("*").alias("cells"),
        F.count_if(shapes != 0).alias("filled"),
        F.count_if(numbers != 0).alias("numbers"),
    )
    seen = {row["at"]: Seen(row["bits"], row["cells"], row["filled"], row["numbers"]) for row in found.collect()}
    width = len(shape.header)
    blanks, headers = (seen[at].filled if seen else 0 for at in (width + 1, width + 2))
    whole = seen[0].cells - blanks - headers if seen else 0
    if not whole:
        raise InputError(f"{shape.files[0]}: has a header but no rows")
    if broken := seen[width].filled:
        raise_fault(shape)
        raise InputError(f"{shape.files[0]}: {broken} rows do not have the {width} fields of the header")
    return Scan(tuple(seen[at] for at in range(width)), whole, blanks, headers)


def whole_rows(rows: DataFrame, shape: Layout, found: Scan) -> DataFrame:
    """The rows without lines that are none."""
    return rows.where(~(_is_blank(shape) | _is_header(shape))) if found.blank or found.headers else rows


def _is_blank(shape: Layout) -> Column:
    """Whether a line has separators, quotes and blanks alone, however many."""
    filled = F.coalesce(*(F.nullif(F.trim(f"c{i}"), F.lit("")) for i in range(len(shape.header))))
    beside = F.translate("broken", f'{shape.separator}" \t', "")
    return filled.isNull() & (F.coalesce(beside, F.lit("")) == "")


def _is_header(shape: Layout) -> Column:
    """Whether a line repeats the header, as where files were put together; one name alone may be a value."""
    if len(shape.header) == 1 and not shape.prefaced:
        return F.lit(False)
    same = [F.coalesce(F.trim(f"c{i}"), F.lit("")) == name for i, name in enumerate(shape.header[:COMPARED])]
    return reduce(and_, same)


def typed(
    rows: DataFrame,
    names: Sequence[str],
    found: Sequence[Seen],
    separator: str,
    roles: Mapping[str, Role] | None = None,
    decided: Mapping[str, Reading] | None = None,
) -> tuple[DataFrame, list[str]]:
    """The columns under their names and with their types, null where nothing is given, and notes about that.

    ``roles`` by name; a column without one is a feature. ``decided``: readings that were found elsewhere.
    """
    parts = [(roles or {}).get(name, "feature") for name in names]
    numbers = [seen for seen, role in zip(found, parts, strict=True) if role != "identifier"]
    comma = separator != "," and any(seen.shapes & Shape.COMMA for seen in numbers)
    readings = {
        name: in_role(role, seen, name, comma=comma) for name, seen, role in zip(names, found, parts, strict=True)
    } | {name: (how, ()) for name, how in (decided or {}).items()}
    columns = [how.parse(given(f"c{i}", words)).alias(name) for i, (name, (how, words)) in enumerate(readings.items())]
    by_note: dict[str, list[str]] = {}
    for name, (how, _) in readings.items():
        if how.note:
            by_note.setdefault(how.note, []).append(name)
    notes = [
        _missing({name: words for name, (_, words) in readings.items()}),
        *(f"{listed(at)}: {note}" for note, at in by_note.items()),
    ]
    return rows.select(*columns), [note for note in notes if note]


def in_role(role: Role, seen: Seen, name: str, *, comma: bool) -> tuple[Reading, tuple[str, ...]]:
    """How a column of this role is read, and which null words are missing in it (see ``NULL_WORDS``)."""
    if role == "identifier":
        return TEXT, ()
    how = reading(seen, name, comma=comma)
    if role == "outcome" and seen.words and how.keeps_text:
        words = ", ".join(map(repr, seen.words))
        return Reading(TEXT.parse, f"{words} counts as a value of the outcome, not as missing"), ()
    return how, seen.words


def given(name: str, words: Sequence[str]) -> Column:
    """The trimmed text, null when it is empty or one of the null words that occur."""
    text = F.trim(name)
    return F.when(~text.isin("", *words), text)


def _missing(words: Mapping[str, Sequence[str]]) -> str:
    holders = [(word, [name for name, there in words.items() if word in there]) for word in NULL_WORDS]
    parts = [f"{word} (in {listed(names)})" for word, names in holders if names]
    return f"read as missing: {', '.join(parts)}" if parts else ""


def listed(names: Sequence[str]) -> str:
    """The first names, quoted, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name) for name in names[:SHOWN]) + more
