"""What is wrong with a feed's declaration: each problem with its file, its key and what to write there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from strata.conf.banks.feeds import NEXT_MORNING, Feed, Fill, Source, constant_text
from strata.conf.banks.notation import Notation, example_of, number_expression, spoils, whole_number
from strata.conf.contracts import Table

TYPES = ("string", "int", "bigint", "double", "boolean", "date", "timestamp")
DECIMAL = re.compile(r"decimal\(\d{1,2},\d{1,2}\)")
CONSTANTS = {
    "date": r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])",
    "timestamp": r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}:\d{2})?",
    "double": r"[+-]?\d+(\.\d+)?",
    "boolean": "true|false",
}
_TEXT = re.compile(r"'(?:[^']|'')*'")
_WORD = re.compile(r"\b[A-Za-z_]\w*\b(?!\s*\()")
# Words of SQL in small letters; those in capitals are never taken for columns.
_SQL = re.compile(
    "and|or|not|null|is|in|like|between|case|when|then|else|end|as|cast|date|timestamp|interval|days?|months?|years?"
    "|hours?|minutes?|true|false|int|bigint|double|string|decimal"
)


@dataclass(frozen=True)
class Problem:
    """What is wrong in a bank's folder: file, key and what to do."""

    file: str
    key: str
    what: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.what) if part)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like ``word``, if one is alike at all."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def hint(word: str, known: Iterable[str]) -> str:
    """What a message adds to a word that isn't known: the nearest one, else all."""
    names = list(known)
    found = nearest(word, names)
    return f"; did you mean {found}?" if found else f"; there are: {', '.join(names)}"


def feed_problems(feed: Feed, tables: Mapping[str, Table], filled: set[str]) -> list[Problem]:
    """What is wrong with how a feed fills silver tables; ``filled`` are those that some feed fills."""
    file = f"feeds/{feed.kind}.yml"
    if not feed.columns and (len(feed.fills) > 1 or not feed.fill.same_names):
        return [Problem(file, "columns", "name the columns of the files, in order")]
    found = []
    for fill in feed.fills:
        if fill.table not in tables:
            found.append(Problem(file, f"tables.{fill.table}", f"no such silver table{hint(fill.table, tables)}"))
            continue
        found += [
            Problem(file, f"tables.{fill.table}.{key}", what)
            for key, what in _fill_problems(feed, fill, tables, filled)
        ]
    return found


def _fill_problems(feed: Feed, fill: Fill, tables: Mapping[str, Table], filled: set[str]) -> Iterator[tuple[str, str]]:
    contract = tables[fill.table]
    sources = fill.sources(contract)
    yield from _unknown_fields(fill, contract)
    yield from _unreadable_fields(feed, sources, contract)
    yield from _unknown_columns(feed, sources)
    needed = [c.name for c in contract.columns if not c.nullable and c.name in fill.columns(contract)]
    if lacking := [name for name in needed if name not in sources]:
        yield "fields", f"{fill.table} needs {', '.join(lacking)} (strata columns {fill.table} says what they are)"
    yield from _reference_problems(fill, sources, tables, filled)
    yield from _clock_problems(fill, sources, contract)


def _unknown_fields(fill: Fill, contract: Table) -> Iterator[tuple[str, str]]:
    for name, field in fill.fields.items():
        if name not in contract.names and field.type is None:
            near = hint(name, fill.columns(contract))
            what = f"{fill.table} has no such column{near} (a column for the clocks alone needs a type)"
            yield f"fields.{name}", what


def _unreadable_fields(feed: Feed, sources: Mapping[str, Source], contract: Table) -> Iterator[tuple[str, str]]:
    for name, field in sources.items():
        kind = next((c.type for c in contract.columns if c.name == name), str(field.type))
        if field.type is not None and kind not in TYPES and not DECIMAL.fullmatch(kind):
            yield f"fields.{name}.type", f"{kind!r} is no type; there are: {', '.join(TYPES)}, decimal(p,s)"
        elif why := _spoilt(field, kind, field.within(feed.notation)):
            yield f"fields.{name}", why


def _unknown_columns(feed: Feed, sources: Mapping[str, Source]) -> Iterator[tuple[str, str]]:
    """Delivered columns that are named and that the files don't have."""
    if not feed.columns:
        return
    for column in feed.missing:
        if column != "*" and column not in feed.columns:
            yield "missing", f"the files have no column {column!r}{hint(column, feed.columns)}"
    for name, field in sources.items():
        for part in field.parts(name):
            if part not in feed.columns and field.sql is None:
                yield f"fields.{name}", f"the files have no column {part!r}{hint(part, feed.columns)}"


def _reference_problems(
    fill: Fill, sources: Mapping[str, Source], tables: Mapping[str, Table], filled: set[str]
) -> Iterator[tuple[str, str]]:
    for name, reference in fill.references.items():
        if name not in sources:
            yield f"references.{name}", f"no such field{hint(name, sources)}"
        if reference.table not in filled:
            yield f"references.{name}", f"no feed fills {reference.table}; leave the reference out or declare that feed"
            continue
        if wrong := [one for one in reference.brings if one not in tables[reference.table].names]:
            near = hint(wrong[0], tables[reference.table].names)
            yield f"references.{name}.brings", f"{reference.table} has no column {wrong[0]!r}{near}"


def _clock_problems(fill: Fill, sources: Mapping[str, Source], contract: Table) -> Iterator[tuple[str, str]]:
    """Words in the SQL of the clocks that are neither columns nor SQL's own."""
    brought = {one for reference in fill.references.values() for one in reference.brings}
    known = {*contract.names, *sources, *brought, "dropped_on", NEXT_MORNING}
    for clock, sql in (("event", fill.event), ("known", fill.known)):
        for word in _WORD.findall(_TEXT.sub(" ", sql or "")):
            if not word.isupper() and word not in known and not _SQL.fullmatch(word):
                yield clock, f"{word!r} is no column here{hint(word, sorted(known))}"


def _spoilt(field: Source, kind: str, notation: Notation) -> str | None:
    """Why a field can't be read as its type: a notation that spoils it, or a constant that is none of it."""
    if field.constant is None:
        is_text = field.map is not None or field.sql is not None or field.python is not None or field.token
        return None if is_text or field.id is not None else spoils(kind, notation)
    text = constant_text(field.constant)
    shape = number_expression(kind, Notation()) if whole_number(kind) else CONSTANTS.get(kind, "")
    return None if re.fullmatch(shape or ".*", text) else f"constant: {text!r} is not {example_of(kind, Notation())}"


def function_problems(folder: Path, feeds: Iterable[Feed]) -> list[Problem]:
    """Functions that feeds name and that ``functions.py`` doesn't have."""
    asked = {
        (feed.kind, f"tables.{fill.table}.fields.{name}.python"): field.python
        for feed in feeds
        for fill in feed.fills
        for name, field in fill.fields.items()
        if field.python
    }
    if not asked:
        return []
    path = folder / "functions.py"
    if not path.is_file():
        (kind, key), name = next(iter(asked.items()))
        return [Problem(f"feeds/{kind}.yml", key, f"functions.py with a function {name!r} is missing in the folder")]
    try:
        defined = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    except SyntaxError as wrong:
        return [Problem("functions.py", f"line {wrong.lineno}", wrong.msg)]
    except (OSError, ValueError) as wrong:
        return [Problem("functions.py", "", f"can't be read: {wrong}")]
    return [
        Problem(f"feeds/{kind}.yml", key, f"functions.py has no function {name!r}{hint(name, defined)}")
        for (kind, key), name in asked.items()
        if name not in defined
    ]
