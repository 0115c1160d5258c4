"""What a graph call accepts: ids of one type, vertices once, edge ends that are vertices, weights that are numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, LongType, NumericType, StringType

Id = int | str
Unknown = Literal["raise", "drop"]


class GraphError(ValueError):
    """The vertices, edges or arguments of a graph call can't be used; the message names which and the fix."""


class GraphTypeError(TypeError):
    """An id, weight or argument of a graph call is of a type that it can't be."""


@dataclass(frozen=True)
class Graph:
    """A checked graph: ``vertices`` (id), ``edges`` (src, dst, weight double or null), and their numbers."""

    vertices: DataFrame
    edges: DataFrame
    id_type: DataType
    vertex_count: int
    edge_count: int


def checked(
    vertices: DataFrame,
    edges: DataFrame,
    *,
    weight: str | None = None,
    zero_weight: bool = False,
    unknown: Unknown = "raise",
    source: Id | None = None,
) -> Graph:
    """Check a graph with one job (one scan of each table, one shuffle of the ids), before anything is computed.

    ``weight`` names the column of edge weights; ``zero_weight`` allows 0. ``source`` must be a vertex.
    Raises ``GraphError`` or ``GraphTypeError``.
    """
    id_type = check_graph(vertices, edges, unknown)
    _check_weight_column(edges, weight)
    if source is not None:
        check_id(source, id_type, "source")
    known = vertices.select("id")
    ties = edges.select("src", "dst", (F.col(weight) if weight else F.lit(None)).cast("double").alias("weight"))
    found = _findings(known, ties, weight is not None, zero_weight, source)
    _refuse(found, weight, zero_weight, unknown, source)
    if found["strange"]:
        ties = _without_unknown(ties, known)
    return Graph(known, ties, id_type, found["vertices"], found["ends"] // 2)


def check_graph(vertices: DataFrame, edges: DataFrame, unknown: str) -> DataType:
    """The ids' type; raises on what can be told without reading a row: frames, columns, types, ``unknown``."""
    id_type = _id_type(vertices, edges)
    if unknown not in ("raise", "drop"):
        raise GraphError(f'unknown: "raise" or "drop" is expected, not {unknown!r}')
    return id_type


def check_whole(argument: str, value: int, least: int) -> None:
    """Raise ``GraphError`` unless ``value`` is a whole number from ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise GraphError(f"{argument}: a whole number from {least} is expected, not {value!r}")


def check_columns(name: str, frame: DataFrame, *columns: str) -> None:
    """Raise ``GraphError`` naming the first of ``columns`` that ``frame``, the argument ``name``, lacks."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise GraphError(f"{name}: column {missing[0]} is missing; there are: {', '.join(frame.columns)}")


def check_id(value: Any, id_type: DataType, argument: str) -> None:
    """Raise ``GraphTypeError`` unless ``value`` is of the ids' type."""
    wanted = str if isinstance(id_type, StringType) else int
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise GraphTypeError(f"{argument}: {value!r} is not of the ids' type, {id_type.simpleString()}")


def bad_weight(weight: Column, *, zero: bool = False) -> Column:
    """Whether a weight is null, not finite, negative, or 0 where that isn't allowed."""
    low = weight < 0 if zero else weight <= 0
    return weight.isNull() | F.isnan(weight) | (F.abs(weight) == float("inf")) | low


def _id_type(vertices: DataFrame, edges: DataFrame) -> DataType:
    for name, frame, columns in (("vertices", vertices, ["id"]), ("edges", edges, ["src", "dst"])):
        if not isinstance(frame, DataFrame):
            raise GraphTypeError(f"{name}: a Spark DataFrame is expected, not {type(frame).__name__}")
        missing = [column for column in columns if column not in frame.columns]
        if missing:
            raise GraphError(f"{name}: column {missing[0]} is missing; there are: {', '.join(frame.columns)}")
    types = [vertices.schema["id"].dataType, edges.schema["src"].dataType, edges.schema["dst"].dataType]
    for name, kind in zip(("vertices.id", "edges.src", "edges.dst"), types):
        if not isinstance(kind, LongType | StringType):
            raise GraphTypeError(f"{name}: ids are long or string, not {kind.simpleString()}; cast them first")
        if kind != types[0]:
            raise GraphTypeError(
                f"{name}: {kind.simpleString()} ids, but vertices.id is {types[0].simpleString()}; cast one of them"
            )
    return types[0]


def _check_weight_column(edges: DataFrame, weight: str | None) -> None:
    if weight is None:
        return
    if weight not in edges.columns:
        raise GraphError(f"weight: edges have no column {weight!r}; there are: {', '.join(edges.columns)}")
    kind = edges.schema[weight].dataType
    if not isinstance(kind, NumericType):
        raise GraphTypeError(f"weight: column {weight} is {kind.simpleString()}; a number is expected")


def _findings(known: DataFrame, ties: DataFrame, weighted: bool, zero: bool, source: Id | None) -> dict[str, Any]:
    # Vertices and edge ends meet in one group-by on the id, so nothing is joined and nothing is scanned twice.
    bad = bad_weight(F.col("weight"), zero=zero) if weighted else F.lit(False)
    seen = known.select("id", F.lit(1).alias("v"), F.lit(0).alias("e"), F.lit(0).alias("bad"))
    ends = ties.select(bad.cast("int").alias("bad"), F.explode(F.array("src", "dst")).alias("id"))
    ends = ends.select("id", F.lit(0).alias("v"), F.lit(1).alias("e"), "bad")
    ids = seen.unionAll(ends).groupBy("id").agg(F.sum("v").alias("v"), F.sum("e").alias("e"), F.sum("bad").alias("bad"))
    strange = F.col("id").isNotNull() & (F.col("v") == 0)

    def total(value: Column | str, when: Column | None = None) -> Column:
        column = F.col(value) if isinstance(value, str) else value
        return F.coalesce(F.sum(column if when is None else F.when(when, column)), F.lit(0))

    null = F.col("id").isNull()
    row = ids.agg(
        total("v").alias("vertices"),
        total("e").alias("ends"),
        total("v", null).alias("null_vertices"),
        total("e", null).alias("null_ends"),
        total(F.lit(1), F.col("v") > 1).alias("repeated"),
        F.min(F.when(F.col("v") > 1, F.col("id"))).alias("repeated_id"),
        total("e", strange).alias("strange"),
        total(F.lit(1), strange).alias("strange_ids"),
        F.min(F.when(strange, F.col("id"))).alias("strange_id"),
        total("bad").alias("bad"),
        total("v", F.col("id") == F.lit(source) if source is not None else F.lit(True)).alias("source"),
    ).first()
    assert row is not None
    return row.asDict()


def _refuse(found: dict[str, Any], weight: str | None, zero: bool, unknown: str, source: Id | None) -> None:
    if found["null_vertices"]:
        raise GraphError(f"vertices: {found['null_vertices']} null ids; remove them")
    if found["repeated"]:
        example = found["repeated_id"]
        raise GraphError(
            f"vertices: {found['repeated']} ids stand more than once, for example {example!r}; keep one row each"
        )
    if found["null_ends"]:
        raise GraphError(f"edges: {found['null_ends']} null ends in src or dst; remove them")
    if found["strange"] and unknown == "raise":
        raise GraphError(
            f"edges: {found['strange']} ends ({found['strange_ids']} ids) are no vertex, for example "
            f'{found["strange_id"]!r}; add them to vertices, or pass unknown="drop"'
        )
    if found["bad"]:
        # Every edge has two ends, so each bad weight was counted twice.
        rule = "finite and not negative" if zero else "finite and above 0"
        raise GraphError(
            f"weight: {found['bad'] // 2} values of {weight} are null or not {rule}; mend or remove those edges"
        )
    if source is not None and not found["source"]:
        raise GraphError(f"source: {source!r} is no vertex")


def _without_unknown(ties: DataFrame, known: DataFrame) -> DataFrame:
    kept = ties.join(known.select(F.col("id").alias("src")), on="src", how="left_semi")
    return kept.join(known.select(F.col("id").alias("dst")), on="dst", how="left_semi").select("src", "dst", "weight")
