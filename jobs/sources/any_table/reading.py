"""Any table that an analyst has, read without a contract: CSV however written, Parquet, Delta.

Nothing is dropped silently: what was renamed, read as missing or left out stands in ``AnyTable.notes``, and
what can't be read is an ``InputError`` of one sentence that names file, row and column.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from gzip import BadGzipFile
from pathlib import Path
from typing import Literal

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.jobs.runtime.delta_log import latest_version
from strata.jobs.runtime.errors import InputError, UsageError
from strata.jobs.sources.any_table.column_readings import TextColumn, choose_readings, decimal_comma
from strata.jobs.sources.any_table.csv_days import SetAside, refuse_undated, time_column, undated_rows
from strata.jobs.sources.any_table.csv_layout import Layout, is_csv_name, layout, read_bytes, unique_names
from strata.jobs.sources.any_table.csv_types import (
    SHOWN,
    Parse,
    Role,
    Scan,
    given,
    listed,
    plain_path,
    scan,
    scan_cells,
    texts,
    typed,
    whole_rows,
)
from strata.jobs.sources.any_table.parquet_columns import parquet_columns, read_parquet
from strata.jobs.sources.deliveries import content_hash
from strata.models.readings.reading_choice import KINDS, AsKind
from strata.models.readings.text_readings import Reading
from strata.models.samples.training_rows import column

Kind = Literal["csv", "parquet", "delta"]
PARQUET = b"PAR1"
FLAT = (T.NumericType, T.StringType, T.BooleanType, T.DateType, T.TimestampType, T.TimestampNTZType)


@dataclass(frozen=True)
class AnyTable:
    """A table as it was found.

    ``names`` maps each column of ``rows`` to its name in the file; ``notes`` are sentences on what was done;
    ``fingerprint`` changes when the content does; ``set_aside`` are the rows that are not among ``rows`` because
    they have no time. ``readings`` say how the texts of a column became its numbers; numbers with decimal points in a
    column without words for missing values need none.
    """

    rows: DataFrame
    names: Mapping[str, str]
    notes: tuple[str, ...]
    kind: Kind
    fingerprint: str
    set_aside: tuple[SetAside, ...] = ()
    readings: Mapping[str, Reading] = field(default_factory=dict)


@dataclass(frozen=True)
class _Asked:
    """What a caller says of columns, under either of their names; ``untouched`` is None for all columns."""

    kinds: Mapping[str, AsKind]
    untouched: Collection[str] | None

    def checked(self, names: Mapping[str, str]) -> _Asked:
        """The same under the names of the rows. Raises ``UsageError`` for an unknown column or kind."""
        ours = {name: found for name in [*self.kinds, *(self.untouched or ())] if (found := find_column(names, name))}
        for name, kind in self.kinds.items():
            if name not in ours:
                raise UsageError(f"--as {name}={kind}: the table has no column {name!r}")
            if kind not in KINDS:
                raise UsageError(f"--as {name}={kind}: {kind!r} is none of {', '.join(KINDS)}")
        kinds = {ours[name]: kind for name, kind in self.kinds.items()}
        untouched = names if self.untouched is None else [ours[name] for name in self.untouched if name in ours]
        return _Asked(kinds, set(untouched) - set(kinds))


def read_any(
    spark: SparkSession,
    path: str | Path,
    *,
    separator: str | None = None,
    encoding: str | None = None,
    fewest: int = 2,
    roles: Mapping[str, Role] | None = None,
    kinds: Mapping[str, AsKind] | None = None,
    untouched: Collection[str] | None = (),
) -> AnyTable:
    """Read a CSV file (``.gz`` too) or a folder of them, a Parquet file or folder, or a Delta table's folder.

    CSV: the separator (, ; tab |, or what Excel's line ``sep=`` says) is found in the head, the encoding is UTF-8,
    UTF-16 by its mark, or as given, by any of its names; types come from one scan of all rows. Parquet and Delta
    keep their types; nested and binary columns are left out. A CSV of fewer than ``fewest`` columns is taken
    for one whose separator wasn't found.

    Texts that are numbers in other writings (``10.65%``, ``$1,234.50``, ``36 months``) or levels of an ordered
    scale become numbers, see ``models/readings/text_readings.py``: when 95 % of a column's filled cells are
    understood; the others become missing, and a note counts them. ``kinds`` overrules that (column to ``text``,
    ``number``, ``comma``, ``point``, ``percent``, ``money``, ``unit`` or ``order``), and columns that are
    ``untouched`` (None: all) get no reading.

    ``roles`` maps names (see ``find_column``) to what columns are: the cells of an ``identifier`` of a CSV stay text,
    character by character, blanks around them apart; an ``outcome`` keeps words such as None (``NULL_WORDS`` says
    what is missing in which role); rows without a ``time`` are set aside while they are 1 % at most.

    Raises ``InputError`` (``UsageError`` for a wrong ``separator``, ``encoding`` or ``kinds``).
    """
    place, asked = Path(path), _Asked(kinds or {}, untouched)
    try:
        kind, files = _find(place)
        if kind == "csv":
            shape = layout(files, separator=separator, encoding=encoding, fewest=fewest)
            return _csv(spark, shape, roles or {}, asked)
        table = _parquet(spark, place, files, asked) if kind == "parquet" else _delta(spark, place, asked)
        return _dated(place, table, roles or {})
    except (BadGzipFile, EOFError, zlib.error) as wrong:
        raise InputError(f"{place}: can't be unpacked: {wrong}; get it again") from None
    except OSError as wrong:
        raise InputError(f"{wrong.filename or place}: can't be read: {wrong.strerror}") from None


def _find(place: Path) -> tuple[Kind, tuple[Path, ...]]:
    """What kind of table lies there, and its files."""
    if not place.exists():
        raise InputError(f"{place}: no such file or folder")
    if place.is_file():
        files = (_spark_readable(place),)
        is_parquet = place.suffix == ".parquet" or _begins_like_parquet(place)
        return ("parquet" if is_parquet else "csv"), files
    if not place.is_dir():
        raise InputError(f"{place}: is neither a file nor a folder")
    if (place / "_delta_log").is_dir():
        return "delta", ()
    parts = tuple(path for path in sorted(place.rglob("*.parquet")) if not _hidden(path.relative_to(place)))
    tables = tuple(path for path in sorted(place.iterdir()) if is_csv_name(path.name) and not _hidden(Path(path.name)))
    if parts and tables:
        raise InputError(f"{place}: has both Parquet and CSV files; name one of them")
    if not parts and not tables:
        raise InputError(f"{place}: has no CSV or Parquet files and is no Delta table")
    return ("parquet", parts) if parts else ("csv", tuple(_spark_readable(path) for path in tables))


def _hidden(path: Path) -> bool:
    return any(part.startswith(("_", ".")) and "=" not in part for part in path.parts)


def _spark_readable(path: Path) -> Path:
    """Raise ``InputError`` for names that Spark skips or can't open."""
    if _hidden(Path(path.name)):
        raise InputError(f"{path}: Spark skips names that begin with {path.name[0]!r}; rename the file")
    if ":" in path.name:
        raise InputError(f"{path}: Spark can't open a name with a colon; rename the file")
    return path


def _begins_like_parquet(path: Path) -> bool:
    with path.open("rb") as content:
        return content.read(len(PARQUET)) == PARQUET


def find_column(names: Mapping[str, str], wanted: str) -> str | None:
    """The column that somebody calls ``wanted``, whose ``names`` map columns to names in the file; None without one.

    By its name in the file, by its own, or by the former whatever its case and the blanks around it; of equal names
    the first.
    """
    by_file = {theirs: ours for ours, theirs in reversed(list(names.items()))}
    any_case = {theirs.strip().lower(): ours for theirs, ours in by_file.items()}
    own = wanted if wanted in names else None
    return by_file.get(wanted) or own or any_case.get(wanted.strip().lower())


def _csv(spark: SparkSession, shape: Layout, roles_given: Mapping[str, Role], asked: _Asked) -> AnyTable:
    content = read_bytes(shape)
    lines = texts(spark, shape, spans=content.spans)
    found = scan(lines, shape)
    rows = whole_rows(lines, shape, found)
    empty = [i for i, seen in enumerate(found.columns) if not (shape.header[i] or seen.bits)]
    kept = [i for i in range(len(shape.header)) if i not in empty]
    names, renamed = unique_names(shape.header, empty)
    asked = asked.checked(names)
    roles: dict[str, Role] = {ours: role for name, role in roles_given.items() if (ours := find_column(names, name))}
    cells = rows.select(*(F.col(f"c{i}").alias(f"c{j}") for j, i in enumerate(kept)))
    when = next(((j, name) for j, name in enumerate(names) if roles.get(name) == "time"), None)
    decided: dict[str, Parse] = {}
    set_aside: tuple[SetAside, ...] = ()
    if when and (time := time_column(cells, f"c{when[0]}")):
        set_aside = undated_rows(cells, f"c{when[0]}", time, shape, kept[when[0]])
        cells, decided = cells.withColumn("t", F.trim(f"c{when[0]}")), {when[1]: time.parsing}
    seen = [found.columns[i] for i in kept]
    comma = decimal_comma([one for one, name in zip(seen, names) if roles.get(name) != "identifier"], shape.separator)
    alone = {*roles, *(asked.untouched or ())}
    to_read = [
        TextColumn(name, given(f"c{i}", one.words), one, asked.kinds.get(name), name in alone)
        for i, (name, one) in enumerate(zip(names, seen, strict=True))
    ]
    choices = choose_readings(cells, to_read, comma=comma, likely=shape.separator == ",")
    columns, notes = typed(
        cells, list(names), seen,
        comma=bool(comma), choices=choices, kinds=asked.kinds, roles=roles, decided=decided,
    )  # fmt: skip
    readings = {
        name: choice.reading
        for name, choice in choices.items()
        if choice.reading and roles.get(name, "feature") == "feature"
    }
    every = (*_layout_notes(shape, found, len(empty)), *renamed, *notes)
    table = AnyTable(columns, names, every, "csv", f"sha256:{content.sha256}", readings=readings)
    return _without_time(shape.files[0], table, when[1], set_aside) if when else table


def _layout_notes(shape: Layout, found: Scan, empty: int) -> list[str]:
    """How the files are written, where that is not the usual way, and what was left out of them."""
    files = shape.files
    notes = [
        f"{len(files)} files are read as one table" if len(files) > 1 else "",
        f"columns are separated by {shape.separator!r}" if shape.separator != "," else "",
        f"the encoding is {shape.encoding}" if shape.encoding != "utf-8" else "",
        _left_out(found, len(files) if shape.prefaced else 0, empty),
    ]
    return [note for note in notes if note]


def _left_out(found: Scan, prefaced: int, columns: int) -> str:
    """What of a CSV is no row or column of its table."""
    parts = [
        f"{_number(found.blank, 'line')} of separators alone" if found.blank else "",
        f"{_number(found.headers - prefaced, 'repetition')} of the header" if found.headers > prefaced else "",
        f"{_number(columns, 'column')} without a name and a value" if columns else "",
    ]
    return f"left out: {', '.join(filter(None, parts))}" if any(parts) else ""


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _dated(place: Path, table: AnyTable, given: Mapping[str, Role]) -> AnyTable:
    """A table of Parquet or Delta without the rows that have no time."""
    name = next((name for name, role in given.items() if role == "time"), None)
    ours = find_column(table.names, name) if name else None
    return _without_time(place, table, ours, ()) if ours else table


def _without_time(place: Path, table: AnyTable, time: str, set_aside: tuple[SetAside, ...]) -> AnyTable:
    """The table without the rows that have no time, which are listed; ``set_aside`` are those found already."""
    if not set_aside:
        set_aside = _undated(place, table, time)
    if not set_aside:
        return table
    known = [f"row {one.row} {one.text!r}" for one in set_aside if one.row is not None]
    named = [_number(len(set_aside), "row"), *known[:SHOWN], *(["…"] if len(known) > SHOWN else [])]
    note = f"set aside for want of a time in {table.names[time]!r}: {', '.join(named)}"
    rows = table.rows.where(column(time).isNotNull())
    return replace(table, rows=rows, notes=(*table.notes, note), set_aside=set_aside)


def _undated(place: Path, table: AnyTable, time: str) -> tuple[SetAside, ...]:
    counts = table.rows.agg(F.count("*").alias("rows"), F.count(column(time)).alias("dated")).head()
    assert counts is not None
    undated, name = counts["rows"] - counts["dated"], table.names[time]
    refuse_undated(undated, counts["rows"], None, f"{place}: column {name!r}: has gaps")
    return tuple(SetAside(place, None, name, "", "is empty") for _ in range(undated))


def _parquet(spark: SparkSession, place: Path, files: tuple[Path, ...], asked: _Asked) -> AnyTable:
    for path in files:
        with path.open("rb") as content:
            start, size = content.read(len(PARQUET)), content.seek(0, 2)
            content.seek(max(size - len(PARQUET), 0))
            if not start == content.read() == PARQUET or size < 3 * len(PARQUET):
                raise InputError(f"{path}: is no whole Parquet file; write it again")
    columns = parquet_columns(files)
    if not columns.readable:
        raise InputError(f"{place}: has no columns of numbers, text or dates")
    print_of = f"sha256:{content_hash(place)}" if place.is_file() else _listing_hash(place, files)
    try:
        rows = read_parquet(spark, plain_path(place), columns)
        table = _flat(place, rows, "parquet", print_of, asked, columns.others if columns.refused else {})
    except (AnalysisException, Py4JJavaError) as wrong:
        raise InputError(f"{place}: can't be read as Parquet: {_first_line(wrong)}") from None
    if not columns.nanos:
        return table
    note = f"{listed(list(columns.nanos))}: times in nanoseconds are read in microseconds"
    return replace(table, notes=(*table.notes, note))


def _listing_hash(place: Path, files: tuple[Path, ...]) -> str:
    """A hash of the names, sizes and times of the files in a folder."""
    stats = [(str(path.relative_to(place)), path.stat()) for path in files]
    listing = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return f"files:{hashlib.sha256(repr(listing).encode()).hexdigest()}"


def _delta(spark: SparkSession, place: Path, asked: _Asked) -> AnyTable:
    """The latest version; the fingerprint is the table's id and that version."""
    path = str(place.absolute())
    version = latest_version(spark, path)
    if version is None:
        raise InputError(f"{place}: its _delta_log has no version")
    try:
        rows = spark.read.format("delta").option("versionAsOf", version).load(path)
        detail = DeltaTable.forPath(spark, path).detail().select("id").head()
    except (AnalysisException, Py4JJavaError) as wrong:
        raise InputError(f"{place}: can't be read as a Delta table: {_first_line(wrong)}") from None
    assert detail is not None
    return _flat(place, rows, "delta", f"delta:{detail['id']}@{version}", asked)


def _first_line(wrong: AnalysisException | Py4JJavaError) -> str:
    """The first line of what Spark says of the innermost cause."""
    if not isinstance(wrong, Py4JJavaError):
        return str(wrong).strip().splitlines()[0]
    cause = wrong.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return str(cause.getMessage() or cause.toString()).strip().splitlines()[0]


def _flat(
    place: Path, rows: DataFrame, kind: Kind, fingerprint: str, asked: _Asked, unread: Mapping[str, str] | None = None
) -> AnyTable:
    """The columns that are numbers, texts, booleans or times; the others, ``unread`` ones too, are named in a note."""
    flat = [field.name for field in rows.schema if isinstance(field.dataType, FLAT)]
    others = [f"{field.name} ({field.dataType.typeName()})" for field in rows.schema if field.name not in flat]
    others += [f"{name} ({word})" for name, word in (unread or {}).items()]
    if not flat or rows.isEmpty():
        raise InputError(f"{place}: has no {'rows' if flat else 'columns of numbers, text or dates'}")
    notes = (f"left out, being neither numbers, text nor dates: {listed(others)}",) if others else ()
    names = {name: name for name in flat}
    columns, readings, more = _read_texts(rows.select(*map(column, flat)), asked.checked(names))
    return AnyTable(columns, names, (*notes, *more), kind, fingerprint, readings=readings)


def _read_texts(rows: DataFrame, asked: _Asked) -> tuple[DataFrame, dict[str, Reading], list[str]]:
    """Texts that have a reading as numbers, and columns of which somebody says so as texts; one scan of the texts."""
    types = {field.name: field.dataType for field in rows.schema}
    for name, kind in asked.kinds.items():
        if kind != "text" and isinstance(types[name], T.DateType | T.TimestampType | T.TimestampNTZType):
            raise UsageError(f"--as {name}={kind}: the column is {types[name].simpleString()}, not text or a number")
    names = [
        name for name, kind in types.items() if isinstance(kind, T.StringType) and name not in (asked.untouched or ())
    ]
    seen = scan_cells(rows.select(*map(column, names))) if names else {}
    texts_of = [
        TextColumn(name, given(name, seen[i].words), seen[i], asked.kinds.get(name)) for i, name in enumerate(names)
    ]
    comma = decimal_comma([*seen.values()], None)
    choices = choose_readings(rows, texts_of, comma=comma, likely=False, typed=False)
    readings = {name: choice.reading for name, choice in choices.items() if choice.reading}
    made = {name: reading.column(column(name)) for name, reading in readings.items()}
    made |= {name: column(name).cast("string") for name, kind in asked.kinds.items() if kind == "text"}
    columns = rows.select(*[made[name].alias(name) if name in made else column(name) for name in types])
    return columns, readings, [f"{name!r}: {choice.note}" for name, choice in choices.items() if choice.note]
