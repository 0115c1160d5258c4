"""The catalogue's drawings, as inline SVG: a histogram the size of a word, and the map from tables to models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from strata.features.store.statistics import histogram

BAR, HEIGHT = 7, 28
LINE, TOP = 19, 26
# Where the three columns of the map stand, and how long a name may be before it is cut.
LEFT, MIDDLE, RIGHT, WIDTH, LONGEST = 116, 168, 300, 440, 28
LETTER = 5.6


def bars(ranks: Sequence[float], low: float, high: float) -> Markup:
    """The outline of a histogram: what lies below, twelve equal parts between the borders, what lies above."""
    counts = histogram(ranks, low, high)
    tallest = max(counts)
    parts = [_bar(place, HEIGHT * count / tallest) for place, count in enumerate(counts) if count]
    return Markup("".join(parts))


def _bar(place: int, height: float) -> str:
    return f"M{place * BAR} {HEIGHT}v-{max(height, 1):.3g}h{BAR - 1}v{max(height, 1):.3g}z"


@dataclass(frozen=True)
class Edge:
    """A line of the map: from and to whom, how many features it stands for, and whether it only says whose they are."""

    start: str
    end: str
    weight: int = 1
    is_link: bool = False


def lineage_map(
    tables: Sequence[str], views: Sequence[str], models: Mapping[str, str], into: Sequence[Edge], out: Sequence[Edge]
) -> Markup:
    """Tables, views and models in three columns, joined by lines as thick as many features they stand for.

    ``models`` are names by anchor. Every name leads to its place in the page.
    """
    ys = [_spread(names, max(len(tables), len(views), len(models))) for names in (tables, views, list(models))]
    height = TOP + LINE * max(len(tables), len(views), len(models))
    lines = [_line(edge, LEFT + 4, MIDDLE - 4, ys[0], ys[1]) for edge in into]
    lines += [_line(edge, _end(edge.start), RIGHT - 4, ys[1], ys[2]) for edge in out]
    names = [_name(f"table-{name}", name, LEFT, ys[0][name], "end") for name in tables]
    names += [_name(f"view-{name}", name, MIDDLE, ys[1][name], "start") for name in views]
    names += [_name(f"model-{anchor}", name, RIGHT, ys[2][anchor], "start") for anchor, name in models.items()]
    heads = ((LEFT, "source tables", "end"), (MIDDLE, "views", "start"), (RIGHT, "models", "start"))
    titles = [_text(x, 11, words, anchor, "head") for x, words, anchor in heads[: 3 if models else 2]]
    width = WIDTH if models else RIGHT - 40
    opened = (
        f'<svg class="map" viewBox="0 0 {width} {height}" style="max-width:{1.7 * width:.0f}px" role="img" '
        'aria-label="From tables to models">'
    )
    return Markup("".join([opened, *lines, *titles, *names, "</svg>"]))


def _spread(names: Sequence[str], longest: int) -> dict[str, float]:
    """Heights of names, evenly over the height of the longest column."""
    step = LINE * longest / max(len(names), 1)
    return {name: TOP + step * (place + 0.5) for place, name in enumerate(names)}


def _end(name: str) -> int:
    """Where the name of a view ends, about."""
    return round(MIDDLE + 4 + LETTER * len(name))


def _line(edge: Edge, x1: int, x2: int, from_: Mapping[str, float], to: Mapping[str, float]) -> str:
    y1, y2, half = from_[edge.start], to[edge.end], (x1 + x2) / 2
    width = 1 if edge.is_link else min(1 + edge.weight / 8, 6)
    dashed = ' class="link"' if edge.is_link else ""
    curve = f"M{x1} {y1:.4g}C{half:g} {y1:.4g} {half:g} {y2:.4g} {x2} {y2:.4g}"
    return f'<path{dashed} d="{curve}" stroke-width="{width:.2g}"/>'


def _name(anchor: str, name: str, x: int, y: float, side: str) -> str:
    return f'<a href="#{escape(anchor)}">{_text(x, y + 3.5, name, side, "name")}</a>'


def _text(x: int, y: float, words: str, side: str, style: str) -> str:
    cut = words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
    return f'<text x="{x}" y="{y:.4g}" text-anchor="{side}" class="{style}">{escape(cut)}</text>'
