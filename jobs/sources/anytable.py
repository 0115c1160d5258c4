"""Any table that an analyst has, read without a contract: CSV however written, Parquet, Delta.

Nothing is dropped silently: what was renamed, read as missing or left out stands in ``AnyTable.notes``, and
what can't be read is an ``InputError`` of one sentence that names file, row and column.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from gzip import BadGzipFile
from pathlib import Path
from typing import Literal

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from strata.jobs.runtime.delta_log import latest_version
from strata.jobs.runtime.errors import InputError
from strata.jobs.sources.csv_layout import Layout, is_csv_name, layout, read_bytes, unique_names
from strata.jobs.sources.csv_types import listed, plain_path, seen_columns, texts, typed
from strata.jobs.sources.deliveries import content_hash
from strata.models.binning_rows import column

Kind = Literal["csv", "parquet", "delta"]
PARQUET = b"PAR1"
FLAT = (T.NumericType, T.StringType, T.BooleanType, T.DateType, T.TimestampType, T.TimestampNTZType)


@dataclass(frozen=True)
class AnyTable:
    """A table as it was found.

    ``names`` maps each column of ``rows`` to its name in the file; ``notes`` are sentences on what was done;
    ``fingerprint`` changes when the content does.
    """

    rows: DataFrame
    names: Mapping[str, str]
    notes: tuple[str, ...]
    kind: Kind
    fingerprint: str


def read_any(
    spark: SparkSession,
    path: str | Path,
    *,
    separator: str | None = None,
    encoding: str | None = None,
    fewest: int = 2,
) -> AnyTable:
    """Read a CSV file (``.gz`` too) or a folder of them, a Parquet file or folder, or a Delta table's folder.

    CSV: the separator (, ; tab |) is found in the head, the encoding is UTF-8, UTF-16 by its mark, or as given
    (cp1252, latin-1, gb18030, utf-16-le, utf-16-be); types come from one scan of all rows. Parquet and Delta
    keep their types; nested and binary columns are left out. A CSV of fewer than ``fewest`` columns is taken
    for one whose separator wasn't found. Raises ``InputError`` (``UsageError`` for a wrong
    ``separator`` or ``encoding``).
    """
    place = Path(path)
    try:
        kind, files = _find(place)
        if kind == "csv":
            return _csv(spark, layout(files, separator=separator, encoding=encoding, fewest=fewest))
        return _parquet(spark, place, files) if kind == "parquet" else _delta(spark, place)
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


def _csv(spark: SparkSession, shape: Layout) -> AnyTable:
    files = shape.files
    content = read_bytes(shape)
    names, renamed = unique_names(shape.header)
    rows = texts(spark, shape, spans=content.spans)
    columns, notes = typed(rows, list(names), seen_columns(rows, shape), shape.separator)
    found = [
        f"{len(files)} files are read as one table" if len(files) > 1 else "",
        f"columns are separated by {shape.separator!r}" if shape.separator != "," else "",
        f"the encoding is {shape.encoding}" if shape.encoding != "utf-8" else "",
    ]
    return AnyTable(columns, names, (*filter(None, found), *renamed, *notes), "csv", f"sha256:{content.sha256}")


def _parquet(spark: SparkSession, place: Path, files: tuple[Path, ...]) -> AnyTable:
    for path in files:
        with path.open("rb") as content:
            start, size = content.read(len(PARQUET)), content.seek(0, 2)
            content.seek(max(size - len(PARQUET), 0))
            if not start == content.read() == PARQUET or size < 3 * len(PARQUET):
                raise InputError(f"{path}: is no whole Parquet file; write it again")
    try:
        rows = spark.read.parquet(plain_path(place))
    except AnalysisException as wrong:
        raise InputError(f"{place}: can't be read as Parquet: {_first_line(wrong)}") from None
    print_of = f"sha256:{content_hash(place)}" if place.is_file() else _listing_hash(place, files)
    return _flat(place, rows, "parquet", print_of)


def _listing_hash(place: Path, files: tuple[Path, ...]) -> str:
    """A hash of the names, sizes and times of the files in a folder."""
    stats = [(str(path.relative_to(place)), path.stat()) for path in files]
    listing = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return f"files:{hashlib.sha256(repr(listing).encode()).hexdigest()}"


def _delta(spark: SparkSession, place: Path) -> AnyTable:
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
    return _flat(place, rows, "delta", f"delta:{detail['id']}@{version}")


def _first_line(wrong: AnalysisException | Py4JJavaError) -> str:
    text = wrong.java_exception.getMessage() if isinstance(wrong, Py4JJavaError) else str(wrong)
    return str(text).strip().splitlines()[0]


def _flat(place: Path, rows: DataFrame, kind: Kind, fingerprint: str) -> AnyTable:
    """The columns that are numbers, texts, booleans or times; the others are named in a note."""
    flat = [field.name for field in rows.schema if isinstance(field.dataType, FLAT)]
    others = [f"{field.name} ({field.dataType.typeName()})" for field in rows.schema if field.name not in flat]
    if not flat or rows.isEmpty():
        raise InputError(f"{place}: has no {'rows' if flat else 'columns of numbers, text or dates'}")
    notes = (f"left out, being neither numbers, text nor dates: {listed(others)}",) if others else ()
    return AnyTable(rows.select(*map(column, flat)), {name: name for name in flat}, notes, kind, fingerprint)
