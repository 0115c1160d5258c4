"""The steps of ``strata components``: edges in, each vertex's component out."""

from __future__ import annotations

import json
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.graph import connected_components
from strata.jobs.runtime.errors import InputError
from strata.jobs.runtime.run import Context
from strata.jobs.sources.anytable import AnyTable, read_any
from strata.models.binning_rows import column


def read(context: Context, edges: Path, vertices: Path | None) -> tuple[DataFrame, DataFrame]:
    """Vertices (id) and edges (src, dst); without a table of vertices they are the ends of edges.

    Ids from CSV are strings, whatever they look like. An edge without one of its ends is an ``InputError``.
    """
    with context.progress.step("read") as step:
        ties = _columns(read_any(context.spark, edges, untouched=None), edges, ("src", "dst")).persist()
        rows, broken = ties.agg(F.count("*"), F.count_if(F.col("src").isNull() | F.col("dst").isNull())).collect()[0]
        if broken:
            raise InputError(f"{edges}: {broken:,} of {rows:,} edges have no src or no dst; drop or mend them")
        ends = ties.select(F.explode(F.array("src", "dst")).alias("id")).distinct()
        named = ends
        if vertices is not None:
            named = _columns(read_any(context.spark, vertices, fewest=1, untouched=None), vertices, ("id",))
        step.says(f"{rows:,} edges")
    return named, ties


def _columns(table: AnyTable, path: Path, wanted: tuple[str, ...]) -> DataFrame:
    by_file = {theirs.strip().lower(): ours for ours, theirs in table.names.items()}
    if absent := [name for name in wanted if name not in by_file]:
        raise InputError(f"{path}: has no column {absent[0]!r}; it has {', '.join(table.names.values())}")
    return table.rows.select(*[_id(table, by_file[name]).alias(name) for name in wanted])


def _id(table: AnyTable, name: str) -> Column:
    whole = isinstance(table.rows.schema[name].dataType, T.IntegralType)
    if table.kind == "csv":
        return column(name).cast("string")
    return column(name).cast("bigint") if whole else column(name)


def components(context: Context, vertices: DataFrame, ties: DataFrame) -> DataFrame:
    """Each vertex with the smallest id of its component."""
    with context.progress.step("components") as step:
        try:
            found = connected_components(vertices, ties)
        except (ValueError, TypeError) as wrong:
            raise InputError(str(wrong)) from wrong
        sizes = found.groupBy("component").count()
        rows, groups, largest = sizes.agg(F.sum("count"), F.count("*"), F.max("count")).collect()[0]
        step.says(f"{rows or 0:,} vertices in {groups:,} components, the largest of {largest or 0:,}")
    return found


def write(context: Context, found: DataFrame, folder: Path) -> None:
    """``components/`` as Delta, ``components.csv`` as one file, ``summary.json``; columns id and component."""
    with context.progress.step("write") as step:
        folder.mkdir(parents=True, exist_ok=True)
        found.write.format("delta").mode("overwrite").save(str(folder / "components"))
        draft = folder / "components.part"
        found.coalesce(1).write.mode("overwrite").option("header", True).csv(str(draft))
        next(draft.glob("part-*.csv")).replace(folder / "components.csv")
        for left in draft.iterdir():
            left.unlink()
        draft.rmdir()
        sizes = found.groupBy("component").count()
        largest = sizes.orderBy(F.desc("count"), "component").limit(10).collect()
        summary = {
            "vertices": found.count(),
            "components": sizes.count(),
            "largest": [{"component": row["component"], "vertices": row["count"]} for row in largest],
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
        step.says(f"components.csv, components/ and summary.json in {folder}")
