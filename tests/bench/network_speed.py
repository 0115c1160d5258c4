"""Part network_speed: components and PageRank of the graph room beside GraphFrames, splink, SciPy and igraph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from strata.jobs.runtime.install import jar_paths
from tests.bench.kept import RESULTS, SCRATCH, Measurement, cleared, kept_runs, medians, stamp_of
from tests.bench.network_data import Net
from tests.bench.network_table import OURS, TIMES, Entry, Figures, network_table

ITERATIONS, DAMPING = 20, 0.85
# Of so many vertices the ranks are kept, to be compared.
SAMPLE = 2_000

ENTRIES = (
    Entry(OURS, "components"),
    Entry("graphframes", "components", "two_phase"),
    Entry("graphframes", "components", "graphx"),
    Entry("splink", "components"),
    Entry("scipy", "components"),
    Entry(OURS, "pagerank"),
    Entry("graphframes", "pagerank"),
    Entry("igraph", "pagerank"),
    Entry(OURS, "personalised"),
    Entry("graphframes", "personalised"),
    Entry("igraph", "personalised"),
)


@dataclass(frozen=True)
class Sizes:
    """Vertices and edges of the comparisons, leaves of the star, how often each is run; ``folder`` keeps results."""

    growing: tuple[tuple[int, int], ...]
    leaves: int
    times: int
    folder: Path


FULL = Sizes(((100_000, 300_000), (300_000, 900_000), (1_000_000, 3_000_000)), 1_000_000, 3, RESULTS)
SMALL = Sizes(((1_000, 3_000), (3_000, 9_000), (10_000, 30_000)), 10_000, 1, SCRATCH / "results_small")


def run(sizes: Sizes = FULL) -> None:
    """Measure what is missing, then print and keep the table."""
    stars = [Net(sizes.leaves + 1, sizes.leaves, shape) for shape in ("even", "star")]
    ours = Entry(OURS, "components")
    figures = Figures(
        times=sizes.times,
        compared=_compared(sizes),
        hub={net.shape: measured(sizes, ours, net) for net in stars},
        leaves=sizes.leaves,
    )
    text = network_table(figures)
    (sizes.folder / "network_speed.md").write_text(text)
    print(text)


def _compared(sizes: Sizes) -> dict[Net, dict[Entry, Measurement]]:
    """All entries at each size; whose first time was stopped at one is slower still at a larger, and isn't asked."""
    found: dict[Net, dict[Entry, Measurement]] = {}
    stopped: dict[Entry, Measurement] = {}
    for vertices, edges in sizes.growing:
        net = Net(vertices, edges)
        found[net] = {entry: stopped.get(entry) or measured(sizes, entry, net) for entry in ENTRIES}
        stopped |= {entry: one for entry, one in found[net].items() if "seconds" not in one}
    return found


def measured(sizes: Sizes, entry: Entry, net: Net) -> Measurement:
    """Runs, each a process of its own, the medians of their seconds, and what the first one answered."""
    path = sizes.folder / "network_speed" / f"{entry.name}_{net.name}.json"
    stamp = stamp_of(entry.script.stamp(), repr((entry, ITERATIONS, DAMPING, SAMPLE)), net.stamp())
    found = kept_runs(path, stamp, sizes.times, lambda turn: _run(entry, net, answered=not turn))
    return found | {"answer": found["runs"][0].get("answer", {})} | medians(found["runs"], TIMES)


def _run(entry: Entry, net: Net, answered: bool) -> Measurement:
    output = SCRATCH / "network" / "answers" / f"{entry.name}.parquet"
    cleared(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    job = {
        "task": entry.task,
        "way": entry.way,
        "folder": str(net.write()),
        "seeds": net.seeds(),
        "iterations": ITERATIONS,
        "damping": DAMPING,
        "jars": [str(jar) for jar in jar_paths() if "graphframes" in jar.name],
        "output": str(output),
    }
    found = entry.script.run(job)
    if found["status"] == "done" and answered:
        found["answer"] = _answer(output, entry.task)
    cleared(output)
    return found


def _answer(output: Path, task: str) -> Measurement:
    """Of components their number and a checksum of who is with whom; of ranks those of the first vertices, of 1."""
    rows = f"read_parquet('{output}/*.parquet')" if output.is_dir() else f"read_parquet('{output}')"
    if task == "components":
        named = f"SELECT id, min(id) OVER (PARTITION BY component) AS label FROM {rows}"
        query = f"SELECT count(*), count(DISTINCT label), sum(label * (id % 1009 + 1))::VARCHAR FROM ({named})"
        return dict(zip(("vertices", "components", "checksum"), duckdb.sql(query).fetchall()[0]))
    ranks = duckdb.sql(f"SELECT rank / sum(rank) OVER () AS rank, id FROM {rows} QUALIFY id <= {SAMPLE} ORDER BY id")
    return {"ranks": [rank for rank, _ in ranks.fetchall()]}
