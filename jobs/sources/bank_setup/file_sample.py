"""The first rows of delivered files, read by plain Python, and the values that the declarations can't read."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from io import TextIOWrapper
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from strata.conf.banks import Bank, Feed, Fill
from strata.jobs.runtime.errors import InputError
from strata.jobs.sources.bank_setup.plain_reading import delivered_text, plain_value
from strata.jobs.sources.deliveries import Delivery, opened
from strata.jobs.sources.formats import BOM, UNREADABLE, check_header

ROWS = 1_000
Texts = Mapping[str, str | None]


@dataclass(frozen=True)
class Unread:
    """Values of one column that can't be read as silver wants them, or are missing; without a table, whole lines."""

    table: str
    field: str
    count: int
    first: str
    row: int


@dataclass(frozen=True)
class SampledFile:
    """What the first rows of a file say; ``fault`` when it can't be read at all."""

    name: str
    rows: int = 0
    unread: tuple[Unread, ...] = ()
    fault: str | None = None


def sample_file(bank: Bank, delivery: Delivery, *, rows: int = ROWS) -> SampledFile:
    """Read the first ``rows`` rows of a file as the bank's feeds say."""
    try:
        check_header(delivery)
        found = list(islice(_rows(delivery), rows))
    except (InputError, UnicodeError, OSError, EOFError, pa.ArrowInvalid) as wrong:
        return SampledFile(delivery.name, fault=str(wrong).removeprefix(f"{delivery.name}: "))
    whole = [(number, row) for number, row in found if not isinstance(row, str)]
    torn = [(number, row) for number, row in found if isinstance(row, str)]
    lines = [Unread("", "", len(torn), str(torn[0][1]), torn[0][0])] if torn else []
    unread = [one for fill in delivery.feed.fills for one in _unread(bank, delivery.feed, fill, whole)]
    return SampledFile(delivery.name, len(found), (*lines, *unread))


def _rows(delivery: Delivery) -> Iterator[tuple[int, Texts | str]]:
    """Each row's number in the file and its delivered fields, or what is wrong with the line."""
    if delivery.format == "parquet":
        yield from _parquet_rows(delivery)
        return
    feed = delivery.feed
    with opened(delivery.path) as content, TextIOWrapper(content, feed.encoding, "replace", newline="") as text:
        read = _json_row if delivery.format == "json" else _csv_row
        above = feed.csv.skip_lines + feed.csv.header if delivery.format == "csv" else 0
        for number, line in enumerate(text, start=1):
            line = line.strip("\r\n").removeprefix(BOM if number == 1 else "")
            ignored = feed.csv.ignore_lines and re.search(feed.csv.ignore_lines, line)
            if number > above and line.strip(" ") and not ignored:
                yield number, read(feed, line)


def _csv_row(feed: Feed, line: str) -> Texts | str:
    layout = feed.csv
    if len(layout.separator) == 1:
        doubled = layout.escape in ("", layout.quote)
        try:
            cells = next(
                csv.reader(
                    [line],
                    delimiter=layout.separator,
                    quotechar=layout.quote or None,
                    doublequote=doubled,
                    escapechar=None if doubled else layout.escape,
                    quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
                )
            )
        except (csv.Error, StopIteration) as wrong:
            return f"the line can't be split: {wrong}"
    else:
        cells = line.split(layout.separator)
    if len(cells) != len(feed.header):
        return f"the line does not have {len(feed.header)} fields"
    return dict(zip(feed.header, cells, strict=True))


def _json_row(feed: Feed, line: str) -> Texts | str:
    try:
        found = json.loads(line, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return "the line is not one JSON object"
    if unknown := [name for name in found if name not in feed.header]:
        return f"{unknown[0][:40]!r} is not one of the {len(feed.header)} keys"
    return {name: _text(found.get(name)) for name in feed.header}


def _parquet_rows(delivery: Delivery) -> Iterator[tuple[int, Texts]]:
    file = pq.ParquetFile(delivery.path)
    number = 0
    for batch in file.iter_batches(columns=list(delivery.feed.header)):
        for row in batch.to_pylist():
            number += 1
            yield number, {name: _text(value) for name, value in row.items()}


def _text(value: Any) -> str | None:
    """A value in the form that a CSV has."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:.15f}".rstrip("0").rstrip(".") if abs(value) < 1e6 else str(value)
    return str(value)


def _unread(bank: Bank, feed: Feed, fill: Fill, rows: list[tuple[int, Texts]]) -> Iterator[Unread]:
    contract = bank.silver[fill.table]
    columns = {column.name: column for column in contract.columns}
    for name, source in fill.sources(contract).items():
        raw = source.answers_for(name)
        # What SQL and the bank's own functions make of a text is known when they run.
        if raw is None or source.sql is not None or source.python is not None:
            continue
        column = columns.get(name)
        kind = column.type if column else str(source.type)
        notation, faults, first = source.within(feed.notation), Counter[str](), (0, "")
        for number, row in rows:
            text = delivered_text(row[raw], feed, raw, trim=notation.trim)
            if text is not None and plain_value(text, kind, source, notation, bank.zone) is None:
                what = f"{raw}: {text[:40]!r} is not {source.expected(kind, notation)}"
            elif text is not None and UNREADABLE in text:
                what = f"{raw}: is not {feed.encoding.upper()}"
            elif text is None and (source.needed or not (column and column.nullable)):
                what = f"{raw}: is missing"
            else:
                continue
            first = first if faults else (number, what)
            faults["unread"] += 1
        if faults:
            yield Unread(fill.table, name, faults["unread"], first[1], first[0])
