"""From a folder to a bank: YAML read into checked values, every problem with its file, its key and what to write there.

A bank's folder has ``bank.yml`` and ``feeds/*.yml``; where it needs them, ``tables/*.yml`` (silver tables of its own,
or columns beside the standard ones), ``functions.py`` (what can't be declared), ``views/*.py`` and ``models/*.py``
(views and models of its own). Spark is never started.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from strata.conf.banks.bank import Bank
from strata.conf.banks.feeds import Feed
from strata.conf.banks.problems import DECIMAL, TYPES, Problem, feed_problems, function_problems, hint
from strata.conf.contracts import Column, Table
from strata.conf.policies import PolicyError, bank_policies
from strata.conf.tables import SILVER
from strata.conf.tables.shapes import silver

SHIPPED_IN = Path(__file__).parent
DECLARED_IN = (
    "bank.yml", "feeds/*.yml", "tables/*.yml", "functions.py", "views/*.py", "models/*.py", "policies/*.yml",
)  # fmt: skip
M = TypeVar("M", bound=BaseModel)


class BankError(ValueError):
    """A bank's folder can't be used; the message names file, key and what is expected, and how many problems more."""


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
        problems += feed_problems(feed, tables, filled)
    problems += _policy_problems(folder)
    values = _parsed(folder / "bank.yml", problems)
    if problems:
        return None, problems
    feeds = [feed.with_columns(tables[feed.fills[0].table]) for feed in feeds]
    given = {**values, "folder": folder, "digest": _digest(folder), "feeds": feeds, "silver": tables}
    given["own_tables"] = (*own, *extended)
    bank = _validated(Bank, given, "bank.yml", problems, hidden=("folder", "digest", "feeds", "silver", "own_tables"))
    problems += function_problems(folder, feeds)
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
                problems.append(Problem(file, key, f"no such key{hint(str(error['loc'][-1]), allowed)}"))
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


def _order_problems(bank: Bank) -> list[Problem]:
    try:
        _ = bank.ranks
    except ValueError as wrong:
        return [Problem("feeds", "", str(wrong))]
    return []


def _policy_problems(folder: Path) -> list[Problem]:
    """What is wrong with the bank's own policies."""
    try:
        bank_policies(folder)
    except PolicyError as wrong:
        place, _, said = str(wrong).removeprefix(f"{folder}/").partition(": ")
        return [Problem(place, "", said)]
    return []


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
        problems.append(Problem(file, key, f"no such key{hint(key, sorted(known | {'columns'}))}"))
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
