"""Measurements that are kept: one JSON each, made again only when what it depends on has changed."""

from __future__ import annotations

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


def kept(path: Path, stamp: str, measure: Callable[[], Measurement]) -> Measurement:
    """The measurement in ``path`` if it bears ``stamp``, else a new one, which then stands there."""
    if path.exists() and (found := read(path)).get("stamp") == stamp:
        return found
    print(f"bench: {path.relative_to(HERE)}", flush=True)
    found = {"stamp": stamp, **measure()}
    write(path, found)
    return found


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
    """A hash of texts and of the contents of files."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update((part.read_bytes() if isinstance(part, Path) else part.encode()) + b"\0")
    return digest.hexdigest()[:16]


def engine_stamp(room: str = "models") -> str:
    """A hash of a room, the scorecard engine's if none is named: what figures of ours depend on, but for the data."""
    return stamp_of(*sorted((HERE.parents[1] / room).glob("*.py")))


def table(titles: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def runs(times: int) -> str:
    """How a figure comes from runs, in words."""
    return "one run" if times == 1 else f"medians of {times} runs"
