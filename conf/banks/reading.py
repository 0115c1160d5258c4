"""From a folder to a bank: YAML read into checked values, every problem with its file, its key and what to write there.

A bank's folder has ``bank.yml`` and ``feeds/*.yml``; where it needs them, ``tables/*.yml`` (silver tables of its own,
or columns beside the standard ones) and ``functions.py`` (what can't be declared). Spark is never started.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from strata.conf.banks.bank import Bank
from strata.conf.banks.feeds import NEXT_MORNING, Feed, Fill, Source, constant_text
from strata.conf.banks.notation import Notation, example_of, number_expression, spoils, whole_number
from strata.conf.contracts import Column, Table
from strata.conf.tables import SILVER
from strata.conf.tables.shapes import silver

SHIPPED_IN = Path(__file__).parent
DECLARED_IN = ("bank.yml", "feeds/*.yml", "tables/*.yml", "functions.py")
M = TypeVar("M", bound=BaseModel)
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


class BankError(ValueError):
    """A bank's folder can't be used; the message names file, key and what is expected, and how many problems more."""


@dataclass(frozen=True)
class Problem:
    """What is wrong in a bank's folder: file, key and what to do."""

    file: str
    key: str
    what: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.what) if part)


def shipped_banks() -> list[str]:
    """The names of the banks that come with Strata."""
    return sorted(path.parent.name for path in SHIPPED_IN.glob("*/bank.yml"))


def bank_folder(bank: str) -> Path:
    """The folder of a bank, by its path or by the name of one that comes with Strata. Raises ``BankError``."""
    if bank in shipped_banks():
        return SHIPPED_IN / bank
    folder = Path(bank)
    if not (folder / "bank.yml").is_file():
        known = ", ".join(shipped_banks())
        raise BankError(f"bank {bank}: no folder with a bank.yml, nor one of those that come with Strata: {known}")
    return folder


def load_bank(bank: str) -> Bank:
    """The bank in a folder, or a shipped one by its name; read anew when a file has changed.

    Raises ``BankError`` with the first problem and how many there are.
    """
    folder = bank_folder(bank).resolve()
    digest = _digest(folder)
    if (folder, digest) not in _LOADED:
        read, problems = read_bank(folder)
        if read is None or problems:
            more = f" (and {len(problems) - 1} more: strata check --bank {bank})" if len(problems) > 1 else ""
            raise BankError(f"{folder.name}/{problems[0]}{more}")
        _LOADED[folder, digest] = read
    return _LOADED[folder, digest]


_LOADED: dict[tuple[Path, str], Bank] = {}


def _digest(folder: Path) -> str:
    """A hash of everything that the folder declares."""
    files = sorted(path for pattern in DECLARED_IN for path in folder.glob(pattern))
    parts = b"".join(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() for path in files)
    return sha256(parts).hexdigest()[:16]


def read_bank(folder: Path) -> tuple[Bank | None, list[Problem]]:
    """The bank, if its folder can be read at all, and every problem that was found."""
    problems: list[Problem] = []
    own, extended = _tables(folder, problems)
    tables = {**SILVER, **extended, **own}
    feeds = [feed for path in sorted(folder.glob("feeds/*.yml")) if (feed := _feed(path, problems)) is not None]
    for path in sorted(folder.glob("*/*.yaml")):
        problems.append(Problem(f"{path.parent.name}/{path.name}", "", "is passed over; its name must end in .yml"))
    if not feeds and not problems:
        problems.append(Problem("feeds", "", "no feed in it: write one YAML file per kind of delivered files"))
    # Where a feed can't be read nobody knows what it would fill.
    filled = set(tables) if problems else {fill.table for feed in feeds for fill in feed.fills}
    for feed in feeds:
        problems += _feed_problems(feed, tables, filled)
    values = _parsed(folder / "bank.yml", problems)
    if problems:
        return None, problems
    feeds = [feed.with_columns(tables[feed.fills[0].table]) for feed in feeds]
    given = {**values, "folder": folder, "digest": _digest(folder), "feeds": feeds, "silver": tables}
    given["own_tables"] = (*own, *extended)
    bank = _validated(Bank, given, "bank.yml", problems, hidden=("folder", "digest", "feeds", "silver", "own_tables"))
    problems += _function_problems(folder, feeds)
    if bank and not problems:
        problems += _order_problems(bank)
    return bank, problems


def _parsed(path: Path, problems: list[Problem]) -> dict[str, Any]:
    name = path.name if path.parent.name not in ("feeds", "tables") else f"{path.parent.name}/{path.name}"
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_OnceEach)  # noqa: S506
    except FileNotFoundError:
        problems.append(Problem(name, "", "no such file"))
        return {}
    except (yaml.YAMLError, ValueError, OSError) as wrong:
        mark = getattr(wrong, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark else ""
        problems.append(Problem(name, line, f"can't be read as YAML: {str(wrong).splitlines()[0]}"))
        return {}
    if not isinstance(values, dict):
        problems.append(Problem(name, "", f"keys with values are expected, not {type(values).__name__}"))
        return {}
    return values


class _OnceEach(yaml.SafeLoader):
    """YAML in which each key stands once: of two the last would win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping. Raises ``ConstructorError`` on a repeated key."""
        seen: list[Any] = []
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} stands there twice", key.start_mark)
            seen.append(name)
        return super().construct_mapping(node, deep)


def _validated(
    model: type[M], values: Mapping[str, Any], file: str, problems: list[Problem], *, hidden: Iterable[str] = ()
) -> M | None:
    try:
        return model.model_validate(values)
    except ValidationError as wrong:
        errors = wrong.errors()
        for error in errors:
            # A list that is empty only because what stands in it is wrong.
            if error["type"] == "too_short" and any(other["loc"][:1] == error["loc"] for other in errors[:-1]):
                continue
            key = _key(error["loc"], values)
            if error["type"] == "extra_forbidden":
                allowed = sorted(set(_keys(model, error["loc"][:-1])) - set(hidden))
                problems.append(Problem(file, key, f"no such key{_nearest(str(error['loc'][-1]), allowed)}"))
            else:
                problems.append(Problem(file, key, error["msg"].removeprefix("Value error, ")))
        return None


def _key(place: tuple[int | str, ...], values: Mapping[str, Any]) -> str:
    """A place in the values as the YAML has it: the tables that a feed fills stand by their names."""
    if len(place) > 1 and place[0] == "fills" and isinstance(place[1], int):
        place = ("tables", values["fills"][place[1]]["table"], *place[2:])
    return ".".join(str(part) for part in place)


def _keys(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys that stand at a place of a model, through lists and mappings of models."""
    for part in place:
        field = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        if field is None:
            continue  # a place in a list, or a key of a mapping, of the model that the walk is at
        inner = list(_models(field.annotation))
        if inner:
            model = inner[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like ``word``, if one is alike at all."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    found = nearest(word, names)
    return f"; did you mean {found}?" if found else f"; there are: {', '.join(names)}"


def _feed(path: Path, problems: list[Problem]) -> Feed | None:
    values = _parsed(path, problems)
    if not values:
        return None
    file, tables = f"feeds/{path.name}", values.pop("tables", None)
    if not isinstance(tables, Mapping) or not tables:
        problems.append(Problem(file, "tables", "the silver tables that the files fill are expected"))
        return None
    for name, said in tables.items():
        if said is not None and not isinstance(said, Mapping):
            problems.append(Problem(file, f"tables.{name}", f"keys with values are expected, not {said!r}"))
            return None
    for key in sorted({"kind", "fills"} & values.keys()):
        problems.append(Problem(file, key, "no such key; the name of the file is the kind of the delivered files"))
        return None
    fills = [{"table": name, **(said or {})} for name, said in tables.items()]
    return _validated(Feed, {"kind": path.stem, "fills": fills, **values}, file, problems, hidden=("kind", "fills"))


def _feed_problems(feed: Feed, tables: Mapping[str, Table], filled: set[str]) -> list[Problem]:
    file = f"feeds/{feed.kind}.yml"
    if not feed.columns and (len(feed.fills) > 1 or not feed.fill.same_names):
        return [Problem(file, "columns", "name the columns of the files, in order")]
    found = []
    for fill in feed.fills:
        if fill.table not in tables:
            found.append(Problem(file, f"tables.{fill.table}", f"no such silver table{_nearest(fill.table, tables)}"))
            continue
        found += [
            Problem(file, f"tables.{fill.table}.{key}", what)
            for key, what in _fill_problems(feed, fill, tables, filled)
        ]
    return found


def _fill_problems(feed: Feed, fill: Fill, tables: Mapping[str, Table], filled: set[str]) -> Iterator[tuple[str, str]]:
    contract = tables[fill.table]
    sources = fill.sources(contract)
    for name, field in fill.fields.items():
        if name not in contract.names and field.type is None:
            hint = _nearest(name, fill.columns(contract))
            yield (
                f"fields.{name}",
                f"{fill.table} has no such column{hint} (a column for the clocks alone needs a type)",
            )
    for name, field in sources.items():
        kind = next((c.type for c in contract.columns if c.name == name), str(field.type))
        if field.type is not None and kind not in TYPES and not DECIMAL.fullmatch(kind):
            yield f"fields.{name}.type", f"{kind!r} is no type; there are: {', '.join(TYPES)}, decimal(p,s)"
        elif why := _spoilt(field, kind, field.within(feed.notation)):
            yield f"fields.{name}", why
    for column in feed.missing:
        if column != "*" and feed.columns and column not in feed.columns:
            yield "missing", f"the files have no column {column!r}{_nearest(column, feed.columns)}"
    if feed.columns:
        for name, field in sources.items():
            for part in field.parts(name):
                if part not in feed.columns and field.sql is None:
                    yield f"fields.{name}", f"the files have no column {part!r}{_nearest(part, feed.columns)}"
    needed = [c.name for c in contract.columns if not c.nullable and c.name in fill.columns(contract)]
    if lacking := [name for name in needed if name not in sources]:
        yield "fields", f"{fill.table} needs {', '.join(lacking)} (strata columns {fill.table} says what they are)"
    for name, reference in fill.references.items():
        if name not in sources:
            yield f"references.{name}", f"no such field{_nearest(name, sources)}"
        if reference.table not in filled:
            yield f"references.{name}", f"no feed fills {reference.table}; leave the reference out or declare that feed"
            continue
        if wrong := [one for one in reference.brings if one not in tables[reference.table].names]:
            hint = _nearest(wrong[0], tables[reference.table].names)
            yield f"references.{name}.brings", f"{reference.table} has no column {wrong[0]!r}{hint}"
    brought = {one for reference in fill.references.values() for one in reference.brings}
    known = {*contract.names, *sources, *brought, "dropped_on", NEXT_MORNING}
    for clock, sql in (("event", fill.event), ("known", fill.known)):
        words = [word for word in _WORD.findall(_TEXT.sub(" ", sql or "")) if not word.isupper()]
        for word in words:
            if word not in known and not _SQL.fullmatch(word):
                yield clock, f"{word!r} is no column here{_nearest(word, sorted(known))}"


def _spoilt(field: Source, kind: str, notation: Notation) -> str | None:
    """Why a field can't be read as its type: a notation that spoils it, or a constant that is none of it."""
    if field.constant is None:
        is_text = field.map is not None or field.sql is not None or field.python is not None or field.token
        return None if is_text or field.id is not None else spoils(kind, notation)
    text = constant_text(field.constant)
    shape = number_expression(kind, Notation()) if whole_number(kind) else CONSTANTS.get(kind, "")
    return None if re.fullmatch(shape or ".*", text) else f"constant: {text!r} is not {example_of(kind, Notation())}"


def _function_problems(folder: Path, feeds: Iterable[Feed]) -> list[Problem]:
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
        Problem(f"feeds/{kind}.yml", key, f"functions.py has no function {name!r}{_nearest(name, defined)}")
        for (kind, key), name in asked.items()
        if name not in defined
    ]


def _order_problems(bank: Bank) -> list[Problem]:
    try:
        return [] if bank.fills else []
    except ValueError as wrong:
        return [Problem("feeds", "", str(wrong))]


def _tables(folder: Path, problems: list[Problem]) -> tuple[dict[str, Table], dict[str, Table]]:
    """The bank's own silver tables, and the standard ones with columns of its own."""
    own: dict[str, Table] = {}
    extended: dict[str, Table] = {}
    for path in sorted(folder.glob("tables/*.yml")):
        values, file = _parsed(path, problems), f"tables/{path.name}"
        columns = _columns(values.pop("columns", None), file, problems)
        if path.stem in SILVER:
            if values:
                problems.append(
                    Problem(file, next(iter(values)), f"{path.stem} is a standard table: add columns alone")
                )
            extended[path.stem] = _with_columns(SILVER[path.stem], columns, file, problems)
        elif table := _own_table(path.stem, values, columns, file, problems):
            own[path.stem] = table
    return own, extended


def _columns(given: Any, file: str, problems: list[Problem]) -> list[Column]:
    if not isinstance(given, Mapping) or not given:
        problems.append(Problem(file, "columns", "names with type and description are expected"))
        return []
    for name, said in given.items():
        kind = said.get("type") if isinstance(said, dict) else None
        if kind not in TYPES and not DECIMAL.fullmatch(str(kind)):
            problems.append(
                Problem(file, f"columns.{name}.type", f"{kind!r} is none of {', '.join(TYPES)}, decimal(p,s)")
            )
    found = (
        _validated(
            Column, {"name": name, **(said if isinstance(said, dict) else {})}, f"{file}: columns.{name}", problems
        )
        for name, said in given.items()
    )
    return [column for column in found if column]


def _with_columns(table: Table, columns: list[Column], file: str, problems: list[Problem]) -> Table:
    for column in columns:
        if column.name in table.names or not column.nullable:
            why = "stands in the standard table already" if column.name in table.names else "must be nullable: true"
            problems.append(Problem(file, f"columns.{column.name}", why))
    added = [column for column in columns if column.name not in table.names]
    return table.model_copy(update={"columns": (*table.columns[:-2], *added, *table.columns[-2:])})


def _own_table(
    name: str, values: dict[str, Any], columns: list[Column], file: str, problems: list[Problem]
) -> Table | None:
    known = {"grain", "description", "key", "checks", "dated", "foreseen"}
    for key in sorted(set(values) - known):
        problems.append(Problem(file, key, f"no such key{_nearest(key, sorted(known | {'columns'}))}"))
    if lacking := [key for key in ("grain", "description", "key") if not values.get(key)]:
        problems.append(Problem(file, lacking[0], "is missing"))
        return None
    given = {key: value for key, value in values.items() if key in known}
    try:
        return silver(name, columns=columns, **given)
    except (ValidationError, TypeError) as wrong:
        first = wrong.errors()[0]["msg"] if isinstance(wrong, ValidationError) else str(wrong)
        problems.append(Problem(file, "", first.removeprefix("Value error, ")))
        return None
