"""A made-up bank of any size for the feature engine: events, a spine and five tables of states, written once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.kept import HERE, SCRATCH, stamp_of

# Customers of a scale of 1; what each has in the mean, whatever the scale; tables of states.
CUSTOMERS, EVENTS_EACH, POINTS_EACH, STATES_EACH, TABLES = 100_000, 100, 10, 10, 5
STATE_COLUMNS = ("limit_amt", "late_cnt", "used_ratio", "grade")
FILES = 16
FIRST_KEY, HOT_SHARE = 7_000_000, 0.2
SECOND, DAY = 1_000_000, 86_400_000_000
# Two years from 2024-01-01 UTC; questions are asked in the second.
BEGIN = 1_704_067_200 * SECOND
MIDDLE, END = BEGIN + 366 * DAY, BEGIN + 731 * DAY
# The last whole day of events in the zone of the session.
LAST_DAY = "2025-12-30"
LATE_SHARE, SPENT_SHARE = 0.02, 0.8
GRADES = np.array(list("ABCDEFG"))
SEED = 20261125


@dataclass(frozen=True)
class Bank:
    """A bank of ``scale`` × 100,000 customers; the first holds a fifth of the events if ``hot_events``, and so on."""

    scale: float = 1.0
    hot_events: bool = False
    hot_spine: bool = False

    @property
    def name(self) -> str:
        """What files about it are called."""
        return f"{self.scale:g}{'_hot_events' * self.hot_events}{'_hot_spine' * self.hot_spine}"

    @property
    def customers(self) -> int:
        """Its number of customers; the numbers of events, spine rows and states of a table follow."""
        return round(CUSTOMERS * self.scale)

    @property
    def events(self) -> int:
        """Its number of events."""
        return self.customers * EVENTS_EACH

    @property
    def points(self) -> int:
        """Its number of spine rows."""
        return self.customers * POINTS_EACH

    @property
    def states(self) -> int:
        """The number of states in each table."""
        return self.customers * STATES_EACH

    def stamp(self) -> str:
        """A hash of what its rows depend on."""
        return stamp_of(self.name, HERE / "features_data.py")

    def write(self) -> Path:
        """Its folder: ``events``, ``spine`` and ``state0`` to ``state4`` of Parquet; written when it isn't there."""
        folder = SCRATCH / "features" / f"{self.name}_{self.stamp()}"
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            self._write_events(part / "events")
            self._write_spine(part / "spine")
            for table in range(TABLES):
                self._write_states(part / f"state{table}", table)
            part.rename(folder)
        return folder

    def _write_events(self, folder: Path) -> None:
        """``event_id``, ``customer_id``, ``event_ts``, ``known_ts``, ``amount``, a file a slice of time, in order."""
        ids = np.array_split(np.arange(self.events), FILES)
        for turn, event_id in enumerate(ids):
            rng, rows = np.random.default_rng([SEED, 0, turn]), len(event_id)
            event_ts = _slice_of_time(rng, turn, FILES, rows)
            spent = np.where(rng.random(rows) < SPENT_SHARE, -1, 1)
            columns = {
                "event_id": event_id,
                "customer_id": self._keys(rng, rows, self.hot_events),
                "event_ts": _moments(event_ts),
                "known_ts": _moments(event_ts + _lags(rng, rows)),
                "amount": _money(spent * np.exp(rng.normal(8, 1.5, rows)).astype(np.int64)),
            }
            _write(folder, turn, columns)

    def _write_spine(self, folder: Path) -> None:
        """``row``, ``customer_id`` and ``at``: every customer ten times in no order, at any time of the second year."""
        rng = np.random.default_rng([SEED, 1])
        keys = FIRST_KEY + rng.permutation(self.points) % self.customers
        if self.hot_spine:
            keys = np.where(rng.random(self.points) < HOT_SHARE, FIRST_KEY, keys)
        at = rng.integers(MIDDLE, END, self.points)
        for turn, rows in enumerate(np.array_split(np.arange(self.points), FILES)):
            _write(folder, turn, {"row": rows, "customer_id": keys[rows], "at": _moments(at[rows])})

    def _write_states(self, folder: Path, table: int) -> None:
        """``customer_id``, ``valid_from``, ``known_ts`` and ``STATE_COLUMNS``, a file a slice of time, in order.

        The first file has every customer once, as when accounts are opened; the others any of them.
        """
        rows = self.customers
        for turn in range(STATES_EACH):
            rng = np.random.default_rng([SEED, 2 + table, turn])
            valid_from = _slice_of_time(rng, turn, STATES_EACH, rows)
            columns = {
                "customer_id": self._keys(rng, rows, hot=False) if turn else FIRST_KEY + rng.permutation(rows),
                "valid_from": _moments(valid_from),
                "known_ts": _moments(valid_from + _lags(rng, rows)),
                "limit_amt": _money(rng.integers(0, 10_000_000, rows)),
                "late_cnt": rng.poisson(0.5, rows).astype(np.int32),
                "used_ratio": rng.random(rows),
                "grade": GRADES[rng.integers(0, len(GRADES), rows)],
            }
            _write(folder, turn, columns)

    def _keys(self, rng: np.random.Generator, rows: int, hot: bool) -> np.ndarray:
        keys = FIRST_KEY + rng.integers(0, self.customers, rows)
        return np.where(rng.random(rows) < HOT_SHARE, FIRST_KEY, keys) if hot else keys


def _slice_of_time(rng: np.random.Generator, turn: int, turns: int, rows: int) -> np.ndarray:
    length = (END - BEGIN) // turns
    return np.sort(rng.integers(BEGIN + turn * length, BEGIN + (turn + 1) * length, rows))


def _lags(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Minutes until a row is known, ten in the mean; 1 to 10 days for two rows of a hundred."""
    minutes = rng.exponential(600, rows) * SECOND
    days = rng.uniform(1, 10, rows) * DAY
    return np.where(rng.random(rows) < LATE_SHARE, days, minutes).astype(np.int64)


def _moments(micros: np.ndarray) -> pa.Array:
    return pa.array(micros, pa.int64()).cast(pa.timestamp("us", tz="UTC"))


def _money(cents: np.ndarray) -> pa.Array:
    """Whole cents as decimal(18,2): the low and the high half of each number, as Arrow lays them out."""
    halves = np.column_stack([cents, cents >> 63])
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(cents), [None, pa.py_buffer(np.ascontiguousarray(halves))])


def _write(folder: Path, turn: int, columns: dict[str, pa.Array | np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Decimals as whole numbers, as Spark writes them.
    pq.write_table(pa.table(columns), folder / f"{turn:02}.parquet", store_decimal_as_integer=True)
