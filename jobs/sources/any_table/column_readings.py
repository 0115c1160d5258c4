"""The readings of a table's text columns: which columns are worth a second look, and what that look shows.

The scan of all cells (``csv_types``) has said of each column what shapes its cells have. Only columns that are numbers
in other writings, or levels of an order, are read once more, for a summary of their ways of writing; the choice is
then made on the driver (``models/readings/reading_choice.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.runtime.errors import InputError
from strata.jobs.sources.any_table.csv_types import ORDERED, Seen, Shape, has_decimal_commas, is_plain
from strata.models.readings.ordered_scales import NAMED_GRADE
from strata.models.readings.reading_choice import SHARE, AsKind, Cells, Choice, choose
from strata.models.readings.text_readings import Reading

MOST_WRITINGS = 20_000
_DIGITS = "123456789０１２３４５６７８９"


@dataclass(frozen=True)
class TextColumn:
    """A column of texts: its cells (trimmed, null when missing), their shapes, and what somebody says that it is.

    ``untouched`` columns get no reading: a target or an id stays as it is written.
    """

    name: str
    cell: Column
    seen: Seen
    kind: AsKind | None = None
    untouched: bool = False


def choose_readings(
    rows: DataFrame, columns: Sequence[TextColumn], *, comma: bool | None, likely: bool, typed: bool = True
) -> dict[str, Choice]:
    """The readings of the columns that have one, or of which something must be said, by name.

    ``comma`` and ``likely`` as in ``choose``. Plain numbers need no reading where they are ``typed`` anyway. One scan
    of the columns that look like it, none when no column does. Raises ``InputError`` when a column can't be what
    somebody says that it is.
    """
    plain = {column.name: _plain(column, comma, typed) for column in columns if _is_plain(column, comma)}
    odd = [column for column in columns if column.name not in plain and _may_be_read(column)]
    found = {name: choice for name, choice in plain.items() if choice}
    if not odd:
        return found
    summaries = _summaries(rows, odd)
    for place, column in enumerate(odd):
        cells = summaries.get(place, [])
        try:
            choice = choose(cells, column.name, column.seen.filled, comma=comma, kind=column.kind, likely=likely)
        except ValueError as wrong:
            raise InputError(f"--as {wrong}") from None
        reading = replace(choice.reading, missing=column.seen.words) if choice.reading else None
        found[column.name] = replace(choice, reading=reading)
    return found


def _is_plain(column: TextColumn, comma: bool | None) -> bool:
    """Whether a column is of plain numbers, which need no second look."""
    shapes, asked = column.seen.shapes, column.kind is not None or column.untouched
    return not asked and shapes != Shape.DAY8 and is_plain(shapes, comma=bool(comma))


def _plain(column: TextColumn, comma: bool | None, typed: bool) -> Choice | None:
    """The reading of plain numbers: none where they are typed, have decimal points and no word for a missing one."""
    seen, commas = column.seen, bool(comma) and has_decimal_commas(column.seen.shapes)
    if typed and not commas and not seen.words:
        return None
    reading = Reading("number", comma=commas, missing=seen.words)
    return Choice(reading, seen.filled, "" if typed else f"texts are read as numbers, {seen.filled:,} of them")


def _may_be_read(column: TextColumn) -> bool:
    seen, shapes = column.seen, column.seen.shapes
    if column.untouched or column.kind == "text" or not shapes:
        return False
    if column.kind is not None:
        return True
    if not shapes & ~ORDERED:
        return bool(shapes & (Shape.SCALE | Shape.GRADE)) or NAMED_GRADE.search(column.name.lower()) is not None
    is_code = shapes & (Shape.CODE | Shape.LONG)
    is_day = not shapes & ~Shape.DAY8
    return not is_code and not is_day and seen.readable >= SHARE * seen.filled


def _summaries(rows: DataFrame, columns: Sequence[TextColumn]) -> dict[int, list[Cells]]:
    """By place, each way of writing with its count and an example: digits don't count, and long numbers are alike.

    Levels of what may be an order stand for themselves. One scan and a shuffle of one row a column, writing and task.
    """
    levels = [i for i, column in enumerate(columns) if not column.seen.shapes & ~ORDERED or column.kind == "order"]
    cells = rows.select(F.posexplode(F.array(*[column.cell for column in columns])).alias("at", "cell"))
    digits = F.regexp_replace(F.translate("cell", _DIGITS, "0" * len(_DIGITS)), "0{5,}", "00000")
    led_by_zero = F.when(F.col("cell").rlike("^[^0-9]*0[0-9]"), "~").otherwise("")
    writing = F.when(F.col("at").isin(levels), F.col("cell")).otherwise(F.concat(digits, led_by_zero))
    counted = cells.where("cell IS NOT NULL").groupBy("at", writing.alias("writing"))
    summed = counted.agg(F.count("*").alias("count"), F.min("cell").alias("example"))
    found: dict[int, list[Cells]] = {}
    for row in summed.orderBy(F.desc("count"), "example").limit(MOST_WRITINGS).collect():
        found.setdefault(row["at"], []).append(Cells(row["example"], row["count"]))
    return found


def decimal_comma(found: Sequence[Seen], separator: str | None) -> bool | None:
    """Whether the numbers of a table have decimal commas, None when no cell settles it.

    A file that isn't separated by commas has them where one cell has; in others commas may be slips where points are.
    """
    commas, points = (any(seen.shapes & shape for seen in found) for shape in (Shape.COMMA, Shape.DECIMAL))
    if commas and (not points or separator not in (",", None)):
        return True
    return False if points else None
