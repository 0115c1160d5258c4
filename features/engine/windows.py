"""Aggregates over the events before each spine row: any number of windows and columns in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DateType

from strata.features.engine.aggregates import Measure, Measured, span_name
from strata.features.engine.arrow_windows import carries, stacked_windows, why_joined
from strata.features.engine.inputs import (
    FeatureError,
    FeatureTypeError,
    all_present,
    check_column,
    check_frame,
    check_instant,
    check_keys,
    check_new_names,
    comparable_columns,
    instant,
    key_column,
    key_list,
    orderable,
    quoted,
)
from strata.features.engine.joined_windows import joined_windows

DEFAULT_AGGS: Mapping[str, Sequence[str]] = {"amount": ["sum", "count", "mean", "max", "min", "distinct", "last"]}


def windowed_aggregates(
    spine: DataFrame,
    events: DataFrame,
    *,
    key: str | Sequence[str],
    at: str,
    event_ts: str,
    known_ts: str | None = None,
    event_id: str | Sequence[str] | None = None,
    days: Sequence[int] = (7, 30),
    aggs: Mapping[str, Sequence[str]] = DEFAULT_AGGS,
) -> DataFrame:
    """Aggregate, for every spine row, the events of its key in [``at`` - d days, ``at``) that were known by ``at``.

    Returns every spine row once, in number and identity, with ``<column>_<agg>_<d>d`` for each column
    and aggregate of ``aggs`` and each d of ``days`` (calendar days of the session's zone, also across
    daylight saving). ``at``, ``event_ts`` and ``known_ts`` are columns of dates (midnight) or timestamps.

    - ``count`` counts non-null values, ``distinct`` different ones, exactly, and ``new`` those of them that the key
      never had before the window, as known by ``at``; they, and ``sum``, are 0 when nothing is there.
    - ``mean``, ``max``, ``min``, ``std`` (of the sample; null below two values) and ``last`` (latest
      non-null; ties by ``known_ts``, then the largest value) are null when nothing is there.
    - ``bits`` is the bitwise or of whole numbers, null when nothing is there: a set of up to 63 small numbers.
    - Decimals stay decimal: sum has 10 digits more, mean 4 decimals more (``std`` is double).
    - With ``event_id`` (one or more columns naming an event across all keys), of several versions the
      latest known by ``at`` counts, also when it moved the event to another time or key; ties in
      ``known_ts`` go to the last when all columns are sorted ascending. A null id is an event of its own.
    - A null key or time in the spine: zeros and nulls; one in an event: never matched.

    Plan: one scan of events and spine, one shuffle of both by key, and numpy over Arrow batches (``arrow_windows``);
    with ``event_id`` one shuffle more before, by it. Sums, means and deviations of doubles are exact sums rounded once:
    they depend on no order. It doesn't grow with the number of windows, columns and aggregates.
    Where keys or columns are of types that this can't take (``why_joined``) a join does it: one scan of the events, two
    of the spine, 4 exchanges, 5 with ``event_id`` (``joined_windows``); sums of doubles are then added as they come.
    Raises ``FeatureError`` or ``FeatureTypeError`` naming the argument and column.
    """
    measures = [
        Measure(f"{column}_{agg}_{span_name(length)}", column, agg, length)
        for column, names in _agg_items(aggs)
        for agg in names
        for length in _lengths(days)
    ]
    return aggregate_windows(
        spine, events, key=key, at=at, event_ts=event_ts, known_ts=known_ts, event_id=event_id, measures=measures
    )


def aggregate_windows(
    spine: DataFrame,
    events: DataFrame,
    *,
    key: str | Sequence[str],
    at: str,
    event_ts: str,
    measures: Sequence[Measure],
    known_ts: str | None = None,
    event_id: str | Sequence[str] | None = None,
    onto: DataFrame | None = None,
    tiled: bool = False,
) -> DataFrame:
    """``windowed_aggregates`` with measures listed one by one, each with a window and name of its own.

    ``onto`` holds the spine's rows with columns added by earlier passes; the answers are put there, so a chain of
    passes never computes an earlier pass twice. ``tiled``: where it takes a join, from daily tiles (see
    ``joined_windows``); it needs a spine of dates.
    """
    keys = key_list(key)
    ids = [] if event_id is None else key_list(event_id, "event_id")
    _check(spine, events, keys, at, event_ts, known_ts, ids, measures)
    if tiled and not isinstance(spine.schema[at].dataType, DateType):
        raise FeatureTypeError(f"at: tiles answer for dates alone, and column {at!r} of spine holds times")
    columns = measured_columns(events, measures)
    facts = _facts(events, keys, event_ts, known_ts, ids, columns)
    onto = spine if onto is None else onto
    check_new_names(onto, [measure.name for measure in measures])
    if why_joined(events, keys, columns) is None and carries(onto):
        return stacked_windows(onto, facts, keys, at, measures, columns)
    return joined_windows(spine, onto, facts, keys, at, measures, columns, tiled=tiled)


def measured_columns(events: DataFrame, measures: Sequence[Measure]) -> dict[str, Measured]:
    """The measured columns by name, numbered in the order in which they are first asked for."""
    aggs: dict[str, set[str]] = {}
    for measure in measures:
        aggs.setdefault(measure.column, set()).add(measure.agg)
    return {
        name: Measured(place, events.schema[name].dataType, frozenset(asked))
        for place, (name, asked) in enumerate(aggs.items())
    }


def _agg_items(aggs: Mapping[str, Sequence[str]]) -> list[tuple[str, list[str]]]:
    if not isinstance(aggs, Mapping):
        raise FeatureTypeError(f"aggs: a dict of column and list of aggregates is expected, not {type(aggs).__name__}")
    items = []
    for column, names in aggs.items():
        listed = [names] if isinstance(names, str) else list(names)
        if not listed or len(set(listed)) != len(listed):
            raise FeatureError(f"aggs: column {column!r} needs at least one aggregate, each once, not {listed}")
        items.append((column, listed))
    return items


def _lengths(days: Sequence[int]) -> list[int]:
    if not isinstance(days, list | tuple | range):
        raise FeatureTypeError(f"days: a list of whole numbers is expected, not {days!r}")
    if not days or len(set(days)) != len(days):
        raise FeatureError(f"days: at least one window, each once, is expected, not {list(days)}")
    return list(days)


def _check(
    spine: DataFrame,
    events: DataFrame,
    keys: list[str],
    at: str,
    event_ts: str,
    known_ts: str | None,
    ids: list[str],
    measures: Sequence[Measure],
) -> None:
    check_frame("spine", spine)
    check_frame("events", events)
    check_keys(spine, events, "events", keys)
    check_instant("at", spine, "spine", at)
    check_instant("event_ts", events, "events", event_ts)
    if known_ts is not None:
        check_instant("known_ts", events, "events", known_ts)
    if ids and known_ts is None:
        raise FeatureError("event_id: versions of an event are told apart by when they were known; pass known_ts too")
    for name in ids:
        if not orderable(check_column("event_id", events, "events", name)):
            raise FeatureTypeError(f"event_id: column {name!r} of events can't be compared")
    if not measures:
        raise FeatureError("aggs: at least one column and aggregate is expected")
    for measure in measures:
        measure.check(check_column("aggs", events, "events", measure.column))


def _facts(
    events: DataFrame,
    keys: list[str],
    event_ts: str,
    known_ts: str | None,
    ids: list[str],
    columns: Mapping[str, Measured],
) -> DataFrame:
    """Usable event versions: key0…, event_ts, known_ts and ended_ts where asked, v0… for the measured columns."""
    if known_ts and ids:
        events = _with_end(events, event_ts, known_ts, ids)
    rows = events.select(
        *(key_column(events, key).alias(f"key{i}") for i, key in enumerate(keys)),
        instant(event_ts).alias("event_ts"),
        *([instant(known_ts).alias("known_ts")] if known_ts else []),
        *([F.col("ended_ts")] if ids else []),
        *(column.carried(quoted(name)).alias(column.value) for name, column in columns.items()),
    )
    needed = [f"key{i}" for i in range(len(keys))] + ["event_ts"] + (["known_ts"] if known_ts else [])
    return rows.where(all_present([F.col(name) for name in needed]))


def _with_end(events: DataFrame, event_ts: str, known_ts: str, ids: list[str]) -> DataFrame:
    """Known versions with ``ended_ts``: when the next version of the same event became known, null for the last."""
    # A version without a known time was never known; one without key or event time still replaces its forerunner.
    known = events.where(quoted(known_ts).isNotNull())
    ties = [quoted(name) for name in comparable_columns(events, "events", "event_id")]
    versions = Window.partitionBy(*(quoted(name) for name in ids)).orderBy(instant(known_ts), *ties)
    replaced = F.lead(instant(known_ts)).over(versions)
    has_id = all_present([quoted(name) for name in ids])
    return known.withColumn("ended_ts", F.when(has_id, replaced))
