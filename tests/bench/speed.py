"""Part scorecard_speed: binning of wide books against peers, bulk scoring, and growth with rows and features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.kept import RESULTS, SCRATCH, Measurement, kept, kept_runs, medians, stamp_of
from tests.bench.peer import Peer
from tests.bench.speed_data import book, job
from tests.bench.speed_table import speed_table

FEW_FEATURES, CARD_FEATURES = 5, 20
# The same limits for all: at most 6 bins, each with 5 % of the rows, a trend up or down for numbers.
MAX_BINS, MIN_SHARE = 6, 0.05


@dataclass(frozen=True)
class Sizes:
    """Rows of the comparison and of growth, features, how often each is run; ``folder`` keeps the results."""

    rows: int
    growing_rows: tuple[int, ...]
    features: tuple[int, ...]
    times: int
    folder: Path


FULL = Sizes(1_000_000, (250_000, 1_000_000, 4_000_000), (50, 200, 500), 3, RESULTS)
SMALL = Sizes(100_000, (25_000, 100_000, 400_000), (50,), 1, SCRATCH / "results_small")


@dataclass(frozen=True)
class Binner:
    """A peer and how it is asked to bin."""

    peer: Peer
    options: Mapping[str, Any] = field(default_factory=dict)

    def stamp(self) -> str:
        """A hash of what its figures depend on, but for the data."""
        return stamp_of(self.peer.stamp(), repr(self.options))


def binners() -> dict[str, Binner]:
    """Who is compared, ours first; toad by its quickest supervised method and by its default."""
    process = {"max_n_bins": MAX_BINS, "min_bin_size": MIN_SHARE, "n_jobs": 2}
    woebin = {"bin_num_limit": MAX_BINS, "count_distr_limit": MIN_SHARE, "no_cores": 2}
    toad = {"n_bins": MAX_BINS, "min_samples": MIN_SHARE}
    return {
        "strata": Binner(Peer("strata"), {"max_bins": MAX_BINS, "min_share": MIN_SHARE}),
        "optbinning": Binner(Peer("optbinning"), {"trend": "auto_asc_desc", "process": process}),
        "toad_dt": Binner(Peer("toad"), {"method": "dt", **toad}),
        "toad_chi": Binner(Peer("toad"), {"method": "chi", **toad}),
        "scorecardpy": Binner(Peer("scorecardpy"), woebin),
    }


def run(sizes: Sizes = FULL) -> None:
    """Measure what is missing, then print and keep the table."""
    binned = _compared(sizes)
    few = {
        name: _binning(sizes, name, sizes.rows, FEW_FEATURES)
        for name in binners()
        if any(of[name]["runs"][-1]["status"] != "done" for of in binned.values())
    }
    growth = {rows: _binning(sizes, "strata", rows, min(sizes.features)) for rows in sizes.growing_rows}
    scoring = [_scoring(sizes, rows) for rows in (sizes.rows, max(sizes.growing_rows))]
    text = speed_table(binned, few, growth, scoring, sizes.rows, sizes.times)
    (sizes.folder / "scorecard_speed.md").write_text(text)
    print(text)


def _compared(sizes: Sizes) -> dict[int, dict[str, Measurement]]:
    """All binners at each number of features; who was stopped at one is slower still at more, and isn't asked."""
    binned: dict[int, dict[str, Measurement]] = {}
    stopped: dict[str, Measurement] = {}
    for features in sorted(sizes.features):
        binned[features] = {
            name: stopped.get(name) or _binning(sizes, name, sizes.rows, features) for name in binners()
        }
        stopped |= {name: one for name, one in binned[features].items() if one["runs"][-1]["status"] != "done"}
    return binned


def _binning(sizes: Sizes, name: str, rows: int, features: int) -> Measurement:
    """Runs, each a process of its own, the median of their seconds, and the information values of the first one."""
    binner = binners()[name]

    def measure(turn: int) -> Measurement:
        # A book of fewer features would have other values: the widest is written and read in part.
        given = job(book(rows, max(features, min(sizes.features))), features) | {"task": "binning"}
        found = binner.peer.run(given | {"options": dict(binner.options)})
        if turn:
            found.pop("iv", None)
        return found

    path = sizes.folder / "scorecard_speed" / f"binning_{name}_{rows}x{features}.json"
    found = kept_runs(path, stamp_of(binner.stamp(), f"{rows} {features}"), sizes.times, measure)
    iv = {"iv": found["runs"][0]["iv"]} if "iv" in found["runs"][0] else {}
    return found | {"rows": rows, "features": features} | iv | medians(found["runs"], ["seconds"])


def _scoring(sizes: Sizes, rows: int) -> Measurement:
    peer = Peer("strata")

    def measure() -> Measurement:
        given = job(book(rows, min(sizes.features)), CARD_FEATURES)
        return {"rows": rows, **peer.run(given | {"task": "scoring", "options": {}})}

    path = sizes.folder / "scorecard_speed" / f"scoring_{rows}x{CARD_FEATURES}.json"
    return kept(path, stamp_of(peer.stamp(), f"{rows} {CARD_FEATURES}"), measure)
