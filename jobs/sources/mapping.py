"""How delivered text becomes silver columns, as values: one ``Mapping`` a silver table, read by one engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import Column
from pyspark.sql import functions as F

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
    """The row must be known in ``table`` by ``column``; ``brings`` are columns of it that the clocks need."""

    column: str
    table: str
    brings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableMapping:
    """From the files of one kind to one silver table.

    ``event`` and ``known`` are Spark SQL over the silver columns and what references bring: the
    publication rule of the table. ``missing`` lists, by delivered column, words that mean nothing is there.
    """

    table: str
    kind: str
    fields: tuple[Field, ...]
    event: str
    known: str
    references: tuple[Reference, ...] = ()
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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
