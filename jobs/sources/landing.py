"""From delivered files to bronze: find them, check their headers, number their lines, append what is new.

A file is known by the SHA-256 of its unpacked content, so the same content delivered again, under
whatever name, is skipped. One append a kind of file, atomic: a run killed between two of them is
finished by the next.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from strata.jobs.runtime.catalog import contract_of
from strata.jobs.runtime.errors import InputError
from strata.jobs.runtime.run import Context

SUFFIXES = (".asc", ".csv", ".asc.gz", ".csv.gz")
SEPARATOR = ";"
DIALECT = {"sep": SEPARATOR, "quote": '"', "escape": '"', "columnNameOfCorruptRecord": "_broken"}
BOM = b"\xef\xbb\xbf"
CHUNK = 1 << 20


@dataclass(frozen=True)
class Delivery:
    """One delivered file: where it lies, its kind, whether it came with the product, and its content's hash."""

    path: Path
    kind: str
    origin: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def stem(self) -> str:
        """The file's name without its endings."""
        return stem(self.name)


def stem(name: str) -> str:
    """A file name without its endings: ``trans.asc.gz`` and ``trans.csv`` are both ``trans``."""
    return name.split(".", 1)[0]


def header(kind: str) -> tuple[str, ...]:
    """The columns that a file of this kind must have, in order: those of its bronze contract."""
    return tuple(name for name in contract_of(f"bronze_{kind}").names if not name.startswith("_"))


def deliveries(folder: Path, origin: str, kinds: Sequence[str]) -> list[Delivery]:
    """The files in ``folder`` in name order.

    Raises ``InputError`` when there is no such folder, or a file in it is of no known kind.
    """
    if not folder.is_dir():
        raise InputError(f"landing {folder}: no such folder; name a folder with .asc or .csv files, plain or .gz")
    files = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))
    return [Delivery(path, _kind(path, kinds), origin, content_hash(path)) for path in files]


def _kind(path: Path, kinds: Sequence[str]) -> str:
    for kind in kinds:
        if stem(path.name) == kind or stem(path.name).startswith(f"{kind}_"):
            return kind
    raise InputError(f"{path.name}: of no known kind; its name must begin with one of: {', '.join(kinds)}")


def content_hash(path: Path) -> str:
    """SHA-256 of the file's unpacked content. Raises ``InputError`` when it can't be unpacked."""
    digest = hashlib.sha256()
    try:
        with _open(path) as content:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
    except (gzip.BadGzipFile, EOFError) as wrong:
        raise InputError(f"{path.name}: can't be unpacked: {wrong}; deliver it again") from None
    return digest.hexdigest()


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def check_header(delivery: Delivery) -> None:
    """Raises ``InputError`` naming the file and the column that is missing, not expected or out of place."""
    with _open(delivery.path) as content:
        first = content.readline().removeprefix(BOM)
    try:
        found = [name.strip().strip('"') for name in first.decode().strip().split(SEPARATOR)]
    except UnicodeDecodeError:
        raise InputError(f"{delivery.name}: row 1: the header is not UTF-8") from None
    wanted = list(header(delivery.kind))
    for problem, names in (
        ("missing", [name for name in wanted if name not in found]),
        ("not expected", [name for name in found if name not in wanted]),
        (
            "out of place",
            [name for name, here in zip(found, wanted, strict=False) if name != here] or found[len(wanted) :],
        ),
    ):
        if names:
            listed = SEPARATOR.join(wanted)
            raise InputError(f"{delivery.name}: row 1: column {names[0]!r} is {problem}; the header must be {listed}")


def lines(spark: SparkSession, paths: Iterable[str]) -> DataFrame:
    """The lines of files: ``_value`` (bytes kept), ``_sha256`` (the folder the file lies in), ``_row`` from 1.

    Two scans: Spark splits a big plain file into blocks, so the lines of each block are counted first,
    and a line's number is its place in its block after all lines of the blocks before.
    """
    numbered = (
        spark.read.text(list(paths))
        .select("value", "_metadata.file_path", F.col("_metadata.file_block_start").alias("block"))
        .select(
            F.col("value").alias("_value"),
            F.regexp_extract("file_path", "/([0-9a-f]{64})/", 1).alias("_sha256"),
            "block",
            F.monotonically_increasing_id().alias("at"),
        )
    )
    before = Window.partitionBy("_sha256").orderBy("block").rowsBetween(Window.unboundedPreceding, -1)
    blocks = (
        numbered.groupBy("_sha256", "block")
        .agg(F.min("at").alias("first"), F.count("*").alias("rows"))
        .select("_sha256", "block", "first", F.coalesce(F.sum("rows").over(before), F.lit(0)).alias("before"))
    )
    row = F.col("at") - F.col("first") + F.col("before") + 1
    return numbered.join(F.broadcast(blocks), on=["_sha256", "block"], how="inner").select(
        "_value", "_sha256", row.alias("_row")
    )


def fields(kind: str, delivered: DataFrame) -> DataFrame:
    """Split ``_value`` into the header's text columns; lines with nothing in them and headers are no rows.

    A line with another number of fields is kept with ``_is_whole`` false.
    """
    names = header(kind)
    schema = ", ".join(f"`{name}` STRING" for name in (*names, "_broken"))
    rows = delivered.where((F.col("_row") > 1) & (F.trim("_value") != ""))
    parsed = rows.withColumn("raw", F.from_csv("_value", schema, DIALECT))
    return parsed.select(
        *(F.col(f"raw.`{name}`") for name in names),
        F.col("_value").cast("binary").alias("_line"),
        F.col("raw._broken").isNull().alias("_is_whole"),
        "_sha256",
        "_row",
    )


def land(context: Context, kind: str, delivered: Sequence[Delivery]) -> int:
    """Append the files that bronze doesn't have yet, in one commit; returns how many those were.

    Raises ``InputError`` for a wrong header before anything is written.
    """
    table, spark = f"bronze_{kind}", context.spark
    taken = _taken(context, table)
    fresh = list({file.sha256: file for file in delivered if file.sha256 not in taken}.values())
    if not fresh:
        return 0
    numbers = {file: number for number, file in enumerate(fresh, start=max(taken.values(), default=0) + 1)}
    described = spark.createDataFrame(
        [(file.sha256, file.name, file.origin, number) for file, number in numbers.items()],
        "_sha256 string, _source string, _origin string, _delivery bigint",
    )
    staged = [_stage(context, file) for file in fresh]
    rows = fields(kind, lines(spark, staged)).join(F.broadcast(described), on="_sha256", how="inner")
    arrival = {"_ingest_id": F.lit(context.run_id), "_ingested_at": F.lit(context.now)}
    context.lake.append(table, rows.withColumns(arrival))
    return len(fresh)


def _taken(context: Context, table: str) -> dict[str, int]:
    """Content hash to delivery number of what bronze has: a row a file."""
    if not context.lake.exists(table):
        return {}
    # Not pinned for the run: the append that follows makes the version that the run reads.
    bronze = context.lake.read(table, context.lake.version(table))
    files = bronze.groupBy("_sha256").agg(F.max("_delivery").alias("number")).collect()
    return {file._sha256: file.number for file in files}


def _stage(context: Context, file: Delivery) -> str:
    """Copy the file beside bronze, where every worker of a cluster can read it; returns the copy's path."""
    path = f"{context.lake.root}/bronze/_landed/{file.sha256}/{file.name}"
    jvm = context.spark.sparkContext._jvm
    target = jvm.org.apache.hadoop.fs.Path(path)
    fs = target.getFileSystem(context.spark.sparkContext._jsc.hadoopConfiguration())
    fs.copyFromLocalFile(False, True, jvm.org.apache.hadoop.fs.Path(str(file.path.absolute())), target)
    return path
