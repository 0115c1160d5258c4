"""As-of lookups: for every spine row, the state of each table that held, and was known, at its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DateType

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
    quoted,
    unpacked,
    window_start,
)

# Names inside the stacked rows; the spine's and states' own columns travel inside structs, so nothing can clash.
_SPINE, _TIME, _SHARD = "spine", "time", "shard"


@dataclass(frozen=True)
class _Clock:
    """The time columns of the states and how ties between them are settled."""

    valid_from: str
    valid_to: str | None
    known_ts: str | None
    sequence: str | None
    tolerance: timedelta | None
    # Whether the spine asks about days and not about times.
    is_day: bool


def point_in_time_join(
    spine: DataFrame,
    states: Mapping[str, DataFrame],
    *,
    key: str | Sequence[str],
    at: str,
    valid_from: str,
    known_ts: str | None = None,
    valid_to: str | None = None,
    tolerance: timedelta | None = None,
    sequence: str | None = None,
) -> DataFrame:
    """Look up, for every spine row, the last state of each table as of ``at``.

    Returns every spine row once, in number and identity (duplicates, null keys and null times too),
    with all its columns and, for each table and each of its columns, ``<name>__<column>``.

    - ``at``, ``valid_from``, ``known_ts``, ``valid_to``: columns of dates (midnight in the session's
      zone) or timestamps. A state counts when ``valid_from <= at`` and ``known_ts <= at``.
    - The latest ``valid_from`` wins, whole row; ties go to the greatest ``sequence``, then the latest
      ``known_ts``, then the last when all columns are sorted ascending, in their order, nulls first.
    - ``valid_to`` is exclusive and null means open: when the winner has ended there is no state.
    - ``tolerance`` is inclusive: an older ``valid_from`` than ``at - tolerance`` is no state. Its whole
      days are calendar days of the session's zone, the rest is elapsed time.
    - A null key or time in the spine gives nulls; one in a state never matches (``unusable_rows`` counts them).

    Plan: one scan of the spine and of each table, stacked in one union, one shuffle by key, one sort
    by time, one running maximum a table; the number of tables adds no shuffle.
    Raises ``FeatureError`` or ``FeatureTypeError`` naming the argument and column.
    """
    check_frame("spine", spine)
    check_instant("at", spine, "spine", at)
    is_day = isinstance(spine.schema[at].dataType, DateType)
    keys, clock = key_list(key), _Clock(valid_from, valid_to, known_ts, sequence, tolerance, is_day)
    _check(spine, states, keys, clock)
    added = [f"{name}__{column}" for name, state in states.items() for column in state.columns]
    check_new_names(spine, added)
    stacked = _stacked_spine(spine, keys, at)
    for number, state in enumerate(states.values()):
        stacked = stacked.unionByName(_stacked_state(state, keys, clock, number), allowMissingColumns=True)
    partition = [f"key{i}" for i in range(len(keys))]
    # A spine row stands after the states of the same moment, so it sees them.
    until_now = Window.partitionBy(*partition, _SHARD).orderBy(_TIME, F.col(_SPINE).isNotNull())
    until_now = until_now.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    held = {f"held{n}": F.max(f"state{n}").over(until_now) for n in range(len(states))}
    looked_up = stacked.withColumns(held).where(F.col(_SPINE).isNotNull())
    return looked_up.select(
        *unpacked(spine),
        *(
            column
            for number, (name, state) in enumerate(states.items())
            for column in _unpacked(name, state, number, keys, clock)
        ),
    )


def _check(spine: DataFrame, states: Mapping[str, DataFrame], keys: list[str], clock: _Clock) -> None:
    if not isinstance(states, Mapping):
        raise FeatureTypeError(f"states: a dict of name and DataFrame is expected, not {type(states).__name__}")
    if not states:
        raise FeatureError("states: at least one table is expected")
    if clock.tolerance is not None and not isinstance(clock.tolerance, timedelta):
        raise FeatureTypeError(f"tolerance: a timedelta is expected, not {type(clock.tolerance).__name__}")
    if clock.tolerance is not None and clock.tolerance < timedelta(0):
        raise FeatureError(f"tolerance: {clock.tolerance} is negative; a length of time is expected")
    for name, state in states.items():
        _check_state(spine, name, state, keys, clock)


def _check_state(spine: DataFrame, name: str, state: DataFrame, keys: list[str], clock: _Clock) -> None:
    if not isinstance(name, str):
        raise FeatureTypeError(f"states: names are text, not {type(name).__name__}")
    owner = f"states[{name!r}]"
    check_frame(owner, state)
    check_keys(spine, state, owner, keys)
    check_instant("valid_from", state, owner, clock.valid_from)
    for argument in ("known_ts", "valid_to"):
        column = getattr(clock, argument)
        if column is not None:
            check_instant(argument, state, owner, column)
    if clock.sequence is not None:
        check_column("sequence", state, owner, clock.sequence)
    comparable_columns(state, owner, "states")


def _stacked_spine(spine: DataFrame, keys: list[str], at: str) -> DataFrame:
    # Null keys match nothing, so each such row gets a shard of its own instead of meeting in one hot partition.
    key_is_null = ~all_present([quoted(key) for key in keys])
    return spine.select(
        *_keys(spine, keys),
        F.when(key_is_null, F.monotonically_increasing_id() + 1).otherwise(F.lit(0)).alias(_SHARD),
        instant(at).alias(_TIME),
        F.struct(*(quoted(name).alias(name) for name in spine.columns)).alias(_SPINE),
    )


def _stacked_state(state: DataFrame, keys: list[str], clock: _Clock, number: int) -> DataFrame:
    """State rows at the first moment they can be used, ordered inside by what makes one the last."""
    times = [instant(clock.valid_from)] + ([instant(clock.known_ts)] if clock.known_ts else [])
    usable = all_present([*(quoted(key) for key in keys), *times])
    order = [instant(clock.valid_from).alias("valid_from")]
    if clock.sequence:
        order.append(quoted(clock.sequence).alias("sequence"))
    if clock.known_ts:
        order.append(instant(clock.known_ts).alias("known_ts"))
    ends = [instant(clock.valid_to).alias("valid_to")] if clock.valid_to else []
    row = [quoted(name).alias(f"c{i}") for i, name in enumerate(state.columns) if name not in keys]
    return state.where(usable).select(
        *_keys(state, keys),
        F.lit(0).cast("bigint").alias(_SHARD),
        (F.greatest(*times) if len(times) > 1 else times[0]).alias(_TIME),
        # ``valid_to`` stands behind the whole row, so it never settles a tie by itself.
        F.struct(*order, *row, *ends).alias(f"state{number}"),
    )


def _unpacked(name: str, state: DataFrame, number: int, keys: list[str], clock: _Clock) -> list[Column]:
    held, at = F.col(f"held{number}"), F.col(_TIME)
    conditions = [held.isNotNull()]
    if clock.valid_to:
        ends = held.getField("valid_to")
        conditions.append(ends.isNull() | (ends > at))
    if clock.tolerance is not None:
        conditions.append(held.getField("valid_from") >= _oldest(at, clock.tolerance, clock.is_day))
    holds = reduce(lambda left, right: left & right, conditions)
    columns = []
    for i, column in enumerate(state.columns):
        kind = state.schema[column].dataType
        value = F.col(f"key{keys.index(column)}").cast(kind) if column in keys else held.getField(f"c{i}")
        columns.append(F.when(holds, value).alias(f"{name}__{column}"))
    return columns


def _oldest(at: Column, tolerance: timedelta, is_day: bool) -> Column:
    seconds = F.lit(tolerance.seconds + tolerance.microseconds / 1_000_000).cast("decimal(18,6)")
    return window_start(at, tolerance.days, is_day) - F.make_interval(secs=seconds)


def _keys(frame: DataFrame, keys: list[str]) -> list[Column]:
    return [key_column(frame, key).alias(f"key{i}") for i, key in enumerate(keys)]
