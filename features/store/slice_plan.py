"""Which published slices a change touches: from changed source rows to dirty (entity, day) cells, and only those.

A slice is a view's features of every entity as of the midnight that begins a bank day ``ds``. A source row can
be seen from the first midnight at which it has happened and is known, for as long as the longest window
reaches; so a changed row makes just those days of its entity dirty, whatever the size of the bank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.features.definitions.feature import Entity
from strata.features.definitions.view import FeatureView
from strata.features.engine.inputs import (
    FeatureError,
    all_present,
    check_column,
    check_instant,
    instant,
    key_list,
    next_midnight,
    quoted,
)

AS_OF = "as_of_date"
# Days of one commit: enough that a year takes a dozen commits, few enough that a kill loses little.
DAYS_A_COMMIT = 31


@dataclass(frozen=True)
class Slice:
    """What the manifest says of a published slice: its definition, the source versions it shows, its rows."""

    table: str
    view: str
    version: int
    definition_hash: str
    day: date
    sources: tuple[tuple[str, int], ...]
    rows: int


@dataclass(frozen=True)
class Build:
    """What has to be done for one view: days never published, and days whose sources have moved since.

    ``outdated`` groups days by the source versions that they show.
    """

    view: FeatureView
    table: str
    missing: tuple[date, ...]
    outdated: Mapping[tuple[tuple[str, int], ...], tuple[date, ...]]
    current: tuple[date, ...]

    def __str__(self) -> str:
        """One line: how many days are there, are missing, and may have to be mended."""
        behind = sum(len(days) for days in self.outdated.values())
        return (
            f"{self.table}: {len(self.current)} days stand, {len(self.missing)} are missing"
            f"{_span(self.missing)}, {behind} show older sources"
        )


def _span(days: Sequence[date]) -> str:
    return f" ({min(days)} to {max(days)})" if days else ""


def days_between(start: date, end: date) -> tuple[date, ...]:
    """Every day from ``start`` to ``end``, both included; raises ``FeatureError`` when they are the wrong way round."""
    if end < start:
        raise FeatureError(f"end: {end} lies before start {start}; swap them")
    return tuple(start + timedelta(days=n) for n in range((end - start).days + 1))


def plan_build(
    view: FeatureView, table: str, days: Sequence[date], known: Sequence[Slice], sources: Mapping[str, int]
) -> Build:
    """What is missing, outdated and current of ``days``, by the manifest's ``known`` slices.

    Raises ``FeatureError`` when a slice of the same view version was made by another definition.
    """
    latest = {found.day: found for found in known if (found.view, found.version) == (view.name, view.version)}
    for found in latest.values():
        if found.definition_hash != view.definition_hash:
            raise FeatureError(
                f"view {view.name}: its definition is not the one that {table} was built by; "
                f"raise its version to {view.version + 1}, and the new one is built beside it"
            )
    now = tuple(sorted(sources.items()))
    outdated: dict[tuple[tuple[str, int], ...], list[date]] = {}
    for day in days:
        if day in latest and latest[day].sources != now:
            outdated.setdefault(latest[day].sources, []).append(day)
    return Build(
        view=view,
        table=table,
        missing=tuple(day for day in days if day not in latest),
        outdated={versions: tuple(group) for versions, group in outdated.items()},
        current=tuple(day for day in days if day in latest and latest[day].sources == now),
    )


def existing(entity: Entity, rows: DataFrame) -> DataFrame:
    """Key columns, ``since`` (the first moment at which an entity existed and was known), ``until`` (null: open)."""
    for name in entity.keys:
        check_column("entity", rows, entity.source, name)
    clocks = [name for name in (entity.event_ts, entity.known_ts) if name]
    for name in [*clocks, *([entity.until] if entity.until else [])]:
        check_instant("entity", rows, entity.source, name)
    since = [instant(name) for name in clocks]
    ends = instant(entity.until) if entity.until else F.lit(None).cast("timestamp")
    keys = [quoted(key) for key in entity.keys]
    rows = rows.where(all_present([*keys, *since]))
    begin = F.greatest(*since) if len(since) > 1 else since[0]
    return rows.select(*keys, begin.alias("since"), ends.alias("until"))


def cells(entity: Entity, rows: DataFrame, days: Sequence[date]) -> DataFrame:
    """One row an entity and day on which it existed at midnight: its keys and ``as_of_date``.

    One scan of the entity's table and one shuffle, as an entity may have several rows.
    """
    wanted = F.array(*(F.lit(day) for day in days))

    def held(day: Column) -> Column:
        midnight = day.cast("timestamp")
        return (F.col("since") <= midnight) & (F.col("until").isNull() | (F.col("until") > midnight))

    alive = existing(entity, rows).withColumn(AS_OF, F.explode(F.filter(wanted, held)))
    return alive.select(*(quoted(key) for key in entity.keys), AS_OF).distinct()


def dirty_cells(
    view: FeatureView, longest: int, source: DataFrame, changes: DataFrame, days: Sequence[date]
) -> DataFrame:
    """The (entity, day) cells of ``days`` that changed rows of the view's tables can reach, each once.

    ``longest`` is the longest window in days, 0 for states. ``changes`` are rows that stand in the old or
    the new version and not in both; with ``event_id`` the other versions of the same events are looked up in
    ``source``, the new version, since a new version ends the old one. Both as ``prepared``. One shuffle, one
    more with ``event_id``.
    """
    if view.event_id:
        names = key_list(view.event_id, "event_id")
        columns = [quoted(name) for name in names]
        ids = changes.select(*columns).where(all_present(columns)).distinct()
        touched = _clocked(changes, view).unionByName(_clocked(source.join(ids, names, "left_semi"), view))
    else:
        touched = _clocked(changes, view)
    first, last = _reach(view, longest)
    return _cells_of(view.entity, touched.withColumns({"first": first, "last": last}), days)


def dirty_entities(entity: Entity, changes: DataFrame, days: Sequence[date]) -> DataFrame:
    """Every day of the entities whose own rows changed: they may have come into being, or have ended."""
    touched = changes.where(all_present([quoted(key) for key in entity.keys]))
    return _cells_of(entity, touched.withColumns({"first": F.lit(days[0]), "last": F.lit(days[-1])}), days)


def _clocked(rows: DataFrame, view: FeatureView) -> DataFrame:
    names = dict.fromkeys([*view.entity.keys, *(n for n in (view.event_ts, view.valid_from, view.known_ts) if n)])
    return rows.select(*(quoted(name) for name in names)).where(all_present([quoted(name) for name in names]))


def _reach(view: FeatureView, longest: int) -> tuple[Column, Column]:
    """The first and the last day whose midnight can see a row; a state is seen for good (null)."""
    if view.event_ts is None:
        begin = next_midnight(instant(view.valid_from or ""))
        last = F.lit(None).cast("date")
    else:
        # An event of midnight itself belongs to the day that it begins, so the next midnight is the first to see it.
        begin = F.date_add(F.to_date(instant(view.event_ts)), 1)
        last = F.date_add(F.to_date(instant(view.event_ts)), longest)
    known = next_midnight(instant(view.known_ts)) if view.known_ts else begin
    return F.greatest(begin, known), last


def _cells_of(entity: Entity, touched: DataFrame, days: Sequence[date]) -> DataFrame:
    within = F.filter(
        F.array(*(F.lit(day) for day in days)),
        lambda day: (day >= F.col("first")) & (F.col("last").isNull() | (day <= F.col("last"))),
    )
    keys = [quoted(key) for key in entity.keys]
    return touched.select(*keys, F.explode(within).alias(AS_OF)).distinct()


def mended(old: DataFrame, dirty: DataFrame, fresh: DataFrame, entity: Entity) -> DataFrame:
    """A slice with its dirty cells replaced: old rows outside of them, and the fresh ones."""
    kept = old.join(dirty, [*entity.keys, AS_OF], "left_anti")
    return kept.select(*fresh.columns).unionByName(fresh)
