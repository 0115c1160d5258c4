"""From views and tables to feature columns: views of one table and one set of clocks share one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.features.definitions.feature import Feature
from strata.features.definitions.links import follow
from strata.features.definitions.view import FeatureView
from strata.features.engine.aggregates import Measure, words_of_span
from strata.features.engine.arrow_windows import why_joined
from strata.features.engine.inputs import FeatureError, check_column, check_frame, check_instant, quoted
from strata.features.engine.point_in_time import point_in_time_join
from strata.features.engine.row_wise import operation_across_rows
from strata.features.engine.windows import aggregate_windows, measured_columns


@dataclass(frozen=True)
class Pass:
    """Features that one scan of one table serves: all windowed, or all state, with their views' clocks.

    ``why_joined`` is why its windows take a join, where that is known (see ``with_plans``).
    """

    view: FeatureView
    features: tuple[Feature, ...]
    why_joined: str | None = None

    @property
    def is_windowed(self) -> bool:
        """Whether it aggregates events; otherwise it looks up states."""
        return self.view.event_ts is not None

    @property
    def longest(self) -> int:
        """Length of its longest window in days, 0 for states."""
        return max((feature.reach for feature in self.features), default=0)

    @property
    def shuffles(self) -> int:
        """Exchanges of its plan before Spark turns small ones into broadcasts (see ``windowed_aggregates``)."""
        linked = 3 * len(self.view.links)
        if not self.is_windowed:
            return 1 + linked
        return (4 if self.why_joined else 1) + (1 if self.view.event_id else 0) + linked

    def __str__(self) -> str:
        """One line: table, clocks, number of features, whether and why windows take a join, scans and shuffles."""
        clocks = ", ".join(name for name in (self.view.event_ts, self.view.valid_from, self.view.known_ts) if name)
        scans = ", ".join(f"{name} 1" for name in self.view.tables)
        if self.is_windowed:
            how = f"by a join ({self.why_joined})" if self.why_joined else "without a join"
            span = words_of_span(self.longest)
            what = f"windows up to {span} {how}, scans: {scans}, spine {2 if self.why_joined else 1}"
        else:
            what = f"last state, scans: {scans}"
        return f"{self.view.source} ({clocks}): {len(self.features)} values, {what}, shuffles {self.shuffles}"


def compute(view: FeatureView, spine: DataFrame, source: DataFrame, *links: DataFrame, at: str = "at") -> DataFrame:
    """Compute every offered feature of one view: the spine's rows and columns, then the features.

    ``spine`` has the entity's key columns and ``at`` (date or timestamp); ``source`` is the view's
    table, whole, and ``links`` those of its links. One pass (its plan stands at ``windowed_aggregates`` or
    ``point_in_time_join``).
    Raises ``FeatureError`` or ``FeatureTypeError`` naming the argument and column.
    """
    return compute_features(list(view.features), [view], spine, dict(zip(view.tables, (source, *links))), at=at)


def compute_features(
    features: Sequence[Feature],
    views: Sequence[FeatureView],
    spine: DataFrame,
    sources: Mapping[str, DataFrame],
    *,
    at: str = "at",
    tiled: bool = False,
) -> DataFrame:
    """Compute ``features`` of any of ``views``: the spine's rows and columns, then the features in order.

    ``sources`` has each view's table by name. Views with the same table, clocks, entity and prepare
    function share one pass; a pass more scans the spine again, but nothing is computed twice.
    ``tiled`` is for a spine of days, many for each entity (see ``aggregate_windows``).
    """
    check_frame("spine", spine)
    check_instant("at", spine, "spine", at)
    passes, later = plan_passes(features, views)
    rows = spine
    for step in passes:
        source = prepared(step.view, sources)
        rows = _windows(step, rows, spine, source, at, tiled) if step.is_windowed else _states(step, rows, source, at)
    rows = derive(rows, later, at)
    return rows.select(*(quoted(name) for name in spine.columns), *(quoted(f.name) for f in features))


def plan_passes(features: Sequence[Feature], views: Sequence[FeatureView]) -> tuple[list[Pass], list[Feature]]:
    """The passes over tables that ``features`` take, windows first, and the derived features, inputs first."""
    by_name = {one.name: one for view in views for one in view.by_name.values()}
    grouped: dict[tuple[object, ...], tuple[FeatureView, dict[str, Feature]]] = {}
    later: dict[str, Feature] = {}
    for feature in features:
        for needed in by_name[feature.view].needed([feature.name]):
            view = by_name[needed.view]
            if needed.kind == "derived":
                later[needed.name] = needed
            else:
                grouped.setdefault(pass_key(view), (view, {}))[1][needed.name] = needed
    passes = [Pass(view, tuple(members.values())) for view, members in grouped.values()]
    return sorted(passes, key=lambda step: not step.is_windowed), list(later.values())


def with_plans(passes: Sequence[Pass], sources: Mapping[str, DataFrame]) -> list[Pass]:
    """The passes with why their windows take a join, by the types of ``sources`` (each table that there is, by name).

    Reads schemas and no rows. Of a pass over a table that is missing it says that.
    """
    return [replace(step, why_joined=_why_joined(step, sources)) if step.is_windowed else step for step in passes]


def _why_joined(step: Pass, sources: Mapping[str, DataFrame]) -> str | None:
    if missing := [name for name in step.view.tables if name not in sources]:
        return f"as far as is known without table {', '.join(missing)}, which is missing"
    events, names = _with_measures(prepared(step.view, sources), step.features)
    columns = measured_columns(events, _measures(step.features, names))
    return why_joined(events, step.view.entity.keys, {text: columns[name] for text, name in names.items()})


def pass_key(view: FeatureView) -> tuple[object, ...]:
    """What views must share to be computed in one pass: table, entity, clocks, prepare function and links.

    A view over others has no pass of its own.
    """
    if view.over:
        return ("over", view.name)
    clocks = (view.event_ts, view.valid_from, view.known_ts, view.event_id, view.valid_to, view.sequence)
    return (view.source, view.entity.keys, view.prepare, view.prepare_across_rows, view.links, *clocks)


def prepared(view: FeatureView, sources: Mapping[str, DataFrame]) -> DataFrame:
    """The view's rows as its measures take them: prepared, and linked to whom they belong.

    Raises ``FeatureError`` when a table is missing, or ``prepare`` looks at other rows and the view doesn't say why.
    """
    if missing := [name for name in view.tables if name not in sources]:
        raise FeatureError(f"view {view.name}: its table {', '.join(missing)} was not given")
    source = sources[view.source]
    rows = source if view.prepare is None else view.prepare(source)
    if view.prepare_across_rows is None and (operation := operation_across_rows(source, rows)):
        raise FeatureError(
            f"view {view.name}: prepare looks at other rows by {operation}, which could let in what was known later; "
            "make each row of that row alone, or say in prepare_across_rows why it may"
        )
    for link in view.links:
        rows = follow(rows, link, sources[link.table], view.known_ts or "")
    return rows


def _with_measures(source: DataFrame, features: Sequence[Feature]) -> tuple[DataFrame, dict[str, str]]:
    """The source with one column for each different measure, and their names."""
    texts = list(dict.fromkeys(feature.measure for feature in features))
    names = {text: f"measure {number}" for number, text in enumerate(texts)}
    return source.select("*", *(F.expr(text).alias(name) for text, name in names.items())), names


def _measures(features: Sequence[Feature], names: Mapping[str, str]) -> list[Measure]:
    """The windowed features as aggregates of the columns that their measures are called."""
    return [Measure(one.name, names[one.measure], one.agg or "", one.days or 0) for one in features]


def _windows(step: Pass, rows: DataFrame, spine: DataFrame, source: DataFrame, at: str, tiled: bool) -> DataFrame:
    view = step.view
    events, names = _with_measures(source, step.features)
    return aggregate_windows(
        spine,
        events,
        key=list(view.entity.keys),
        at=at,
        event_ts=view.event_ts or "",
        known_ts=view.known_ts,
        event_id=view.event_id,
        measures=_measures(step.features, names),
        onto=rows,
        tiled=tiled,
    )


def _states(step: Pass, rows: DataFrame, source: DataFrame, at: str) -> DataFrame:
    view = step.view
    states, names = _with_measures(source, step.features)
    looked_up = point_in_time_join(
        rows,
        {"state": states},
        key=list(view.entity.keys),
        at=at,
        valid_from=view.valid_from or "",
        known_ts=view.known_ts,
        valid_to=view.valid_to,
        sequence=view.sequence,
    )
    return looked_up.select(
        *(quoted(name) for name in rows.columns),
        *(quoted(f"state__{names[feature.measure]}").alias(feature.name) for feature in step.features),
    )


def derive(rows: DataFrame, later: Sequence[Feature], at: str) -> DataFrame:
    """Add derived features whose inputs are there, layer by layer: a hundred of them make a few projections."""
    check_column("at", rows, "spine", at)
    waiting = list(later)
    while waiting:
        blocked = {feature.name for feature in waiting}
        ready = [feature for feature in waiting if not blocked & set(feature.inputs)]
        moment = f"CAST(`{at}` AS timestamp)"
        rows = rows.select("*", *(F.expr(f.measure.replace(":at", moment)).alias(f.name) for f in ready))
        waiting = [feature for feature in waiting if feature not in ready]
    return rows
