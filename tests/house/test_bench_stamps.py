"""Stamps of kept measurements follow what code does, not where it stands or how it is described."""

from pathlib import Path

import pytest

from tests.bench.kept import stamp_of

ONE = '''"""A module."""

import math


def area(radius):
    """The area."""
    # Of a circle.
    return math.pi * radius**2
'''
TWO = "LIMIT = 3\n"


def _stamp(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return stamp_of(folder)


@pytest.mark.parametrize(
    "files",
    [
        {"deep/round.py": ONE, "limits.py": TWO},
        {"all.py": ONE + TWO},
        {"one.py": ONE.replace("The area.", "Of a circle, in square metres."), "two.py": "import os\n\n" + TWO},
        {"one.py": ONE.replace("    # Of a circle.\n", ""), "two.py": f"# How many.\n{TWO}"},
    ],
    ids=["moved and renamed", "put together", "docstring and imports", "comments"],
)
def test_the_same_behaviour_keeps_its_measurements(tmp_path: Path, files: dict[str, str]):
    assert _stamp(tmp_path / "new", files) == _stamp(tmp_path / "old", {"one.py": ONE, "two.py": TWO})


@pytest.mark.parametrize("old, new", [("**2", "**3"), ("radius", "diameter"), ("math.pi", "3.14"), ("area", "size")])
def test_other_behaviour_is_measured_again(tmp_path: Path, old: str, new: str):
    changed = {"one.py": ONE.replace(old, new), "two.py": TWO}
    assert _stamp(tmp_path / "new", changed) != _stamp(tmp_path / "old", {"one.py": ONE, "two.py": TWO})


def test_other_files_count_by_content(tmp_path: Path):
    (tmp_path / "pins.txt").write_text("numpy==2.0")
    before = stamp_of("peer", tmp_path / "pins.txt")
    (tmp_path / "pins.txt").write_text("numpy==2.1")
    assert stamp_of("peer", tmp_path / "pins.txt") != before
