"""Publishing slices: what is missing is built, what changed rows can reach is mended, and the manifest says both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from typing import Any, Protocol, TypeVar, runtime_checkable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, NumericType

from strata.conf.contracts import Table
from strata.features.definitions.feature import Entity, Feature
from strata.features.definitions.links import of_same_keys, unbounded
from strata.features.definitions.view import FeatureView
from strata.features.engine.compute import compute_features, derive, pass_key, plan_passes, prepared
from strata.features.engine.inputs import FeatureError, instant, quoted
from strata.features.store.slice_contracts import feature_table
from strata.features.store.slice_plan import (
    AS_OF,
    DAYS_A_COMMIT,
    Build,
    Slice,
    cells,
    days_between,
    dirty_cells,
    dirty_entities,
    mended,
    plan_build,
)

_DAY = "__day"
T = TypeVar("T")
Versions = tuple[tuple[str, int], ...]


class TablePort(Protocol):
    """Where the store gets its tables; whoever runs the store implements it."""

    def read(self, name: str, version: int | None = None) -> DataFrame:
        """The table, at ``version`` or as the run sees it."""

    def version(self, name: str) -> int | None:
        """The version that the run sees, ``None`` when there is no such table."""


@runtime_checkable
class SlicePort(TablePort, Protocol):
    """A table port that can also publish slices."""

    def declare(self, table: Table) -> None:
        """Make the contract of a published table known, so that it can be read and written by name."""

    def changes(self, name: str, since: int, until: int) -> DataFrame:
        """Rows of the table that stand in one of two versions and not, or not as often, in the other."""

    def replace_days(self, parts: Sequence[tuple[Table, DataFrame]], days: Sequence[date]) -> None:
        """Replace the slices of ``days`` in each table by its rows, in one commit a table."""

    def slices(self) -> list[Slice]:
        """The manifest, oldest first: one entry a slice and time that it was published."""

    def record(self, slices: Sequence[Slice]) -> None:
        """Append to the manifest."""


@dataclass(frozen=True)
class Published:
    """What one call did for one view: days built new, days in which cells were mended, and days looked at."""

    view: str
    table: str
    built: tuple[date, ...]
    mended: tuple[date, ...]
    days: tuple[date, ...]

    def __str__(self) -> str:
        """One line."""
        return f"{self.table}: {len(self.built)} days built, {len(self.mended)} mended, of {len(self.days)}"


def builds(
    tables: SlicePort, views: Sequence[FeatureView], start: date, end: date, *, rebuild: bool = False
) -> list[Build]:
    """What publishing the views from ``start`` to ``end`` would do. Reads the manifest alone."""
    known, days = [] if rebuild else tables.slices(), days_between(start, end)
    return [plan_build(view, feature_table(view).name, days, known, _versions(tables, view)) for view in views]


def publish(
    tables: SlicePort,
    views: Sequence[FeatureView],
    start: date,
    end: date,
    *,
    rebuild: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> list[Published]:
    """Bring the slices of ``views`` from ``start`` to ``end`` up to the sources as the run sees them.

    Missing days are computed for every entity that existed, ``DAYS_A_COMMIT`` days and all views of a
    pass at a time. Days that show older sources are mended: changed rows give the dirty (entity, day)
    cells, only those are computed again and only days that hold one are written. The answer is the same,
    row for row, as if all days were built new, which ``rebuild`` does. A kill leaves whole days; the next
    call does the rest.
    Raises ``FeatureError`` when a view's definition changed and its version did not.
    """
    planned = builds(tables, views, start, end, rebuild=rebuild)
    done: dict[str, tuple[list[date], list[date]]] = {view.name: ([], []) for view in views}
    # A pass at a time: Spark takes longer over one plan of many passes than over many plans of one.
    for (_, entity, missing), group in _grouped(planned, _together):
        for days in (missing[n : n + DAYS_A_COMMIT] for n in range(0, len(missing), DAYS_A_COMMIT)):
            say(f"{days[0]} to {days[-1]}: {', '.join(build.view.name for build in group)}")
            _build(tables, entity, [build.view for build in group], days)
            for build in group:
                done[build.view.name][0].extend(days)
    behind = [_Behind(build.view, versions, days) for build in planned for versions, days in build.outdated.items()]
    for (_, versions, days), some in _grouped(behind, lambda one: (pass_key(one.view), one.versions, one.days)):
        touched = _mend(tables, [one.view for one in some], dict(versions), days)
        say(f"{', '.join(one.view.name for one in some)}: {len(touched)} of {len(days)} days mended")
        for one in some:
            done[one.view.name][1].extend(touched)
    days = days_between(start, end)
    return [
        Published(view.name, feature_table(view).name, tuple(done[view.name][0]), tuple(done[view.name][1]), days)
        for view in views
    ]


def _together(build: Build) -> tuple[Any, ...]:
    return pass_key(build.view), build.view.entity, build.missing


@dataclass(frozen=True)
class _Behind:
    """Days of a view whose slices show the same older versions of their sources."""

    view: FeatureView
    versions: Versions
    days: tuple[date, ...]


def _grouped(items: Iterable[T], key: Callable[[T], tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], list[T]]]:
    """Items of equal key together, in the order in which keys first come."""
    groups: dict[tuple[Any, ...], list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def _versions(tables: TablePort, view: FeatureView) -> dict[str, int]:
    versions = {}
    for name in (*view.tables, view.entity.source):
        version = tables.version(name)
        if version is None:
            raise FeatureError(f"view {view.name}: its table {name} is missing; run the job that writes it first")
        versions[name] = version
    return versions


def _computed(tables: TablePort, views: Sequence[FeatureView], spine: DataFrame, *, tiled: bool) -> DataFrame:
    """Keys, day and the features of all ``views``, with the types of their contracts checked."""
    features = [feature for view in views for feature in view.features]
    sources = {name: tables.read(name) for view in views for name in view.tables}
    rows = compute_features(features, views, spine, sources, at=AS_OF, tiled=tiled)
    for view in views:
        for column in feature_table(view).columns:
            _check_type(view, column.name, rows.schema[column.name].dataType, column.type)
    return rows


def _check_type(view: FeatureView, name: str, kind: DataType, wanted: str) -> None:
    """A cast that loses values is refused: texts and times are no numbers."""
    is_number = isinstance(kind, NumericType | BooleanType)
    wants_number = wanted.startswith(("decimal", "double", "float", "bigint", "int", "boolean"))
    if is_number != wants_number:
        raise FeatureError(
            f"view {view.name}: feature {name} is {kind.simpleString()} and would be published as {wanted}; "
            "give its item type='…'"
        )


def _stand(tables: SlicePort, views: Sequence[FeatureView], days: Sequence[date]) -> bool:
    """Whether the views are over others whose slices of all these days show the sources as the run sees them."""
    below = _below(views)
    return bool(below) and all(set(days) <= set(build.current) for build in builds(tables, below, days[0], days[-1]))


def _below(views: Sequence[FeatureView]) -> list[FeatureView]:
    """The views that these are over, each once."""
    return list({one.name: one for view in views for one in view.over}.values())


def _from_slices(tables: SlicePort, views: Sequence[FeatureView], spine: DataFrame, days: Sequence[date]) -> DataFrame:
    """The same rows as ``_computed`` for views over others, from those views' slices: a join each and no pass."""
    features = [feature for view in views for feature in view.features]
    rows, keys = spine, [*views[0].entity.keys, AS_OF]
    for below in _below(views):
        slices = tables.read(feature_table(below).name).where(F.col(AS_OF).isin(list(days)))
        rows = rows.join(slices, keys, "left")
    own = {view.name for view in views}
    later = [feature for feature in plan_passes(features, views)[1] if feature.view in own]
    return derive(rows, later, AS_OF).select(*map(quoted, keys), *(quoted(feature.name) for feature in features))


def _part(rows: DataFrame, view: FeatureView) -> DataFrame:
    return rows.select(*(quoted(name) for name in feature_table(view).names))


def _build(tables: SlicePort, entity: Entity, views: Sequence[FeatureView], days: Sequence[date]) -> None:
    spine = cells(entity, tables.read(entity.source), days)
    if _stand(tables, views, days):
        rows = _from_slices(tables, views, spine, days).persist()
    else:
        rows = _computed(tables, views, spine, tiled=len(days) > 1).persist()
    tables.replace_days([(feature_table(view), _part(rows, view)) for view in views], days)
    _record(tables, views, days, _counts(rows))
    rows.unpersist()


def _mend(
    tables: SlicePort, views: Sequence[FeatureView], since: Mapping[str, int], days: Sequence[date]
) -> list[date]:
    """Compute and write the dirty cells of days that show the versions ``since``; the days that held one."""
    dirty = _dirty(tables, views, since, days).persist()
    touched = sorted(row[AS_OF] for row in dirty.select(AS_OF).distinct().collect())
    if touched:
        _write_mended(tables, views, dirty, touched)
    dirty.unpersist()
    alive = cells(views[0].entity, tables.read(views[0].entity.source), days)
    _record(tables, views, days, _counts(alive))
    return touched


def _write_mended(tables: SlicePort, views: Sequence[FeatureView], dirty: DataFrame, days: Sequence[date]) -> None:
    entity = views[0].entity
    alive = cells(entity, tables.read(entity.source), days).join(dirty, [*entity.keys, AS_OF], "left_semi")
    fresh = _computed(tables, views, alive, tiled=len(days) > 1).persist()
    parts = []
    for view in views:
        old = tables.read(feature_table(view).name).where(F.col(AS_OF).isin(list(days)))
        parts.append((feature_table(view), mended(old, dirty, _shaped(_part(fresh, view), view), entity)))
    tables.replace_days(parts, days)
    fresh.unpersist()


def _counts(rows: DataFrame) -> dict[date, int]:
    return {row[AS_OF]: row["count"] for row in rows.groupBy(AS_OF).count().collect()}


def _shaped(rows: DataFrame, view: FeatureView) -> DataFrame:
    return rows.select(*(quoted(c.name).cast(c.type).alias(c.name) for c in feature_table(view).columns))


def _dirty(
    tables: SlicePort, views: Sequence[FeatureView], since: Mapping[str, int], days: Sequence[date]
) -> DataFrame:
    """Cells that changed rows of the views' tables, or of the table that says who exists, can reach."""
    if below := _below(views):
        return reduce(DataFrame.unionByName, [_dirty(tables, [one], since, days) for one in below]).distinct()
    view, parts = views[0], []
    longest = max((f.reach for one in views for f in one.all_features.values()), default=0)
    moved = {
        name: tables.changes(name, version, newest)
        for name, version in since.items()
        if name in (*view.tables, view.entity.source)
        and (newest := tables.version(name)) is not None
        and newest != version
    }
    sources = {name: tables.read(name) for name in view.tables}
    for link in (link for link in view.links if link.at_most and link.table in moved):
        moved[link.table] = of_same_keys(link, sources[link.table], moved[link.table])
    reached = replace(view, links=tuple(unbounded(link) for link in view.links))
    now = prepared(reached, sources)
    # What was lost may have been linked by what was lost too.
    ever = {name: rows.unionByName(moved[name]) if name in moved else rows for name, rows in sources.items()}
    for name in (name for name in view.tables if name in moved):
        parts.append(dirty_cells(view, longest, now, prepared(reached, {**ever, name: moved[name]}), days))
    if view.entity.source in moved:
        parts.append(dirty_entities(view.entity, moved[view.entity.source], days))
    if not parts:
        return cells(view.entity, tables.read(view.entity.source), days).limit(0)
    return reduce(DataFrame.unionByName, parts).distinct()


def _record(tables: SlicePort, views: Sequence[FeatureView], days: Sequence[date], rows: Mapping[date, int]) -> None:
    made = []
    for view in views:
        sources, named = tuple(sorted(_versions(tables, view).items())), feature_table(view).name
        by = (named, view.name, view.version, view.definition_hash)
        made += [Slice(*by, day, sources, rows.get(day, 0)) for day in days]
    tables.record(made)


def with_slices(
    tables: SlicePort,
    features: Sequence[Feature],
    views: Sequence[FeatureView],
    spine: DataFrame,
    *,
    at: str,
    versions: Mapping[str, int | None],
) -> DataFrame:
    """The spine with published features of the day of ``at``, in order; null for an entity without a slice.

    One shuffle of the spine, one of each view's slices of the days asked for; one scan more of the spine
    for those days. Raises ``FeatureError`` naming days that are asked for and have not been published.
    """
    by_name = {view.name: view for view in views}
    day = F.to_date(instant(at))
    asked = sorted(row[0] for row in spine.select(day).distinct().collect() if row[0] is not None)
    rows = spine.withColumn(_DAY, day)
    for name in dict.fromkeys(feature.view for feature in features):
        view = by_name[name]
        _check_published(tables, view, asked)
        table, keys = feature_table(view).name, view.entity.keys
        wanted = [f.name for f in features if f.view == name]
        slices = tables.read(table, versions.get(table)).where(F.col(AS_OF).isin(asked))
        renamed = slices.select(*(quoted(key) for key in keys), F.col(AS_OF).alias(_DAY), *map(quoted, wanted))
        rows = rows.join(renamed, [*keys, _DAY], "left")
    return rows.select(*(quoted(name) for name in spine.columns), *(quoted(f.name) for f in features))


def _check_published(tables: SlicePort, view: FeatureView, asked: Sequence[date]) -> None:
    stand = {found.day for found in tables.slices() if (found.view, found.version) == (view.name, view.version)}
    if holes := [day for day in asked if day not in stand]:
        raise FeatureError(
            f"view {view.name}: {len(holes)} of {len(asked)} days asked for have not been published, the first is "
            f"{holes[0]}; materialize them first"
        )
