"""Where data are whole: only there may an empty window be read as nothing happened.

Before the first row of a table nobody can say whether nothing happened or nothing was delivered. What a bank knows
about that is a ``Coverage``; a view is whole for a spine row when all that its features look at is covered.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.features.definitions.feature import Entity, Feature
from strata.features.definitions.view import FeatureView
from strata.features.engine.inputs import (
    FeatureError,
    FeatureTypeError,
    FeatureWarning,
    all_present,
    check_new_names,
    instant,
    quoted,
)

MODES = ("refuse", "strict", "flag", "null")
_OPENED, _SPANS, _BEGUN = "__opened", "__spans", "__begun"
_MOST_VIEWS = 3


@dataclass(frozen=True)
class Begin:
    """The first days of a table: of what happened, and on which anything was known."""

    happened: date
    known: date


@dataclass(frozen=True)
class Coverage:
    """What is known of where tables are whole; of a table that is nowhere here nothing is checked.

    ``begins`` has the first days of tables. ``spans`` names, for a table, the table of spans in which it is whole
    (``covered_from`` and ``covered_to``, the end exclusive) and their key: they are asked for views whose entity has
    that key, so spans of accounts say nothing about customers. ``openings`` names, for an entity, the table and the
    column that say since when it has been with the bank: nothing happened to it before. Without it the entity's own
    table does.
    """

    begins: Mapping[str, Begin] = field(default_factory=dict)
    spans: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    openings: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Need:
    """What some features of a view look at: the rows of a table in the ``days`` before a moment, 0 for its states."""

    view: FeatureView
    days: int


def whole_until(spine: DataFrame, coverage: DataFrame, *, key: str | Sequence[str], since: str) -> DataFrame:
    """Add ``whole_until``: the first day from ``since`` on that the spans of ``coverage`` don't hold (date).

    ``coverage`` has the key, ``covered_from`` and ``covered_to`` (dates, the end exclusive); spans may
    overlap or adjoin. Every spine row comes back once. One shuffle of the coverage by key and one join;
    the spans of a key are few.
    """
    keys = [key] if isinstance(key, str) else list(key)
    rows = spine.join(_spans_by_key(coverage, keys, "_spans"), keys, "left")
    return rows.withColumn("whole_until", _walked(F.col("_spans"), F.col(since))).drop("_spans")


def _spans_by_key(coverage: DataFrame, keys: Sequence[str], name: str) -> DataFrame:
    spans = F.array_sort(F.collect_set(F.struct("covered_from", "covered_to")))
    return coverage.groupBy(*keys).agg(spans.alias(name))


def _walked(spans: Column, since: Column) -> Column:
    """Walking the spans in order: each moves the first day that is not covered yet as far as it reaches."""
    none = F.array().cast("array<struct<covered_from:date,covered_to:date>>")
    return F.aggregate(
        F.coalesce(spans, none),
        since,
        lambda day, span: F.when(
            (span["covered_from"] <= day) & (span["covered_to"] > day), span["covered_to"]
        ).otherwise(day),
    )


def with_whole_history(
    spine: DataFrame, coverage: DataFrame, *, key: str | Sequence[str], since: str, until: str
) -> DataFrame:
    """Add ``has_whole_history``: whether the spans of ``coverage`` hold every day of [since, until).

    ``since`` and ``until`` are date columns of the spine; as ``whole_until`` otherwise.
    """
    reached = whole_until(spine, coverage, key=key, since=since)
    whole = F.coalesce(F.col("whole_until") >= F.col(until), F.lit(False))
    return reached.withColumn("has_whole_history", whole).drop("whole_until")


def flag_of(view: str) -> str:
    """The name of the column that says where a view is whole."""
    return f"{view}_is_whole"


def needs(features: Sequence[Feature], views: Mapping[str, FeatureView]) -> dict[str, list[Need]]:
    """What the features of each view look at, by the view's name: the longest of their windows over each table.

    A view over others looks at what those features of theirs look at that its own are made of.
    """
    found: dict[str, list[Need]] = {}
    for name in dict.fromkeys(feature.view for feature in features):
        view, longest = views[name], dict[str, int]()
        for part in view.needed([feature.name for feature in features if feature.view == name]):
            if part.kind != "derived":
                longest[part.view] = max(longest.get(part.view, 0), part.reach)
        found[name] = [Need(view.by_name[below], days) for below, days in longest.items()]
    return found


def with_flags(
    rows: DataFrame,
    needed: Mapping[str, Sequence[Need]],
    coverage: Coverage,
    read: Callable[[str], DataFrame],
    *,
    at: str,
) -> DataFrame:
    """Every row of the spine with two booleans for each view of ``needed``: ``<view>_is_whole``, and has it begun.

    A view is whole where, of each table that its features look at: something was known by the day of ``at``; the
    window, or what of it lies after the entity's opening, begins no earlier than the table; and the spans of the table
    hold all its days. Data have begun where it is whole, or cut short: something was known, the table begins before
    ``at``, and the spans hold the day before. Both are true for a row without key or time, which has no window.

    Plan: one join with the entities' openings, and one with each table of spans, by the entity's key.
    """
    check_new_names(rows, [flag_of(view) for view in needed])
    asked = [need for some in needed.values() for need in some]
    columns = list(rows.columns)
    for entity in {need.view.entity.name: need.view.entity for need in asked}.values():
        rows = rows.join(_openings(entity, coverage, read), list(entity.keys), "left")
    spanned = {_spans_of(need, coverage): need.view.entity for need in asked if _spans_of(need, coverage)}
    for table, entity in spanned.items():
        rows = rows.join(_spans_by_key(read(str(table)), entity.keys, f"{_SPANS} {table}"), list(entity.keys), "left")
    flags = [_all(_is_whole, some, coverage, at).alias(flag_of(view)) for view, some in needed.items()]
    begun = [_all(_has_begun, some, coverage, at).alias(f"{_BEGUN} {view}") for view, some in needed.items()]
    return rows.select(*(quoted(name) for name in columns), *flags, *begun)


def checkable(needed: Mapping[str, Sequence[Need]], coverage: Coverage) -> dict[str, Sequence[Need]]:
    """The views of ``needed`` about whose tables ``coverage`` knows anything; of others there is nothing to check."""
    return {
        view: some
        for view, some in needed.items()
        if any(_spans_of(need, coverage) or any(name in coverage.begins for name in need.view.tables) for need in some)
    }


def check_whole(flagged: DataFrame, needed: Mapping[str, Sequence[Need]], coverage: Coverage, *, strict: bool) -> None:
    """Raise ``FeatureError`` when a view has no data at all for a row, with the number of rows and the views.

    Rows in which windows are cut short make a ``FeatureWarning``, with ``strict`` a ``FeatureError`` too. One scan.
    """
    begun, whole = (
        {view: quoted(name) for view, name in names.items()}
        for names in ({view: f"{_BEGUN} {view}" for view in needed}, {view: flag_of(view) for view in needed})
    )
    kinds = [{view: ~begun[view] for view in needed}, {view: begun[view] & ~whole[view] for view in needed}]
    counts = [F.count(F.lit(1))]
    for failed in kinds:
        counts += [F.count_if(reduce(lambda one, two: one | two, failed.values())), *map(F.count_if, failed.values())]
    total, *found = flagged.agg(*counts).collect()[0]
    (none, *none_by_view), (cut, *cut_by_view) = found[: len(needed) + 1], found[len(needed) + 1 :]
    if none:
        raise FeatureError(
            f"spine: {none:,} of {total:,} rows lie outside the time of which there are data, so that nothing could be "
            f"seen: {_told(none_by_view, needed, coverage)}; leave them out, or pass coverage='flag' or 'null'"
        )
    if not cut:
        return
    words = f"spine: {cut:,} of {total:,} rows have windows that the data hold in part alone: "
    words += _told(cut_by_view, needed, coverage)
    if strict:
        raise FeatureError(f"{words}; ask for shorter windows or later rows, or pass coverage='flag' or 'null'")
    warnings.warn(
        f"{words}; what is there was counted: coverage='flag' marks such rows, 'null' takes their values out, "
        "'strict' refuses them",
        FeatureWarning,
        stacklevel=4,
    )


def _told(by_view: Sequence[int], needed: Mapping[str, Sequence[Need]], coverage: Coverage) -> str:
    """The views with the most rows, each with its window and the begin of its data."""
    failed = [(rows, view) for view, rows in zip(needed, by_view, strict=True) if rows]
    most = sorted(failed, key=lambda pair: -pair[0])
    told = [f"{view} in {rows:,} rows ({_about(needed[view], coverage)})" for rows, view in most[:_MOST_VIEWS]]
    return ", ".join([*told, *([f"{len(most) - _MOST_VIEWS} views more"] if len(most) > _MOST_VIEWS else [])])


def treated(
    rows: DataFrame,
    features: Sequence[Feature],
    needed: Mapping[str, Sequence[Need]],
    coverage: Coverage,
    read: Callable[[str], DataFrame],
    *,
    at: str,
    mode: str,
) -> DataFrame:
    """``rows``, which have ``features``, as ``mode`` treats views that are not whole.

    ``flag``: a column ``<view>_is_whole`` for each view, at the end; null where nothing is known of its tables.
    ``null``: the features of a view are null where it is not whole. Else: as they are.
    """
    if mode not in ("flag", "null"):
        return rows
    known = checkable(needed, coverage)
    flagged = with_flags(rows, known, coverage, read, at=at)
    if mode == "flag":
        nothing = F.lit(None).cast("boolean")
        flags = [quoted(flag_of(view)) if view in known else nothing.alias(flag_of(view)) for view in needed]
        return flagged.select(*(quoted(name) for name in rows.columns), *flags)
    view_of = {feature.name: feature.view for feature in features if feature.view in known}
    kept = [
        F.when(quoted(flag_of(view_of[name])), quoted(name)).alias(name) if name in view_of else quoted(name)
        for name in rows.columns
    ]
    return flagged.select(*kept)


def check_mode(mode: Any) -> None:
    """Raise ``FeatureError`` unless ``mode`` is one of the ways to treat rows that are not whole."""
    if not isinstance(mode, str):
        raise FeatureTypeError(f"coverage: one of {', '.join(MODES)} is expected, not {type(mode).__name__}")
    if mode not in MODES:
        raise FeatureError(f"coverage: {mode!r} is unknown; there are: {', '.join(MODES)}")


def _about(needed: Sequence[Need], coverage: Coverage) -> str:
    """The longest window, and the newest begin of the tables."""
    longest = max(need.days for need in needed)
    begins = [(coverage.begins[need.view.source].happened, need.view.source) for need in needed
              if need.view.source in coverage.begins]  # fmt: skip
    window = f"{longest} days before each" if longest else "the state at each"
    return f"{window}; {max(begins)[1]} begins on {max(begins)[0]}" if begins else window


def _openings(entity: Entity, coverage: Coverage, read: Callable[[str], DataFrame]) -> DataFrame:
    table, column = coverage.openings.get(entity.name, (entity.source, entity.event_ts))
    opened = F.min(F.to_date(instant(column))).alias(f"{_OPENED} {entity.name}")
    return read(table).groupBy(*(quoted(key) for key in entity.keys)).agg(opened)


def _spans_of(need: Need, coverage: Coverage) -> str | None:
    """The table of spans by which a need is checked, when there is one of the entity's key."""
    table, key = coverage.spans.get(need.view.source, (None, ()))
    return table if need.days and tuple(key) == tuple(need.view.entity.keys) else None


def _all(rule: Callable[[Need, Coverage, str], Column], needed: Sequence[Need], coverage: Coverage, at: str) -> Column:
    """Whether a rule holds for all that a view looks at; true for a row without key or time."""
    keys = dict.fromkeys(key for need in needed for key in need.view.entity.keys)
    has_window = all_present([*(quoted(key) for key in keys), quoted(at)])
    met = reduce(lambda one, two: one & two, (rule(need, coverage, at) for need in needed), F.lit(True))
    return F.when(has_window, F.coalesce(met, F.lit(False))).otherwise(F.lit(True))


def _is_known(need: Need, coverage: Coverage, at: str) -> Column:
    """Whether something was known by the day of ``at`` of each table."""
    begins = [coverage.begins[name].known for name in need.view.tables if name in coverage.begins]
    return F.lit(True) if not begins else F.to_date(instant(at)) >= F.lit(max(begins))


def _is_whole(need: Need, coverage: Coverage, at: str) -> Column:
    met = _is_known(need, coverage, at)
    if need.days and need.view.source in coverage.begins:
        met = met & (_start(need, at) >= F.lit(coverage.begins[need.view.source].happened))
    if table := _spans_of(need, coverage):
        met = met & (_walked(quoted(f"{_SPANS} {table}"), _start(need, at)) >= _end(at))
    return met


def _has_begun(need: Need, coverage: Coverage, at: str) -> Column:
    met = _is_known(need, coverage, at)
    if need.days and need.view.source in coverage.begins:
        met = met & (_end(at) > F.lit(coverage.begins[need.view.source].happened))
    if table := _spans_of(need, coverage):
        met = met & (_walked(quoted(f"{_SPANS} {table}"), F.date_sub(_end(at), 1)) >= _end(at))
    return met | _is_whole(need, coverage, at)


def _start(need: Need, at: str) -> Column:
    """The first day of a window, or of what of it lies after the entity's opening, where that is known."""
    opened = quoted(f"{_OPENED} {need.view.entity.name}")
    return F.greatest(F.date_sub(F.to_date(instant(at)), need.days), opened)


def _end(at: str) -> Column:
    """The first day after a window, which ends before the moment: at midnight it has no part in the day begun."""
    return F.date_add(F.to_date(instant(at) - F.expr("INTERVAL 1 MICROSECOND")), 1)
