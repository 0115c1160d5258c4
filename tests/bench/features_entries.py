"""Who is compared in part features_speed, and on which question."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.peer import Peer

DAYS = (7, 30, 90, 180, 365)
AGGS = ("sum", "count", "mean", "max", "min", "last")


@dataclass(frozen=True)
class Entry:
    """A peer, which of its ways, and the question; without ``known`` rows count although nobody knew them by then."""

    peer: str
    task: str
    known: bool
    way: str = ""
    days: tuple[int, ...] = DAYS

    @property
    def kind(self) -> str:
        """Task, peer and way."""
        return "_".join(part for part in (self.task, self.peer, self.way) if part)

    @property
    def name(self) -> str:
        """What its file is called."""
        windows = "" if self.days == DAYS else "_" + "_".join(str(days) for days in self.days)
        return f"{self.kind}{windows}{'' if self.known else '_any'}"

    @property
    def script(self) -> Peer:
        """What runs it."""
        return Peer(self.peer, room="features", common="features_common.py")


OURS = "strata_features"
ENTRIES = (
    Entry(OURS, "windows", known=True),
    Entry("duckdb", "windows", known=True, way="join"),
    Entry("pandas", "windows", known=True),
    Entry(OURS, "windows", known=False),
    Entry("spark", "windows", known=False, way="range"),
    Entry("duckdb", "windows", known=False, way="join"),
    Entry("duckdb", "windows", known=False, way="range"),
    Entry(OURS, "states", known=True),
    Entry("spark", "states", known=True, way="rank"),
    Entry("duckdb", "states", known=True, way="asof"),
    Entry("feast", "states", known=True, way="duckdb"),
    Entry("feast", "states", known=True, way="dask"),
    Entry(OURS, "states", known=False),
    Entry("spark", "states", known=False, way="rank"),
    Entry("spark", "states", known=False, way="carry"),
    Entry("duckdb", "states", known=False, way="asof"),
    Entry("feast", "states", known=False, way="duckdb"),
    Entry("feast", "states", known=False, way="dask"),
)
WINDOWS, STATES = Entry(OURS, "windows", known=True), Entry(OURS, "states", known=True)
# No answer: what bringing the events, or the states, to the spine costs by itself.
MEET = tuple(Entry(OURS, task, known=True, way="meet") for task in ("windows", "states"))
