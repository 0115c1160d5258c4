"""What a view's preparation reaches decides its hash: helpers and configuration, not words, files or module names."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from strata.conf import simulation
from strata.features import FeatureError
from strata.features.definitions.code_fingerprint import fingerprint, reached_texts
from strata.features.definitions.view import FeatureView
from strata.features.engine import geohash
from strata.features.views import customer_views

HELPERS = '''
"""Helpers."""
from datetime import date
from enum import Enum
from functools import cache, wraps

LETTERS, FIRST = 7, date(2025, 1, 1)


class Kind(Enum):
    HOME = "home"


class Scale:
    """Scales."""

    FACTOR = 3

    def applied(self, value):
        return value * self.FACTOR


def logged(function):
    @wraps(function)
    def wrapper(*given):
        return function(*given)

    return wrapper


@logged
def cut(rows, letters=LETTERS):
    """Cuts."""
    return rows[:letters]  # From the left.


@cache
def names():
    return frozenset({"b", "a", "c"})


def unused(rows):
    return rows
'''
VIEW = '''
"""A view."""
from pyspark.sql import functions as F

from {package} import {helpers} as tools
from {package}.{helpers} import Kind, Scale, cut, names
from strata.conf.simulation import load_calendar

DAYS = {{"long": 30, "short": [7, 14]}}


def factory(limit):
    def made(rows):
        return cut(rows, limit)

    return made


def prepare(rows):
    """Prepares."""
    kept = [row for row in cut(rows) if row in names() and row != Kind.HOME]
    return Scale().applied(tools.cut(kept)), DAYS["long"], F.lit(1), sorted(load_calendar().holidays), tools.FIRST


limited, other = factory(3), lambda rows: rows + 1; twice = lambda rows: rows + 2


def late(rows):
    from {package}.{helpers} import cut as shortened

    return shortened(rows)
'''


NUMBERS = count()


class Rooms:
    """Packages written anew for every question, each under a name of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.syspath_prepend(str(folder))

    def view(self, *, helpers: str = HELPERS, view: str = VIEW, module: str = "helpers") -> Any:
        package = f"own_room_{next(NUMBERS)}"
        home = self.folder / package
        home.mkdir()
        (home / "__init__.py").touch()
        (home / f"{module}.py").write_text(helpers)
        (home / "view.py").write_text(view.format(package=package, helpers=module))
        importlib.invalidate_caches()
        return importlib.import_module(f"{package}.view")


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    return Rooms(tmp_path, monkeypatch)


def changed(text: str, before: str, after: str) -> str:
    assert before in text
    return text.replace(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("rows[:letters]", "rows[1:letters]"),
        ("LETTERS, FIRST = 7", "LETTERS, FIRST = 8"),
        ("date(2025, 1, 1)", "date(2025, 1, 2)"),
        ('HOME = "home"', 'HOME = "house"'),
        ("FACTOR = 3", "FACTOR = 4"),
        ("value * self.FACTOR", "value + self.FACTOR"),
        ("return function(*given)", "return function(*given[:1])"),
        ('"b", "a", "c"', '"b", "a"'),
    ],
)
def test_a_changed_helper_changes_the_hash(rooms, before, after):
    other = rooms.view(helpers=changed(HELPERS, before, after))
    assert fingerprint(other.prepare) != fingerprint(rooms.view().prepare)


@pytest.mark.parametrize(
    ("before", "after"),
    [('"long": 30', '"long": 31'), ("[7, 14]", "[7, 15]"), ("F.lit(1)", "F.lit(2)"), ("F.lit(1)", "F.expr(1)")],
)
def test_what_the_function_itself_reads_changes_the_hash(rooms, before, after):
    assert fingerprint(rooms.view(view=changed(VIEW, before, after)).prepare) != fingerprint(rooms.view().prepare)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""Cuts."""', '"""Cuts what is\n    too long."""'),
        ("# From the left.", "# From the other side."),
        ('    """Scales."""\n', ""),
        ("def unused(rows):\n    return rows", "def unused(rows):\n    return [*rows]"),
        ("def cut(rows, letters=LETTERS):", "def cut(rows: list[str], letters: int = LETTERS) -> list[str]:"),
        ("LETTERS, FIRST =", "\n\nLETTERS,   FIRST ="),
    ],
)
def test_words_annotations_and_what_is_not_reached_do_not(rooms, before, after):
    other = rooms.view(helpers=changed(HELPERS, before, after))
    assert fingerprint(other.prepare) == fingerprint(rooms.view().prepare)


def test_modules_and_helpers_may_be_renamed_and_moved(rooms):
    usual = fingerprint(rooms.view().prepare)
    assert fingerprint(rooms.view(module="elsewhere").prepare) == usual
    renamed = rooms.view(
        helpers=changed(HELPERS, "def cut(", "def shorten("),
        view=changed(changed(VIEW, "cut(", "shorten("), "Scale, cut,", "Scale, shorten,").replace(
            "import cut", "import shorten"
        ),
    )
    assert fingerprint(renamed.prepare) == usual
    here = HELPERS + VIEW.split("DAYS", 1)[1].join(
        ["\nfrom pyspark.sql import functions as F\nfrom strata.conf.simulation import load_calendar\n\nDAYS", ""]
    )
    here = here.replace("tools.", "").replace("{{", "{").replace("}}", "}").split("def late")[0]
    assert fingerprint(rooms.view(view=here.replace("{", "{{").replace("}", "}}")).prepare) == usual


def test_closures_lambdas_partials_and_inner_imports_are_told_apart(rooms):
    room = rooms.view()
    functions: list[Callable[..., Any]] = [
        room.prepare, room.limited, room.other, room.twice, room.late, room.factory(4),
        partial(room.late, 1), partial(room.late, 2),
    ]  # fmt: skip
    assert len({fingerprint(function) for function in functions}) == len(functions)
    assert fingerprint(room.factory(3)) == fingerprint(room.limited)
    other = rooms.view(helpers=changed(HELPERS, "rows[:letters]", "rows[1:letters]"))
    assert fingerprint(other.late) != fingerprint(room.late) and fingerprint(other.other) == fingerprint(room.other)


def test_code_without_a_source_is_refused():
    scope: dict[str, Any] = {"__name__": "own_room"}
    exec("def made(rows):\n    return rows", scope)
    with pytest.raises(FeatureError, match="made has no source to hash; define it in a file"):
        fingerprint(scope["made"])


def test_the_hash_is_the_same_in_every_process():
    script = (
        "from strata.features.views import customer_views;"
        "print(*(view.definition_hash for view in customer_views() if view.prepare))"
    )
    here = " ".join(view.definition_hash for view in customer_views() if view.prepare)
    for seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert there.stdout.strip() == here


def prepared_view(name: str) -> FeatureView:
    """The bank's view, to be hashed anew."""
    found = next(view for view in customer_views() if view.name == name)
    return replace(found)


def test_the_banks_views_follow_the_geohash_helper_and_the_calendar(monkeypatch):
    places, holidays = prepared_view("presence").definition_hash, prepared_view("flows").definition_hash
    monkeypatch.setattr(geohash, "BASE32", geohash.BASE32[::-1])
    assert prepared_view("presence").definition_hash != places
    assert prepared_view("flows").definition_hash == holidays
    usual = simulation.load_calendar()
    fewer = usual.model_copy(update={"holidays": frozenset(sorted(usual.holidays)[1:])})
    monkeypatch.setattr("strata.features.views.common.load_calendar", _loading(fewer))
    assert prepared_view("flows").definition_hash != holidays
    # Festivals are in the same file and nothing to this view.
    festivals = usual.model_copy(update={"spring_festival": ()})
    monkeypatch.setattr("strata.features.views.common.load_calendar", _loading(festivals))
    assert prepared_view("flows").definition_hash == holidays


def _loading(calendar: simulation.Calendar) -> Callable[[], simulation.Calendar]:
    def load_calendar() -> simulation.Calendar:
        return calendar

    load_calendar.__module__ = simulation.__name__
    return load_calendar


def test_who_exists_and_since_when_is_part_of_the_definition():
    view = prepared_view("presence")
    other = replace(view, entity=replace(view.entity, until="another_end"))
    assert other.definition_hash != view.definition_hash


def test_the_texts_reached_name_the_columns_that_helpers_read():
    texts = reached_texts(prepared_view("presence").prepare)
    assert "geohash7" in " ".join(texts) and not any("Niemeyer" in text for text in texts)
