"""One self-contained HTML page from sections of words, figures and tables: no script, no outside file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """An inline SVG with the sentence that says what to see in it."""

    svg: str
    caption: str

    @property
    def markup(self) -> Markup:
        """The SVG as markup: it comes from our own charts, never from data."""
        return Markup(self.svg)


@dataclass(frozen=True)
class Sheet:
    """A table of rows already short enough to read."""

    titles: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""
    # Long ones wait behind their caption until somebody opens them.
    folded: bool = False

    def heads(self) -> Iterable[tuple[str, bool]]:
        """Titles, and whether numbers stand below them."""
        below = (next((value for value in column if value is not None), None) for column in zip(*self.rows))
        return ((title, _is_number(value)) for title, value in zip_longest(self.titles, below))

    def cells(self) -> Iterable[list[tuple[str, bool]]]:
        """Rows of (text, is a number, or a gap between numbers)."""
        numbers = [number for _, number in self.heads()]
        return (
            [(shown(value), _is_number(value) or (value is None and number)) for value, number in zip(row, numbers)]
            for row in self.rows
        )


@dataclass(frozen=True)
class Section:
    """A heading, what it says in words, then what backs it."""

    title: str
    lead: str
    notes: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    sheets: Sequence[Sheet] = ()

    @property
    def anchor(self) -> str:
        """The section's address in the page."""
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True)
class Tile:
    """One number that people look for first."""

    value: str
    label: str


@dataclass(frozen=True)
class Page:
    """A page: title, the tiles on top, and the sections."""

    title: str
    lead: str
    tiles: Sequence[Tile]
    sections: Sequence[Section]
    facts: dict[str, str] = field(default_factory=dict)

    def html(self) -> str:
        """The page as one HTML text; every value is escaped."""
        return rendered("page.html", page=self)

    def write(self, path: Path) -> Path:
        """Write the page whole or not at all."""
        return written(path, self.html())


def rendered(template: str, **values: object) -> str:
    """A template of this folder with its values; each is escaped, and none may be missing."""
    environment = Environment(
        loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(template).render(**values)


def written(path: Path, html: str) -> Path:
    """Write ``html`` to ``path``, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_text(html, encoding="utf-8")
    return draft.replace(path)


def _template(name: str) -> str:
    return files("strata.jobs.reports").joinpath("templates", name).read_text(encoding="utf-8")


def shown(value: object) -> str:
    """A cell as people read it: thousands parted, few decimals, a dash for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float | Decimal):
        size = abs(float(value))
        return f"{value:,.0f}" if size >= 1000 else f"{value:.3g}" if size < 0.1 else f"{value:,.3f}"
    if isinstance(value, datetime | date):
        return value.isoformat()[:10]
    return str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
