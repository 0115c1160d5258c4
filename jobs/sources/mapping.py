"""How delivered text becomes silver columns, as values: one ``Mapping`` a silver table, read by one engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import Column
from pyspark.sql import functions as F

from strata.conf.feeds import Format

Token = Callable[[Column], Column]


@dataclass(frozen=True)
class Texts:
    """The delivered fields of a row: trimmed, null where the field is empty or says that nothing is there."""

    missing: Mapping[str, tuple[str, ...]]
    token: Token

    def __getitem__(self, raw: str) -> Column:
        text = F.trim(F.col(f"`{raw}`"))
        return F.when(~text.isin("", *self.missing.get(raw, ())), text)


@dataclass(frozen=True)
class Field:
    """One silver column: the delivered column that answers for it, its parser, and what that expects, in words."""

    name: str
    raw: str
    parse: Callable[[Texts], Column]
    expected: str


@dataclass(frozen=True)
class Reference:
    """What stands in ``column`` must be known in ``table``; ``brings`` are columns of it that the clocks need.

    The time plays no part: a row may come before the one that it refers to is known.
    """

    column: str
    table: str
    brings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableMapping:
    """From the files of one kind to one silver table.

    ``event`` and ``known`` are Spark SQL over the fields, what references bring, and ``dropped_on``, the day
    of the file's folder: the publication rule of the table. ``missing`` lists, by delivered column, words that mean
    nothing is there. A field that silver has no column for serves the clocks alone and must be there.
    ``constants`` are Spark SQL for silver columns that the files don't have; what else they don't have is null.
    With ``keeps_versions`` rows of one key are told apart by ``known_ts`` and all stay; without it the latest
    delivery's row stays alone.
    """

    table: str
    kind: str
    fields: tuple[Field, ...]
    event: str
    known: str
    references: tuple[Reference, ...] = ()
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    format: Format = "csv"
    keeps_versions: bool = False

    @property
    def bronze(self) -> str:
        """The bronze table it reads."""
        return f"bronze_{self.kind}"


def number(name: str, kind: str, raw: str | None = None) -> Field:
    """An exact number of the SQL type ``kind``: no exponent, no more decimals than the type has, no rounding."""
    source = raw or name
    decimals = int(kind.rstrip(")").split(",")[1]) if "(" in kind else 0
    shape = rf"^[+-]?\d+(\.\d{{1,{decimals}}})?$" if decimals else r"^[+-]?\d+$"
    return Field(name, source, lambda row: F.when(row[source].rlike(shape), row[source].cast(kind)), kind)


def text(name: str, raw: str | None = None) -> Field:
    """Text as it is, trimmed."""
    source = raw or name
    return Field(name, source, lambda row: row[source], "text")


def token(name: str, raw: str) -> Field:
    """The keyed token of an identifier, which stays in bronze in clear."""
    return Field(name, raw, lambda row: row.token(row[raw]), "text")


def real(name: str) -> Field:
    """A number in floating point, with an exponent or without."""
    shape = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
    return Field(name, name, lambda row: F.when(row[name].rlike(shape), row[name].cast("double")), "a number")


def flag(name: str) -> Field:
    """Yes or no."""

    def parse(row: Texts) -> Column:
        return F.when(row[name].isin("true", "false"), row[name] == "true")

    return Field(name, name, parse, "true or false")


def iso_day(name: str) -> Field:
    """A day as ISO 8601 writes it."""

    def parse(row: Texts) -> Column:
        return F.when(row[name].rlike(r"^\d{4}-\d{2}-\d{2}$"), row[name].cast("date"))

    return Field(name, name, parse, "a day like 2025-01-31")


def iso_time(name: str) -> Field:
    """A time of the bank's zone as ISO 8601 writes it, to the second or finer; a space may stand for the T."""
    shape = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?$"

    def parse(row: Texts) -> Column:
        return F.when(row[name].rlike(shape), row[name].cast("timestamp"))

    return Field(name, name, parse, "a time like 2025-01-31T08:15:00")


PARSERS: Mapping[str, Callable[[str], Field]] = {
    "string": text,
    "double": real,
    "boolean": flag,
    "date": iso_day,
    "timestamp": iso_time,
}


def typed(name: str, kind: str) -> Field:
    """The field that the silver column ``name`` of the SQL type ``kind`` asks for."""
    return PARSERS[kind](name) if kind in PARSERS else number(name, kind)


def words(name: str, raw: str, meanings: Mapping[str, str]) -> Field:
    """A closed list of words, each with its meaning in silver."""
    return Field(name, raw, lambda row: meaning(row[raw], meanings), expected(meanings))


def meaning(word: Column, meanings: Mapping[str, str]) -> Column:
    """The meaning of ``word``; null for a word that isn't listed."""
    table = F.create_map(*(F.lit(part) for pair in meanings.items() for part in pair))
    return F.when(word.isNotNull(), F.try_element_at(table, word))


def expected(meanings: Mapping[str, str]) -> str:
    """The listed words, for a message."""
    return f"one of {', '.join(meanings)}"


def day(name: str, raw: str, suffix: str = "") -> Field:
    """A day of the twentieth century written YYMMDD, followed by the constant ``suffix``."""

    def parse(row: Texts) -> Column:
        return twentieth_century_day(F.when(row[raw].rlike(rf"^\d{{6}}{suffix}$"), F.substring(row[raw], 1, 6)))

    return Field(name, raw, parse, f"a day written YYMMDD{suffix}")


def twentieth_century_day(digits: Column) -> Column:
    """The day in six digits YYMMDD of 19YY; null when there is no such day."""
    return F.to_date(F.concat(F.lit("19"), digits), "yyyyMMdd")
