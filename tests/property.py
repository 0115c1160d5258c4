"""Two readings that must agree on random cases: all cases in one job, and the first that fails made small.

Shrinking is written here, and not left to hypothesis, because a reading is a Spark job whatever the number of cases in
it. Here every smaller case of a step is asked in one job: 8 to 16 jobs for cases like those of the tests.
``hypothesis.find`` asks one case at a time and can't begin with a case that is known to fail: on the same cases it took
280 to 500 jobs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

# How many random cases a pair of readings is asked; ``make test-all`` asks 3,000.
CASES = int(os.environ.get("TEST_CASES", "800"))

Row = tuple[Any, ...]
Case = dict[str, list[Row]]
"""The rows of each table by its name; the spine is one of them."""
Answers = list[list[dict[str, Any]]]
"""For each case its answer, ordered rows of named values."""
Reading = Callable[[Sequence[Case]], Answers]
Columns = dict[str, Sequence[str]]
Place = tuple[str, int, int]
"""Of a value: its table, row and column."""


class Disagreement(AssertionError):
    """Two readings differ on ``case``, the smallest that could be found; the message shows it."""

    def __init__(self, text: str, case: Case) -> None:
        super().__init__(text)
        self.case = case


def agree(cases: Sequence[Case], got: Reading, expected: Reading, columns: Columns) -> Answers:
    """The expected answers of all cases, when ``got`` gives the same; each reading is asked once.

    Otherwise raises ``Disagreement`` with the first failing case, shrunk, and what differs in it.
    ``columns`` names the values of each table's rows.
    """
    answers = expected(cases)
    failing = _differing(got(cases), answers)
    if failing:
        small = shrunk(cases[failing[0]], got, expected)
        text = shown(small, columns, got([small])[0], expected([small])[0])
        raise Disagreement(f"{len(failing)} of {len(cases)} cases disagree; the first, made small:\n{text}", small)
    return answers


def disagreeing(cases: Sequence[Case], got: Reading, expected: Reading) -> int:
    """How many of the cases the two readings answer differently."""
    return len(_differing(got(cases), expected(cases)))


def shrunk(case: Case, got: Reading, expected: Reading) -> Case:
    """The case with as few rows and as plain values as still make the readings disagree.

    All cases that are one step smaller are asked in one batch, and the first that fails is taken; it
    ends where none does, because each step removes rows, values, or digits of a value.
    """
    while tries := [*_without_rows(case), *_without_values(case), *_plainer(case)]:
        failing = _differing(got(tries), expected(tries))
        if not failing:
            break
        case = tries[failing[0]]
    return case


def _runs(length: int) -> Iterator[slice]:
    """All of it first, then its halves, down to single places."""
    run = length
    while run:
        yield from (slice(start, start + run) for start in range(0, length, run))
        run //= 2


def _without_rows(case: Case) -> Iterator[Case]:
    for name, rows in case.items():
        for run in _runs(len(rows)):
            yield {**case, name: rows[: run.start] + rows[run.stop :]}


def _without_values(case: Case) -> Iterator[Case]:
    filled = [place for place, value in _values(case) if value is not None]
    for run in _runs(len(filled)):
        yield _changed(case, dict.fromkeys(filled[run]))


def _plainer(case: Case) -> Iterator[Case]:
    for place, value in _values(case):
        for plain in _plainer_values(value):
            yield _changed(case, {place: plain})


def _values(case: Case) -> Iterator[tuple[Place, Any]]:
    for name, rows in case.items():
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                yield (name, number, column), value


def _changed(case: Case, values: dict[Place, Any]) -> Case:
    return {
        name: [
            tuple(values.get((name, number, column), value) for column, value in enumerate(row))
            for number, row in enumerate(rows)
        ]
        for name, rows in case.items()
    }


def _plainer_values(value: Any) -> list[Any]:
    """What is easier to read than the value; never the value itself, so that shrinking ends."""
    plain: list[Any] = []
    if isinstance(value, datetime):
        second = value.replace(microsecond=0)
        hour = second.replace(minute=0, second=0)
        plain = [hour.replace(hour=0, fold=0), hour, second]
    elif isinstance(value, str):
        plain = ["a"]
    elif isinstance(value, int | float | Decimal):
        plain = [type(value)(1)]
    return [other for other in plain if other != value]


def _differing(got: Answers, expected: Answers) -> list[int]:
    return [n for n, (left, right) in enumerate(zip(got, expected, strict=True)) if _differences(left, right)]


def _differences(got: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[str]:
    if len(got) != len(expected):
        return [f"rows: expected {len(expected)}, got {len(got)}"]
    return [
        f"row {number}, {name}: expected {_text(right[name])}, got {_text(left.get(name, 'no column'))}"
        for number, (left, right) in enumerate(zip(got, expected, strict=True))
        for name in right
        if not _same(left.get(name, "no column"), right[name])
    ]


def _same(left: Any, right: Any) -> bool:
    """Equal values; of doubles (and a decimal mean beside a double) the last digits may differ, NaN is itself."""
    if left is None or right is None or isinstance(left, str) or isinstance(right, str):
        return bool(left == right)
    if isinstance(left, float) or isinstance(right, float):
        left, right = float(left), float(right)
        return math.isnan(left) and math.isnan(right) or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-6)
    return bool(left == right)


def shown(case: Case, columns: Columns, got: list[dict[str, Any]], expected: list[dict[str, Any]]) -> str:
    """The case's tables as aligned text, then a line for each value that differs."""
    parts = []
    for name, rows in case.items():
        cells = [list(columns[name]), *([_text(value) for value in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
        ]
        parts += [name, *(line.rstrip() for line in lines)]
    return "\n".join([*parts, *_differences(got, expected)])


def _text(value: Any) -> str:
    return "null" if value is None else str(value)
