"""Aggregates over the events before each spine row: any number of windows and columns in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DateType

from strata.features.engine.aggregates import (
    ZERO_WHEN_EMPTY,
    Measure,
    Measured,
    answer_of,
    tile_parts,
    window_parts,
)
from strata.features.engine.arrow_windows import serves, stacked_windows
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
    packed,
    quoted,
    unpacked,
    window_start,
)

_DAY_MICROS = 86_400_000_000
_RANKS = 2**32
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

    - ``count`` counts non-null values, ``distinct`` is exact; both, and ``sum``, are 0 when nothing is there.
    - ``mean``, ``max``, ``min``, ``std`` (of the sample; null below two values) and ``last`` (latest
      non-null; ties by ``known_ts``, then the largest value) are null when nothing is there.
    - ``bits`` is the bitwise or of whole numbers, null when nothing is there: a set of up to 63 small numbers.
    - Decimals stay decimal: sum has 10 digits more, mean 4 decimals more (``std`` is double).
    - With ``event_id`` (one or more columns naming an event across all keys), of several versions the
      latest known by ``at`` counts, also when it moved the event to another time or key; ties in
      ``known_ts`` go to the last when all columns are sorted ascending. A null id is an event of its own.
    - A null key or time in the spine: zeros and nulls; one in an event: never matched.

    Plan, when only ``sum``, ``count``, ``mean``, ``max``, ``min``, ``last`` and ``bits`` are asked of whole numbers
    and decimals of up to 18 digits, and keys and the spine's columns are plain: one scan of each, one shuffle of both
    by key, and numpy over Arrow batches (``windows_arrow``); with ``event_id`` one shuffle more before, by it.

    Plan otherwise: one scan of the events, two of the spine. Events are shuffled once, by key and time bucket
    (as long as the longest window), so a point meets only events of two buckets, and hot keys are
    spread over time; with ``event_id`` once more before, by it. Points (distinct key and time),
    partial aggregates and the spine are shuffled once: 4 exchanges, 5 with ``event_id``. Neither plan grows with
    the number of windows, columns and aggregates.
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
    tiled: bool = False,
) -> DataFrame:
    """``windowed_aggregates`` with measures listed one by one, each with a window and name of its own.

    ``onto`` holds the spine's rows with columns added by earlier passes; the answers are put there. So
    a chain of passes reads the spine once a pass more, and never computes an earlier pass twice.
    ``tiled`` first merges the events that no midnight can tell apart into daily tiles: the same answers,
    with fewer pairs where keys have several events a day and are asked about on many days. It needs a
    spine of dates, and adds no shuffle.
    """
    keys = key_list(key)
    ids = [] if event_id is None else key_list(event_id, "event_id")
    _check(spine, events, keys, at, event_ts, known_ts, ids, measures)
    if tiled and not isinstance(spine.schema[at].dataType, DateType):
        raise FeatureTypeError(f"at: tiles answer for dates alone, and column {at!r} of spine holds times")
    columns, lengths = _columns(events, measures), sorted({measure.days for measure in measures})
    names = [f"key{i}" for i in range(len(keys))]
    facts = _facts(events, keys, event_ts, known_ts, ids, columns)
    if onto is None and not tiled and serves(spine, keys, columns.values()):
        check_new_names(spine, [measure.name for measure in measures])
        return stacked_windows(spine, facts, keys, at, measures, columns)
    facts = _bucketed(facts, names, lengths[-1])
    facts = _tiles(facts, names, columns) if tiled else _ranked(facts, names, columns)
    points = _points(spine, keys, at, lengths)
    met = points.join(facts, on=[*names, "bucket"], how="inner").where(_in_time(lengths[-1], known_ts, ids))
    by_column = {c.place: sorted({m.days for m in measures if m.column == n}) for n, c in columns.items()}
    parts = met.groupBy(*names, "at").agg(*window_parts(list(columns.values()), by_column, tiled=tiled))
    is_day = isinstance(spine.schema[at].dataType, DateType)
    found = [answer_of(measure, columns[measure.column], is_day) for measure in measures]
    answers = parts.select(*names, "at", *(answer.alias(f"m{n}") for n, answer in enumerate(found)))
    onto = spine if onto is None else onto
    check_new_names(onto, [measure.name for measure in measures])
    return _onto_spine(onto, answers, keys, at, measures)


def _columns(events: DataFrame, measures: Sequence[Measure]) -> dict[str, Measured]:
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


def _bucketed(facts: DataFrame, names: list[str], width: int) -> DataFrame:
    """Facts, shuffled by key and time bucket: ranks, tiles and points meet there without another shuffle."""
    return facts.withColumn("bucket", _bucket(F.col("event_ts"), width)).repartition(*names, "bucket")


def _clocks(facts: DataFrame) -> list[str]:
    return [name for name in ("event_ts", "known_ts") if name in facts.columns]


def _ranked(facts: DataFrame, names: list[str], columns: Mapping[str, Measured]) -> DataFrame:
    """Facts with the rank of each value that ``last`` asks for; the sort also serves the join that follows."""
    ranks = {}
    for column in columns.values():
        if "last" in column.aggs:
            order = Window.partitionBy(*names, "bucket").orderBy(*_clocks(facts), column.value)
            rank = F.col("bucket") * F.lit(_RANKS) + F.row_number().over(order)
            ranks[column.order] = F.when(F.col(column.value).isNotNull(), rank)
    return facts.withColumns(ranks) if ranks else facts


def _tiles(facts: DataFrame, names: list[str], columns: Mapping[str, Measured]) -> DataFrame:
    """One row a key, event day and pair of days between which its events are known and not replaced.

    Its clocks are midnights, so a point at midnight sees a tile exactly when it sees each of its events.
    """
    clocks = {"event_day": F.to_date("event_ts")}
    if "known_ts" in facts.columns:
        clocks["known_day"] = next_midnight(F.col("known_ts"))
    if "ended_ts" in facts.columns:
        clocks["ended_day"] = next_midnight(F.col("ended_ts"))
    tiles = facts.withColumns(clocks).groupBy(*names, "bucket", *clocks)
    parts = tiles.agg(*tile_parts(list(columns.values()), _clocks(facts)))
    return parts.withColumns({day.replace("_day", "_ts"): F.col(day).cast("timestamp") for day in clocks}).drop(*clocks)


def next_midnight(moment: Column) -> Column:
    """The day whose midnight is the first at or after ``moment``."""
    day = F.to_date(moment)
    return F.when(day.cast("timestamp") == moment, day).otherwise(F.date_add(day, 1))


def _with_end(events: DataFrame, event_ts: str, known_ts: str, ids: list[str]) -> DataFrame:
    """Known versions with ``ended_ts``: when the next version of the same event became known, null for the last."""
    # A version without a known time was never known; one without key or event time still replaces its forerunner.
    known = events.where(quoted(known_ts).isNotNull())
    ties = [quoted(name) for name in comparable_columns(events, "events", "event_id")]
    versions = Window.partitionBy(*(quoted(name) for name in ids)).orderBy(instant(known_ts), *ties)
    replaced = F.lead(instant(known_ts)).over(versions)
    has_id = all_present([quoted(name) for name in ids])
    return known.withColumn("ended_ts", F.when(has_id, replaced))


def _points(spine: DataFrame, keys: list[str], at: str, lengths: list[int]) -> DataFrame:
    """Distinct key and time with the starts of its windows, once for each time bucket that the longest touches."""
    names = [f"key{i}" for i in range(len(keys))]
    is_day = isinstance(spine.schema[at].dataType, DateType)
    asked = spine.select(
        *(key_column(spine, key).alias(name) for key, name in zip(keys, names)), instant(at).alias("at")
    )
    asked = asked.where(all_present([F.col(name) for name in [*names, "at"]]))
    starts = {f"start{length}": window_start(F.col("at"), length, is_day) for length in lengths}
    width = lengths[-1]
    first, last = _bucket(starts[f"start{width}"], width), _bucket(F.col("at"), width)
    buckets = asked.withColumn("bucket", F.explode(F.sequence(first, last)))
    # Distinct after the shuffle that the join needs anyway, and not by one of its own before. Calendar
    # arithmetic is done here, once a point, and not for every event that a point meets.
    return buckets.repartition(*names, "bucket").distinct().withColumns(starts)


def _bucket(moment: Column, width: int) -> Column:
    return F.floor(F.unix_micros(moment) / F.lit(width * _DAY_MICROS)).cast("bigint")


def _in_time(width: int, known_ts: str | None, ids: list[str]) -> Column:
    at = F.col("at")
    in_time = (F.col("event_ts") < at) & (F.col("event_ts") >= F.col(f"start{width}"))
    if known_ts:
        in_time = in_time & (F.col("known_ts") <= at)
    if ids:
        in_time = in_time & (F.col("ended_ts").isNull() | (F.col("ended_ts") > at))
    return in_time


def _onto_spine(
    spine: DataFrame, answers: DataFrame, keys: list[str], at: str, measures: Sequence[Measure]
) -> DataFrame:
    names = [*(f"key{i}" for i in range(len(keys))), "at"]
    joined = packed(spine, keys, at).join(answers.withColumn("met", F.lit(True)), on=names, how="left")
    return joined.select(
        *unpacked(spine),
        *(_answer(measure, number) for number, measure in enumerate(measures)),
    )


def _answer(measure: Measure, number: int) -> Column:
    value = F.col(f"m{number}")
    if measure.agg in ZERO_WHEN_EMPTY:
        value = F.when(F.col("met").isNull(), F.lit(0)).otherwise(value)
    return value.alias(measure.name)
