"""How the code reads, in figures: sizes of functions and files, density, names, docstrings; ``make check`` prints it.

A thermometer: a thought is not to be split to please it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[1]
ROOMS = ("conf", "features", "graph", "models", "jobs")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Measure:
    """One figure with what it is to keep."""

    name: str
    value: float
    most: float | None
    unit: str = ""

    def __str__(self) -> str:
        goal = "" if self.most is None else f" (at most {self.most:g})"
        mark = "" if self.most is None or self.value <= self.most else "  <- above"
        return f"  {self.name:<48} {self.value:>8.1f}{self.unit}{goal}{mark}"


def sources() -> Iterator[Path]:
    """The Python files of the rooms."""
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def measures() -> list[Measure]:
    """Every measure over all rooms."""
    texts = {path: path.read_text(encoding="utf-8") for path in sources()}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    functions = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, Function)]
    lengths = [_code_lines(node) for node in functions]
    nodes = [sum(1 for _ in ast.walk(node)) for node in functions]
    lines = [line for text in texts.values() for line in text.splitlines()]
    public = [
        node for tree in trees.values() for node in tree.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    ]  # fmt: skip
    named = [node.name for node in public if isinstance(node, Function)]
    return [
        Measure("files", len(texts), None),
        Measure("lines", len(lines), None),
        Measure("median lines of a function", median(lengths), 10),
        Measure("90th percentile of lines of a function", quantiles(lengths, n=10)[-1], 30),
        Measure("files of over 300 lines", sum(len(text.splitlines()) > 300 for text in texts.values()), 0),
        Measure("lines of over 100 characters", 100 * sum(len(line) > 100 for line in lines) / len(lines), 0, " %"),
        Measure("90th percentile of syntax nodes of a function", quantiles(nodes, n=10)[-1], 180),
        Measure("public functions named by one word", 100 * sum("_" not in n for n in named) / len(named), 40, " %"),
        Measure("public without docstring", sum(ast.get_docstring(node) is None for node in public), 0),
    ]


def _code_lines(node: Function) -> int:
    """Lines of a function without its docstring."""
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


if __name__ == "__main__":
    print("measures of the code:", *measures(), sep="\n")
