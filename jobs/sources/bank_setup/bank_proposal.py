"""From a folder of raw files to a proposed bank: how the files look, and which silver columns their columns may fill.

What is found is written down to be looked at: separators, encodings, headers, days, times and numbers by what most of
the first rows can be read as, tables and columns by how alike the names are. What is missing stands as a comment.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from strata.conf.banks.feeds import CLOCKS
from strata.conf.banks.notation import ANY_NUMBER, Notation, day_pattern, number_expression, real_expression
from strata.conf.contracts import Table
from strata.conf.tables import SILVER
from strata.jobs.runtime.errors import InputError, UsageError
from strata.jobs.sources.any_table.csv_layout import Layout, is_csv_name, layout, unpacked
from strata.jobs.sources.bank_setup.bank_sample import BANK, bank_name

ROWS = 500
SAMPLED = 1 << 20
# What is understood of a column when so many of its filled cells are.
MOST = 0.95
# How alike two names must be, and how much of a table's needed columns a file must have.
ALIKE, ENOUGH = 0.75, 0.34
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Days that say nothing of when a row began to hold.
NO_BEGINNING = ("birth_date", "valid_to", "closed_on", "ended_on")
DAYS = ("yyyy-MM-dd", "dd/MM/yyyy", "MM/dd/yyyy", "dd.MM.yyyy", "yyyyMMdd", "dd-MMM-yyyy", "yyyy/MM/dd")
CLOCK_ENDS = (" HH:mm:ss", " HH:mm", "'T'HH:mm:ss")
TIMES = ("iso", *(f"{day}{end}" for day in DAYS for end in CLOCK_ENDS))
NUMBERS: tuple[dict[str, str], ...] = (
    {},
    {"decimal": ",", "thousands": "."},
    {"thousands": ","},
    {"decimal": ",", "thousands": " "},
    {"sign": "behind"},
    {"decimal": ",", "thousands": ".", "sign": "behind"},
)


@dataclass(frozen=True)
class RawFile:
    """Files of one kind: their format, how they are laid out, their columns, and the texts of their first rows."""

    kind: str
    files: tuple[str, ...]
    format: str
    csv: Mapping[str, object]
    encoding: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def texts(self, column: str) -> list[str]:
        """The filled cells of a column."""
        place = self.columns.index(column)
        return [text for row in self.rows if place < len(row) and (text := row[place].strip())]


def write_proposal(folder: Path, raw: Path) -> list[str]:
    """Write ``bank.yml`` and a feed for each kind of file in ``raw``; returns the files in it.

    Raises ``UsageError`` when there is nothing to read.
    """
    if not raw.is_dir():
        raise UsageError(f"--from {raw}: no such folder")
    found = list(raw_files(raw))
    if not found:
        raise UsageError(f"--from {raw}: no CSV, JSON or Parquet file in it")
    (folder / "feeds").mkdir(parents=True, exist_ok=True)
    text = BANK.format(folder=folder, name=bank_name(folder), as_of="2025-01-01")
    text = text.replace("layout: dated ", "layout: flat ").replace('"{folder}/landing"', json.dumps(str(raw.resolve())))
    (folder / "bank.yml").write_text(text, encoding="utf-8")
    names = ["bank.yml"]
    for file in found:
        (folder / "feeds" / f"{file.kind}.yml").write_text(feed_text(file), encoding="utf-8")
        names.append(f"feeds/{file.kind}.yml")
    return names


def raw_files(raw: Path) -> Iterator[RawFile]:
    """The kinds of files in a folder: names that differ by digits and what stands around them are of one kind."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(path for path in raw.iterdir() if path.is_file() and not path.name.startswith(".")):
        word = re.sub(r"[\d_.-]*$", "", path.name.split(".", 1)[0].lower())
        kinds.setdefault(re.sub(r"\W+", "_", word) or "file", []).append(path)
    for kind, paths in kinds.items():
        patterns = tuple(dict.fromkeys(re.sub(r"\d+", "*", path.name) for path in paths))
        first = paths[-1]
        if first.suffix == ".parquet":
            yield _parquet(kind, patterns, first)
        elif first.name.removesuffix(".gz").endswith((".json", ".jsonl")):
            yield _json(kind, patterns, first)
        elif is_csv_name(first.name):
            yield _csv(kind, patterns, first)


def _parquet(kind: str, files: tuple[str, ...], path: Path) -> RawFile:
    table = pq.ParquetFile(path)
    batch = next(table.iter_batches(ROWS), None)
    rows = [] if batch is None else batch.to_pylist()
    columns = tuple(table.schema_arrow.names)
    texts = tuple(tuple("" if row[name] is None else str(row[name]) for name in columns) for row in rows)
    return RawFile(kind, files, "parquet", {}, "utf-8", columns, texts)


def _json(kind: str, files: tuple[str, ...], path: Path) -> RawFile:
    with unpacked(path) as content:
        rows = [json.loads(line) for line in islice(content, ROWS) if line.strip()]
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    texts = tuple(tuple("" if row.get(name) is None else str(row[name]) for name in columns) for row in rows)
    return RawFile(kind, files, "json", {}, "utf-8", columns, texts)


def _csv(kind: str, files: tuple[str, ...], path: Path) -> RawFile:
    shape = _layout(path)
    with unpacked(path) as content:
        lines = [line.decode(shape.encoding, "replace") for line in islice(content, ROWS + 1)]
    rows = [tuple(row) for row in csv.reader(lines, delimiter=shape.separator) if any(row)]
    named = not any(_is_value(cell) for cell in shape.header)
    columns = shape.header if named else tuple(f"c{number}" for number in range(1, len(shape.header) + 1))
    said = {"separator": shape.separator} | ({} if named else {"header": False})
    return RawFile(kind, files, "csv", said, shape.encoding, columns, tuple(rows[1:] if named else rows))


def _layout(path: Path) -> Layout:
    try:
        return layout([path], separator=None, encoding=_encoding(path), fewest=1)
    except InputError as wrong:
        raise UsageError(str(wrong)) from None


def _encoding(path: Path) -> str | None:
    """GB18030 where bytes that are no UTF-8 are mostly Chinese in it, else Western; ``None`` for a mark or UTF-8."""
    with unpacked(path) as content:
        head = content.read(SAMPLED).rpartition(b"\n")[0]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _decoded(head, "utf-8") is not None:
        return None
    text = _decoded(head, "gb18030")
    foreign = [letter for letter in text or "" if not letter.isascii()]
    chinese = sum(CHINESE.match(letter) is not None for letter in foreign)
    if 2 * chinese > len(foreign):
        return "gb18030"
    return "latin-1" if _decoded(head, "cp1252") is None else "cp1252"


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_value(cell: str) -> bool:
    """Whether a cell of a first line is data and no name: a number, or a day."""
    return bool(re.fullmatch(r"[\d.,:/+-]+", cell.strip()))


def feed_text(file: RawFile) -> str:
    """The YAML of a proposed feed, with comments on what to look at."""
    numbers, days, times = _numbers(file), _first(DAYS, file), _first(TIMES, file)
    notation = {**numbers, **({"days": days} if days else {}), **({"times": times} if times and times != "iso" else {})}
    said: dict[str, object] = {"files": list(file.files), "format": file.format}
    said |= {"encoding": file.encoding} if file.encoding not in ("utf-8", "utf-8-sig") else {}
    said |= {"csv": dict(file.csv)} if file.csv else {}
    said |= {"notation": notation} if notation else {}
    said["columns"] = list(file.columns)
    head = f"# Proposed from {', '.join(file.files)}: look at every line.\n"
    return head + yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=110) + _tables_text(file)


def _tables_text(file: RawFile) -> str:
    table = best_table(file)
    if table is None:
        return "# No silver table has columns of such names; `strata columns` lists them.\ntables:\n"
    pairs = matched_columns(file.columns, table)
    lines = ["tables:", f"  {table.name}:", "    fields:"]
    lines += [f"      {silver}: {json.dumps(raw, ensure_ascii=False)}" for silver, raw in pairs.items()]
    for column in table.columns:
        if column.name not in (*pairs, *CLOCKS) and not column.nullable:
            lines.append(f"      # needed: {column.name} ({column.type}): {column.description}")
    event = next((name for name in pairs if _begins(table, name)), None)
    if event is None and (clock := _clock(file, pairs.values())):
        event = re.sub(r"\W+", "_", clock[0].lower())
        said = {"from": clock[0], "type": clock[1]}
        lines.append(
            f"      {event}: {json.dumps(said, ensure_ascii=False)}   # silver has no such column: for the clocks"
        )
    lines += [f"    event: {event}" if event else "    # event: when it happened", "    known: next_morning"]
    return "\n".join([*lines, ""])


def _begins(table: Table, name: str) -> bool:
    """Whether a silver column says when the row happened or began to hold."""
    kind = next(column.type for column in table.columns if column.name == name)
    return kind in ("timestamp", "date") and name not in NO_BEGINNING


def _clock(file: RawFile, used: Iterable[str]) -> tuple[str, str] | None:
    """A delivered column of times, else of days, that fills no silver column, with its SQL type."""
    free = [name for name in file.columns if name not in set(used)]
    for kind, patterns in (("timestamp", TIMES), ("date", DAYS)):
        for name in free:
            if any(_most(file.texts(name), day_pattern(pattern).expression) for pattern in patterns):
                return name, kind
    return None


def best_table(file: RawFile) -> Table | None:
    """The silver table whose needed columns the file's names are most like; none where few are."""
    scored = [(_share(file, table), _likeness(file.kind, table.name), table) for table in SILVER.values()]
    share, _, table = max(scored, key=lambda one: one[:2])
    return table if share >= ENOUGH else None


def _share(file: RawFile, table: Table) -> float:
    needed = [column for column in table.columns if not column.nullable and column.name not in CLOCKS]
    pairs = matched_columns(file.columns, table)
    own = 0.5 if _likeness(file.kind, table.name) >= ALIKE else 0.0
    return sum(column.name in pairs for column in needed) / max(len(needed), 1) + own


def matched_columns(columns: Sequence[str], table: Table) -> dict[str, str]:
    """Silver column to delivered column, the most alike first, each used once."""
    wanted = [column for column in table.columns if column.name not in CLOCKS]
    scored = sorted(
        ((_likeness(raw, column.name), column.name, raw) for column in wanted for raw in columns),
        key=lambda one: -one[0],
    )
    pairs: dict[str, str] = {}
    for score, silver, raw in scored:
        if score >= ALIKE and silver not in pairs and raw not in pairs.values():
            pairs[silver] = raw
    return {column.name: pairs[column.name] for column in wanted if column.name in pairs}


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, _plain(one), _plain(other)).ratio()


def _plain(name: str) -> str:
    """A name without case, signs, units and the plural."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"(_hash|_amt|_cnt)$", "", name.lower())).rstrip("s")


def _first(patterns: Iterable[str], file: RawFile) -> str | None:
    """The first pattern that most cells of some column are written in."""
    for pattern in patterns:
        expression = day_pattern(pattern).expression
        if any(_most(file.texts(name), expression) for name in file.columns):
            return pattern
    return None


def _numbers(file: RawFile) -> dict[str, object]:
    """How the file's numbers are written: the first notation in which all columns of numbers can be read."""
    any_number = r"^[-+(]?[\d.,' ]*\d[\d.,' ]*[-+)]?$"
    columns = [texts for name in file.columns if _most(texts := file.texts(name), any_number) and not _are_days(texts)]
    for said in NUMBERS:
        notation = Notation(**said)
        expressions = (number_expression(ANY_NUMBER, notation), real_expression(notation))
        if all(any(_most(texts, expression) for expression in expressions) for texts in columns):
            return dict(said)
    return {}


def _are_days(texts: list[str]) -> bool:
    return any(_most(texts, day_pattern(pattern).expression) for pattern in (*DAYS, *TIMES))


def _most(texts: list[str], expression: str) -> bool:
    fitting = sum(re.fullmatch(expression, text, re.ASCII) is not None for text in texts)
    return bool(texts) and fitting >= MOST * len(texts)
