"""The tables of part features_speed: who took how long, how it grows, and which goals are met."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tests.bench.features_check import differing
from tests.bench.features_data import Bank
from tests.bench.features_entries import AGGS, DAYS, OURS, Entry
from tests.bench.kept import Measurement, runs, table
from tests.bench.peer import CAP_BYTES, CAP_SECONDS

PREFACE = f"""# How fast the feature engine is

A made-up bank (`features_data.py`): {{events:,}} events of {{customers:,}} customers over two years, {{points:,}} spine
rows at random moments of the second year, five tables of {{states:,}} states with four columns. Rows become known
minutes after they happen, 2 % of them days after. Windows of {", ".join(map(str, DAYS))} days; of amount in each:
{", ".join(AGGS)}. Each run is a process of its own on 2 cores, from Parquet to Parquet; {{runs}}.
Spark, ours and plain: `local[2]`, 6 GiB driver, 4 shuffle partitions. "First" is in a cold session, whose
start is apart: some seconds of it are Spark's loading and compiling; "again" is the same job once more in that session.
Who has no session is compared by the one time there is. Peak memory is that of the process and its children. A run ends
at {CAP_SECONDS} s or {CAP_BYTES / 2**30:.0f} GiB resident: then its seconds are a lower bound (≥). "× ours" is against
Strata on the same question.

Two questions: rows that had to be known by the spine's time and, as `rangeBetween` and RANGE can't ask that, any
rows. Answers are compared by checksums of every column, weighted by row. DuckDB and plain Spark sum money as
decimals, pandas and Feast hold it as floats. Every customer has a state from the first months on, because Feast loses
spine rows of a key that has only later states. Feast's Dask store has nulls where the newest state wasn't known yet, a
row in a thousand (seen at a hundredth of this size); there the others fall back to the state before.
"""
WAYS = {
    "windows_spark_range": "Spark, a rangeBetween frame a window over spine and events in one table",
    "windows_duckdb_join": "DuckDB, inequality join and aggregates with FILTER",
    "windows_duckdb_range": "DuckDB, a RANGE frame a window over spine and events in one relation",
    "windows_pandas": "pandas, merge of 5,000 customers at a time and groupby a window",
    "states_spark_rank": "Spark, a table at a time: inequality join and row_number",
    "states_spark_carry": "Spark, a table at a time: union and last(ignoreNulls)",
    "states_duckdb_asof": "DuckDB, an ASOF join a table",
    "states_feast_dask": "Feast, local offline store (Dask, its default)",
    "states_feast_duckdb": "Feast, local offline store on DuckDB",
}
TIMES = ("seconds", "again_seconds")
QUESTIONS = {True: "rows known by then", False: "any rows"}


@dataclass(frozen=True)
class Figures:
    """All measurements: by entry; ours by windows asked, by task and scale, by what a hot key holds; without an
    answer, by task; of slices.
    """

    bank: Bank
    times: int
    compared: Mapping[Entry, Measurement]
    fewer: Mapping[tuple[int, ...], Measurement]
    growth: Mapping[str, Mapping[float, Measurement]]
    hot: Mapping[str, Measurement]
    meet: Mapping[str, Measurement]
    published_bank: Bank
    published: Measurement

    def ours(self, task: str, known: bool) -> Measurement:
        """Ours on a question."""
        return self.compared[Entry(OURS, task, known)]

    def theirs(self, kind: str) -> dict[Entry, Measurement]:
        """What the others did whose kind begins so: a task, or a task and a peer, or one way of it."""
        return {
            entry: one
            for entry, one in self.compared.items()
            if entry.peer != OURS and f"{entry.kind}_".startswith(f"{kind}_")
        }


def features_table(figures: Figures) -> str:
    """Goals, then a section a task and question, fewer windows, growth and hot keys."""
    return "".join(
        [
            PREFACE.format(**sizes(figures.bank), runs=runs(figures.times)),
            "\n## Goals\n\n",
            table(["goal", "first", "met", "again", "met"], [goal.row() for goal in goals(figures)]),
            *(_compared(figures, task, known) for task in ("windows", "states") for known in QUESTIONS),
            _fewer(figures),
            *(_growth(task, measured) for task, measured in figures.growth.items()),
            _hot(figures),
            _meet(figures),
            _published(figures),
        ]
    )


def sizes(bank: Bank) -> dict[str, int]:
    """How many there are of what, for the preface."""
    return {"events": bank.events, "customers": bank.customers, "points": bank.points, "states": bank.states}


@dataclass(frozen=True)
class Ratio:
    """What a goal is about; a lower bound when a peer was stopped, ``None`` when a run didn't end that it needs."""

    value: float | None
    bound: bool = False


@dataclass(frozen=True)
class Goal:
    """Ratios, of first and again, that should be at most, or at least, ``wanted``."""

    text: str
    ratios: list[Ratio]
    wanted: float
    at_least: bool = False
    unit: str = "×"

    def row(self) -> list[str]:
        """The goal, what was measured, and whether it is met."""
        return [self.text, *(cell for ratio in self.ratios for cell in (self._shown(ratio), self._met(ratio)))]

    def _shown(self, ratio: Ratio) -> str:
        if ratio.value is None:
            return ""
        return f"{'≥ ' * ratio.bound}{ratio.value * (100 if self.unit == ' %' else 1):.2f}{self.unit}"

    def _met(self, ratio: Ratio) -> str:
        """A lower bound can meet "at least"; below it leaves the goal open."""
        if ratio.value is None:
            return "not measured"
        if ratio.value >= self.wanted if self.at_least else ratio.value <= self.wanted:
            return "yes"
        return "open" if ratio.bound else "no"


def goals(figures: Figures) -> Iterator[Goal]:
    """What the feature engine is to reach."""
    for kind, wanted, whose in (
        ("windows_spark", 10, "than rangeBetween in Spark"),
        ("states_spark", 5, "than Spark's quicker way"),
        ("states_feast_dask", 5, "than Feast's local store"),
    ):
        ratios = [quickest(figures, kind, turn) for turn in TIMES]
        yield Goal(f"{kind.split('_')[0]}: at least {wanted}× faster {whose}", ratios, wanted, at_least=True)
    for kind, whose in (("windows_duckdb", "quicker way"), ("states_duckdb", "ASOF join")):
        ahead = [quickest(figures, kind, turn).value for turn in TIMES]
        behind = [Ratio(one and 1 / one) for one in ahead]
        yield Goal(f"{kind.split('_')[0]}: at most 2× behind DuckDB's {whose}", behind, 2)
    for task, measured in figures.growth.items():
        slopes = [Ratio(exponent(measured, turn)) for turn in TIMES]
        yield Goal(f"{task}: exponent of growth at most 1.1", slopes, 1.1, unit="")
    shares = [Ratio(fifth(figures, turn)) for turn in TIMES]
    yield Goal("a fifth window over the same scan: at most 10 % of the first", shares, 0.10, unit=" %")
    slower = [Ratio(hot(figures, turn)) for turn in TIMES]
    yield Goal("windows: at most 1.5× slower when one key has 20 % of the events", slower, 1.5)
    cost = figures.published
    day = Ratio(cost["day_seconds"] / cost["year_seconds"] if "day_seconds" in cost else None)
    yield Goal("one more day of slices: at most 5 % of a year's build", [day, Ratio(None)], 0.05, unit=" %")


def quickest(figures: Figures, kind: str, turn: str) -> Ratio:
    """How many times longer than ours the quickest of a kind takes, on the question where that is least."""
    ratios = []
    for entry, one in figures.theirs(kind).items():
        ours = figures.ours(entry.task, entry.known)
        if turn in ours and _compares(one):
            ratios.append(Ratio(seconds(one, turn) / ours[turn], "seconds" not in one))
    return min(ratios, key=lambda ratio: ratio.value or 0.0, default=Ratio(None))


def exponent(measured: Mapping[float, Measurement], turn: str) -> float | None:
    """The slope of seconds with size, both as logarithms."""
    if any(turn not in one for one in measured.values()):
        return None
    return float(np.polyfit(np.log([*measured]), np.log([one[turn] for one in measured.values()]), 1)[0])


def fifth(figures: Figures, turn: str) -> float | None:
    """Seconds that a fifth window adds to four, as a share of those of the longest alone."""
    one, four, five = (figures.fewer[days].get(turn) for days in (DAYS[-1:], DAYS[1:], DAYS))
    return None if one is None or four is None or five is None else (five - four) / one


def hot(figures: Figures, turn: str) -> float | None:
    """Seconds with a hot key as a multiple of those without."""
    even, uneven = figures.ours("windows", True).get(turn), figures.hot["20 % of the events"].get(turn)
    return None if even is None or uneven is None else uneven / even


def seconds(one: Measurement, turn: str) -> float:
    """The median: of the first time where there is no second, and of a peer that was stopped how long it lasted."""
    return float(one.get(turn, one.get("seconds", one["runs"][-1]["wall_seconds"])))


def _compared(figures: Figures, task: str, known: bool) -> str:
    ours = figures.ours(task, known)
    theirs = {WAYS[e.kind]: one for e, one in figures.theirs(task).items() if e.known == known}
    titles = ["who", "session s", "first s", "× ours", "again s", "× ours", "peak GB", "answers"]
    lines = [
        [name, _session(one), *_beside(one, ours, "seconds"), *_beside(one, ours, "again_seconds"), _peak(one)]
        + [_answers(one, ours)]
        for name, one in {"Strata": ours, **theirs}.items()
    ]
    return f"\n## {task.capitalize()}, {QUESTIONS[known]}\n\n" + table(titles, lines)


def _beside(one: Measurement, ours: Measurement, turn: str) -> list[str]:
    """Seconds and their ratio to ours; a peer that has no session is compared by its only time."""
    ratio = f"{_bound(one)}{seconds(one, turn) / ours[turn]:.1f}" if turn in ours and _compares(one) else ""
    return [_seconds(one, turn), ratio]


def _compares(one: Measurement) -> bool:
    """Whether its time, or a lower bound of it, is known."""
    return "seconds" in one or one["runs"][-1]["status"] == "timed out"


def _answers(one: Measurement, ours: Measurement) -> str:
    if one is ours or not one["checks"] or not ours["checks"]:
        return ""
    wrong = differing(one["checks"], ours["checks"])
    return f"{len(wrong)} of {len(ours['checks'])} columns differ" if wrong else "the same"


def _bound(one: Measurement) -> str:
    status = one["runs"][-1]["status"]
    return "" if "seconds" in one else "≥ " if status == "timed out" else f"{status} at "


def _seconds(one: Measurement, turn: str) -> str:
    if turn == "again_seconds" and turn not in one:
        return ""
    return f"{_bound(one)}{seconds(one, turn):.1f}"


def _session(one: Measurement) -> str:
    found = [run["session_seconds"] for run in one["runs"] if "session_seconds" in run]
    return f"{statistics.median(found):.1f}" if found else ""


def _peak(one: Measurement) -> str:
    return f"{max(run['peak_bytes'] for run in one['runs']) / 1e9:.1f}"


def _own(title: str, of: str, measured: Mapping[str, Measurement]) -> str:
    """A section of ours alone."""
    lines = [[name, *(_seconds(one, turn) for turn in TIMES), _peak(one)] for name, one in measured.items()]
    return f"\n## {title}\n\n" + table([of, "first s", "again s", "peak GB"], lines)


def _fewer(figures: Figures) -> str:
    measured = {", ".join(map(str, days)): one for days, one in figures.fewer.items()}
    return _own("Strata's windows, fewer of them", "days", measured)


def _growth(task: str, measured: Mapping[float, Measurement]) -> str:
    rows = {f"{Bank(scale).points:,}": one for scale, one in measured.items()}
    return _own(f"Strata's growth: {task}, all tables in proportion", "spine rows", rows)


def _hot(figures: Figures) -> str:
    measured = {"as much as any": figures.ours("windows", True), **figures.hot}
    return _own("Strata's windows with one hot key", "the key holds", measured)


def _meet(figures: Figures) -> str:
    """The least that an answer by a shuffle can take."""
    said = (
        "\nNo answer is made here: spine and events, or all tables of states, are read, shuffled once by key and "
        "sorted by time, and the spine alone is written. A plan of Spark's that sorts them can't be quicker.\n"
    )
    measured = {f"{task}, no more than brought together": one for task, one in figures.meet.items()}
    measured |= {f"{task}, answered": figures.ours(task, True) for task in figures.meet}
    return _own("The least that a shuffle and a sort take", "what", measured) + said


def _published(figures: Figures) -> str:
    """What slices cost: a year of them, a day more, and mending after late rows."""
    cost, bank = figures.published, figures.published_bank
    said = (
        f"\n## Published slices: {bank.customers:,} customers, {bank.events:,} events, every window and aggregate\n\n"
    )
    late = f"{cost.get('late_rows', 0):,.0f} late rows of a month ago: every day that they reach mended"
    steps = {"365 days from nothing": "year_seconds", "one day more": "day_seconds", late: "mend_seconds"}
    return said + table(["what", "s"], [[name, f"{cost[key]:.1f}"] for name, key in steps.items() if key in cost])
