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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from strata.jobs.runtime.errors import InputError, UsageError

SUFFIXES = (".csv", ".tsv", ".txt", ".asc", ".dat")
SEPARATORS = (",", ";", "\t", "|")
# Python's name of an encoding and Java's.
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16LE",
    "utf-16-be": "UTF-16BE",
    "cp1252": "windows-1252",
    "latin-1": "ISO-8859-1",
    "gb18030": "GB18030",
}
WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
GZIP, BOOKS = b"\x1f\x8b", (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
HEAD, CHUNK, SAMPLE = 1 << 20, 1 << 22, 500
ESCAPED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Layout:
    """CSV files of one shape: ``header`` as it stands in the first of them, cells stripped of padding."""

    files: tuple[Path, ...]
    separator: str
    encoding: str
    header: tuple[str, ...]
    fewest: int = 2

    @property
    def charset(self) -> str:
        """Java's name of the encoding."""
        return ENCODINGS[self.encoding]


def layout(files: Sequence[Path], *, separator: str | None, encoding: str | None, fewest: int = 2) -> Layout:
    """Look at the head of each file; ``fewest`` columns tell that the separator is right.

    Raises ``InputError`` naming the file that is no CSV or has another header.
    """
    if separator is not None and len(separator) != 1:
        raise UsageError(f"separator: {separator!r} is not one character")
    if encoding is not None and encoding not in ENCODINGS:
        raise UsageError(f"encoding: {encoding!r} is none of {', '.join(ENCODINGS)}")
    first, *others = files
    written = encoding or _encoding(first)
    text = _head(first, written)
    mark = separator or _separator(first, text, fewest)
    shape = Layout(tuple(files), mark, written, _header(first, text, mark, fewest), fewest)
    for path in others:
        if encoding is None and _encoding(path) != written:
            raise InputError(f"{path}: its encoding is {_encoding(path)}, that of {first.name} is {written}")
        _check_same(shape, path)
    return shape


def is_csv_name(name: str) -> bool:
    """Whether a file's name is that of a text table, packed or not."""
    return name.lower().removesuffix(".gz").endswith(SUFFIXES)


def unpacked(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked when its name ends with ``.gz``."""
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _encoding(path: Path) -> str:
    """UTF-16 when a mark says so, else UTF-8. Raises ``InputError`` when the bytes are no text."""
    with unpacked(path) as content:
        start = content.read(HEAD)
    if start.startswith(GZIP):
        raise InputError(f"{path}: is packed with gzip; give it a name that ends with .gz")
    if start.startswith(BOOKS):
        raise InputError(f"{path}: is a workbook or an archive, not CSV; save the sheet as CSV UTF-8")
    if start.startswith(WIDE_MARKS):
        return "utf-16"
    if b"\0" in start:
        raise InputError(f"{path}: has zero bytes, so it is no UTF-8 text; save it as UTF-8 or name its encoding")
    return "utf-8"


def _head(path: Path, encoding: str) -> str:
    """The first million bytes, cut after the last whole line."""
    with unpacked(path) as content:
        start, is_whole = content.read(HEAD), not content.read(1)
    text = codecs.getincrementaldecoder(_python(encoding))("surrogateescape").decode(start, is_whole)
    if not text.strip():
        raise InputError(f"{path}: is empty")
    return text if is_whole else text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text


def _python(encoding: str) -> str:
    """The codec that also swallows a byte-order mark."""
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _separator(path: Path, text: str, fewest: int) -> str:
    """The candidate that splits most of the sampled rows as it splits the header, into most fields."""
    found = []
    for mark in SEPARATORS:
        counts = [len(row) for row, _ in zip(_records(path, text, mark), range(SAMPLE), strict=False)]
        if counts[0] > 1:
            found.append((sum(count == counts[0] for count in counts) / len(counts), counts[0], mark))
    if not found and fewest == 1:
        return SEPARATORS[0]
    if not found:
        raise InputError(f"{path}: row 1: none of , ; tab | separates its names; name the separator")
    return max(found, key=lambda candidate: candidate[:2])[2]


def _header(path: Path, text: str, separator: str, fewest: int) -> tuple[str, ...]:
    names = tuple(name.strip() for name in next(_records(path, text, separator)))
    if wrong := next((name for name in names if ESCAPED.search(name)), None):
        raise InputError(_unreadable(path, 1, names.index(wrong) + 1, wrong))
    if len(names) < fewest:
        raise InputError(f"{path}: row 1: {separator!r} does not separate its names; name another separator")
    return names


def _check_same(shape: Layout, path: Path) -> None:
    """Raise ``InputError`` unless the header is that of the first file."""
    found = _header(path, _head(path, shape.encoding), shape.separator, shape.fewest)
    for here, wanted in zip(found, shape.header, strict=False):
        if here != wanted:
            raise InputError(f"{path}: row 1: {here!r} stands where {shape.files[0].name} has {wanted!r}")
    if len(found) != len(shape.header):
        counts = f"{len(found)} columns, {shape.files[0].name} has {len(shape.header)}"
        raise InputError(f"{path}: row 1: there are {counts}")


def _records(path: Path, text: str, separator: str) -> Iterator[list[str]]:
    """The rows of ``text`` that aren't blank."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        yield from (row for row in rows if separator.join(row).strip())
    except csv.Error as wrong:
        raise InputError(f"{path}: its head can't be split into fields: {wrong}") from None


def unique_names(header: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Column name to name as in the file, in order, and a note for each that had to change.

    Names without letters become ``column_<place>``; of names that are equal to Spark, which doesn't look at
    case, the later ones get ``_2``, ``_3``.
    """
    clean = [" ".join(re.split(r"[\r\n\t]+", name)).strip() for name in header]
    taken, notes = {name.lower() for name in clean}, []
    names: dict[str, str] = {}
    given = set[str]()
    for place, (name, written) in enumerate(zip(clean, header, strict=True), start=1):
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
    digest, spans = hashlib.sha256(), "16" in shape.encoding
    for path in shape.files:
        decoder, quoted = codecs.getincrementaldecoder(shape.encoding)(), 0
        try:
            with unpacked(path) as content:
                while chunk := content.read(CHUNK):
                    digest.update(chunk)
                    decoder.decode(chunk)
                    # UTF-16 can't be cut at line ends byte by byte: it is read as a whole like quoted lines.
                    inside, quoted = _line_in_quotes(chunk, quoted)
                    spans = spans or inside
            decoder.decode(b"", True)
        except UnicodeDecodeError as wrong:
            raise_fault(shape)
            raise InputError(f"{path}: is not {shape.encoding}: {wrong.reason}") from None
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
    for path in shape.files:
        with io.TextIOWrapper(unpacked(path), _python(shape.encoding), "surrogateescape", newline="") as text:
            number = 0
            try:
                for number, row in enumerate(csv.reader(text, delimiter=shape.separator, skipinitialspace=True), 1):
                    _check_row(shape, path, number, row)
            except csv.Error as wrong:
                raise InputError(f"{path}: row {number + 1}: can't be split into fields: {wrong}") from None


def _check_row(shape: Layout, path: Path, number: int, row: list[str]) -> None:
    if not shape.separator.join(row).strip():
        return
    for place, cell in enumerate(row, start=1):
        if ESCAPED.search(cell):
            raise InputError(_unreadable(path, number, place, cell, shape))
    if len(row) != len(shape.header):
        opened = "; is a quote never closed?" if any("\n" in cell for cell in row) else ""
        raise InputError(f"{path}: row {number}: has {len(row)} fields, the header has {len(shape.header)}{opened}")


def _unreadable(path: Path, number: int, place: int, cell: str, shape: Layout | None = None) -> str:
    found = ESCAPED.search(cell)
    byte = f"0x{ord(found[0]) - 0xDC00:02x}" if found else ""
    column = f"column {shape.header[place - 1]!r}" if shape and place <= len(shape.header) else f"column {place}"
    encoding = shape.encoding if shape else "utf-8"
    advice = f"save it as UTF-8 or name its encoding ({', '.join(name for name in ENCODINGS if name != encoding)})"
    return f"{path}: row {number}, {column}: byte {byte} is not {encoding}; {advice}"
