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
from strata.jobs.sources.any_table.csv_layout import Layout, raise_fault
from strata.jobs.sources.encodings import java_name
from strata.models.readings.ordered_scales import WORDS
from strata.models.readings.reading_choice import CURRENCIES, Choice
from strata.models.samples.column_profiles import suggests_date
from strata.models.samples.training_rows import column

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
    EITHER_POINT = 262144  # 1.234: decimals, or thousands where commas are decimal
    UNIT = 524288  # 36 months, < 1 year, EUR 5
    SCALE = 1048576  # a word that may belong to an ordered scale
    GRADE = 2097152  # A1
    LETTER = 4194304  # A


SHAPES = sum(Shape)
WHOLE = Shape.INTEGER | Shape.DAY8
NUMBER = WHOLE | Shape.DECIMAL | Shape.EITHER_POINT | Shape.INFINITE
COMMA_NUMBER = WHOLE | Shape.INFINITE | Shape.COMMA | Shape.EITHER_COMMA
# What a reading may understand as a number, and what may be levels of an order.
NUMBERS = NUMBER | Shape.COMMA | Shape.EITHER_COMMA | Shape.FORMATTED
READABLE, ORDERED = NUMBERS | Shape.UNIT, Shape.SCALE | Shape.GRADE | Shape.LETTER
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
_SCALE = ", ".join(f"'{word}'" for word in sorted(WORDS))
_CODES = ", ".join(f"'{code}'" for code in sorted(CURRENCIES) if code.isalpha() and len(code) == 3)
_OTHER = f"""CASE WHEN octet_length(t) > 30 THEN {Shape.TEXT:d}
  WHEN octet_length(t) <= 9 AND lower(t) IN ({_INFINITE}) THEN {Shape.INFINITE:d}
  WHEN octet_length(t) <= 5 AND lower(t) IN ('true', 'false') THEN {Shape.TRUTH:d}
  WHEN octet_length(t) = 1 THEN IF(t RLIKE '[A-Za-z]', {Shape.LETTER:d}, {Shape.TEXT:d})
  WHEN octet_length(t) = 2 AND t RLIKE '^[A-Za-z][0-9]$' THEN {Shape.GRADE:d}
  WHEN lower(t) IN ({_SCALE}) THEN {Shape.SCALE:d}
  WHEN lower(substr(t, 1, 3)) IN ({_CODES}) AND t RLIKE '^[A-Za-z]{{3}}[-+( ]*[0-9]' THEN {Shape.UNIT:d}
  ELSE {Shape.TEXT:d} END"""
_SPACE = "\\u00a0\\u2009\\u202f\\u3000 "
_SIGN = "$€£¥￥＄₽₹₩₺฿"
_DIGITS = f"[0-9０-９][0-9０-９,.，．\\'’{_SPACE}]*"
_FORMATTED = f"^[-+−－<>＜＞(（{_SIGN}{_SPACE}]*{_DIGITS}[-−+%％)）元円{_SIGN}{_SPACE}]*$"
_UNIT = f"^[-+−－<>＜＞(（{_SPACE}]*{_DIGITS}[+]?[{_SPACE}]?[\\\\p{{L}}]{{1,15}}[-)）]?$"
_NUMERIC = f"""CASE WHEN CAST(t AS BIGINT) IS NOT NULL AND instr(t, '.') = 0 THEN {_INTEGER}
  WHEN t RLIKE '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$'
    THEN CASE WHEN t RLIKE '^[+-]?[0-9]+$' THEN {Shape.LONG:d}
      WHEN substr(t, -4, 1) = '.' AND t RLIKE '^[+-]?[1-9][0-9]{{0,2}}[.][0-9]{{3}}$' THEN {Shape.EITHER_POINT:d}
      ELSE {Shape.DECIMAL:d} END
  WHEN t RLIKE '^[+-]?[1-9][0-9]{{0,2}},[0-9]{{3}}$' THEN {Shape.EITHER_COMMA:d}
  WHEN t RLIKE '^[+-]?[0-9]+,[0-9]+$' THEN {Shape.COMMA:d}
  WHEN t RLIKE '^[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}$' AND {_day("t", "012")} THEN {Shape.ISO:d}
  WHEN t RLIKE '^[0-9]{{4}}/[0-9]{{1,2}}/[0-9]{{1,2}}$' AND {_day("t", "012")} THEN {Shape.YEAR_FIRST:d}
  WHEN t RLIKE '^[0-9]{{1,2}}[.][0-9]{{1,2}}[.][0-9]{{4}}$' AND {_day("t", "210")} THEN {Shape.DOTS:d}
  WHEN t RLIKE '^[0-9]{{1,2}}/[0-9]{{1,2}}/[0-9]{{4}}$' THEN {_SLASHES}
  WHEN t RLIKE '{_TIME}' AND CAST(t AS TIMESTAMP) IS NOT NULL THEN {Shape.TIME:d}
  WHEN octet_length(t) <= 90 AND t RLIKE '{_FORMATTED}' THEN {Shape.FORMATTED:d}
  WHEN octet_length(t) <= 90 AND t RLIKE '{_UNIT}' THEN {Shape.UNIT:d}
  ELSE {_OTHER} END"""
_WORDS = " ".join(f"WHEN {_sql(word)} THEN {bit}L" for word, bit in WORD_BITS.items())
_STARTS = ", ".join(
    str(ord(start)) for start in "+-.(<>$€£¥₽₹₩₺฿0123456789０１２３４５６７８９−－＋（＜＞＄￥\xa0\u2009\u202f\u3000"
)
# Null words first: some begin like a number. Only what begins like one is tried as one.
BITS = f"""CASE WHEN t IS NULL OR t = '' THEN 0L
  WHEN octet_length(t) <= {max(map(len, NULL_WORDS))} AND t IN ({", ".join(map(_sql, NULL_WORDS))})
    THEN CASE t {_WORDS} END
  WHEN ascii(t) IN ({_STARTS}) THEN {_NUMERIC}
  ELSE {_OTHER} END"""


@dataclass(frozen=True)
class Seen:
    """A column's cells together: shapes and null words as bits; cells, filled cells and those that are numbers.

    ``readable`` are the cells that a reading may understand as numbers.
    """

    bits: int
    cells: int
    filled: int
    numbers: int
    readable: int

    @property
    def shapes(self) -> int:
        """The shapes that occur."""
        return self.bits & SHAPES

    @property
    def words(self) -> tuple[str, ...]:
        """The null words that occur."""
        return tuple(word for word, bit in WORD_BITS.items() if self.bits & bit)


@dataclass(frozen=True)
class Parse:
    """How a text column becomes a typed one, and what a person should know about that."""

    parse: Callable[[Column], Column]
    note: str = ""

    @property
    def keeps_text(self) -> bool:
        """Whether the column stays text."""
        return self.parse is TEXT.parse


TEXT = Parse(lambda text: text)
DAY8 = Parse(lambda text: F.to_date(text, "yyyyMMdd"), "days written like 20241231 are read as dates")


def _parts(order: str, note: str = "") -> Parse:
    def parse(text: Column) -> Column:
        parts = F.split(text, "[-/.]")
        return F.make_date(*(parts[int(place)].cast("int") for place in order))

    return Parse(parse, note)


# Of the columns that are all days: the shapes allowed, and how they are read.
DAYS: tuple[tuple[int, Parse], ...] = (
    (Shape.ISO, _parts("012")),
    (Shape.YEAR_FIRST, _parts("012")),
    (Shape.DOTS, _parts("210")),
    (Shape.EITHER_FIRST, _parts("210", "dates are read as day/month/year, but could be month/day/year")),
    (Shape.EITHER_FIRST | Shape.DAY_FIRST, _parts("210", "dates are read as day/month/year")),
    (Shape.EITHER_FIRST | Shape.MONTH_FIRST, _parts("201", "dates are read as month/day/year")),
    (Shape.TIME | Shape.ISO, Parse(lambda text: text.cast("timestamp"))),
    (Shape.TRUTH, Parse(lambda text: F.lower(text) == "true")),
)


def reading(seen: Seen, name: str, *, comma: bool) -> Parse:
    """What a column of these shapes is; ``comma`` when numbers of the file have decimal commas."""
    shapes = seen.shapes
    if not shapes:
        return TEXT
    if shapes == Shape.DAY8 and suggests_date(name):
        return DAY8
    if not shapes & ~WHOLE:
        return Parse(lambda text: text.cast("bigint"))
    if is_plain(shapes, comma=False) and not _may_group_with_points(shapes, comma):
        return Parse(lambda text: text.cast("double"))
    if is_plain(shapes, comma=comma):
        return Parse(lambda text: F.translate(text, ",", ".").cast("double"), "decimal commas are read as points")
    for allowed, how in DAYS:
        if not shapes & ~allowed:
            return how
    return Parse(TEXT.parse, _why_text(seen))


def is_plain(shapes: int, *, comma: bool) -> bool:
    """Whether all cells are plain numbers, with decimal points, or with commas where ``comma`` says that they are."""
    points = not shapes & ~NUMBER and not _may_group_with_points(shapes, comma)
    return bool(shapes) and (points or (comma and not shapes & ~COMMA_NUMBER))


def has_decimal_commas(shapes: int) -> bool:
    """Whether cells have commas that are decimal where commas can be."""
    return bool(shapes & (Shape.COMMA | Shape.EITHER_COMMA))


def _may_group_with_points(shapes: int, comma: bool) -> bool:
    """Whether 1.234 may be one thousand and more: decimals are commas, and no cell such as 1.5 says otherwise."""
    return comma and bool(shapes & Shape.EITHER_POINT) and not shapes & Shape.DECIMAL


def _why_text(seen: Seen) -> str:
    """Why a column stays text that could be taken for a number; empty when nobody would."""
    shapes = seen.shapes
    if not shapes & ~(WHOLE | Shape.CODE | Shape.LONG):
        return f"codes with leading zeros or more than {LONGEST} digits stay text"
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
    seen = _seen_by_place(every)
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


def scan_cells(rows: DataFrame) -> dict[int, Seen]:
    """What every column of texts holds, by its place: one scan, and a shuffle of one row a column and task."""
    return _seen_by_place(rows.select(F.posexplode(F.array(*map(column, rows.columns))).alias("at", "cell")))


def _seen_by_place(cells: DataFrame) -> dict[int, Seen]:
    bits = cells.select("at", F.trim("cell").alias("t")).select("at", F.expr(BITS).alias("bits"))
    shapes, numbers, readable = (F.col("bits").bitwiseAND(F.lit(int(mask))) for mask in (SHAPES, NUMBERS, READABLE))
    found = bits.groupBy("at").agg(
        F.bit_or("bits").alias("bits"),
        F.count("*").alias("cells"),
        F.count_if(shapes != 0).alias("filled"),
        F.count_if(numbers != 0).alias("numbers"),
        F.count_if(readable != 0).alias("readable"),
    )
    return {row["at"]: Seen(*row[1:]) for row in found.collect()}


def typed(
    rows: DataFrame,
    names: Sequence[str],
    found: Sequence[Seen],
    *,
    comma: bool,
    choices: Mapping[str, Choice],
    kinds: Mapping[str, str],
    roles: Mapping[str, Role] | None = None,
    decided: Mapping[str, Parse] | None = None,
) -> tuple[DataFrame, list[str]]:
    """The columns under their names and with their types, null where nothing is given, and notes about that.

    ``kinds`` are somebody's own words for columns; ``choices`` are the readings of those that have one; ``roles`` by
    name, a column without one is a feature; ``decided`` is what was found elsewhere.
    """
    parses: dict[str, tuple[Parse, tuple[str, ...]]] = {}
    for name, seen in zip(names, found, strict=True):
        how = _parse(seen, name, comma=comma, choice=choices.get(name), kind=kinds.get(name))
        parses[name] = _in_role((roles or {}).get(name, "feature"), seen, how)
    parses |= {name: (how, ()) for name, how in (decided or {}).items()}
    columns = [how.parse(given(f"c{i}", words)).alias(name) for i, (name, (how, words)) in enumerate(parses.items())]
    by_note: dict[str, list[str]] = {}
    for name, (how, _) in parses.items():
        if how.note:
            by_note.setdefault(how.note, []).append(name)
    notes = [
        _missing({name: words for name, (_, words) in parses.items()}),
        *(f"{listed(at)}: {note}" for note, at in by_note.items()),
    ]
    return rows.select(*columns), [note for note in notes if note]


def _in_role(role: Role, seen: Seen, how: Parse) -> tuple[Parse, tuple[str, ...]]:
    """How a column of this role is parsed, and which null words are missing in it (see ``NULL_WORDS``)."""
    if role == "identifier":
        return TEXT, ()
    if role == "outcome" and seen.words and how.keeps_text:
        words = ", ".join(map(repr, seen.words))
        return Parse(TEXT.parse, f"{words} counts as a value of the outcome, not as missing"), ()
    return how, seen.words


def _parse(seen: Seen, name: str, *, comma: bool, choice: Choice | None, kind: str | None) -> Parse:
    """How a column is parsed: as somebody says, else as its cells are all alike, else by its reading."""
    if kind == "text":
        return TEXT
    how = reading(seen, name, comma=comma)
    if choice is None or (kind is None and how.parse is not TEXT.parse):
        return how
    return Parse(choice.reading.column if choice.reading else TEXT.parse, choice.note)


def given(name: str, words: Sequence[str]) -> Column:
    """The trimmed text, null when it is empty or one of the null words that occur."""
    text = F.trim(column(name))
    return F.when(~text.isin("", *words), text)


def _missing(words: Mapping[str, Sequence[str]]) -> str:
    holders = [(word, [name for name, there in words.items() if word in there]) for word in NULL_WORDS]
    parts = [f"{word} (in {listed(names)})" for word, names in holders if names]
    return f"read as missing: {', '.join(parts)}" if parts else ""


def listed(names: Sequence[str]) -> str:
    """The first names, quoted, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name) for name in names[:SHOWN]) + more
