"""The steps of ``strata components``: edges in, each vertex's component out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.graph import connected_components
from strata.jobs.own_table.any_input import read_table
from strata.jobs.own_table.csv_output import write_csv
from strata.jobs.runtime.errors import InputError
from strata.jobs.runtime.job import Context
from strata.jobs.sources.any_table.reading import find_column
from strata.models.samples.training_rows import column

# Whole numbers of a double are exact up to here, those of a long up to there.
EXACT, LONGEST = 2**53, 2**63 - 1


@dataclass(frozen=True)
class Ids:
    """Rows whose columns are ids, and the option and file that they were given by."""

    rows: DataFrame
    option: str
    path: Path

    def __str__(self) -> str:
        return f"{self.option} {self.path}"

    def of(self, kind: type[T.DataType]) -> list[str]:
        """The columns of a kind of types."""
        return [field.name for field in self.rows.schema if isinstance(field.dataType, kind)]


def read(context: Context, edges: Path, vertices: Path | None) -> tuple[DataFrame, DataFrame]:
    """Vertices (id) and edges (src, dst) of one type; without a table of vertices they are the ends of edges.

    Ids from CSV are the texts of their cells; numbers of other tables must be whole and are longs, or texts where
    other ids are texts or have too many digits. An edge without one of its ends is an ``InputError``.
    """
    with context.progress.step("read") as step:
        given = [_ids(context, "--edges", edges, ("src", "dst"))]
        if vertices is not None:
            given.append(_ids(context, "--vertices", vertices, ("id",), fewest=1))
        too_long = [_check_numbers(ids) for ids in given]
        as_text = any(too_long) or any(ids.of(T.StringType) for ids in given)
        ties, *named = [ids.rows.select(*_typed(ids.rows, as_text)) for ids in given]
        context.keep(ties)
        rows, broken = ties.agg(F.count("*"), F.count_if(F.col("src").isNull() | F.col("dst").isNull())).collect()[0]
        if broken:
            raise InputError(f"{given[0]}: {broken:,} of {rows:,} edges have no src or no dst; drop or mend them")
        step.says(f"{rows:,} edges")
    return named[0] if named else ties.select(F.explode(F.array("src", "dst")).alias("id")).distinct(), ties


def _ids(context: Context, option: str, path: Path, wanted: Sequence[str], fewest: int = 2) -> Ids:
    """The columns of ids under their names, of the types that they have in the file."""
    table = read_table(context, path, fewest=fewest, roles=dict.fromkeys(wanted, "identifier"), untouched=None)
    found = {name: find_column(table.names, name) for name in wanted}
    if absent := [name for name, ours in found.items() if ours is None]:
        raise InputError(f"{option} {path}: has no column {absent[0]!r}; it has {', '.join(table.names.values())}")
    ids = Ids(table.rows.select(*(column(ours or "").alias(name) for name, ours in found.items())), option, path)
    for field in ids.rows.schema:
        if not isinstance(field.dataType, T.StringType | T.NumericType):
            kind = field.dataType.simpleString()
            raise InputError(f"{ids}: column {field.name!r} is {kind}; ids are texts or whole numbers")
    return ids


def _check_numbers(ids: Ids) -> bool:
    """Raise ``InputError`` unless all numbers are whole; whether one of them is too long for a long."""
    decimals = ids.of(T.DecimalType)
    names = [*ids.of(T.FractionalType)]
    if not names:
        return False
    value = {name: F.col(name) if name in decimals else F.nanvl(name, F.lit(None).cast("double")) for name in names}
    broken = {
        name: (F.floor(cell) != cell) | (F.lit(name not in decimals) & (F.abs(cell) > EXACT))
        for name, cell in value.items()
    }
    found = ids.rows.agg(
        *(F.count_if(wrong).alias(f"{name} broken") for name, wrong in broken.items()),
        *(F.first(F.when(broken[name], cell), ignorenulls=True).alias(name) for name, cell in value.items()),
        *(F.count_if(F.abs(cell) > LONGEST).alias(f"{name} long") for name, cell in value.items()),
    ).head()
    assert found is not None
    for name in names:
        if found[f"{name} broken"]:
            raise InputError(
                f"{ids}: column {name!r} has {found[f'{name} broken']:,} ids that are no whole numbers or have lost "
                f"digits, for example {found[name]}; write ids as texts or whole numbers"
            )
    return any(found[f"{name} long"] for name in names)


def _typed(rows: DataFrame, as_text: bool) -> list[Column]:
    """Ids as texts or longs; a double that is no number is none."""
    columns = []
    for field in rows.schema:
        value = F.col(field.name)
        if not isinstance(field.dataType, T.StringType):
            value = value.cast("decimal(38, 0)") if isinstance(field.dataType, T.DecimalType) else value
            value = F.when(F.isnan(value), None).otherwise(value) if _may_be_nan(field.dataType) else value
            value = value if isinstance(field.dataType, T.DecimalType) and as_text else value.cast("bigint")
        columns.append((value.cast("string") if as_text else value).alias(field.name))
    return columns


def _may_be_nan(kind: T.DataType) -> bool:
    return isinstance(kind, T.FloatType | T.DoubleType)


def components(context: Context, vertices: DataFrame, ties: DataFrame) -> DataFrame:
    """Each vertex with the smallest id of its component."""
    with context.progress.step("components") as step:
        try:
            found = connected_components(vertices, ties)
        except (ValueError, TypeError) as wrong:
            raise InputError(_refusal(context, vertices, ties) or str(wrong)) from wrong
        sizes = found.groupBy("component").count()
        rows, groups, largest = sizes.agg(F.sum("count"), F.count("*"), F.max("count")).collect()[0]
        step.says(f"{rows or 0:,} vertices in {groups:,} components, the largest of {largest or 0:,}")
    return found


def _refusal(context: Context, vertices: DataFrame, ties: DataFrame) -> str | None:
    """What is wrong with the tables, in the words of the command; None when it is none of this."""
    edges, named = f"--edges {context.options.edges}", f"--vertices {context.options.vertices}"
    if nulls := vertices.where(F.col("id").isNull()).count():
        return f"{named}: {nulls:,} rows have no id; drop or mend them"
    twice = vertices.groupBy("id").count().where("count > 1").agg(F.count("*"), F.min("id")).collect()[0]
    if twice[0]:
        return f"{named}: {twice[0]:,} ids stand more than once, for example {twice[1]!r}; keep one row of each"
    ends = ties.select(F.explode(F.array("src", "dst")).alias("id")).join(vertices, on="id", how="left_anti")
    strange = ends.agg(F.count("*"), F.count_distinct("id"), F.min("id")).collect()[0]
    if strange[0]:
        return (
            f"{edges}: {strange[0]:,} ends ({strange[1]:,} ids) are not in {named}, for example {strange[2]!r}; "
            "add them there or leave out --vertices"
        )
    return None


def write(context: Context, found: DataFrame, folder: Path) -> None:
    """``components/`` as Delta, ``components.csv`` as one file, ``summary.json``; columns id and component."""
    with context.progress.step("write") as step:
        folder.mkdir(parents=True, exist_ok=True)
        found.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(str(folder / "components"))
        write_csv(found, folder / "components.csv")
        sizes = found.groupBy("component").count()
        largest = sizes.orderBy(F.desc("count"), "component").limit(10).collect()
        summary = {
            "vertices": found.count(),
            "components": sizes.count(),
            "largest": [{"component": row["component"], "vertices": row["count"]} for row in largest],
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
        step.says(f"components.csv, components/ and summary.json in {folder}")
