"""One case of the network as a page: a picture of its ties to move and to ask, its evidence, and what happened when."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from markupsafe import Markup

from strata.jobs.reports.pages.page import Sheet, Tile, rendered

WIDTH, HEIGHT = 760, 460
# More is no picture any more; who is left out is said.
MOST_NODES = 150
LANE, LEFT, RIGHT, HEAD = 22, 150, 20, 26
# Colours told apart also by who sees no red or green (Okabe and Ito 2008).
COLOURS = {
    "customer": "#0b5c8a", "phone": "#e69f00", "device": "#009e73", "account": "#56b4e9", "counterparty": "#999999",
    "address": "#cc79a7", "employer": "#f0e442",
}  # fmt: skip
EVENTS = {
    "tie": ("tie known", "#8796a5"), "money": ("money moved", "#009e73"), "applied": ("applied", "#0b5c8a"),
    "bad": ("past due", "#c8553d"),
}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """Somebody or something in the picture: its key (``entity:id``), label, what is to be said of it."""

    key: str
    label: str
    marks: tuple[str, ...] = ()
    # Known to be bad: drawn with a ring.
    marked: bool = False

    @property
    def entity(self) -> str:
        """What it is: customer, phone, …"""
        return self.key.partition(":")[0]


@dataclass(frozen=True)
class Tie:
    """A line of the picture, with the words that are shown when it is touched."""

    src: str
    dst: str
    kind: str
    words: str
    directed: bool = False


@dataclass(frozen=True)
class Event:
    """Something that happened to a node: a dot of the timeline. ``kind`` is a key of ``EVENTS``."""

    key: str
    at: datetime
    kind: str
    words: str


@dataclass(frozen=True)
class Case:
    """The page: what was found in words, the picture, the evidence, the timeline."""

    title: str
    lead: str
    nodes: Sequence[Node]
    ties: Sequence[Tie]
    events: Sequence[Event]
    sheets: Sequence[Sheet]
    tiles: Sequence[Tile] = ()
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def drawn(self) -> Sequence[Node]:
        """The nodes of the picture: those with most ties, when there are too many."""
        degree: dict[str, int] = {}
        for tie in self.ties:
            for end in (tie.src, tie.dst):
                degree[end] = degree.get(end, 0) + 1
        ranked = sorted(self.nodes, key=lambda node: (not node.marked, -degree.get(node.key, 0), node.key))
        return ranked[:MOST_NODES]

    @property
    def left_out(self) -> int:
        """How many nodes are not in the picture."""
        return len(self.nodes) - len(self.drawn)

    @property
    def has_marks(self) -> bool:
        """Whether somebody in the picture has a red ring."""
        return any(node.marked for node in self.drawn)

    @property
    def entities(self) -> list[tuple[str, str]]:
        """The legend: what is in the picture, and its colour."""
        there = {node.entity for node in self.drawn}
        return [(name, colour) for name, colour in COLOURS.items() if name in there]

    @property
    def graph(self) -> Markup:
        """The picture's data as JSON that can stand in a script."""
        places = {node.key: place for place, node in enumerate(self.drawn)}
        nodes = [
            {**asdict(node), "colour": COLOURS.get(node.entity, "#999999"), "entity": node.entity, "x": x, "y": y}
            for node, (x, y) in zip(self.drawn, _ring(len(places)), strict=True)
        ]
        ties = [
            {**asdict(tie), "src": places[tie.src], "dst": places[tie.dst]}
            for tie in self.ties
            if tie.src in places and tie.dst in places
        ]
        text = json.dumps({"nodes": nodes, "ties": ties, "width": WIDTH, "height": HEIGHT}, ensure_ascii=False)
        return Markup(text.replace("</", "<\\/"))

    @property
    def timeline(self) -> Timeline | None:
        """What happened to whom, from left to right; nothing without a dated event."""
        return Timeline(self.events, {node.key: node.label for node in self.nodes}) if self.events else None

    def html(self) -> str:
        """The page as one HTML text; every value is escaped."""
        return rendered("case.html", page=self, width=WIDTH, height=HEIGHT)


@dataclass(frozen=True)
class Timeline:
    """Dots in lanes, one lane a node; time runs to the right."""

    events: Sequence[Event]
    labels: dict[str, str]

    @property
    def lanes(self) -> list[tuple[str, int]]:
        """Label and height of each lane, in the order in which something first happened."""
        keys = dict.fromkeys(event.key for event in sorted(self.events, key=lambda event: event.at))
        return [(self.labels.get(key, key), HEAD + LANE * place) for place, key in enumerate(keys)]

    @property
    def height(self) -> int:
        """Height of the drawing."""
        return HEAD + LANE * len(self.lanes) + 6

    @property
    def dots(self) -> list[tuple[float, int, str, str]]:
        """x, y, colour and words of each event."""
        ordered = sorted(self.events, key=lambda event: event.at)
        lanes = {key: place for place, key in enumerate(dict.fromkeys(event.key for event in ordered))}
        return [
            (self._x(event.at), HEAD + LANE * lanes[event.key], EVENTS[event.kind][1],
             f"{event.at:%Y-%m-%d %H:%M} {event.words}")
            for event in ordered
        ]  # fmt: skip

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Words and colour of each kind of event that there is."""
        there = {event.kind for event in self.events}
        return [told for kind, told in EVENTS.items() if kind in there]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Where the first, middle and last day stand: x and the day."""
        first, last = self._span
        days = [first + (last - first) * place / 2 for place in range(3)]
        return [(self._x(day), f"{day:%Y-%m-%d}") for day in days]

    @property
    def _span(self) -> tuple[datetime, datetime]:
        times = [event.at for event in self.events]
        return min(times), max(times)

    def _x(self, at: datetime) -> float:
        first, last = self._span
        share = (at - first) / (last - first) if last > first else 0.5
        return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)


def _ring(count: int) -> list[tuple[float, float]]:
    """Places on a ring, from which the picture unfolds; they stand so where no script runs."""
    angles = (2 * math.pi * place / max(count, 1) for place in range(count))
    return [
        (round(WIDTH / 2 + 0.42 * WIDTH * math.cos(a), 1), round(HEIGHT / 2 + 0.42 * HEIGHT * math.sin(a), 1))
        for a in angles
    ]
