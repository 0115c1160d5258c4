"""Groups that keep their names from day to day, what became of them, and components brought up to date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from strata.graph.algorithms.arrays import rows_of, write
from strata.graph.algorithms.components import components_of, connected_components
from strata.graph.algorithms.inputs import Graph, GraphError, bad_weight, check_columns
from strata.graph.ties.dated_edges import extend_ids

LADDER = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
CLAIM_ORDER = [(key, "descending") for key in ("overlap", "size")]
CLAIM_ORDER += [(key, "ascending") for key in ("group_id", "component")]


def stable_groups(today: DataFrame, before: DataFrame | None = None, *, highest: int = 0) -> DataFrame:
    """Today's components under lasting names: id, group_id (long), one row a row of ``today``.

    ``today``: id, component; ``before``: id, group_id, the answer of the day before (none on the first day).
    A component and a group of before with members in common make a claim. Claims are heard in one order: more
    members in common first, then the larger old group, the smaller group id, the smaller component (strings by
    UTF-8 bytes); a claim is granted when neither side has been granted one. Such a component takes over the
    group id. All others get new ids, without gaps, above those of ``before`` and above ``highest``: pass the
    highest id ever given, or the id of a group that ended may be given again.

    Plan: one join and two aggregations for the claims; those that nobody contends are granted as they stand, the
    others go, every tangle of them whole, through the components of the graph of claims and one exchange to tasks;
    one join back. Nothing comes to the driver. Raises ``GraphError`` when a column is missing.
    """
    check_columns("today", today, "id", "component")
    components = today.select("component").distinct()
    if before is None:
        names = _numbered(components, components.sparkSession.range(1).select(F.lit(highest).alias("last")))
    else:
        check_columns("before", before, "id", "group_id")
        heirs = _heirs(today, before).localCheckpoint()
        last = before.agg(F.greatest(F.coalesce(F.max("group_id"), F.lit(0)), F.lit(highest)).alias("last"))
        fresh = components.join(heirs, on="component", how="left_anti")
        names = heirs.unionByName(_numbered(fresh, last))
    return today.join(names, on="component", how="inner").select("id", "group_id")


def group_history(today: DataFrame, before: DataFrame, day: date) -> DataFrame:
    """What happened to groups between two days: day, group_id, kind, from_group, to_group, member_cnt (long).

    ``today`` and ``before``: id, group_id of ``stable_groups``. Members that are in another group than before, that
    came or that went make a row for the group they came to and a row for the group they left. For the former
    the kind is ``born`` (there was no such group), else ``merged`` (they came out of another group) or ``grown``
    (they were in none); for the latter ``ended`` (there is no such group any more), else ``split`` (they are in
    another group) or ``shrunk`` (in none). So size before plus born, merged and grown less ended, split and shrunk
    is the size today; members that stayed make no row. One full join on id, three aggregations of group pairs.
    """
    check_columns("today", today, "id", "group_id")
    check_columns("before", before, "id", "group_id")
    moved = flows(today, before).localCheckpoint()
    was = moved.select(F.col("from_group").alias("to_group"), F.lit(True).alias("was")).dropna().distinct()
    lives = moved.select(F.col("to_group").alias("from_group"), F.lit(True).alias("lives")).dropna().distinct()
    moved = moved.where(~F.col("from_group").eqNullSafe(F.col("to_group")))
    came = moved.where(F.col("to_group").isNotNull()).join(was, on="to_group", how="left")
    gain = F.when(F.col("was").isNull(), "born").when(F.col("from_group").isNull(), "grown").otherwise("merged")
    went = moved.where(F.col("from_group").isNotNull()).join(lives, on="from_group", how="left")
    loss = F.when(F.col("lives").isNull(), "ended").when(F.col("to_group").isNull(), "shrunk").otherwise("split")
    events = came.select(F.col("to_group").alias("group_id"), gain.alias("kind"), *moved.columns)
    events = events.unionByName(went.select(F.col("from_group").alias("group_id"), loss.alias("kind"), *moved.columns))
    return events.select(F.lit(day).cast("date").alias("day"), "group_id", "kind", *moved.columns)


def flows(today: DataFrame, before: DataFrame) -> DataFrame:
    """Members by where they were and where they are: from_group, to_group (null: in no group), member_cnt."""
    were = before.select("id", F.col("group_id").alias("from_group"))
    are = today.select("id", F.col("group_id").alias("to_group"))
    met = were.join(are, on="id", how="full_outer")
    return met.groupBy("from_group", "to_group").agg(F.count(F.lit(1)).alias("member_cnt"))


def update_components(
    before: DataFrame, vertices: DataFrame, edges: DataFrame, added: DataFrame, removed: DataFrame
) -> DataFrame:
    """Today's components from those of the day before: id, component, row for row as ``connected_components``.

    ``before``: id, component of the day before; ``vertices`` (id) and ``edges`` (src, dst): the graph of today;
    ``added`` and ``removed``: edges that are new today, and those of before that are gone (a tie is cut, too, when its
    end became a hub); every difference must be among them, and what didn't change may be. A vertex that went
    has no row. Components that a removed edge touches are found again from today's edges inside them; all
    others keep their label, and added edges join labels, not vertices.

    Scans: ``before`` three times, ``vertices``, ``edges``, ``added`` and ``removed`` once each. Shuffles: ``edges``
    by an end, to leave those among the members of touched components (none where Spark broadcasts these); one of
    ``vertices`` with the labels; two of the added edges; one of the answer with the joined labels; and those of
    components twice, of the graph of touched components and of the labels that added edges tie.
    Raises ``GraphError`` on a missing column, and when an end of ``added`` is no vertex.
    """
    check_columns("before", before, "id", "component")
    check_columns("vertices", vertices, "id")
    for name, frame in (("edges", edges), ("added", added), ("removed", removed)):
        check_columns(name, frame, "src", "dst")
    labels = before.select("id", "component")
    cut = removed.select(F.explode(F.array("src", "dst")).alias("id"))
    touched = cut.join(labels, on="id", how="inner").select("component").distinct().localCheckpoint()
    again = _found_again(labels.join(touched, on="component", how="left_semi").select("id").localCheckpoint(), edges)
    known = labels.join(touched, on="component", how="left_anti").unionByName(again)
    current = vertices.select("id").join(known, on="id", how="left")
    # Read three times from here on.
    current = current.select("id", F.coalesce("component", "id").alias("component")).localCheckpoint()
    named = current.join(_joined_labels(current, added), on="component", how="left")
    return named.select("id", F.coalesce("whole", "component").alias("component"))


@dataclass(frozen=True)
class Recut:
    """Components none of which is a giant: id, component; the edges that hold them together; and those cut.

    ``cut`` has the columns of the edges and component (the giant), component_size_cnt, threshold (the strength that a
    tie had to exceed), ladder_share (the quantile that it is) and reason.
    """

    components: DataFrame
    edges: DataFrame
    cut: DataFrame


def cap_giant(
    vertices: DataFrame,
    edges: DataFrame,
    *,
    share: float = 0.05,
    least: int = 1000,
    strength: str = "weight",
    ladder: Sequence[float] = LADDER,
) -> Recut:
    """Components after the weaker ties of any giant were cut, step by step, with what was cut and why.

    A giant has more than ``share`` of the vertices, and more than ``least`` of them. In every round only giants
    are cut: their ties must be stronger than the next step of the ladder, quantiles of ``strength`` over all
    ``edges`` (src, dst, ``strength``, ...; the smallest strength that at least that part of the ties don't exceed).
    Steps that are equal count once and the strongest ties of all are never cut, so there are at most
    ``len(ladder)`` rounds. A round is a call of ``connected_components``, one aggregation and one join of the edges
    with the giants' members; the quantiles are one aggregation, whose distinct strengths must fit a task.

    Raises ``GraphError`` when a giant is left after the last step, on strengths that are null, not finite or
    negative, and on a share or ladder that can't be.
    """
    _check_ladder(share, ladder)
    check_columns("edges", edges, "src", "dst", strength)
    limit = max(int(share * vertices.count()), least)
    steps = _thresholds(edges, strength, ladder)
    mark = f"component:{edges.schema['src'].dataType.simpleString()},component_size_cnt:bigint"
    marked = edges.withColumn("_cut", F.lit(None).cast(f"struct<{mark},threshold:double,ladder_share:double>"))
    components, giants = _with_giants(vertices, edges, limit)
    while steps and not giants.isEmpty():
        marked = _cut_weaker(marked, giants, strength, *steps.pop(0)).localCheckpoint()
        components, giants = _with_giants(vertices, marked.where(F.col("_cut").isNull()), limit)
    _refuse_giants(giants, limit)
    cut = marked.where(F.col("_cut").isNotNull()).select(*edges.columns, "_cut.*")
    kept = marked.where(F.col("_cut").isNull()).select(*edges.columns)
    return Recut(components, kept, cut.withColumn("reason", _reason(limit, strength)))


def components_within(ids: DataFrame, edges: DataFrame) -> DataFrame:
    """``connected_components`` without its checks: for edges (src, dst) that are known to lie among the ids (id)."""
    return components_of(Graph(ids, edges, ids.schema["id"].dataType, vertex_count=-1, edge_count=-1))


def _numbered(components: DataFrame, last: DataFrame) -> DataFrame:
    numbers = extend_ids(components.withColumnRenamed("component", "key"))
    above = numbers.crossJoin(F.broadcast(last))
    return above.select(F.col("key").alias("component"), (F.col("id") + F.col("last")).alias("group_id"))


def _heirs(today: DataFrame, before: DataFrame) -> DataFrame:
    """The components that take over a group: component, group_id."""
    sizes = before.groupBy("group_id").agg(F.count(F.lit(1)).alias("size"))
    met = today.select("id", "component").join(before.select("id", "group_id"), on="id", how="inner")
    claims = met.groupBy("component", "group_id").agg(F.count(F.lit(1)).alias("overlap"))
    rivals = F.greatest(*[F.count(F.lit(1)).over(Window.partitionBy(side)) for side in ("component", "group_id")])
    claims = claims.join(sizes, on="group_id", how="inner").withColumn("rivals", rivals).localCheckpoint()
    alone = claims.where(F.col("rivals") == 1).select("component", "group_id")
    return alone.unionByName(_granted(claims.where(F.col("rivals") > 1)))


def _granted(claims: DataFrame) -> DataFrame:
    """Claims that contend, tangle by tangle: those of two tangles have no side in common, so each is heard apart."""
    sides = [F.concat(F.lit(side), F.col(side).cast("string")) for side in ("component", "group_id")]
    named = claims.withColumns({"src": sides[0], "dst": sides[1]})
    ends = named.select(F.explode(F.array("src", "dst")).alias("id")).distinct()
    tangles = components_within(ends, named).select(F.col("id").alias("src"), F.col("component").alias("tangle"))
    placed = named.join(tangles, on="src", how="inner").repartition("tangle")
    schema = claims.select("component", "group_id").schema
    return placed.select(*[column for column, _ in CLAIM_ORDER]).mapInArrow(_hear, schema)


def _hear(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    claims = rows_of(batches)
    if claims is None:
        return
    claims = claims.take(pc.sort_indices(claims, sort_keys=CLAIM_ORDER))
    components, groups, granted = set(), set(), []
    for place, (component, group) in enumerate(zip(*(claims[side].to_pylist() for side in ("component", "group_id")))):
        if component not in components and group not in groups:
            components.add(component)
            groups.add(group)
            granted.append(place)
    won = claims.take(granted)
    yield from write(["component", "group_id"], [won[side].combine_chunks() for side in ("component", "group_id")])


def _found_again(members: DataFrame, edges: DataFrame) -> DataFrame:
    inside = edges.select("src", "dst")
    for end in ("src", "dst"):
        inside = inside.join(members.withColumnRenamed("id", end), on=end, how="left_semi")
    return components_within(members, inside)


def _joined_labels(current: DataFrame, added: DataFrame) -> DataFrame:
    """Components that added edges join to one with a smaller label: component, whole."""
    ties = added.select("src", "dst")
    for end in ("src", "dst"):
        named = current.select(F.col("id").alias(end), F.col("component").alias(f"{end}_component"))
        ties = ties.join(named, on=end, how="left")
    ties = ties.select(F.col("src_component").alias("src"), F.col("dst_component").alias("dst")).localCheckpoint()
    strange = ties.where(F.col("src").isNull() | F.col("dst").isNull()).count()
    if strange:
        raise GraphError(f"added: {strange} edges have an end that is no vertex; add the ends to vertices")
    ties = ties.where(F.col("src") != F.col("dst"))
    labels = ties.select(F.explode(F.array("src", "dst")).alias("id")).distinct()
    joined = components_within(labels, ties).where(F.col("id") != F.col("component"))
    return joined.select(F.col("id").alias("component"), F.col("component").alias("whole"))


def _check_ladder(share: float, ladder: Sequence[float]) -> None:
    if not 0 < share < 1:
        raise GraphError(f"share: a part of the vertices above 0 and below 1 is expected, not {share!r}")
    if not ladder or any(not 0 < step < 1 for step in ladder):
        raise GraphError(f"ladder: quantiles above 0 and below 1 are expected, not {ladder!r}")


def _thresholds(edges: DataFrame, strength: str, ladder: Sequence[float]) -> list[tuple[float, float]]:
    """Steps of the ladder that cut more than the one before and less than all: (quantile, strength)."""
    ordered = sorted(ladder)
    quantiles = [F.expr(f"percentile_disc({step}) WITHIN GROUP (ORDER BY `{strength}`)") for step in ordered]
    bad = F.count(F.when(bad_weight(F.col(strength).cast("double"), zero=True), 1))
    row = edges.agg(bad, F.max(strength), *quantiles).first()
    assert row is not None
    if row[0]:
        raise GraphError(f"strength: {row[0]} values of {strength} are null, not finite or negative; mend those edges")
    # The lowest step of equal ones: later keys would overwrite it.
    steps = {float(value): step for step, value in zip(ordered[::-1], row[2:][::-1]) if value is not None}
    return [(step, value) for value, step in sorted(steps.items()) if value < row[1]]


def _with_giants(vertices: DataFrame, edges: DataFrame, limit: int) -> tuple[DataFrame, DataFrame]:
    """The components, and the members of those above the limit: id, component, size."""
    components = connected_components(vertices, edges)
    sizes = components.groupBy("component").agg(F.count(F.lit(1)).alias("size")).where(F.col("size") > limit)
    return components, components.join(sizes, on="component", how="inner").select("id", "component", "size")


def _cut_weaker(marked: DataFrame, giants: DataFrame, strength: str, step: float, threshold: float) -> DataFrame:
    members = giants.select(F.col("id").alias("src"), F.col("component").alias("_giant"), "size")
    met = marked.join(members, on="src", how="left")
    weak = F.col("_cut").isNull() & F.col("_giant").isNotNull() & (F.col(strength) <= threshold)
    cut = F.struct("_giant", "size", F.lit(threshold), F.lit(step)).cast(marked.schema["_cut"].dataType)
    return met.withColumn("_cut", F.when(weak, cut).otherwise(F.col("_cut"))).select(*marked.columns)


def _refuse_giants(giants: DataFrame, limit: int) -> None:
    left = giants.agg(F.max("size").alias("size")).first()
    if left is not None and left["size"]:
        raise GraphError(
            f"edges: a component has {left['size']} vertices, more than {limit}, with the strongest ties alone; "
            "cap its hubs, lengthen the ladder or raise the share"
        )


def _reason(limit: int, strength: str) -> Column:
    return F.format_string(
        f"%s of %.4f in a component of %d vertices, more than {limit}: ties there must exceed %.4f, the %.0f %% step",
        F.lit(strength),
        F.col(strength).cast("double"),
        "component_size_cnt",
        "threshold",
        F.col("ladder_share") * 100,
    )
