"""From a feed's declaration to Spark columns: how delivered texts become the columns of one silver table."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pyspark.sql import Column
from pyspark.sql import functions as F

from strata.conf.banks import Bank, Feed, Fill, Source
from strata.conf.banks.notation import (
    EPOCHS,
    EXCEL_DAYS,
    MONTHS,
    Notation,
    Pattern,
    day_pattern,
    example_of,
    number_expression,
    real_expression,
    whole_number,
)
from strata.conf.contracts import Table
from strata.jobs.runtime.errors import UsageError

Token = Callable[[Column], Column]
Parser = Callable[["Texts"], Column]
# Of the first 16 hexadecimal digits of a token, the half of the numbers that a bigint holds without a sign.
ID_DIGITS, ID_LIMIT = 16, 1 << 63
UNIX_OF_EXCEL = "1899-12-30"


@dataclass(frozen=True)
class Texts:
    """The delivered fields of a row: trimmed, null where the field is empty or says that nothing is there."""

    feed: Feed
    token: Token

    def __getitem__(self, raw: str) -> Column:
        return self.text(raw, trim=True)

    def text(self, raw: str, *, trim: bool) -> Column:
        """One field; its spaces stay where ``trim`` is off."""
        trimmed = F.trim(F.col(f"`{raw}`"))
        shown = trimmed if trim else F.col(f"`{raw}`")
        return F.when(~trimmed.isin("", *self.feed.nothing(raw)), shown)


@dataclass(frozen=True)
class Field:
    """One silver column: the delivered column that answers for it (none for a constant), parser, what it expects."""

    name: str
    raw: str | None
    parse: Parser
    expected: str


@dataclass(frozen=True)
class TableMapping:
    """From the files of one feed to one silver table, as Spark columns."""

    feed: Feed
    fill: Fill
    contract: Table
    fields: tuple[Field, ...]
    # By column that refers to another table: the column of that table in which its value must be.
    keys: Mapping[str, str]

    @property
    def table(self) -> str:
        """The silver table."""
        return self.fill.table


def mappings_of(bank: Bank) -> tuple[TableMapping, ...]:
    """What fills the bank's silver tables, in the order in which they refer to each other."""
    functions = _functions(bank.folder)
    return tuple(mapping_of(feed, fill, bank.silver, functions) for feed, fill in bank.fills)


def mapping_of(
    feed: Feed, fill: Fill, tables: Mapping[str, Table], functions: ModuleType | None = None
) -> TableMapping:
    """How ``feed`` fills one of its tables. ``functions`` are those of the bank's folder."""
    contract = tables[fill.table]
    types = {column.name: column.type for column in contract.columns}
    fields = tuple(
        _field(name, str(types.get(name, source.type)), source, feed, functions)
        for name, source in fill.sources(contract).items()
    )
    keys = {column: tables[reference.table].key[0] for column, reference in fill.references.items()}
    return TableMapping(feed, fill, contract, fields, keys)


def _functions(folder: Path) -> ModuleType | None:
    """The module ``functions.py`` of a bank's folder. Raises ``UsageError`` when it can't be imported."""
    path = folder / "functions.py"
    if not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location(f"strata_bank_{folder.name}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: is no Python module")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as wrong:
        raise UsageError(f"{path}: can't be imported: {type(wrong).__name__}: {wrong}") from wrong
    return module


def _field(name: str, kind: str, source: Source, feed: Feed, functions: ModuleType | None) -> Field:
    raw, parts = source.answers_for(name), source.parts(name)
    notation = source.within(feed.notation)
    if source.constant is not None:
        return Field(name, raw, lambda _: F.lit(str(source.constant)).cast(kind), kind)
    if source.sql is not None:
        sql = source.sql
        return Field(name, raw, lambda _: F.expr(sql).cast(kind), source.expects or kind)
    if source.python is not None:
        function = getattr(functions, source.python)
        return Field(name, raw, lambda row: function(row).cast(kind), str(source.expects))
    if source.token:
        return Field(name, raw, lambda row: row.token(_joined(row, parts, source.join)), "text")
    if source.id is not None:
        return Field(name, raw, _identifier(source.id, parts, source.join), "an identifier")
    (only,) = parts
    if source.map is not None:
        expected = f"one of {', '.join(source.map)}"
        return Field(name, raw, lambda row: _meaning(row[only], source.map or {}).cast(kind), expected)
    return Field(name, raw, _parser(only, kind, notation), example_of(kind, notation))


def _joined(row: Texts, parts: tuple[str, ...], between: str) -> Column:
    """The parts as one text; null where the last one is, empty for others that aren't there."""
    *first, last = parts
    if not first:
        return row[last]
    texts = [text for part in first for text in (F.coalesce(row[part], F.lit("")), F.lit(between))]
    return F.concat(*texts, row[last])


def _identifier(space: str, parts: tuple[str, ...], between: str) -> Parser:
    """A number from 0 to 2^63 - 1 made of the text by the bank's key; ``space`` keeps accounts from being customers.

    Two texts of a hundred million get the same number once in some 2,000 such banks.
    """

    def parse(row: Texts) -> Column:
        text = _joined(row, parts, between)
        hexadecimal = F.substring(row.token(F.concat(F.lit(f"{space}:"), text)), 1, ID_DIGITS)
        number = F.conv(hexadecimal, 16, 10).cast("decimal(20,0)")
        return (number % F.lit(ID_LIMIT).cast("decimal(20,0)")).cast("bigint")

    return parse


def _meaning(word: Column, meanings: Mapping[str, object]) -> Column:
    """The meaning of ``word`` as text; null for a word that isn't listed."""
    pairs = [(key, str(value).lower() if isinstance(value, bool) else str(value)) for key, value in meanings.items()]
    table = F.create_map(*(F.lit(part) for pair in pairs for part in pair))
    return F.when(word.isNotNull(), F.try_element_at(table, word))


def _parser(raw: str, kind: str, notation: Notation) -> Parser:
    """The reading of one delivered column as an SQL type."""
    if kind == "string":
        return lambda row: row.text(raw, trim=notation.trim)
    if kind == "boolean":
        return lambda row: F.when(row[raw].isin("true", "false"), row[raw] == "true")
    if kind in ("date", "timestamp"):
        return lambda row: _moment(row[raw], kind, notation)
    expression = number_expression(kind, notation) if whole_number(kind) else real_expression(notation)
    return lambda row: _number(row[raw], kind, expression, notation)


def _number(text: Column, kind: str, expression: str, notation: Notation) -> Column:
    """An exact number is never rounded: a text with more decimals than the type has is none."""
    plain = F.translate(text, notation.thousands, "") if notation.thousands else text
    plain = F.translate(plain, notation.decimal, ".") if notation.decimal != "." else plain
    if notation.sign == "behind":
        plain = F.regexp_replace(plain, r"^(.*?)([+-])$", "$2$1")
    if notation.sign == "parentheses":
        plain = F.regexp_replace(plain, r"^\((.*)\)$", "-$1")
    if notation.unit != 1:
        wide = "double" if kind == "double" else "decimal(38,10)"
        value = plain.cast(wide) * F.lit(str(notation.unit)).cast("double" if kind == "double" else "decimal(20,10)")
    else:
        value = plain
    return F.when(text.rlike(expression), value.cast(kind))


def _moment(text: Column, kind: str, notation: Notation) -> Column:
    """A day, or a time in the feed's zone (the bank's, which the session has, where it says none)."""
    pattern = notation.days if kind == "date" else notation.times
    if pattern in EPOCHS:
        seconds = F.timestamp_seconds if pattern == "epoch_seconds" else F.timestamp_millis
        return F.when(text.rlike(r"^-?\d{1,15}$"), seconds(text.cast("bigint"))).cast(kind)
    if pattern == EXCEL_DAYS:
        day = F.date_add(F.lit(UNIX_OF_EXCEL).cast("date"), text.cast("int"))
        return F.when(text.rlike(r"^\d{1,6}$"), day).cast(kind)
    found = day_pattern(pattern)
    iso = _iso_text(text, found, notation, with_time=kind == "timestamp")
    return F.when(text.rlike(found.expression), iso.cast(kind))


def _iso_text(text: Column, pattern: Pattern, notation: Notation, *, with_time: bool) -> Column:
    """The text as ISO 8601 has it, from the groups of its pattern."""
    part = {
        name: F.regexp_extract(text, pattern.expression, number) for number, name in enumerate(pattern.groups, start=1)
    }
    day = F.concat_ws("-", _year(part, notation), _month(part), F.lpad(part["day"], 2, "0"))
    if not with_time:
        return day
    clock = F.concat_ws(":", *(F.lpad(part.get(name, F.lit("00")), 2, "0") for name in ("hour", "minute", "second")))
    fraction = part.get("fraction", F.lit(""))
    zone = F.lit(notation.zone or "")
    offset = F.when(part["offset"] != "", part["offset"]).otherwise(zone) if "offset" in part else zone
    return F.concat(
        day, F.lit("T"), clock, F.when(fraction != "", F.concat(F.lit("."), fraction)).otherwise(""), offset
    )


def _year(part: Mapping[str, Column], notation: Notation) -> Column:
    if "year" in part:
        return part["year"]
    return F.concat(F.lit(f"{(notation.century or 0) // 100:02d}"), part["short_year"])


def _month(part: Mapping[str, Column]) -> Column:
    if "month" in part:
        return F.lpad(part["month"], 2, "0")
    numbers = F.create_map(*(F.lit(one) for n, name in enumerate(MONTHS, start=1) for one in (name, f"{n:02d}")))
    return F.try_element_at(numbers, F.upper(part["month_name"]))
