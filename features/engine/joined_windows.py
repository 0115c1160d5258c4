"""Windows by a join: events meet the points that can see them by key and time bucket, from rows or from daily tiles.

The plan of what ``arrow_windows`` can't answer (``why_joined`` says what that is): any key that can be compared, any
type, and keys of which one has more events than the memory of a worker holds.
"""

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
from strata.features.engine.inputs import (
    all_present,
    instant,
    key_column,
    next_midnight,
    packed,
    unpacked,
    window_start,
)

_DAY_MICROS = 86_400_000_000
_RANKS = 2**32


def joined_windows(
    spine: DataFrame,
    onto: DataFrame,
    facts: DataFrame,
    keys: list[str],
    at: str,
    measures: Sequence[Measure],
    columns: Mapping[str, Measured],
    *,
    tiled: bool,
) -> DataFrame:
    """``onto`` with its measures; ``facts`` have key0…, event_ts, known_ts and ended_ts where asked, v0….

    ``onto`` holds the rows of ``spine`` with more columns. ``tiled`` first merges the events that no midnight can tell
    apart into daily tiles: the same answers, with fewer pairs where keys have several events a day and are asked about
    on many days. It needs a spine of dates, and adds no shuffle.

    Plan: one scan of the events, two of the spine. Events are shuffled once, by key and time bucket (as long as the
    longest window), so a point meets only events of two buckets, and hot keys are spread over time. Points (distinct
    key and time), partial aggregates and the spine are shuffled once: 4 exchanges.
    Sums of doubles are added as they come, so that their last digits can differ between runs.
    """
    names = [f"key{i}" for i in range(len(keys))]
    lengths = sorted({measure.days for measure in measures} | {measure.reach for measure in measures})
    facts = _bucketed(facts, names, lengths[-1])
    facts = _tiles(facts, names, columns) if tiled else _ranked(facts, names, columns)
    met = _points(spine, keys, at, lengths).join(facts, on=[*names, "bucket"], how="inner")
    met = met.where(_in_time(lengths[-1], _clocks(facts)))
    by_column = {c.place: sorted({m.days for m in measures if m.column == n}) for n, c in columns.items()}
    parts = met.groupBy(*names, "at").agg(*window_parts(list(columns.values()), by_column, tiled=tiled))
    is_day = isinstance(spine.schema[at].dataType, DateType)
    found = [answer_of(measure, columns[measure.column], is_day) for measure in measures]
    answers = parts.select(*names, "at", *(answer.alias(f"m{n}") for n, answer in enumerate(found)))
    return _onto_spine(onto, answers, keys, at, measures)


def _bucketed(facts: DataFrame, names: list[str], width: int) -> DataFrame:
    """Facts, shuffled by key and time bucket: ranks, tiles and points meet there without another shuffle."""
    return facts.withColumn("bucket", _bucket(F.col("event_ts"), width)).repartition(*names, "bucket")


def _clocks(facts: DataFrame) -> list[str]:
    return [name for name in ("event_ts", "known_ts", "ended_ts") if name in facts.columns]


def _times(facts: DataFrame) -> list[str]:
    """The clocks that say which of two events is the later one."""
    return [name for name in _clocks(facts) if name != "ended_ts"]


def _ranked(facts: DataFrame, names: list[str], columns: Mapping[str, Measured]) -> DataFrame:
    """Facts with the rank of each value that ``last`` asks for; the sort also serves the join that follows."""
    ranks = {}
    for column in columns.values():
        if "last" in column.aggs:
            order = Window.partitionBy(*names, "bucket").orderBy(*_times(facts), column.value)
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
    parts = tiles.agg(*tile_parts(list(columns.values()), _times(facts)))
    return parts.withColumns({day.replace("_day", "_ts"): F.col(day).cast("timestamp") for day in clocks}).drop(*clocks)


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


def _in_time(width: int, clocks: Sequence[str]) -> Column:
    at = F.col("at")
    in_time = (F.col("event_ts") < at) & (F.col("event_ts") >= F.col(f"start{width}"))
    if "known_ts" in clocks:
        in_time = in_time & (F.col("known_ts") <= at)
    if "ended_ts" in clocks:
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
