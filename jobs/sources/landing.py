"""From delivered files to bronze: append what it doesn't have yet.

One append a kind of file, atomic: a run killed between two of them is finished by the next.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.banks import Feed
from strata.jobs.runtime.errors import InputError
from strata.jobs.runtime.hadoop import file_system, hadoop_path
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.parallel import at_once
from strata.jobs.sources.deliveries import CHUNK, Delivery, opened, place
from strata.jobs.sources.formats import shape, staged_rows

# More files than one kind ever has in one drop.
A_DAY = 1_000_000
UTF_8 = "utf-8"


def land(context: Context, feed: Feed, delivered: Sequence[Delivery]) -> int:
    """Append the files that bronze doesn't have yet, in one commit; returns how many those were.

    Of a kind without files the empty table is made.
    """
    table, bronze = feed.bronze, _bronze(context, feed)
    taken = {} if bronze is None else _taken(bronze)
    fresh = list({file.place: file for file in delivered if file.place not in taken}.values())
    if fresh:
        rows = _rows(context, dict(zip(fresh, numbered(fresh, taken.values()), strict=True)))
        arrival = {"_ingest_id": F.lit(context.run_id), "_ingested_at": F.lit(context.now)}
        context.lake.append(table, rows.withColumns(arrival))
    else:
        context.lake.ensure(table)
    return len(fresh)


def _bronze(context: Context, feed: Feed) -> DataFrame | None:
    """What bronze has of the feed, if it is there; raises ``InputError`` when it was made for another layout.

    Not pinned for the run: the append that follows makes the version that the run reads.
    """
    version = context.lake.version(feed.bronze)
    if version is None:
        return None
    bronze = context.lake.read(feed.bronze, version)
    before = [name for name in bronze.columns if not name.startswith("_")]
    if changed := sorted(set(before) ^ set(feed.header)):
        raise InputError(
            f"feeds/{feed.kind}.yml: columns: {feed.bronze} was made with other columns ({', '.join(changed)}); "
            "declare the new layout as a feed of its own for the same table"
        )
    return bronze


def _rows(context: Context, numbers: Mapping[Delivery, int]) -> DataFrame:
    """The rows of files of one kind with where they come from; ``numbers`` are the files' delivery numbers."""
    fresh = list(numbers)
    shapes = [shape(file.path, file.name) if file.format == "parquet" else () for file in fresh]
    staged = dict(zip(at_once(lambda file: _stage(context, file), fresh), shapes, strict=True))
    rows = staged_rows(context.spark, fresh[0].feed, staged)
    described = context.spark.createDataFrame(
        [(file.place, file.sha256, file.name, file.origin, number) for file, number in numbers.items()],
        "_place string, _sha256 string, _source string, _origin string, _delivery bigint",
    )
    return rows.join(F.broadcast(described), on="_place", how="inner").drop("_place")


def numbered(fresh: Iterable[Delivery], taken: Iterable[int]) -> list[int]:
    """Delivery numbers for new files beside those that bronze has: by day, then by arrival.

    A file of an earlier day stays behind those of later days, however late it comes.
    """
    last: dict[int, int] = {}
    for number in sorted(taken):
        last[number // A_DAY] = number
    numbers = []
    for file in fresh:
        day = int(f"{file.day:%Y%m%d}") if file.day else 0
        last[day] = last.get(day, day * A_DAY) + 1
        numbers.append(last[day])
    return numbers


def _taken(bronze: DataFrame) -> dict[str, int]:
    """What tells each file that bronze has from others, with its delivery number: one row per file."""
    files = bronze.groupBy("_sha256", "_source").agg(F.max("_delivery").alias("number")).collect()
    return {place(file._sha256, file._source): file.number for file in files}


def _stage(context: Context, file: Delivery) -> str:
    """Copy the file beside bronze, where every worker of a cluster can read it; returns the copy's path.

    The copy of a text in another encoding is in UTF-8.
    """
    path = f"{context.lake.root}/bronze/_landed/{file.place}/{file.path.name}"
    if file.format == "parquet" or file.feed.encoding == UTF_8:
        _copy(context, file.path, path)
        return path
    path = path.removesuffix(".gz")
    with tempfile.NamedTemporaryFile(suffix=".txt") as recoded:
        with opened(file.path) as content, TextIOWrapper(content, file.feed.encoding, "replace", newline="") as text:
            for chunk in iter(partial(text.read, CHUNK), ""):
                recoded.write(chunk.encode(UTF_8))
        recoded.flush()
        _copy(context, Path(recoded.name), path)
    return path


def _copy(context: Context, source: Path, path: str) -> None:
    fs, target = file_system(context.spark, path)
    fs.copyFromLocalFile(False, True, hadoop_path(context.spark, str(source.absolute())), target)
