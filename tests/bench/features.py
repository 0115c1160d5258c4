"""Part features_speed: windows and as-of joins of the feature engine beside Spark, DuckDB, pandas and Feast."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.features_check import checks
from tests.bench.features_data import LAST_DAY, STATE_COLUMNS, TABLES, Bank
from tests.bench.features_entries import AGGS, DAYS, ENTRIES, MEET, STATES, WINDOWS, Entry
from tests.bench.features_table import TIMES, Figures, features_table
from tests.bench.kept import RESULTS, SCRATCH, Measurement, cleared, kept, kept_runs, medians, stamp_of
from tests.bench.peer import Peer


@dataclass(frozen=True)
class Sizes:
    """Scale of the comparison, scales of growth, how often each is run; ``folder`` keeps the results."""

    scale: float
    growing: tuple[float, ...]
    # Scale of a year of published slices, a row a customer and day.
    published: float
    times: int
    folder: Path


FULL = Sizes(1.0, (0.25, 1.0, 2.0), 0.1, 3, RESULTS)
SMALL = Sizes(0.01, (0.01, 0.02, 0.04), 0.001, 1, SCRATCH / "results_small")


def run(sizes: Sizes = FULL) -> None:
    """Measure what is missing, then print and keep the table."""
    bank = Bank(sizes.scale)
    figures = Figures(
        bank=bank,
        times=sizes.times,
        compared={entry: measured(sizes, entry, bank) for entry in ENTRIES},
        fewer={days: measured(sizes, replace(WINDOWS, days=days), bank) for days in (DAYS[-1:], DAYS[1:], DAYS)},
        growth={
            entry.task: {scale: measured(sizes, entry, Bank(scale)) for scale in sizes.growing}
            for entry in (WINDOWS, STATES)
        },
        hot={
            "20 % of the events": measured(sizes, WINDOWS, replace(bank, hot_events=True)),
            "20 % of the events and of the spine": measured(
                sizes, WINDOWS, replace(bank, hot_events=True, hot_spine=True)
            ),
        },
        meet={entry.task: measured(sizes, entry, bank) for entry in MEET},
        published_bank=Bank(sizes.published),
        published=_published(sizes),
    )
    text = features_table(figures)
    (sizes.folder / "features_speed.md").write_text(text)
    print(text)


def measured(sizes: Sizes, entry: Entry, bank: Bank) -> Measurement:
    """Runs, each a process of its own, the medians of their seconds, and checksums of the first one's answers."""
    path = sizes.folder / "features_speed" / f"{entry.name}_{bank.name}.json"
    stamp = stamp_of(entry.script.stamp(), repr((entry, AGGS)), bank.stamp())
    found = kept_runs(path, stamp, sizes.times, lambda turn: _run(entry, bank, checked=not turn))
    return found | {"checks": found["runs"][0].get("checks", {})} | medians(found["runs"], TIMES)


def _run(entry: Entry, bank: Bank, checked: bool) -> Measurement:
    output = SCRATCH / "features" / "answers" / f"{entry.name}.parquet"
    cleared(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    job = {
        "task": entry.task,
        "way": entry.way,
        "known": entry.known,
        "days": entry.days,
        "aggs": AGGS,
        "folder": str(bank.write()),
        "tables": [f"state{table}" for table in range(TABLES)],
        "columns": STATE_COLUMNS,
        "output": str(output),
    }
    found = entry.script.run(job)
    if found["status"] == "done" and checked:
        found["checks"] = checks(output)
    cleared(output)
    return found


def _published(sizes: Sizes) -> Measurement:
    """Seconds of publishing a year of slices, then a day more, then of mending both after late rows."""
    bank, peer = Bank(sizes.published), Peer("strata_increment", room="features", common="features_common.py")

    def measure() -> Measurement:
        output = SCRATCH / "features" / "lake"
        job = {"days": DAYS, "aggs": AGGS, "folder": str(bank.write()), "last": LAST_DAY, "output": str(output)}
        found = peer.run(job)
        cleared(output)
        return found

    path = sizes.folder / "features_speed" / f"published_{bank.name}.json"
    return kept(path, stamp_of(peer.stamp(), repr((DAYS, AGGS)), bank.stamp()), measure)
