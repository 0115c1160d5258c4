"""Measurements that are kept: one JSON each, made again only when what it depends on has changed."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS, SCRATCH = HERE / "results", HERE / ".scratch"
Measurement = dict[str, Any]
# The packages of ``models`` that a scorecard and its challenger are made by.
SCORECARD_ENGINE = ("binning", "boosting", "evaluation", "readings", "samples", "scorecard", "validation")
# After so many seconds of its runs nobody is run again.
REPEAT_WITHIN = 300


def kept(path: Path, stamp: str, measure: Callable[[], Measurement]) -> Measurement:
    """The measurement in ``path`` if it bears ``stamp``, else a new one, which then stands there."""
    if path.exists() and (found := read(path)).get("stamp") == stamp:
        return found
    print(f"bench: {path.relative_to(HERE)}", flush=True)
    found = {"stamp": stamp, **measure()}
    write(path, found)
    return found


def kept_runs(path: Path, stamp: str, times: int, run: Callable[[int], Measurement]) -> Measurement:
    """``runs``, up to ``times`` of them: those that stand in ``path`` under ``stamp``, and new ones, kept as they end.

    ``run`` is told how many there are. One that isn't done is the last, and so is one that ends after ``REPEAT_WITHIN``
    seconds of them.
    """
    found = read(path) if path.exists() else {}
    if found.get("stamp") != stamp:
        found = {"stamp": stamp, "runs": []}
    runs = found["runs"]
    while _goes_on(runs, times):
        print(f"bench: {path.relative_to(HERE)}, run {len(runs) + 1}", flush=True)
        runs.append(run(len(runs)))
        write(path, found)
    return found


def _goes_on(runs: list[Measurement], times: int) -> bool:
    if not runs:
        return True
    spent = sum(one["wall_seconds"] for one in runs)
    return len(runs) < times and runs[-1]["status"] == "done" and spent < REPEAT_WITHIN


def apart(module: str, *arguments: int) -> Measurement:
    """What ``tests.bench.<module>`` measures in a process, and so a memory, of its own."""
    given = [str(argument) for argument in arguments]
    answer = SCRATCH / "jobs" / f"{'_'.join([module, *given])}.json"
    subprocess.run([sys.executable, "-m", f"tests.bench.{module}", *given, str(answer)], check=True)
    return read(answer)


def cleared(output: Path) -> None:
    """Away with a peer's answer: Spark writes a folder, the others a file."""
    if output.is_dir():
        shutil.rmtree(output)
    output.unlink(missing_ok=True)


def medians(found: list[Measurement], times: Sequence[str]) -> dict[str, float]:
    """Of each of ``times`` that every run came to."""
    told = [key for key in times if all(key in run for run in found)]
    return {key: statistics.median(run[key] for run in found) for key in told}


def read(path: Path) -> Measurement:
    """What ``write`` wrote."""
    found: Measurement = json.loads(path.read_text())
    return found


def write(path: Path, found: Measurement) -> None:
    """Whole or not at all, so that a killed bench leaves nothing half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1) + "\n")
    part.replace(path)


def stamp_of(*parts: str | Path) -> str:
    """A hash of texts, of what Python code does, and of the contents of other files.

    Of a folder all its Python files count. Of code every top-level statement counts, wherever it stands: files may be
    moved, split and renamed, docstrings, comments and imports changed, and what was measured still holds.
    """
    files = [file for part in parts if isinstance(part, Path) for file in _files(part)]
    code = sorted(statement for file in files if file.suffix == ".py" for statement in _statements(file))
    others = [part.encode() for part in parts if isinstance(part, str)]
    others += [file.read_bytes() for file in files if file.suffix != ".py"]
    digest = hashlib.sha256()
    for one in (*others, *(statement.encode() for statement in code)):
        digest.update(one + b"\0")
    return digest.hexdigest()[:16]


def _files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


def _statements(file: Path) -> list[str]:
    """The top-level statements of a file without imports and docstrings, each as its syntax tree."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [inner for inner in body if not _says_nothing_to_python(inner)]  # type: ignore[attr-defined]
    return [ast.dump(node) for node in tree.body]


def _says_nothing_to_python(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def engine_stamp(room: str = "models") -> str:
    """A hash of a room, of ``models`` the scorecard engine alone: what figures of ours depend on, but for the data."""
    place = HERE.parents[1] / room
    return stamp_of(*(place / part for part in SCORECARD_ENGINE)) if room == "models" else stamp_of(place)


def table(titles: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def runs(times: int) -> str:
    """How a figure comes from runs, in words."""
    return "one run" if times == 1 else f"medians of {times} runs, of fewer where {REPEAT_WITHIN} s are over before"
