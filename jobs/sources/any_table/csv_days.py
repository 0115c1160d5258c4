"""The column of a CSV file that says when: read as days or numbers though a few of its cells are neither.

Those cells' rows are set aside and listed, never lost: file, row, text and reason of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.runtime.errors import InputError
from strata.jobs.sources.any_table.csv_layout import Layout, numbered_rows
from strata.jobs.sources.any_table.csv_types import BITS, DAY8, DAYS, NULL_WORDS, WHOLE, Parse, Shape

# More rows than this share without a time are no slips, and the table is refused.
MOST_UNDATED = 0.01
# Of fewer cells than this share that are days the column isn't one of time.
FEWEST_DATED = 0.5
MOST_TEXTS = 100_000
CALENDAR = (
    (int(Shape.DAY8), DAY8),
    *((int(allowed), how) for allowed, how in DAYS if allowed != Shape.TRUTH),
)
NUMBERS = (int(WHOLE), Parse(lambda text: text.cast("bigint")))


@dataclass(frozen=True)
class SetAside:
    """A row that is kept out because a cell can't be what its column is; ``row`` is None where files have no rows."""

    file: Path
    row: int | None
    column: str
    text: str
    reason: str


@dataclass(frozen=True)
class TimeColumn:
    """How a column of times is read, and in how many rows it can't be."""

    shapes: int
    how: Parse
    unread: int

    @property
    def parsing(self) -> Parse:
        """Of the trimmed cells in a column ``t``: days or numbers, null where they are neither."""
        return Parse(lambda _: self.parse(), self.how.note)

    def parse(self) -> Column:
        """Column ``t`` as days or numbers."""
        text = F.col("t")
        return F.when(F.expr(BITS).bitwiseAND(F.lit(self.shapes)) != 0, self.how.parse(text))


def time_column(rows: DataFrame, cell: str) -> TimeColumn | None:
    """The reading that takes most cells; None when it takes few. One scan, a shuffle of a row a shape and task."""
    bits = rows.select(F.trim(cell).alias("t")).select(F.expr(BITS).alias("bits"))
    counts = {row["bits"]: row["count"] for row in bits.groupBy("bits").count().collect()}
    rows_of_all, filled = sum(counts.values()), sum(rows for shape, rows in counts.items() if shape)

    def read_by(shapes: int) -> int:
        return sum(count for shape, count in counts.items() if shape & shapes)

    best = max(CALENDAR, key=lambda candidate: read_by(candidate[0]))
    if rows_of_all - read_by(best[0]) > MOST_UNDATED * rows_of_all:
        best = max(best, NUMBERS, key=lambda candidate: read_by(candidate[0]))
    if read_by(best[0]) < FEWEST_DATED * filled or not filled:
        return None
    return TimeColumn(best[0], best[1], rows_of_all - read_by(best[0]))


def undated_rows(rows: DataFrame, cell: str, time: TimeColumn, shape: Layout, place: int) -> tuple[SetAside, ...]:
    """The rows that have no time, found again in their files. Raises ``InputError`` when there are too many."""
    if not time.unread:
        return ()
    all_rows = rows.count()
    texts = rows.select(F.trim(cell).alias("t")).where(time.parse().isNull())
    odd = {(row["t"] or "").strip() for row in texts.distinct().limit(MOST_TEXTS).collect()}
    found = _rows_with(odd, shape, place, "day" if time.shapes != NUMBERS[0] else "number")
    refuse_undated(time.unread, all_rows, next(found, None) if time.unread > MOST_UNDATED * all_rows else None)
    return tuple(found)


def refuse_undated(undated: int, rows: int, first: SetAside | None, where: str = "") -> None:
    """Raise ``InputError``, naming the first, when more rows have no time than may be set aside."""
    if undated <= MOST_UNDATED * rows:
        return
    at = f"{first.file}: row {first.row}, column {first.column!r}: {first.text!r} {first.reason}" if first else where
    raise InputError(
        f"{at}; {undated:,} of {rows:,} rows have no time, and {100 * MOST_UNDATED:g} % at most can be set aside; "
        "mend or drop them"
    )


def _rows_with(texts: set[str], shape: Layout, place: int, wanted: str) -> Iterator[SetAside]:
    for path, number, row in numbered_rows(shape):
        if len(row) > place and row[place].strip() in texts and tuple(map(str.strip, row)) != shape.header:
            text = row[place].strip()
            reason = "is empty" if not text else "is a word for missing" if text in NULL_WORDS else f"is no {wanted}"
            yield SetAside(path, number, shape.header[place], text, reason)
