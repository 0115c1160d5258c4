"""Which rows have an outcome that a model may learn from, and how they are parted into training and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.models.samples.training_rows import column, event_value, outcome_of, require_column

STATES = ("good", "bad", "indeterminate", "immature", "unknown")
LEARNT = ("good", "bad")
TRAIN, TEST = "train", "test"
MOST_VALUES, MOST_MOMENTS = 20, 100_000
# A hash as a share: the highest bits that a double holds exactly.
HASHES = 2**53
# So many equal rows, or this share of their outcome's rows, can be copies of one case.
MOST_COPIES, COPIES_SHARE = 5, 0.01


@dataclass(frozen=True)
class LabelRules:
    """What the values of a target mean.

    ``event`` is the bad value (1 or true without it), every other value is good but the ``indeterminate`` ones,
    which teach nothing and are only scored. With ``opened`` (a column of days), ``window_months`` (the performance
    window) and ``known_until`` (a day) a case is immature while its window hasn't ended, bad or not: taking the
    early bads of young cases alone would make them look worse than they are.
    """

    target: str
    event: Any = None
    indeterminate: tuple[str, ...] = ()
    opened: str | None = None
    window_months: int | None = None
    known_until: date | None = None

    def state(self, data: DataFrame) -> Column:
        """One of ``STATES`` for each row. Raises ``ValueError`` naming a column that is absent or no day."""
        require_column(data, "target", self.target)
        outcome, value = outcome_of(data, self.target, self.event), column(self.target)
        return (
            F.when(value.isNull(), "unknown")
            .when(value.cast("string").isin(*self.indeterminate), "indeterminate")
            .when(~self._mature(data), "immature")
            .when(outcome == 1, "bad")
            .when(outcome == 0, "good")
            .otherwise("unknown")
        )

    def _mature(self, data: DataFrame) -> Column:
        if self.window_months is None:
            return F.lit(True)
        if self.opened is None or self.known_until is None:
            raise ValueError("window_months: name the day of each case and the day until which outcomes are known too")
        require_column(data, "opened", self.opened)
        if not isinstance(data.schema[self.opened].dataType, T.DateType | T.TimestampType | T.TimestampNTZType):
            raise ValueError(f"opened: {self.opened!r} is {data.schema[self.opened].dataType.simpleString()}, no day")
        ended = F.add_months(column(self.opened).cast("date"), self.window_months) <= F.lit(self.known_until)
        return F.coalesce(ended, F.lit(False))


def target_meaning(data: DataFrame, rules: LabelRules) -> str:
    """What the values of the target mean, in one sentence; one shuffle of distinct values.

    Raises ``ValueError`` when they don't part rows into bad and good: an event that doesn't occur, one class
    alone, values other than 0 and 1 (or false and true) without an event.
    """
    require_column(data, "target", rules.target)
    kind = data.schema[rules.target].dataType
    counted = data.groupBy(column(rules.target).cast("string").alias("value")).count()
    found = counted.orderBy(F.desc("count"), "value").limit(MOST_VALUES + 1).collect()
    counts = {row["value"]: row["count"] for row in found}
    nulls = counts.pop(None, 0)
    if nulls:
        raise ValueError(f"target: {rules.target!r} is null in {nulls:,} rows; drop them or give them an outcome")
    if len(counts) + bool(nulls) > MOST_VALUES and rules.event is None:
        raise ValueError(f"target: {rules.target!r} has more than {MOST_VALUES} values; name the bad one with event")
    strangers = [value for value in rules.indeterminate if value not in counts]
    if strangers and len(found) <= MOST_VALUES:
        raise ValueError(f"indeterminate: {rules.target!r} is never {strangers[0]!r}; it is {_told(counts)}")
    if rules.event is not None:
        _check_event(rules, kind, counts)
    learnt = {value: rows for value, rows in counts.items() if value not in rules.indeterminate}
    bads = [value for value in learnt if _is_bad(value, rules.event, kind)]
    if rules.event is not None and not bads and len(found) <= MOST_VALUES:
        raise ValueError(f"event: {rules.target!r} is never {rules.event!r}; it is {_told(counts)}")
    if rules.event is None and not all(_is_truth(value, kind) for value in learnt):
        raise ValueError(f"target: {rules.target!r} is {_told(counts)}; name the bad value with event")
    goods = [value for value in learnt if value not in bads]
    if not bads or not goods:
        raise ValueError(f"target: {rules.target!r} has one class, {_told(counts)}; there must be goods and bads")
    return f"{_told({v: counts[v] for v in bads})} is bad, {_told({v: counts[v] for v in goods})} is good"


def _told(counts: dict[str, int]) -> str:
    shown = [f"{value!r} ({rows:,} rows)" for value, rows in list(counts.items())[:4]]
    return ", ".join(shown) + (f" and {len(counts) - 4} more" if len(counts) > 4 else "")


def _check_event(rules: LabelRules, kind: T.DataType, counts: dict[str, int]) -> None:
    """Raise ``ValueError`` naming the event, the target and its values when it can't be one of them."""
    try:
        event_value(kind, rules.target, rules.event)
    except ValueError as wrong:
        raise ValueError(f"{wrong}; its values are {_told(counts)}") from None


def _is_bad(value: str, event: Any, kind: T.DataType) -> bool:
    """Whether a value of the target, as text, is the bad one (1 or true without an event)."""
    wanted = event_value(kind, "target", 1 if event is None else event)
    if isinstance(kind, T.StringType):
        return value == wanted
    return (value == "true") == wanted if isinstance(kind, T.BooleanType) else float(value) == wanted


def _is_truth(value: str, kind: T.DataType) -> bool:
    if isinstance(kind, T.StringType):
        return False
    return isinstance(kind, T.BooleanType) or float(value) in (0.0, 1.0)


def split_by_time(data: DataFrame, state: Column, time: str, *, test_share: float = 0.3) -> tuple[Column, Any]:
    """The part of each row as a column, and where the test begins: the last rows in time, never splitting a day.

    Of all days the one is taken that brings the share of the test nearest to ``test_share``. Rows that are
    neither good nor bad keep their ``state``. One shuffle of distinct days. Raises ``ValueError`` when ``time`` is
    text, has nulls or holds one day alone.
    """
    require_column(data, "time", time)
    kind = data.schema[time].dataType
    if isinstance(kind, T.StringType | T.BooleanType):
        raise ValueError(f"time: {time!r} is {kind.simpleString()}; give a column of days or of numbers such as 202401")
    days = isinstance(kind, T.TimestampType | T.TimestampNTZType)
    moment = column(time).cast("date") if days else column(time)
    counted = data.where(state.isin(*LEARNT)).groupBy(moment.alias("moment")).count()
    found = counted.orderBy("moment").limit(MOST_MOMENTS + 1).collect()
    if found and found[0]["moment"] is None:
        raise ValueError(f"time: {time!r} is null in {found[0]['count']:,} rows; drop them or date them")
    if not 2 <= len(found) <= MOST_MOMENTS:
        raise ValueError(f"time: {time!r} has {len(found):,} distinct values; from 2 to {MOST_MOMENTS:,} can be split")
    cut = _cut([row["moment"] for row in found], [row["count"] for row in found], test_share)
    return F.when(~state.isin(*LEARNT), state).when(moment >= F.lit(cut), TEST).otherwise(TRAIN), cut


def _cut(moments: Sequence[Any], counts: Sequence[int], test_share: float) -> Any:
    total, after = sum(counts), 0
    best = (float("inf"), moments[-1])
    for moment, count in zip(moments[:0:-1], counts[:0:-1], strict=True):
        after += count
        best = min(best, (abs(after / total - test_share), moment), key=lambda pair: pair[0])
    return best[1]


def split_at_random(
    data: DataFrame, state: Column, *, keys: Sequence[str], test_share: float = 0.3, seed: int = 0
) -> DataFrame:
    """Add ``__split``: stratified by outcome, whole groups of equal ``keys`` (a customer) on one side.

    A row's side depends on its keys and the seed alone, so it is the same however the table is partitioned. A
    group counts as bad when one of its rows is. Rows that are neither good nor bad keep their ``state``. One
    shuffle by keys, one of a threshold a stratum (exact to 1 row in 10,000).
    """
    worst = F.max((state == "bad").cast("int")).over(Window.partitionBy(*map(column, keys)))
    share = _hash_share(seed, [column(key) for key in keys])
    drawn = data.withColumns({"__state": state, "__share": share}).withColumn("__worst", worst)
    return _dealt(drawn, test_share)


def split_rows_at_random(
    data: DataFrame, state: Column, *, ignore: Sequence[str] = (), test_share: float = 0.3, seed: int = 0
) -> tuple[DataFrame, int]:
    """``split_at_random`` of rows without an identifier, and how many rows stand in groups that were parted.

    Rows that are equal in all columns but ``ignore`` (a weight, whose scale must not matter) are likely copies of one
    case and stay together. But a pattern of over 5 rows and over 1 % of the rows of its outcome is no copy: many cases
    look like that in a table of few columns. It is parted row by row, or the test would not be like the train.
    A shuffle by all columns each time that rows are read: for the count, the thresholds, and at last.
    """
    keys = [column(name) for name in data.columns if name not in ignore]
    counted = data.withColumn("__state", state)
    by_state = {row["__state"]: row["count"] for row in counted.groupBy("__state").count().collect()}
    most = F.lit(MOST_COPIES)
    for name, rows in by_state.items():
        most = F.when(F.col("__state") == name, max(MOST_COPIES, COPIES_SHARE * rows)).otherwise(most)
    alike = Window.partitionBy(*keys)
    copies = counted.withColumns(
        {
            "__large": F.count(F.lit(1)).over(alike) > most,
            "__turn": F.row_number().over(alike.orderBy(*map(column, data.columns))),
        }
    )
    own = F.when(F.col("__large"), F.col("__turn"))
    drawn = copies.withColumns({"__share": _hash_share(seed, [*keys, own]), "__worst": (state == "bad").cast("int")})
    parted = drawn.where(F.col("__large") & F.col("__state").isin(*LEARNT)).count()
    return _dealt(drawn.drop("__large", "__turn"), test_share), parted


def _hash_share(seed: int, keys: Sequence[Column]) -> Column:
    """A number from 0 to 1 that depends on the seed and the keys alone."""
    return F.pmod(F.xxhash64(F.lit(seed), *keys), F.lit(HASHES)) / F.lit(float(HASHES))


def _dealt(drawn: DataFrame, test_share: float) -> DataFrame:
    """``__split`` from ``__state``, ``__share`` and ``__worst``: of each stratum the largest are tested."""
    learnt = drawn.where(F.col("__state").isin(*LEARNT)).groupBy("__worst")
    ends = learnt.agg(F.percentile_approx("__share", 1 - test_share, 10_000).alias("end")).collect()
    train = [(F.col("__worst") == row["__worst"]) & (F.col("__share") <= row["end"]) for row in ends]
    side = F.when(~F.col("__state").isin(*LEARNT), F.col("__state"))
    for inside in train:
        side = side.when(inside, TRAIN)
    return drawn.withColumn("__split", side.otherwise(TEST)).drop("__state", "__share", "__worst")


def vintage(data: DataFrame, time: str, *, most: int = 24) -> Column:
    """The period of each row as text, fine enough for ``most`` at most: months, quarters or years of days.

    Numbers (such as 202401) are their own periods. One scan for the span of days.
    """
    if isinstance(data.schema[time].dataType, T.NumericType):
        return column(time).cast("string")
    ends = data.agg(F.min(column(time)).alias("low"), F.max(column(time)).alias("high")).head()
    assert ends is not None and ends["low"] is not None
    months = (ends["high"].year - ends["low"].year) * 12 + ends["high"].month - ends["low"].month + 1
    year, day = F.year(column(time)), column(time)
    if months <= most:
        return F.date_format(day, "yyyy-MM")
    return F.concat_ws("Q", year, F.quarter(day)) if months <= 3 * most else year.cast("string")
