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

import pyarrow.parquet as pq

from strata.conf.banks import Bank, Feed, Fill
from strata.conf.banks.notation import example_of
from strata.jobs.runtime.errors import InputError
from strata.jobs.sources.deliveries import Delivery, opened
from strata.jobs.sources.formats import BOM, check_header
from strata.jobs.sources.plain_reading import delivered_text, plain_value

ROWS = 1_000
Texts = Mapping[str, str | None]


@dataclass(frozen=True)
class Unread:
    """Values of one delivered column that can't be read as the silver column wants them, or are missing."""

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
        texts = list(islice(_rows(delivery), rows))
    except (InputError, ValueError, UnicodeError, csv.Error) as wrong:
        return SampledFile(delivery.name, fault=str(wrong).removeprefix(f"{delivery.name}: "))
    unread = [one for fill in delivery.feed.fills for one in _unread(bank, delivery.feed, fill, texts)]
    return SampledFile(delivery.name, len(texts), tuple(unread))


def _rows(delivery: Delivery) -> Iterator[tuple[int, Texts]]:
    """Each row's number in the file and its delivered fields."""
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
            if number > above and line.strip() and not ignored:
                yield number, read(feed, line)


def _csv_row(feed: Feed, line: str) -> Texts:
    layout = feed.csv
    if len(layout.separator) == 1:
        doubled = layout.escape in ("", layout.quote)
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
    else:
        cells = line.split(layout.separator)
    if len(cells) != len(feed.header):
        raise ValueError(f"a line has {len(cells)} fields where {len(feed.header)} are declared: {line[:60]!r}")
    return dict(zip(feed.header, cells, strict=True))


def _json_row(feed: Feed, line: str) -> Texts:
    found = json.loads(line, parse_float=str, parse_int=str)
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
        return f"{value:f}" if abs(value) < 1e15 else str(value)
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
                expected = f"one of {', '.join(source.map)}" if source.map else example_of(kind, notation)
                what = f"{raw}: {text[:40]!r} is not {expected}"
            elif text is None and (source.needed or not (column and column.nullable)):
                what = f"{raw}: is missing"
            else:
                continue
            first = first if faults else (number, what)
            faults["unread"] += 1
        if faults:
            yield Unread(fill.table, name, faults["unread"], first[1], first[0])
