"""Proof that a computation uses nothing from after its time: change the future, and nothing may move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, DoubleType, FloatType, NumericType, StringType

from strata.features.definitions.view import FeatureView
from strata.features.engine.inputs import (
    FeatureError,
    FeatureTypeError,
    check_column,
    check_frame,
    check_instant,
    instant,
    key_list,
    quoted,
)

Build = Callable[[DataFrame, Mapping[str, DataFrame]], DataFrame]
# Sums of doubles may differ in their last digits when their order does.
_FLOAT_TOLERANCE = 1e-9


@dataclass(frozen=True)
class TableClock:
    """A table's time columns; ``is_state``: rows are usable from ``event_ts`` on, and not only after it.

    With ``event_id`` rows are versions of events: one that is known counts, even when it moves its
    event past the moment, so only the known time makes a version belong to the future.
    """

    event_ts: str
    known_ts: str | None = None
    event_id: str | tuple[str, ...] | None = None
    is_state: bool = False


@dataclass(frozen=True)
class LeakageReport:
    """``rows`` compared, rows of all tables ``removed`` or ``planted``, and how many rows ``changed`` by feature."""

    rows: int
    removed: int
    planted: int
    changed: Mapping[str, int]

    @property
    def ok(self) -> bool:
        """Whether no feature moved."""
        return not self.changed


def clocks_of(views: Iterable[FeatureView]) -> dict[str, TableClock]:
    """The clock of each table that views are made of, as they read it; a view over others reads what those do.

    A table that one view reads as states and another as events is usable from ``event_ts`` on, and versions of events
    count wherever one view knows them, so that what is planted is after the moment for both. A table that only links
    rows to people has no time but that at which the link was known. Of an event's id what links bring is left out, as
    the table itself doesn't have it. Raises ``FeatureError`` when two views read one table by different columns.
    """
    parts = [below for view in views for below in (view.over or (view,))]
    found: dict[str, TableClock] = {}
    for view in parts:
        is_state = view.valid_from is not None
        brought = {name for link in view.links for name in link.renamed}
        named = key_list(view.event_id, "event_id") if view.event_id else []
        ids = tuple(name for name in named if name not in brought)
        own = TableClock(view.valid_from or view.event_ts or "", view.known_ts, ids or None, is_state=is_state)
        found[view.source] = _shared(view.source, found.get(view.source, own), own)
    links = (link for view in parts for link in view.links if link.table not in found)
    return found | {link.table: TableClock(link.known_ts, link.known_ts, is_state=True) for link in links}


def _shared(table: str, one: TableClock, two: TableClock) -> TableClock:
    """One clock for a table that two views read."""
    if (one.event_ts, one.known_ts) != (two.event_ts, two.known_ts):
        raise FeatureError(
            f"features: table {table} is read by {one.event_ts} and by {two.event_ts}; check these views apart"
        )
    return TableClock(one.event_ts, one.known_ts, one.event_id or two.event_id, one.is_state or two.is_state)


def leakage_check(
    build: Build,
    spine: DataFrame,
    tables: Mapping[str, DataFrame],
    clocks: Mapping[str, TableClock],
    *,
    moment: datetime,
    at: str = "at",
    row_id: str | Sequence[str],
) -> LeakageReport:
    """Compute features of the spine rows up to ``moment`` three times and report what differs.

    ``build(spine, tables)`` returns a DataFrame with the ``row_id`` columns (unique in the spine) and
    the features. It is called with the tables as they are; with every row deleted that happened or
    became known after ``moment``; and with such rows altered and more of them planted: copies of
    older rows happening at ``moment``, and copies of older rows that became known only after it.
    Tables without a clock stay as they are. A feature is every column but the spine's.

    Plan: three times that of ``build``, one shuffle by ``row_id``, and the counts of each table.
    Raises ``FeatureError`` or ``FeatureTypeError`` naming the argument; also when there was nothing to change.
    """
    ids = key_list(row_id, "row_id")
    if not isinstance(moment, datetime):
        raise FeatureTypeError(f"moment: a datetime is expected, not {type(moment).__name__}")
    _check(spine, tables, clocks, at, ids)
    asked = spine.where(instant(at) <= F.lit(moment))
    if asked.groupBy(*map(quoted, ids)).count().where("count > 1").limit(1).count():
        raise FeatureError(f"row_id: {', '.join(ids)} is not unique in the rows of spine up to {moment}")
    without = {name: _without_future(table, clocks.get(name), moment) for name, table in tables.items()}
    planted = {name: _with_plants(table, clocks.get(name), moment) for name, table in tables.items()}
    timed = [name for name in tables if name in clocks]
    sizes = {name: (tables[name].count(), without[name].count(), planted[name].count()) for name in timed}
    removed, added = sum(a - b for a, b, _ in sizes.values()), sum(c - a for a, _, c in sizes.values())
    if not removed + added:
        raise FeatureError("tables: there is no row to remove or to plant, so the check would prove nothing")
    base = build(asked, tables)
    features = [name for name in base.columns if name not in spine.columns]
    if not features:
        raise FeatureError("build: it returned no column beside the spine's")
    found = _differences([base, build(asked, without), build(asked, planted)], ids, features)
    return LeakageReport(
        rows=found["compared rows"],
        removed=removed,
        planted=added,
        changed={name: found[name] for name in features if found[name]},
    )


def _check(
    spine: DataFrame, tables: Mapping[str, DataFrame], clocks: Mapping[str, TableClock], at: str, ids: list[str]
) -> None:
    check_frame("spine", spine)
    check_instant("at", spine, "spine", at)
    for name in ids:
        check_column("row_id", spine, "spine", name)
    if not isinstance(tables, Mapping) or not isinstance(clocks, Mapping):
        raise FeatureTypeError("tables: a dict of name and DataFrame is expected, and clocks by the same names")
    for name, clock in clocks.items():
        if name not in tables:
            raise FeatureError(f"clocks: {name} is no table; there are: {', '.join(tables)}")
        check_frame(f"tables[{name!r}]", tables[name])
        for column in (clock.event_ts, clock.known_ts):
            if column is not None:
                check_instant("clocks", tables[name], name, column)
        if clock.event_id is not None:
            for column in key_list(clock.event_id, "event_id"):
                check_column("clocks", tables[name], name, column)
            if clock.known_ts is None:
                raise FeatureError(f"clocks: {name} has event_id, so it needs known_ts")


def _is_future(clock: TableClock, moment: datetime) -> Column:
    happens, after = instant(clock.event_ts), F.lit(False)
    if not clock.event_id:
        after = happens > F.lit(moment) if clock.is_state else happens >= F.lit(moment)
    if clock.known_ts:
        after = after | (instant(clock.known_ts) > F.lit(moment))
    return F.coalesce(after, F.lit(False))


def _without_future(table: DataFrame, clock: TableClock | None, moment: datetime) -> DataFrame:
    return table if clock is None else table.where(~_is_future(clock, moment))


def _with_plants(table: DataFrame, clock: TableClock | None, moment: datetime) -> DataFrame:
    if clock is None:
        return table
    future, past = table.where(_is_future(clock, moment)), table.where(~_is_future(clock, moment))
    after = F.lit(moment) + F.expr("INTERVAL 1 DAY")
    happening = {clock.event_ts: after if clock.is_state else F.lit(moment)}
    if clock.event_id:
        # As a version of the old event it would rightly replace it; the first columns may name its entity.
        happening[key_list(clock.event_id, "event_id")[-1]] = F.lit(None)
    plants = [_altered(future, clock, {}), _altered(past, clock, happening)]
    if clock.known_ts:
        plants.append(_altered(past, clock, {clock.known_ts: after}))
    changed = past
    for plant in plants:
        changed = changed.unionByName(plant)
    return changed


def _altered(rows: DataFrame, clock: TableClock, times: Mapping[str, Column]) -> DataFrame:
    """Rows with other times where given, and other measures: ids stay, so that the rows find their entities."""
    columns = []
    for field in rows.schema.fields:
        value = quoted(field.name)
        if field.name in times:
            value = times[field.name].cast(field.dataType)
        elif field.name.endswith("_id") or field.name in (clock.event_ts, clock.known_ts):
            value = quoted(field.name)
        elif isinstance(field.dataType, NumericType):
            value = (F.coalesce(value, F.lit(0)) * -2 + 77).cast(field.dataType)
        elif isinstance(field.dataType, BooleanType):
            value = ~value
        elif isinstance(field.dataType, StringType) and field.name.endswith("_hash"):
            value = F.reverse(value)
        columns.append(value.alias(field.name))
    return rows.select(*columns)


def _differences(variants: Sequence[DataFrame], ids: list[str], features: list[str]) -> dict[str, int]:
    """Rows compared, and for each feature the rows in which any later variant differs from the first."""
    stacked = None
    for number, rows in enumerate(variants):
        values = F.struct(*(quoted(name).alias(f"f{i}") for i, name in enumerate(features)))
        named = [quoted(name).alias(f"id{i}") for i, name in enumerate(ids)]
        packed = rows.select(*named, F.lit(number).alias("variant"), values.alias("values"))
        stacked = packed if stacked is None else stacked.unionAll(packed)
    assert stacked is not None
    sides = [
        F.first(F.when(F.col("variant") == n, F.col("values")), ignorenulls=True).alias(f"side{n}")
        for n in range(len(variants))
    ]
    paired = stacked.groupBy(*(f"id{i}" for i in range(len(ids)))).agg(*sides)
    counts = [F.count(F.lit(1)).alias("compared rows")]
    for i, name in enumerate(features):
        kind = variants[0].schema[name].dataType
        moved = [_differs(F.col("side0"), F.col(f"side{n}"), f"f{i}", kind) for n in range(1, len(variants))]
        counts.append(F.count_if(reduce(lambda one, two: one | two, moved)).alias(name))
    found = paired.agg(*counts).first()
    assert found is not None
    return found.asDict()


def _differs(before: Column, after: Column, field: str, kind: DataType) -> Column:
    one, two = before.getField(field), after.getField(field)
    differs = ~one.eqNullSafe(two)
    if isinstance(kind, FloatType | DoubleType):
        near = F.abs(one - two) <= _FLOAT_TOLERANCE * F.greatest(F.abs(one), F.abs(two), F.lit(1.0))
        differs = differs & ~F.coalesce(near, F.lit(False))
    return differs | before.isNull() | after.isNull()
