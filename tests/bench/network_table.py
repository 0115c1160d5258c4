"""The table of part network_speed: who took how long, how it grows, and which goals are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tests.bench.features_table import Goal, Ratio, exponent, seconds
from tests.bench.kept import Measurement, runs, table
from tests.bench.network_data import LARGEST_SHARE, SEEDS, SMALLEST, Net
from tests.bench.peer import CAP_BYTES, CAP_SECONDS, Peer

OURS = "strata_network"
TIMES = ("seconds", "again_seconds")
# Ranks that differ by less in all, after as many steps, are the same to the last digits that doubles carry.
ALIKE = 1e-9
PREFACE = f"""# How fast the graph room is

Made-up graphs (`network_data.py`): three edges a vertex, both ends within one group; groups of {SMALLEST} upwards,
their sizes by a power law, the largest at most {LARGEST_SHARE:.0%} of the vertices. Ids are 1 to n: SciPy and igraph
need no map. Each run is a process of its own on 2 cores, from Parquet to Parquet; {{runs}}.
Spark, ours and GraphFrames': `local[2]`, 6 GiB driver, 4 shuffle partitions. "First" is in a cold session, whose start
is apart; "again" is the same job once more in that session. Who has no session is compared by the one time there is.
Peak memory is that of the process and its children. A run ends at {CAP_SECONDS} s or {CAP_BYTES / 2**30:.0f} GiB
resident: then its seconds are a lower bound (≥), for larger graphs too. "× ours" is against Strata on the same graph.

GraphFrames 0.10: `two_phase` is its default for components (`algorithm="graphframes"`), `graphx` the other one, with
`max_iter` passed because its default breaks long chains. PageRank runs 20 steps, ours and GraphFrames'; igraph solves
it to convergence. Personalised PageRank starts from {SEEDS} seeds together; GraphFrames walks from each of them apart
(`parallelPersonalizedPageRank`), of which the mean is taken. Components are compared by a checksum of who is with
whom, ranks by how much of the rank of 2,000 vertices lies elsewhere: GraphX lets the rank of sinks leak, so it differs.
"""
TASKS = {"components": "Components", "pagerank": "PageRank", "personalised": "Personalised PageRank"}
WAYS = {
    "components_graphframes_two_phase": "GraphFrames, two_phase (default)",
    "components_graphframes_graphx": "GraphFrames, graphx",
    "components_splink": "splink's clustering on DuckDB",
    "components_scipy": "SciPy, one process",
    "pagerank_graphframes": "GraphFrames",
    "pagerank_igraph": "igraph, one process",
    "personalised_graphframes": "GraphFrames",
    "personalised_igraph": "igraph, one process",
}


@dataclass(frozen=True)
class Entry:
    """A peer, the task, and which of its ways."""

    peer: str
    task: str
    way: str = ""

    @property
    def name(self) -> str:
        """Task, peer and way."""
        return "_".join(part for part in (self.task, self.peer, self.way) if part)

    @property
    def script(self) -> Peer:
        """What runs it."""
        return Peer(self.peer, room="graph", common="features_common.py")


@dataclass(frozen=True)
class Figures:
    """All measurements: by graph and entry; ours of a star and of an even graph with as many edges."""

    times: int
    compared: Mapping[Net, Mapping[Entry, Measurement]]
    hub: Mapping[str, Measurement]
    leaves: int

    @property
    def largest(self) -> Net:
        """The graph that goals are about."""
        return max(self.compared, key=lambda net: net.edges)

    def grown(self, entry: Entry) -> dict[float, Measurement]:
        """An entry by number of edges."""
        return {net.edges: entries[entry] for net, entries in self.compared.items()}


def network_table(figures: Figures) -> str:
    """Goals, a section a graph and task, growth, and the star."""
    tasks = list(dict.fromkeys(entry.task for entry in figures.compared[figures.largest]))
    nets = sorted(figures.compared, key=lambda net: -net.edges)
    return "".join(
        [
            PREFACE.format(runs=runs(figures.times)),
            "\n## Goals\n\n",
            table(["goal", "first", "met", "again", "met"], [goal.row() for goal in goals(figures)]),
            *(_beside(figures, net, task) for net in nets for task in tasks),
            _growth(figures),
            _star(figures),
        ]
    )


def goals(figures: Figures) -> Iterator[Goal]:
    """What the graph room is to reach, at the largest size."""
    ways = [Entry("graphframes", "components", way) for way in ("two_phase", "graphx")]
    ours = Entry(OURS, "components")
    faster = [_least([_ratio(figures, way, turn) for way in ways]) for turn in TIMES]
    yield Goal("components: at least 5× faster than GraphFrames' faster algorithm", faster, 5, at_least=True)
    default = [_ratio(figures, ways[0], turn) for turn in TIMES]
    yield Goal("components: at least 15× faster than its default", default, 15, at_least=True)
    slopes = [Ratio(_exponent(figures.grown(ours), turn)) for turn in TIMES]
    yield Goal("components: exponent of growth at most 1.2", slopes, 1.2, unit="")
    slower = [Ratio(_hub_ratio(figures, turn)) for turn in TIMES]
    yield Goal(f"components of a star of {figures.leaves:,} leaves: at most 2× slower than an even graph", slower, 2)


def _ratio(figures: Figures, entry: Entry, turn: str) -> Ratio:
    """How many times longer than ours it takes on the largest graph."""
    entries = figures.compared[figures.largest]
    one, ours = entries[entry], entries[Entry(OURS, entry.task)]
    if turn not in ours or not _compares(one):
        return Ratio(None)
    return Ratio(seconds(one, turn) / ours[turn], "seconds" not in one)


def _least(ratios: list[Ratio]) -> Ratio:
    return min((ratio for ratio in ratios if ratio.value), key=lambda ratio: ratio.value or 0.0, default=Ratio(None))


def _compares(one: Measurement) -> bool:
    """Whether its time, or a lower bound of it, is known."""
    return "seconds" in one or one["runs"][-1]["status"] == "timed out"


def _exponent(grown: Mapping[float, Measurement], turn: str) -> float | None:
    return exponent(grown, turn) if len(grown) > 1 else None


def _hub_ratio(figures: Figures, turn: str) -> float | None:
    star, even = (figures.hub[shape].get(turn) for shape in ("star", "even"))
    return None if star is None or even is None else star / even


def _beside(figures: Figures, net: Net, task: str) -> str:
    entries = {entry: one for entry, one in figures.compared[net].items() if entry.task == task}
    ours = entries[Entry(OURS, task)]
    titles = ["who", "session s", "first s", "× ours", "again s", "× ours", "peak GB", "answers"]
    lines = [
        [
            WAYS.get(entry.name, "Strata"),
            _session(one),
            *_times(one, ours, "seconds"),
            *_times(one, ours, "again_seconds"),
        ]
        + [f"{max(run['peak_bytes'] for run in one['runs']) / 1e9:.1f}", _answers(one, ours, task)]
        for entry, one in entries.items()
    ]
    return f"\n## {TASKS[task]}: {net.vertices:,} vertices, {net.edges:,} edges\n\n" + table(titles, lines)


def _session(one: Measurement) -> str:
    found = [run["session_seconds"] for run in one["runs"] if "session_seconds" in run]
    return f"{np.median(found):.1f}" if found else ""


def _times(one: Measurement, ours: Measurement, turn: str) -> list[str]:
    """Seconds and their ratio to ours; a peer that has no session is compared by its only time."""
    status = one["runs"][-1]["status"]
    bound = "" if "seconds" in one else "≥ " if status == "timed out" else f"{status} at "
    shown = "" if turn == "again_seconds" and turn not in one else f"{bound}{seconds(one, turn):.1f}"
    if turn not in ours or not _compares(one):
        return [shown, ""]
    ratio = seconds(one, turn) / ours[turn]
    return [shown, f"{bound}{ratio:.{1 if ratio >= 1 else 2}f}"]


def _answers(one: Measurement, ours: Measurement, task: str) -> str:
    if not one["answer"] or not ours["answer"]:
        return ""
    if task == "components":
        groups = f"{one['answer']['components']:,} groups"
        return groups if one is ours else f"{groups}, {'the same' if one['answer'] == ours['answer'] else 'others'}"
    ranks, own = (np.array(which["answer"]["ranks"]) for which in (one, ours))
    elsewhere = float(np.abs(ranks - own).sum() / 2 / own.sum())
    return "" if one is ours else "the same" if elsewhere < ALIKE else f"{elsewhere:.2%} of the rank elsewhere"


def _growth(figures: Figures) -> str:
    """Exponents with the number of edges of all that ended at every size."""
    lines = []
    for entry in figures.compared[figures.largest]:
        slopes = [_exponent(figures.grown(entry), turn) for turn in TIMES]
        lines.append(
            [TASKS[entry.task], WAYS.get(entry.name, "Strata"), *("" if s is None else f"{s:.2f}" for s in slopes)]
        )
    edges = ", ".join(f"{net.edges:,}" for net in figures.compared)
    title = f"\n## Growth over {edges} edges: seconds ~ edges^exponent\n\n"
    return title + table(["task", "who", "first", "again"], lines)


def _star(figures: Figures) -> str:
    names = {"even": "ends at random, none has many", "star": "all tied to one"}
    lines = [
        [names[shape], *(f"{one[turn]:.1f}" if turn in one else one["runs"][-1]["status"] for turn in TIMES)]
        for shape, one in figures.hub.items()
    ]
    title = f"\n## Strata's components of a star: {figures.leaves + 1:,} vertices, {figures.leaves:,} edges\n\n"
    return title + table(["graph", "first s", "again s"], lines)
