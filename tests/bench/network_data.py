"""Made-up graphs of any size, written once as Parquet: groups of all sizes, a star, and one as large without a hub."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.kept import HERE, SCRATCH, stamp_of

SEED = 20261126
CHUNK = 250_000
SEEDS = 20
# Of blocks: most are of a few, the largest has at most a twentieth of the vertices.
SHAPE, SMALLEST, LARGEST_SHARE = 1.1, 3, 0.05


@dataclass(frozen=True)
class Net:
    """A graph by shape: ``blocks`` (edges within groups), ``star`` (all tied to one), ``even`` (ends at random)."""

    vertices: int
    edges: int
    shape: str = "blocks"

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.shape}_{self.vertices}x{self.edges}"

    def stamp(self) -> str:
        """A hash of what its rows depend on."""
        return stamp_of(self.name, HERE / "network_data.py")

    def seeds(self) -> list[int]:
        """Where a personalised walk begins: ids spread over the graph."""
        return [1 + turn * self.vertices // SEEDS for turn in range(SEEDS)]

    def write(self) -> Path:
        """The folder with ``vertices`` and ``edges``; ids are 1 to n, as a stable id map gives them, in no order."""
        folder = SCRATCH / "network" / f"{self.name}_{self.stamp()}"
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            rng = np.random.default_rng([SEED, self.vertices, self.edges])
            ids = rng.permutation(self.vertices) + 1
            src, dst = {"blocks": self._blocks, "star": self._star, "even": self._even}[self.shape](rng)
            _write(part / "vertices", {"id": ids})
            _write(part / "edges", {"src": ids[src], "dst": ids[dst]})
            part.rename(folder)
        return folder

    def _blocks(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        sizes = (SMALLEST * (1 + rng.pareto(SHAPE, self.vertices // SMALLEST + 1))).astype(np.int64)
        sizes = np.minimum(sizes, max(SMALLEST, int(LARGEST_SHARE * self.vertices)))
        begin = np.concatenate([[0], np.cumsum(sizes)])
        src = rng.integers(self.vertices, size=self.edges)
        block = np.searchsorted(begin, src, side="right") - 1
        end = np.minimum(begin[block + 1], self.vertices)
        return src, begin[block] + (rng.random(self.edges) * (end - begin[block])).astype(np.int64)

    def _star(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        leaves = 1 + np.arange(self.edges) % (self.vertices - 1)
        return rng.permutation(leaves), np.zeros(self.edges, dtype=np.int64)

    def _even(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(self.vertices, size=self.edges), rng.integers(self.vertices, size=self.edges)


def _write(folder: Path, columns: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True)
    rows = pa.table(columns)
    for turn, start in enumerate(range(0, len(rows), CHUNK)):
        pq.write_table(rows.slice(start, CHUNK), folder / f"{turn:03}.parquet")
