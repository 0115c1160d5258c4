"""Code that no job reaches is a door: its room's README names it. Whatever else only tests use has no place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("features", "graph", "models", "jobs")
Definition = tuple[str, str]
"""The module, by its name, and the function or class in it."""
# Reached from outside: mains by their names, models by MLflow, a workflow by its scheduler.
ENTRANCES = re.compile(r"strata\.jobs(\.\w+)?|strata\.jobs\.runtime\.(pyfunc|install)|strata\.jobs\.examples\.\w+")


@cache
def modules() -> dict[str, ast.Module]:
    """All code of the rooms and of their configuration, by module."""
    paths = [path for room in (*ROOMS, "conf") for path in (ROOT / room).rglob("*.py")]
    names = (".".join(("strata", *path.relative_to(ROOT).with_suffix("").parts)) for path in paths)
    return {
        name.removesuffix(".__init__"): ast.parse(path.read_text()) for name, path in zip(names, paths, strict=True)
    }


@cache
def imported(module: str) -> dict[str, tuple[str, str]]:
    """What each imported name is: a module and the name in it, which is empty for the module itself."""
    found = {}
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("strata."):
            for one in node.names:
                inner = f"{node.module}.{one.name}"
                found[one.asname or one.name] = (inner, "") if inner in modules() else (str(node.module), one.name)
    return found


@cache
def defined(module: str) -> dict[str, ast.stmt]:
    """What a module defines at its top: functions, classes, constants."""
    found: dict[str, ast.stmt] = {}
    for node in modules()[module].body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
            found.update(dict.fromkeys(names, node))
    return found


def resolved(module: str, name: str) -> Definition | None:
    """Where a name that a module uses is defined."""
    if module not in modules() or name in defined(module):
        return (module, name) if module in modules() else None
    source = imported(module).get(name)
    return resolved(*source) if source and source[1] else None


def uses(module: str, node: ast.AST) -> Iterator[Definition | None]:
    """What a piece of code uses, by its names and by those that it takes from modules."""
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            yield resolved(module, one.id)
        elif isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name):
            source = imported(module).get(one.value.id)
            if source and not source[1]:
                yield resolved(source[0], one.attr)


def reached(roots: Iterable[Definition]) -> set[Definition]:
    """Everything that the roots use, and what that uses."""
    seen, todo = set(roots), list(roots)
    while todo:
        module, name = todo.pop()
        new = {found for found in uses(module, defined(module)[name]) if found} - seen
        seen |= new
        todo += new
    return seen


def entrances() -> list[Definition]:
    return [(module, name) for module in modules() if ENTRANCES.fullmatch(module) for name in defined(module)]


@cache
def doors(room: str) -> str:
    """The section of a room's README that lists the calls which no job makes."""
    text = (ROOT / room / "README.md").read_text()
    return text.partition("\n## Calls that no job makes\n")[2].partition("\n## ")[0]


def named(room: str, name: str) -> bool:
    return re.search(rf"`[^`]*\b{name}\b[^`]*`", doors(room)) is not None


@pytest.mark.parametrize("room", ROOMS)
def test_what_no_job_reaches_is_a_door(room):
    here = [module for module in modules() if module.startswith(f"strata.{room}")]
    listed = {
        (module, name)
        for module in here
        for name, node in defined(module).items()
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and named(room, name)
    }
    known = reached({*entrances(), *listed})
    hidden = [
        f"{module}.{name}"
        for module in here
        for name, node in defined(module).items()
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (module, name) not in known
    ]
    assert hidden == [], f"use it in a job, list it in {room}/README.md as a call that no job makes, or remove it"


def test_a_listed_call_is_there_and_not_used_by_a_job():
    used = reached(entrances())
    for room in ROOMS[:-1]:
        names = {
            name: (module, name)
            for module in modules()
            if module.startswith(f"strata.{room}")
            for name, node in defined(module).items()
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        rows = [line.split("|")[1] for line in doors(room).splitlines() if line.startswith("| `")]
        listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
        assert listed and listed <= names.keys(), room
        assert {name for name in listed if names[name] in used} == set(), f"{room}: a job uses it"


def test_no_method_is_used_by_tests_alone():
    templates = (
        path.read_text() for path in (ROOT / "jobs" / "reports").rglob("*.*") if path.suffix in (".html", ".js")
    )
    code = "\n".join([*(ast.unparse(tree) for tree in modules().values()), *templates])
    times: dict[str, int] = {}
    for word in re.findall(r"\w+", code):
        times[word] = times.get(word, 0) + 1
    alone = [
        f"{module}.{kind.name}.{method.name}"
        for module, tree in modules().items()
        for kind in tree.body
        if isinstance(kind, ast.ClassDef)
        for method in kind.body
        if isinstance(method, ast.FunctionDef) and times[method.name] == 1
        if not re.match(r"__|visit_", method.name)
        and "validator" not in "".join(map(ast.unparse, method.decorator_list))
    ]
    room_of = {name: name.split(".")[1] for name in alone}
    texts = {room: (ROOT / room / "README.md").read_text() for room in room_of.values()}
    hidden = [name for name in alone if f"{name.split('.')[-2]}.{name.split('.')[-1]}`" not in texts[room_of[name]]]
    assert hidden == [], "use it, name it in the room's README, or remove it"
