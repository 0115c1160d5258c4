"""How somebody's CSV files are written: packing, encoding, separator, header; and where they break.

What is here runs on the driver: the head of each file through Python's ``csv``, and all bytes once for
their hash, encoding and quotes. Parsing the rows is Spark's part, in ``csv_types``.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from strata.jobs.runtime.errors import InputError, UsageError
from strata.jobs.sources.encodings import USUAL, cuts_at_line_ends, python_name

SUFFIXES = (".csv", ".tsv", ".txt", ".asc", ".dat")
SEPARATORS = (",", ";", "\t", "|")
# How a shell that writes no tab may spell one, and what no separator can be.
SPELT = {"\\t": "\t", "tab": "\t"}
NO_SEPARATORS = '"\r\n\0'
MARK = "\ufeff"  # of the byte order, at the beginning of a file
# The marks of UTF-32 first: they begin like those of UTF-16.
WIDE_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# The first line by which Excel is told the separator.
PREFACE = re.compile(r""""?sep=([^\r\n"])"?\1*[ ]*(?:\r\n|\r|\n|$)""", re.IGNORECASE)
GZIP, BOOKS = b"\x1f\x8b", (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
HEAD, CHUNK, SAMPLE = 1 << 20, 1 << 22, 500
ESCAPED = re.compile("[\udc80-\udcff]")
# Python's limit of 131,072 characters a cell is for readers of hostile input; Spark has none.
csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True)
class Layout:
    """CSV files of one shape: ``header`` as it stands in the first of them, cells stripped of padding.

    ``encoding`` is Python's name. ``prefaced`` when Excel's line ``sep=;`` stands before the header of a file.
    """

    files: tuple[Path, ...]
    separator: str
    encoding: str
    header: tuple[str, ...]
    fewest: int = 2
    prefaced: bool = False


@dataclass(frozen=True)
class _Head:
    """The first million bytes as text after Excel's line, the separator which that line names, the header's row."""

    text: str
    named: str | None
    row: int


def layout(files: Sequence[Path], *, separator: str | None, encoding: str | None, fewest: int = 2) -> Layout:
    """Look at the head of each file; ``fewest`` columns tell that the separator is right.

    Raises ``InputError`` naming the file that is no CSV or has another header.
    """
    if separator is not None:
        separator = _usable(separator)
    encoding = python_name(encoding) if encoding is not None else None
    first, *others = files
    written = encoding or _encoding(first)
    head = _head(first, written)
    mark = separator or head.named or _separator(first, head, fewest)
    header = _fitted(_header(first, head, mark, fewest, written), first, head, mark)
    shape = Layout(tuple(files), mark, written, header, fewest, head.named is not None)
    for path in others:
        if encoding is None and _encoding(path) != written:
            raise InputError(f"{path}: its encoding is {_encoding(path)}, that of {first.name} is {written}")
        shape = replace(shape, prefaced=_check_same(shape, path) or shape.prefaced)
    return shape


def _usable(separator: str) -> str:
    """The separator as a character. Raises ``UsageError`` when it can't be one."""
    mark = SPELT.get(separator.lower(), separator)
    if len(mark) != 1:
        raise UsageError(f"--separator: {separator!r} is not one character")
    if mark in NO_SEPARATORS or ord(mark) > 0xFFFF:
        raise UsageError(f"--separator: {separator!r} can't separate columns; name another character")
    return mark


def is_csv_name(name: str) -> bool:
    """Whether a file's name is that of a text table, packed or not."""
    return name.lower().removesuffix(".gz").endswith(SUFFIXES)


def unpacked(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked when its name ends with ``.gz``."""
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _encoding(path: Path) -> str:
    """UTF-16 or UTF-32 when a mark says so, else UTF-8. Raises ``InputError`` when the bytes are no text."""
    with unpacked(path) as content:
        start = content.read(HEAD)
    if start.startswith(GZIP):
        raise InputError(f"{path}: is packed with gzip; give it a name that ends with .gz")
    if start.startswith(BOOKS):
        raise InputError(f"{path}: is a workbook or an archive, not CSV; save the sheet as CSV UTF-8")
    if wide := next((name for mark, name in WIDE_MARKS.items() if start.startswith(mark)), None):
        return wide
    if b"\0" in start:
        raise InputError(
            f"{path}: has zero bytes, so it is no UTF-8 text; save it as UTF-8 or name its encoding with --encoding"
        )
    return "utf-8"


def _head(path: Path, encoding: str) -> _Head:
    """The first million bytes, cut after the last whole line, without a mark and without Excel's line."""
    with unpacked(path) as content:
        start, is_whole = content.read(HEAD), not content.read(1)
    if encoding in WIDE_MARKS.values() and not start.startswith(tuple(WIDE_MARKS)):
        raise InputError(f"{path}: has no byte-order mark; name the encoding {encoding}-le or {encoding}-be")
    try:
        text = codecs.getincrementaldecoder(encoding)("surrogateescape").decode(start, is_whole).removeprefix(MARK)
    except UnicodeError as wrong:
        raise InputError(f"{path}: is not {encoding}: {wrong}; name its encoding with --encoding") from None
    if not text.strip():
        raise InputError(f"{path}: is empty")
    if not is_whole:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    preface = PREFACE.match(text)
    if preface is None:
        return _Head(text, None, 1)
    if not text[preface.end() :].strip():
        raise InputError(f"{path}: has nothing after its line {preface[0].strip()!r}")
    return _Head(text[preface.end() :], preface[1], 2)


def _separator(path: Path, head: _Head, fewest: int) -> str:
    """The candidate that splits most of the sampled rows as it splits the header, into most fields."""
    found = []
    for mark in SEPARATORS:
        counts = [len(row) for row in _sample(path, head, mark)]
        if counts[0] > 1:
            found.append((sum(count == counts[0] for count in counts) / len(counts), counts[0], mark))
    if not found and fewest == 1:
        return SEPARATORS[0]
    if not found:
        raise InputError(
            f"{path}: row {head.row}: none of , ; tab | separates its names; name the separator with --separator"
        )
    return max(found, key=lambda candidate: candidate[:2])[2]


def _sample(path: Path, head: _Head, separator: str) -> list[list[str]]:
    return list(islice(_records(path, head.text, separator), SAMPLE))


def _header(path: Path, head: _Head, separator: str, fewest: int, encoding: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in next(_records(path, head.text, separator)))
    if wrong := next((name for name in names if ESCAPED.search(name)), None):
        raise InputError(_unreadable(path, head.row, f"column {names.index(wrong) + 1}", wrong, encoding))
    if len(names) < fewest:
        raise InputError(
            f"{path}: row {head.row}: {separator!r} does not separate its names; "
            "name another separator with --separator"
        )
    return names


def _fitted(header: tuple[str, ...], path: Path, head: _Head, separator: str) -> tuple[str, ...]:
    """The header with as many names as the rows have fields, where only an end of line's separator differs."""
    rows = [row for row in _sample(path, head, separator)[1:] if any(cell.strip() for cell in row)]
    if not rows or head.named is not None:
        return header
    if all(len(row) == len(header) + 1 and not row[-1].strip() for row in rows):
        return (*header, "")
    if not header[-1] and all(len(row) == len(header) - 1 for row in rows):
        return header[:-1]
    return header


def _check_same(shape: Layout, path: Path) -> bool:
    """Raise ``InputError`` unless the header is that of the first file; whether Excel's line stands before it."""
    head = _head(path, shape.encoding)
    found = _fitted(_header(path, head, shape.separator, shape.fewest, shape.encoding), path, head, shape.separator)
    for here, wanted in zip(found, shape.header, strict=False):
        if here != wanted:
            raise InputError(f"{path}: row {head.row}: {here!r} stands where {shape.files[0].name} has {wanted!r}")
    if len(found) != len(shape.header):
        counts = f"{len(found)} columns, {shape.files[0].name} has {len(shape.header)}"
        raise InputError(f"{path}: row {head.row}: there are {counts}")
    return head.named is not None


def _records(path: Path, text: str, separator: str) -> Iterator[list[str]]:
    """The rows of ``text`` that aren't blank."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        yield from (row for row in rows if separator.join(row).strip())
    except csv.Error as wrong:
        raise InputError(f"{path}: its head can't be split into fields: {wrong}") from None


def unique_names(header: Sequence[str], left_out: Collection[int] = ()) -> tuple[dict[str, str], tuple[str, ...]]:
    """Column name to name as in the file, in order, and a note for each that had to change.

    Names without letters become ``column_<place>``; of names that are equal to Spark, which doesn't look at
    case, the later ones get ``_2``, ``_3``. ``left_out``: places (from 0) of columns that get no name.
    """
    clean = [" ".join(re.split(r"[\r\n\t]+", name)).strip() for name in header]
    taken, notes = {name.lower() for name in clean}, []
    names: dict[str, str] = {}
    given = set[str]()
    for place, (name, written) in enumerate(zip(clean, header, strict=True), start=1):
        if place - 1 in left_out:
            continue
        used = name or _free(f"column_{place}", taken)
        if used.lower() in given:
            used = _free_numbered(name, taken | given)
        given.add(used.lower())
        names[used] = written
        if used != written:
            why = "it has no name" if not name else "the name stands twice" if used != name else "the name had breaks"
            notes.append(f"column {place} {written!r} is called {used!r}: {why}")
    return names, tuple(notes)


def _free(name: str, taken: set[str]) -> str:
    return name if name not in taken else _free_numbered(name, taken)


def _free_numbered(name: str, taken: set[str]) -> str:
    return next(made for k in range(2, len(taken) + 3) if (made := f"{name}_{k}").lower() not in taken)


@dataclass(frozen=True)
class Bytes:
    """What one pass over all bytes tells: their SHA-256 and whether a line ends inside quotes."""

    sha256: str
    spans: bool


def read_bytes(shape: Layout) -> Bytes:
    """Hash the unpacked files, check their encoding. Raises ``InputError`` naming file, row and column."""
    # What can't be cut at line ends byte by byte is read as a whole, like quoted lines.
    digest, spans = hashlib.sha256(), not cuts_at_line_ends(shape.encoding)
    for path in shape.files:
        decoder, quoted = codecs.getincrementaldecoder(shape.encoding)(), 0
        try:
            with unpacked(path) as content:
                while chunk := content.read(CHUNK):
                    digest.update(chunk)
                    has_zero = "\0" in decoder.decode(chunk)
                    if has_zero:
                        raise_fault(shape)
                    inside, quoted = _line_in_quotes(chunk, quoted)
                    spans = spans or inside
            decoder.decode(b"", True)
        except UnicodeError as wrong:
            raise_fault(shape)
            why = wrong.reason if isinstance(wrong, UnicodeDecodeError) else wrong
            raise InputError(f"{path}: is not {shape.encoding}: {why}") from None
        except (EOFError, zlib.error) as wrong:
            raise InputError(f"{path}: can't be unpacked: {wrong}; get it again") from None
    return Bytes(digest.hexdigest(), spans)


def _line_in_quotes(chunk: bytes, quoted: int) -> tuple[bool, int]:
    """Whether a line ends after an odd number of quotes, of which there were ``quoted`` (0 or 1) before."""
    if b'"' not in chunk and not quoted:
        return False, quoted
    values = np.frombuffer(chunk, np.uint8)
    odd = np.bitwise_xor.accumulate((values == ord('"')).astype(np.uint8)) ^ np.uint8(quoted)
    ends = (values == ord("\n")) | (values == ord("\r"))
    return bool(odd[ends].any()), int(odd[-1])


def raise_fault(shape: Layout) -> None:
    """Walk the files in Python to the first row that can't be read and raise ``InputError`` naming it."""
    for path, number, row in numbered_rows(shape):
        _check_row(shape, path, number, row)


def numbered_rows(shape: Layout) -> Iterator[tuple[Path, int, list[str]]]:
    """Every row of every file that isn't blank, headers too: its file, its number in it (from 1), its cells.

    On the driver, one row at a time. Raises ``InputError`` where a file can't be split into rows.
    """
    for path in shape.files:
        with io.TextIOWrapper(unpacked(path), shape.encoding, "surrogateescape", newline="") as text:
            number = 0
            try:
                for number, row in enumerate(csv.reader(text, delimiter=shape.separator, skipinitialspace=True), 1):
                    if number == 1 and row:
                        row[0] = row[0].removeprefix(MARK)
                    is_preface = number == 1 and shape.prefaced and PREFACE.match(shape.separator.join(row))
                    if not is_preface and any(cell.strip() for cell in row):
                        yield path, number, row
            except csv.Error as wrong:
                raise InputError(f"{path}: row {number + 1}: can't be split into fields: {wrong}") from None
            except UnicodeError as wrong:
                raise InputError(f"{path}: row {number + 1}: is not {shape.encoding}: {wrong}") from None


def _check_row(shape: Layout, path: Path, number: int, row: list[str]) -> None:
    for place, cell in enumerate(row):
        where = f"column {shape.header[place]!r}" if place < len(shape.header) else f"column {place + 1}"
        if ESCAPED.search(cell):
            raise InputError(_unreadable(path, number, where, cell, shape.encoding))
        if "\0" in cell:
            raise InputError(
                f"{path}: row {number}, {where}: has a zero byte, which no text has; "
                "remove it, or name the encoding with --encoding"
            )
    if len(row) != len(shape.header) and tuple(map(str.strip, row)) != shape.header[: len(row)]:
        opened = "; is a quote never closed?" if any("\n" in cell for cell in row) else ""
        raise InputError(f"{path}: row {number}: has {len(row)} fields, the header has {len(shape.header)}{opened}")


def _unreadable(path: Path, number: int, where: str, cell: str, encoding: str) -> str:
    found = ESCAPED.search(cell)
    byte = f"0x{ord(found[0]) - 0xDC00:02x}" if found else ""
    others = ", ".join(name for name in USUAL if name != encoding)
    advice = f"save it as UTF-8 or name its encoding ({others}) with --encoding"
    return f"{path}: row {number}, {where}: byte {byte} is not {encoding}; {advice}"
