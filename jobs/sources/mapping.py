"""From a feed's declaration to Spark SQL: how delivered texts become the columns of one silver table.

SQL and not columns: a table has some thousand small expressions, and each step of a column costs a call of the JVM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pyspark.sql import Column
from pyspark.sql import functions as F

from strata.conf.banks import Bank, Feed, Fill, Source
from strata.conf.banks.feeds import constant_text
from strata.conf.banks.modules import BankModuleError, bank_module
from strata.conf.banks.notation import (
    ANY_NUMBER,
    EPOCHS,
    EXCEL_DAYS,
    ISO_DAY,
    MONTHS,
    Notation,
    Pattern,
    day_pattern,
    number_expression,
    real_expression,
    whole_number,
)
from strata.conf.contracts import Table
from strata.jobs.runtime.errors import UsageError

# The delivered fields of a row, in a struct of this name: trimmed, null where nothing is there.
TEXTS = "_texts"
# The function that makes tokens, as SQL knows it.
TOKEN = "strata_token"
# Of a token the first 16 hexadecimal digits, and the half of those numbers that a bigint holds without a sign.
ID_DIGITS, ID_LIMIT = 16, 1 << 63
EXCEL_ZERO = "DATE'1899-12-30'"
WHOLE, SERIAL, PARENTHESES = r"^-?\d{1,15}$", r"^\d{1,6}$", r"^\((.*)\)$"
QUOTED_ZEROS = "'00'"


class DeliveredRow:
    """What a function of the bank's own is given: each delivered column as a Spark column of trimmed texts."""

    def __getitem__(self, raw: str) -> Column:
        return F.expr(text_of(raw))


@dataclass(frozen=True)
class Field:
    """One silver column: the delivered column that answers for it (none for a constant), its value, what it expects."""

    name: str
    raw: str | None
    # SQL, or a function of the bank's own and the SQL type of its answer.
    value: str | tuple[Callable[[DeliveredRow], Column], str]
    expected: str
    # Whether a row without a value is refused.
    needed: bool

    def column(self) -> Column:
        """The value under its name."""
        if isinstance(self.value, str):
            return F.expr(f"{self.value} AS `{self.name}`")
        function, kind = self.value
        return function(DeliveredRow()).cast(kind).alias(self.name)


@dataclass(frozen=True)
class TableMapping:
    """From the files of one feed to one silver table, as Spark SQL over the delivered texts."""

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


def literal(text: str) -> str:
    """A text as SQL writes it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def text_of(raw: str) -> str:
    """A delivered field: trimmed, null where nothing is there."""
    return f"{TEXTS}.`{raw}`"


def texts_of(feed: Feed) -> str:
    """The struct of all delivered fields: trimmed, null where a field is empty or says that nothing is there."""

    def cleaned(raw: str) -> str:
        nothing = ", ".join(literal(word) for word in ("", *feed.nothing(raw)))
        return f"{literal(raw)}, CASE WHEN trim(`{raw}`) NOT IN ({nothing}) THEN trim(`{raw}`) END"

    return f"named_struct({', '.join(map(cleaned, feed.header))}) AS {TEXTS}"


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
    nullable = {column.name for column in contract.columns if column.nullable}
    fields = tuple(
        _field(name, str(types.get(name, source.type)), source, feed, functions, needed=name not in nullable)
        for name, source in fill.sources(contract).items()
    )
    keys = {column: tables[reference.table].key[0] for column, reference in fill.references.items()}
    return TableMapping(feed, fill, contract, fields, keys)


def _functions(folder: Path) -> ModuleType | None:
    """The module ``functions.py`` of a bank's folder. Raises ``UsageError`` when it can't be imported."""
    path = folder / "functions.py"
    if not path.is_file():
        return None
    try:
        return bank_module(path)
    except BankModuleError as wrong:
        raise UsageError(str(wrong)) from wrong


def _field(name: str, kind: str, source: Source, feed: Feed, functions: ModuleType | None, *, needed: bool) -> Field:
    needed = needed or source.needed
    raw, parts = source.answers_for(name), source.parts(name)
    if source.python is not None:
        return Field(name, raw, (getattr(functions, source.python), kind), str(source.expects), needed)
    return Field(name, raw, *_sql(kind, parts, source, source.within(feed.notation)), needed)


def _sql(kind: str, parts: tuple[str, ...], source: Source, notation: Notation) -> tuple[str, str]:
    """The value as SQL, and what it expects, in words."""
    if source.constant is not None:
        return f"CAST({literal(constant_text(source.constant))} AS {kind})", kind
    if source.sql is not None:
        return f"CAST(({source.sql}) AS {kind})", source.expects or kind
    if source.token:
        return f"{TOKEN}({_joined(parts, source.join)})", "text"
    expected = source.expected(kind, notation)
    if source.id is not None:
        return _identifier(source.id, _joined(parts, source.join)), expected
    (only,) = parts
    if source.map is not None:
        return f"CAST({_meaning(text_of(only), source.map)} AS {kind})", expected
    if source.by_sign is not None:
        number = _parsed(only, ANY_NUMBER, notation)
        words = {sign: literal(source.by_sign.get(sign, "")) for sign in ("positive", "negative")}
        value = f"CASE WHEN {number} < 0 THEN {words['negative']} WHEN {number} >= 0 THEN {words['positive']} END"
        return value, expected
    parsed = _parsed(only, kind, notation)
    return f"abs({parsed})" if source.absolute else parsed, expected


def _joined(parts: tuple[str, ...], between: str) -> str:
    """The parts as one text; null where the last one is, empty for others that aren't there."""
    *first, last = parts
    if not first:
        return text_of(last)
    texts = [text for part in first for text in (f"coalesce({text_of(part)}, '')", literal(between))]
    return f"concat({', '.join([*texts, text_of(last)])})"


def _identifier(space: str, text: str) -> str:
    """A number from 0 to 2^63 - 1 made of the text by the bank's key; ``space`` keeps accounts from being customers.

    Two texts of a hundred million get the same number once in some 2,000 such banks.
    """
    digits = f"substring({TOKEN}(concat({literal(space + ':')}, {text})), 1, {ID_DIGITS})"
    number = f"CAST(conv({digits}, 16, 10) AS decimal(20,0))"
    return f"CAST({number} % CAST({ID_LIMIT} AS decimal(20,0)) AS bigint)"


def _meaning(word: str, meanings: Mapping[str, object]) -> str:
    """The meaning of a word as text; null for a word that isn't listed."""
    cases = " ".join(f"WHEN {literal(key)} THEN {literal(constant_text(value))}" for key, value in meanings.items())
    return f"CASE {word} {cases} END"


def _parsed(raw: str, kind: str, notation: Notation) -> str:
    """The reading of one delivered column as an SQL type."""
    text = text_of(raw)
    if kind == "string":
        return text if notation.trim else f"CASE WHEN {text} IS NOT NULL THEN `{raw}` END"
    if kind == "boolean":
        return f"CASE {text} WHEN 'true' THEN true WHEN 'false' THEN false END"
    if kind in ("date", "timestamp"):
        return _moment(text, kind, notation)
    expression = number_expression(kind, notation) if whole_number(kind) else real_expression(notation)
    return (
        f"CASE WHEN {text} RLIKE {literal(expression)} THEN CAST({_plain_number(text, kind, notation)} AS {kind}) END"
    )


def _plain_number(text: str, kind: str, notation: Notation) -> str:
    """The text of a number as SQL casts it, in ones."""
    plain = f"translate({text}, {literal(notation.thousands)}, '')" if notation.thousands else text
    plain = f"translate({plain}, {literal(notation.decimal)}, '.')" if notation.decimal != "." else plain
    if notation.sign == "behind":
        plain = f"regexp_replace({plain}, '^(.*?)([+-])$', '$2$1')"
    if notation.sign == "parentheses":
        plain = f"regexp_replace({plain}, {literal(PARENTHESES)}, '-$1')"
    if notation.unit == 1:
        return plain
    if kind == "double":
        return f"CAST({plain} AS double) * CAST('{notation.unit:f}' AS double)"
    unit = "decimal(10,8)" if notation.unit < 1 else "decimal(9,0)"
    return f"CAST({plain} AS decimal(28,10)) * CAST('{notation.unit:f}' AS {unit})"


def _moment(text: str, kind: str, notation: Notation) -> str:
    """A day, or a time in the feed's zone (the bank's, which the session has, where it says none)."""
    pattern = notation.days if kind == "date" else notation.times
    if pattern in EPOCHS:
        seconds = "timestamp_seconds" if pattern == "epoch_seconds" else "timestamp_millis"
        return f"CASE WHEN {text} RLIKE {literal(WHOLE)} THEN CAST({seconds}(CAST({text} AS bigint)) AS {kind}) END"
    if pattern == EXCEL_DAYS:
        day = f"CAST(date_add({EXCEL_ZERO}, CAST({text} AS int)) AS {kind})"
        return f"CASE WHEN {text} RLIKE {literal(SERIAL)} THEN {day} END"
    found = day_pattern(pattern)
    iso = _iso_text(text, found, notation, with_time=kind == "timestamp")
    return f"CASE WHEN {text} RLIKE {literal(found.expression)} THEN CAST({iso} AS {kind}) END"


def _iso_text(text: str, pattern: Pattern, notation: Notation, *, with_time: bool) -> str:
    """The text as ISO 8601 has it, from the groups of its pattern."""
    if pattern == day_pattern(ISO_DAY):
        return text
    part = {
        name: f"regexp_extract({text}, {literal(pattern.expression)}, {number})"
        for number, name in enumerate(pattern.groups, start=1)
    }
    # Not concat_ws, which passes over what is null: a month of no known name is no day.
    day = f"concat({_year(part, notation)}, '-', {_month(part)}, '-', lpad({part['day']}, 2, '0'))"
    if not with_time:
        return day
    clock = ", ".join(f"lpad({part.get(name, QUOTED_ZEROS)}, 2, '0')" for name in ("hour", "minute", "second"))
    pieces = [day, "'T'", f"concat_ws(':', {clock})"]
    if "fraction" in part:
        pieces.append(f"CASE WHEN {part['fraction']} <> '' THEN concat('.', {part['fraction']}) ELSE '' END")
    zone = literal(notation.zone or "")
    pieces.append(f"coalesce(nullif({part['offset']}, ''), {zone})" if "offset" in part else zone)
    return f"concat({', '.join(pieces)})"


def _year(part: Mapping[str, str], notation: Notation) -> str:
    return part["year"] if "year" in part else f"concat('{(notation.century or 0) // 100:02d}', {part['short_year']})"


def _month(part: Mapping[str, str]) -> str:
    if "month" in part:
        return f"lpad({part['month']}, 2, '0')"
    cases = " ".join(f"WHEN '{name}' THEN '{number:02d}'" for number, name in enumerate(MONTHS, start=1))
    return f"CASE upper({part['month_name']}) {cases} END"
