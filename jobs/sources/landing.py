"""From delivered files to bronze: append what it doesn't have yet.

One append a kind of file, atomic: a run killed between two of them is finished by the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.runtime.hadoop import file_system, hadoop_path
from strata.jobs.runtime.parallel import at_once
from strata.jobs.runtime.run import Context
from strata.jobs.sources.deliveries import Delivery, place
from strata.jobs.sources.formats import shape, staged_rows

# More files than one kind ever has in one drop.
A_DAY = 1_000_000


def land(context: Context, kind: str, delivered: Sequence[Delivery]) -> int:
    """Append the files that bronze doesn't have yet, in one commit; returns how many those were.

    Of a kind without files the empty table is made.
    """
    table = f"bronze_{kind}"
    taken = _taken(context, table)
    fresh = list({file.place: file for file in delivered if file.place not in taken}.values())
    if fresh:
        rows = _rows(context, dict(zip(fresh, numbered(fresh, taken.values()), strict=True)))
        arrival = {"_ingest_id": F.lit(context.run_id), "_ingested_at": F.lit(context.now)}
        context.lake.append(table, rows.withColumns(arrival))
    else:
        context.lake.ensure(table)
    return len(fresh)


def _rows(context: Context, numbers: Mapping[Delivery, int]) -> DataFrame:
    """The rows of files of one kind with where they come from; ``numbers`` are the files' delivery numbers."""
    fresh = list(numbers)
    shapes = [shape(file.path, file.name) if file.format == "parquet" else () for file in fresh]
    staged = dict(zip(at_once(lambda file: _stage(context, file), fresh), shapes, strict=True))
    rows = staged_rows(context.spark, fresh[0].kind, fresh[0].format, staged)
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


def _taken(context: Context, table: str) -> dict[str, int]:
    """What tells each file that bronze has from others, with its delivery number: a row a file."""
    if not context.lake.exists(table):
        return {}
    # Not pinned for the run: the append that follows makes the version that the run reads.
    bronze = context.lake.read(table, context.lake.version(table))
    files = bronze.groupBy("_sha256", "_source").agg(F.max("_delivery").alias("number")).collect()
    return {place(file._sha256, file._source): file.number for file in files}


def _stage(context: Context, file: Delivery) -> str:
    """Copy the file beside bronze, where every worker of a cluster can read it; returns the copy's path."""
    path = f"{context.lake.root}/bronze/_landed/{file.place}/{file.path.name}"
    fs, target = file_system(context.spark, path)
    fs.copyFromLocalFile(False, True, hadoop_path(context.spark, str(file.path.absolute())), target)
    return path
