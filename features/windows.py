"""Aggregates over the events before each spine row: any number of windows and columns in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DoubleType, FloatType, NumericType

from strata.features.inputs import (
    FeatureError,
    FeatureTypeError,
    all_present,
    check_column,
    check_frame,
    check_instant,
    check_keys,
    check_new_names,
    comparable_columns,
    days_before,
    instant,
    key_column,
    key_list,
    orderable,
    quoted,
)

AGGREGATES = ("sum", "count", "mean", "max", "min", "distinct", "last", "std")
_NUMERIC = ("sum", "mean", "std")
_ZERO_WHEN_EMPTY = ("sum", "count", "distinct")
_DAY_MICROS = 86_400_000_000
DEFAULT_AGGS: Mapping[str, Sequence[str]] = {"amount": ["sum", "count", "mean", "max", "min", "distinct", "last"]}


@dataclass(frozen=True)
class Measure:
    """One aggregate of one event column over the ``days`` before each spine row, written to ``name``."""

    name: str
    column: str
    agg: str
    days: int


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

    - ``count`` counts non-null values, ``distinct`` is exact; both, and ``sum``, are 0 when nothing is there.
    - ``mean``, ``max``, ``min``, ``std`` (of the sample; null below two values) and ``last`` (latest
      non-null; ties by ``known_ts``, then the largest value) are null when nothing is there.
    - Decimals stay decimal: sum has 10 digits more, mean 4 decimals more (``std`` is double).
    - With ``event_id`` (one or more columns naming an event across all keys), of several versions the
      latest known by ``at`` counts, also when it moved the event to another time or key; ties in
      ``known_ts`` go to the last when all columns are sorted ascending. A null id is an event of its own.
    - A null key or time in the spine: zeros and nulls; one in an event: never matched.

    Plan: one scan of the events, two of the spine. Events are shuffled once, by key and time bucket
    (as long as the longest window), so a point meets only events of two buckets, and hot keys are
    spread over time; with ``event_id`` once more before, by it. Points (distinct key and time) are
    shuffled twice, partial aggregates once and the spine once: 5 exchanges, 6 with ``event_id``,
    however many windows, columns and aggregates there are.
    Raises ``FeatureError`` or ``FeatureTypeError`` naming the argument and column.
    """
    measures = [
        Measure(f"{column}_{agg}_{length}d", column, agg, length)
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
) -> DataFrame:
    """``windowed_aggregates`` with measures listed one by one, each with a window and name of its own.

    ``onto`` holds the spine's rows with columns added by earlier passes; the answers are put there. So
    a chain of passes reads the spine once a pass more, and never computes an earlier pass twice.
    """
    keys = key_list(key)
    ids = [] if event_id is None else key_list(event_id, "event_id")
    _check(spine, events, keys, at, event_ts, known_ts, ids, measures)
    columns = list(dict.fromkeys(measure.column for measure in measures))
    facts = _facts(events, keys, event_ts, known_ts, ids, columns)
    names = [f"key{i}" for i in range(len(keys))]
    lengths = sorted({measure.days for measure in measures})
    width = lengths[-1]
    points = _points(spine, keys, at, lengths)
    bucketed = facts.withColumn("bucket", _bucket(F.col("event_ts"), width))
    met = points.join(bucketed, on=[*names, "bucket"], how="inner").where(_in_time(width, known_ts, ids))
    kinds = {name: events.schema[name].dataType for name in columns}
    answers = _aggregated(met, names, measures, columns, kinds)
    onto = spine if onto is None else onto
    check_new_names(onto, [measure.name for measure in measures])
    return _onto_spine(onto, answers, keys, at, measures)


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
        _check_measure(events, measure)


def _check_measure(events: DataFrame, measure: Measure) -> None:
    if isinstance(measure.days, bool) or not isinstance(measure.days, int):
        raise FeatureTypeError(f"days: whole numbers are expected, not {measure.days!r}")
    if measure.days < 1:
        raise FeatureError(f"days: {measure.days} is no window; at least 1 is expected")
    if measure.agg not in AGGREGATES:
        raise FeatureError(f"aggs: {measure.agg!r} is unknown; there are: {', '.join(AGGREGATES)}")
    kind = check_column("aggs", events, "events", measure.column)
    if measure.agg in _NUMERIC and not isinstance(kind, NumericType):
        raise FeatureTypeError(
            f"aggs: {measure.agg} needs a number, but column {measure.column!r} is {kind.simpleString()}"
        )
    if measure.agg != "count" and not orderable(kind):
        raise FeatureTypeError(
            f"aggs: {measure.agg} can't compare column {measure.column!r} of type {kind.simpleString()}"
        )


def _facts(
    events: DataFrame, keys: list[str], event_ts: str, known_ts: str | None, ids: list[str], columns: list[str]
) -> DataFrame:
    """Usable event versions: key0…, event_ts, known_ts and ended_ts where asked, v0… for the measured columns."""
    if known_ts and ids:
        events = _with_end(events, event_ts, known_ts, ids)
    rows = events.select(
        *(key_column(events, key).alias(f"key{i}") for i, key in enumerate(keys)),
        instant(event_ts).alias("event_ts"),
        *([instant(known_ts).alias("known_ts")] if known_ts else []),
        *([F.col("ended ts")] if ids else []),
        *(quoted(name).alias(f"v{i}") for i, name in enumerate(columns)),
    )
    needed = [f"key{i}" for i in range(len(keys))] + ["event_ts"] + (["known_ts"] if known_ts else [])
    return rows.where(all_present([F.col(name) for name in needed]))


def _with_end(events: DataFrame, event_ts: str, known_ts: str, ids: list[str]) -> DataFrame:
    """Known versions with ``ended ts``: when the next version of the same event became known, null for the last."""
    # A version without a known time was never known; one without key or event time still replaces its forerunner.
    known = events.where(quoted(known_ts).isNotNull())
    ties = [quoted(name) for name in comparable_columns(events, "events", "event_id")]
    versions = Window.partitionBy(*(quoted(name) for name in ids)).orderBy(instant(known_ts), *ties)
    replaced = F.lead(instant(known_ts)).over(versions)
    has_id = all_present([quoted(name) for name in ids])
    return known.withColumn("ended ts", F.when(has_id, replaced))


def _points(spine: DataFrame, keys: list[str], at: str, lengths: list[int]) -> DataFrame:
    """Distinct key and time with the starts of its windows, once for each time bucket that the longest touches."""
    names = [f"key{i}" for i in range(len(keys))]
    asked = spine.select(
        *(key_column(spine, key).alias(name) for key, name in zip(keys, names)), instant(at).alias("at")
    )
    asked = asked.where(all_present([F.col(name) for name in [*names, "at"]])).distinct()
    # Calendar arithmetic is done here, once a point, and not for every event that a point meets.
    asked = asked.withColumns({f"start{length}": days_before(F.col("at"), length) for length in lengths})
    width = lengths[-1]
    first, last = _bucket(F.col(f"start{width}"), width), _bucket(F.col("at"), width)
    return asked.withColumn("bucket", F.explode(F.sequence(first, last)))


def _bucket(moment: Column, width: int) -> Column:
    return F.floor(F.unix_micros(moment) / F.lit(width * _DAY_MICROS)).cast("bigint")


def _in_time(width: int, known_ts: str | None, ids: list[str]) -> Column:
    at = F.col("at")
    in_time = (F.col("event_ts") < at) & (F.col("event_ts") >= F.col(f"start{width}"))
    if known_ts:
        in_time = in_time & (F.col("known_ts") <= at)
    if ids:
        in_time = in_time & (F.col("ended ts").isNull() | (F.col("ended ts") > at))
    return in_time


def _aggregated(
    met: DataFrame, names: list[str], measures: Sequence[Measure], columns: list[str], kinds: Mapping[str, DataType]
) -> DataFrame:
    """One row a point: key0…, at, m0… in the order of ``measures``."""
    clocks = [name for name in ("event_ts", "known_ts") if name in met.columns]
    answers = []
    for number, measure in enumerate(measures):
        value = F.col(f"v{columns.index(measure.column)}")
        if measure.agg == "last":
            answer = _last(value, clocks, measure.days)
        else:
            inside = F.when(F.col("event_ts") >= F.col(f"start{measure.days}"), value)
            answer = _aggregate(measure.agg, inside, kinds[measure.column])
        answers.append(answer.alias(f"m{number}"))
    return met.groupBy(*names, "at").agg(*answers)


def _last(value: Column, clocks: list[str], days: int) -> Column:
    # The last value of a window is the last of all when it is young enough, so one maximum serves every window.
    ordered = F.struct(*(F.col(name) for name in clocks), value.alias("value"))
    latest = F.max(F.when(value.isNotNull(), ordered))
    inside = latest.getField("event_ts") >= days_before(F.col("at"), days)
    return F.when(inside, latest.getField("value"))


def _aggregate(agg: str, value: Column, kind: DataType) -> Column:
    """One aggregate over the values that a window lets through; the others have been made null."""
    if agg == "distinct":
        if isinstance(kind, FloatType | DoubleType):
            # A set holds every NaN, and both zeros, apart.
            return F.size(F.array_distinct(F.collect_set(value + F.lit(0.0)))).cast("bigint")
        return F.size(F.collect_set(value)).cast("bigint")
    if agg == "sum":
        # Not a plain coalesce: a sum that overflowed must stay null instead of passing for an empty window.
        return F.when(F.count(value) == 0, F.lit(0)).otherwise(F.sum(value))
    plain = {"count": F.count, "mean": F.avg, "max": F.max, "min": F.min, "std": F.stddev_samp}
    return plain[agg](value)


def _onto_spine(
    spine: DataFrame, answers: DataFrame, keys: list[str], at: str, measures: Sequence[Measure]
) -> DataFrame:
    left = spine.select(
        *(key_column(spine, key).alias(f"key{i}") for i, key in enumerate(keys)),
        instant(at).alias("at"),
        F.struct(*(quoted(name).alias(name) for name in spine.columns)).alias("spine"),
    )
    names = [*(f"key{i}" for i in range(len(keys))), "at"]
    joined = left.join(answers.withColumn("met", F.lit(True)), on=names, how="left")
    return joined.select(
        *(F.col("spine").getField(name).alias(name) for name in spine.columns),
        *(_answer(measure, number) for number, measure in enumerate(measures)),
    )


def _answer(measure: Measure, number: int) -> Column:
    value = F.col(f"m{number}")
    if measure.agg in _ZERO_WHEN_EMPTY:
        value = F.when(F.col("met").isNull(), F.lit(0)).otherwise(value)
    return value.alias(measure.name)
