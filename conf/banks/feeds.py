"""What a bank's source systems deliver: one feed per kind of file, declared in YAML without any Python.

A feed says how its files look, which columns they have, and how those fill one or more silver tables. The names of the
YAML keys are those of the fields below.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from strata.conf.banks.notation import Notation, example_of
from strata.conf.contracts import Column, Frozen, Personal, Table

Format = Literal["csv", "json", "parquet"]
CLOCKS = ("event_ts", "known_ts")
# The morning after the day of the folder in which a file was dropped: from then on its rows can be used.
NEXT_MORNING = "next_morning"
# Encodings that are parts of a wider one, which reads what their writers really write.
WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "utf-8-sig": "utf-8"}
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "csv": (".asc", ".csv", ".asc.gz", ".csv.gz"),
    "json": (".json", ".json.gz"),
    "parquet": (".parquet",),
}


class CsvLayout(Frozen):
    """How the lines of a text file are laid out."""

    separator: str = Field(";", min_length=1)
    quote: str = Field('"', max_length=1)
    escape: str = Field('"', max_length=1)
    # Whether the first line names the columns; without it the feed's own names count, in order.
    header: bool = True
    # Lines above the header, or above the first row, that are no rows: titles, dates of the extract.
    skip_lines: int = Field(0, ge=0)
    # A regular expression of lines that are no rows, such as '^TRAILER;': they don't enter bronze.
    ignore_lines: str | None = None

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.quote == self.separator:
            raise ValueError("quote: is the separator too")
        return self

    @field_validator("ignore_lines")
    @classmethod
    def _is_a_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            _check_pattern(value)
        return value


def _check_pattern(text: str) -> None:
    try:
        re.compile(text)
    except re.error as wrong:
        raise ValueError(f"{text!r} is no regular expression: {wrong}") from None


class Delivered(Frozen):
    """A column of the files: what it means, and how near it is to a person."""

    means: str = ""
    personal: Personal | None = None


def constant_text(value: object) -> str:
    """A value of YAML as the text that SQL casts."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Source(Notation):
    """Where the values of one silver column come from.

    Of ``constant``, ``sql`` and ``python`` at most one; without any, the text of the delivered column ``source``
    (``from`` in YAML) is read as the silver column's type in the feed's notation.
    """

    # One column, or several that are joined; without it the column of the same name.
    source: str | tuple[str, ...] | None = Field(None, alias="from")
    # Between the parts of several columns; the value is null where the last part is.
    join: str = ""
    # What each delivered word means; any other word breaks the row.
    map: Mapping[str, Any] | None = None
    # Of a number: without its sign; or a word for its sign, such as {positive: credit, negative: debit}.
    absolute: bool = False
    by_sign: Mapping[Literal["positive", "negative"], str] | None = None
    # A keyed token of the text stands in silver, the text itself in bronze alone.
    token: bool = False
    # A number made of the text by the bank's key: for identifiers that are no numbers. Columns with the same word here
    # give equal texts equal numbers.
    id: str | None = None
    constant: str | int | float | bool | date | None = None
    # Spark SQL over the delivered columns, texts as they came; `from` names the one that answers for it in messages.
    sql: str | None = None
    # A function in the bank's functions.py, from the delivered row to a Spark column; `expects` says in words what for.
    python: str | None = None
    expects: str | None = None
    # Whether a row without it is refused though silver allows null there.
    needed: bool = False
    # For a column that silver doesn't have and that only the clocks need: its SQL type.
    type: str | None = None

    @model_validator(mode="after")
    def _has_one_manner(self) -> Self:
        if self.by_sign is not None and set(self.by_sign) != {"positive", "negative"}:
            raise ValueError("by_sign: a word for positive and one for negative are expected")
        if self.map is not None and not self.map:
            raise ValueError("map: at least one code is expected")
        given = [
            name for name in ("constant", "sql", "python", "map", "by_sign", "id") if getattr(self, name) is not None
        ]
        given += ["token"] if self.token else []
        if len(given) > 1:
            raise ValueError(f"give one of {' and '.join(given)}, not both")
        if isinstance(self.source, tuple) and not (self.token or self.id or self.python):
            raise ValueError("from: several columns can be joined for a token, an id or a python function alone")
        if self.python and not self.expects:
            raise ValueError("expects: say in words what the python function understands, for messages")
        return self

    def expected(self, kind: str, notation: Notation) -> str:
        """What a delivered text must be for the SQL type ``kind``, in words for messages."""
        if self.expects:
            return self.expects
        if self.map is not None:
            return f"one of {', '.join(self.map)}"
        if self.id is not None:
            return "an identifier"
        return "a number" if self.by_sign is not None else example_of(kind, notation)

    def parts(self, name: str) -> tuple[str, ...]:
        """The delivered columns that the silver column ``name`` is read from."""
        if self.constant is not None or (self.sql is not None and self.source is None):
            return ()
        if self.source is None:
            return (name,)
        return (self.source,) if isinstance(self.source, str) else self.source

    def answers_for(self, name: str) -> str | None:
        """The delivered column that a message names when the value can't be read."""
        return self.parts(name)[-1] if self.parts(name) else None


class Reference(Frozen):
    """A silver table in which a column's value must be known, and columns of it that the clocks need."""

    table: str
    brings: tuple[str, ...] = ()


class Fill(Frozen):
    """How a feed fills one silver table.

    ``event`` (when it happened) and ``known`` (when the bank could first use it) are Spark SQL over silver columns,
    columns that the clocks alone need, what references bring, ``dropped_on`` and ``next_morning``.
    """

    table: str
    fields: Mapping[str, Source] = {}
    # All other columns of the silver table stand in the files under their own names.
    same_names: bool = False
    event: str | None = None
    known: str = NEXT_MORNING
    references: Mapping[str, Reference] = {}
    # Whether rows of one key that became known at different times all stay; else the latest delivery's row alone.
    keeps_versions: bool = True

    @field_validator("fields", mode="before")
    @classmethod
    def _short_fields(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {name: {"from": value} if isinstance(value, str) else value or {} for name, value in given.items()}

    @field_validator("references", mode="before")
    @classmethod
    def _short_references(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {name: {"table": value} if isinstance(value, str) else value for name, value in given.items()}

    def sources(self, contract: Table) -> dict[str, Source]:
        """Where each delivered silver column and each column of the clocks comes from, in the table's order."""
        own = {name: self.fields[name] for name in self.columns(contract) if name in self.fields}
        if self.same_names:
            own = {name: own.get(name, Source()) for name in self.columns(contract)}
        return own | {name: self.fields[name] for name in self.clocks(contract)}

    @staticmethod
    def columns(contract: Table) -> list[str]:
        """The columns of a silver table but for its clocks."""
        return [name for name in contract.names if name not in CLOCKS]

    def clocks(self, contract: Table) -> tuple[str, ...]:
        """Fields that silver has no column for: they serve the clocks."""
        return tuple(name for name in self.fields if name not in contract.names)

    def clear(self) -> dict[str, str]:
        """Silver columns that hold tokens, with the delivered identifiers."""
        return {name: str(field.answers_for(name)) for name, field in self.fields.items() if field.token}


class Feed(Frozen):
    """The files of one kind.

    Their names begin with ``kind`` (then an underscore or the end), or match ``files``. ``notation`` holds for every
    field that doesn't say otherwise, ``missing`` lists words that mean that nothing is there.
    """

    kind: str = Field(pattern=r"^[A-Za-z]\w*$")
    fills: tuple[Fill, ...] = Field(min_length=1)
    format: Format = "csv"
    files: tuple[str, ...] = ()
    encoding: str = "utf-8"
    csv: CsvLayout = CsvLayout()
    # The delivered columns in order; may be left out where all stand under silver's own names.
    columns: Mapping[str, Delivered] = {}
    missing: Mapping[str, tuple[str, ...]] = {}
    notation: Notation = Notation()

    @field_validator("columns", mode="before")
    @classmethod
    def _short_columns(cls, given: Any) -> Any:
        if isinstance(given, list):
            if wrong := [name for name in given if not isinstance(name, str) or given.count(name) > 1]:
                raise ValueError(f"{wrong[0]!r} is no name, or stands there twice")
            return {name: {} for name in given}
        if isinstance(given, Mapping):
            return {name: {"means": said} if isinstance(said, str) else said or {} for name, said in given.items()}
        return given

    @field_validator("columns")
    @classmethod
    def _names_are_apart(cls, value: Mapping[str, Delivered]) -> Mapping[str, Delivered]:
        small = [name.lower() for name in value]
        for name in value:
            if "`" in name or name.startswith("_") or small.count(name.lower()) > 1:
                raise ValueError(
                    f"{name!r}: names without backticks, not beginning with _, apart from each other "
                    "whatever their case are expected (with header: false any names will do)"
                )
        return value

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            found = codecs.lookup(value)
            name = found.name if found._is_text_encoding else None
        except LookupError:
            name = None
        if name is None:
            raise ValueError(f"{value!r} is no encoding that Python knows, such as utf-8, gb18030, latin-1")
        return {**WIDER, "ascii": "utf-8"}.get(name, name)

    @property
    def bronze(self) -> str:
        """The bronze table."""
        return f"bronze_{self.kind}"

    @property
    def fill(self) -> Fill:
        """The only table that the feed fills. Raises ``ValueError`` when there are several."""
        (only,) = self.fills
        return only

    def named(self, contract: Table) -> dict[str, Column]:
        """The silver columns of the feed's only table by what they are called in a file, in order."""
        sources = self.fill.sources(contract)
        by_name = {column.name: column for column in contract.columns}
        return {str(field.answers_for(name)): by_name[name] for name, field in sources.items() if name in by_name}

    def types(self, contract: Table) -> dict[str, str]:
        """The SQL types of a file's columns, in order, where the feed fills one table under silver's own names."""
        clocks = {name: str(self.fill.fields[name].type) for name in self.fill.clocks(contract)}
        return {name: column.type for name, column in self.named(contract).items()} | clocks

    @property
    def header(self) -> tuple[str, ...]:
        """The columns of a file, in order."""
        return tuple(self.columns)

    def with_columns(self, contract: Table) -> Feed:
        """The feed with the columns named that follow from the silver table, where it names none itself."""
        if self.columns:
            return self
        parts = (part for name, field in self.fill.sources(contract).items() for part in field.parts(name))
        return self.model_copy(update={"columns": {name: Delivered() for name in dict.fromkeys(parts)}})

    def nothing(self, column: str) -> tuple[str, ...]:
        """Words that mean that nothing is there, in one delivered column."""
        return (*self.missing.get("*", ()), *self.missing.get(column, ()))

    @field_validator("missing", mode="before")
    @classmethod
    def _short_missing(cls, given: Any) -> Any:
        return {"*": given} if isinstance(given, list) else given
