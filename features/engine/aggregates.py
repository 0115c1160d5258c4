"""What an aggregate is made of: parts that are taken from rows, merged over tiles, and finished into an answer.

One part can serve several aggregates (sum, mean and count share theirs), and every part of a union of rows
follows from the parts of its pieces, so rows and tiles of rows give the same answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DecimalType, DoubleType, FloatType, IntegralType, NumericType

from strata.features.engine.inputs import FeatureError, FeatureTypeError, orderable, window_start

AGGREGATES = ("sum", "count", "mean", "max", "min", "distinct", "new", "last", "std", "bits")
ZERO_WHEN_EMPTY = ("sum", "count", "distinct", "new")
# Days of the longest window: a century, which holds all that was ever known.
EVER = 36_525
_NUMERIC = ("sum", "mean", "std")
# Sums of whole numbers are kept as two, of the upper and of the lower 32 bits: neither can overflow.
LOW_BITS = 32
# Decimals of at most these digits and this scale travel as whole numbers of their smallest unit, which is
# several times faster. Of products of more than 38 digits Spark keeps six decimals, so more could not be turned back.
_WHOLE_DIGITS, _WHOLE_SCALE = 18, 6


@dataclass(frozen=True)
class Measure:
    """One aggregate of one event column over the ``days`` before each spine row, written to ``name``."""

    name: str
    column: str
    agg: str
    days: int

    @property
    def reach(self) -> int:
        """How many days before a spine row its events matter."""
        return reach_of(self.agg, self.days)

    def check(self, kind: DataType) -> None:
        """Raise ``FeatureError`` or ``FeatureTypeError`` unless it can be asked of a column of this type."""
        if isinstance(self.days, bool) or not isinstance(self.days, int):
            raise FeatureTypeError(f"days: whole numbers are expected, not {self.days!r}")
        if self.days < 1:
            raise FeatureError(f"days: {self.days} is no window; at least 1 is expected")
        if self.days > EVER:
            raise FeatureError(f"days: {self.days} is longer than the longest window; EVER ({EVER}) is all time")
        if self.agg not in AGGREGATES:
            raise FeatureError(f"aggs: {self.agg!r} is unknown; there are: {', '.join(AGGREGATES)}")
        if self.agg in _NUMERIC and not isinstance(kind, NumericType):
            raise FeatureTypeError(
                f"aggs: {self.agg} needs a number, but column {self.column!r} is {kind.simpleString()}"
            )
        if self.agg == "bits" and not isinstance(kind, IntegralType):
            raise FeatureTypeError(
                f"aggs: bits needs a whole number, but column {self.column!r} is {kind.simpleString()}"
            )
        if self.agg != "count" and not orderable(kind):
            raise FeatureTypeError(
                f"aggs: {self.agg} can't compare column {self.column!r} of type {kind.simpleString()}"
            )


def reach_of(agg: str | None, days: int) -> int:
    """How many days back a window looks: what is ``new`` in it depends on all that came before."""
    return EVER if agg == "new" else days


def span_name(days: int) -> str:
    """The end of a feature's name that says how long its window is."""
    return "ever" if days == EVER else f"{days}d"


def words_of_span(days: int) -> str:
    """How long a window is, in words."""
    return "all time" if days == EVER else f"{days} days"


@dataclass(frozen=True)
class Measured:
    """An event column, number ``place`` of its pass, that ``aggs`` are asked of."""

    place: int
    kind: DataType
    aggs: frozenset[str]

    @property
    def value(self) -> str:
        """Its column in the facts."""
        return f"v{self.place}"

    @property
    def order(self) -> str:
        """In the facts, its rank among the rows of a key in a time bucket: the last one has the highest."""
        return f"o{self.place}"

    @property
    def scale(self) -> int | None:
        """For a column that travels as whole numbers, the decimal places of its smallest unit."""
        kind = self.kind
        if isinstance(kind, DecimalType):
            return kind.scale if kind.precision <= _WHOLE_DIGITS and kind.scale <= _WHOLE_SCALE else None
        return 0 if isinstance(kind, IntegralType) else None

    def carried(self, column: Column) -> Column:
        """The column as the facts carry it."""
        kind = self.kind
        if isinstance(kind, FloatType | DoubleType):
            # One zero: a set would hold -0.0 and 0.0 apart, though they are equal.
            return column + F.lit(0).cast(kind)
        if self.scale is None:
            return column
        return (column * F.lit(Decimal(10**self.scale))).cast("bigint") if self.scale else column.cast("bigint")

    def restored(self, column: Column) -> Column:
        """A carried value in the column's own type again."""
        return column if self.scale is None else self._scaled(column.cast("decimal(20,0)")).cast(self.kind)

    def _scaled(self, units: Column) -> Column:
        return units * F.lit(Decimal(1).scaleb(-self.scale)) if self.scale else units

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that its aggregates need for each window; ``last`` is one for all windows."""
        needed: set[str] = set()
        for agg in self.aggs:
            needed.update(_PARTS_OF.get(agg, (agg,)))
        if "sum" in needed and self.scale is not None:
            needed = (needed - {"sum"}) | {"high", "low"}
        return tuple(sorted(needed - {"last"}))

    def of_rows(self, part: str, value: Column) -> Column:
        """A part over rows; ``value`` is null for rows that don't count."""
        return _OF_ROWS[part](value)

    def of_tiles(self, part: str, value: Column) -> Column:
        """A part over tiles that hold it; ``value`` is null for tiles that don't count."""
        return _OF_TILES[part](value)

    def answer(self, agg: str, parts: Mapping[str, Column]) -> Column:
        """The aggregate from its merged parts, null or 0 when nothing was there."""
        if agg == "count":
            return parts["count"]
        if agg in ("min", "max"):
            return self.restored(parts[agg])
        if agg == "distinct":
            return F.size(F.array_distinct(parts["distinct"])).cast("bigint")
        if agg == "new":
            return F.size(F.array_except(parts["distinct"], parts["before"])).cast("bigint")
        if agg == "bits":
            return parts["bits"]
        if agg == "std":
            return _deviation(parts["std"]) * F.lit(10.0 ** -(self.scale or 0))
        if agg == "sum":
            # Not a plain coalesce: a sum that overflowed must stay null instead of passing for an empty window.
            return F.when(parts["count"] == 0, F.lit(0).cast(self.sum_type)).otherwise(self._sum(parts))
        return self._mean(parts)

    @property
    def sum_type(self) -> str:
        """The type of its sums, as Spark has it: decimals get 10 digits more, whole numbers are bigint."""
        if isinstance(self.kind, DecimalType):
            return f"decimal({min(self.kind.precision + 10, 38)},{self.kind.scale})"
        return "double" if isinstance(self.kind, FloatType | DoubleType) else "bigint"

    def _sum(self, parts: Mapping[str, Column]) -> Column:
        if self.scale is None:
            return parts["sum"].cast(self.sum_type)
        total = self._total(parts)
        if isinstance(self.kind, DecimalType):
            return total.cast(self.sum_type)
        return F.when(total.between(-(2**63), 2**63 - 1), total.cast("bigint"))

    def _total(self, parts: Mapping[str, Column]) -> Column:
        high, low = (parts[part].cast("decimal(20,0)") for part in ("high", "low"))
        return self._scaled(high * F.lit(Decimal(2**LOW_BITS)) + low)

    def _mean(self, parts: Mapping[str, Column]) -> Column:
        count = F.nullif(parts["count"], F.lit(0))
        if not isinstance(self.kind, DecimalType):
            return (parts["sum"] if self.scale is None else self._total(parts).cast("double")) / count
        digits = min(self.kind.precision + 4, 38), min(self.kind.scale + 4, 38)
        return (self._sum(parts) / count.cast("decimal(12,0)")).cast(f"decimal({digits[0]},{digits[1]})")


_PARTS_OF = {"mean": ("sum", "count"), "sum": ("sum", "count"), "new": ("distinct", "before")}
_OF_ROWS = {
    "count": F.count,
    "sum": F.sum,
    "high": lambda value: F.sum(F.shiftright(value, LOW_BITS)),
    "low": lambda value: F.sum(value.bitwiseAND(F.lit((1 << LOW_BITS) - 1))),
    "min": F.min,
    "max": F.max,
    "distinct": F.collect_set,
    # The values of all time before the window.
    "before": F.collect_set,
    "bits": F.bit_or,
    "std": lambda value: F.array(
        F.struct(F.count(value).alias("n"), F.avg(value).alias("mean"), F.var_pop(value).alias("variance"))
    ),
}
_OF_TILES = {
    "count": lambda value: F.coalesce(F.sum(value), F.lit(0)),
    **dict.fromkeys(("sum", "high", "low"), F.sum),
    "min": F.min,
    "max": F.max,
    "bits": F.bit_or,
    **{part: lambda value: F.flatten(F.collect_list(value)) for part in ("distinct", "before", "std")},
}


def _deviation(pieces: Column) -> Column:
    """Standard deviation of a sample from count, mean and variance of its pieces, without cancellation."""
    some = F.filter(pieces, lambda piece: piece["n"] > 0)
    zero = F.lit(0.0)
    count = F.aggregate(some, zero, lambda total, piece: total + piece["n"])
    mean = F.aggregate(some, zero, lambda total, piece: total + piece["n"] * piece["mean"]) / count
    squares = F.aggregate(
        some,
        F.struct(zero.alias("total"), mean.alias("mean")),
        lambda state, piece: F.struct(
            (state["total"] + piece["n"] * (piece["variance"] + F.pow(piece["mean"] - state["mean"], 2))).alias(
                "total"
            ),
            state["mean"].alias("mean"),
        ),
        lambda state: state["total"],
    )
    return F.when(count > 1, F.sqrt(squares / (count - 1)))


def window_parts(columns: Sequence[Measured], lengths: Mapping[int, Sequence[int]], *, tiled: bool) -> list[Column]:
    """The parts of each column for each of its window lengths, as aggregates over facts that met a point.

    Facts have ``event_ts`` and, of the point, ``start<days>``; parts are called ``<part><place>_<days>``. A row
    is let into a window by a condition, so one pass over the facts serves every window.
    """
    answers = []
    for column in columns:
        for days in lengths[column.place]:
            inside = F.col("event_ts") >= F.col(f"start{days}")
            for part in column.parts:
                counts = ~inside if part == "before" else inside
                value = F.when(counts, F.col(f"{part}{column.place}" if tiled else column.value))
                merged = column.of_tiles(part, value) if tiled else column.of_rows(part, value)
                answers.append(merged.alias(f"{part}{column.place}_{days}"))
        if "last" in column.aggs:
            answers += _last_parts(column, tiled)
    return answers


def _last_parts(column: Measured, tiled: bool) -> list[Column]:
    """The last value of the longest window and its time: it is that of a shorter window too, if young enough."""
    if tiled:
        latest = F.max(F.col(f"last{column.place}"))
        value, time = latest.getField("value"), latest.getField("event_ts")
    else:
        # By rank and not by a struct of clocks and value: a struct can't be held in a hash aggregate.
        value = F.max_by(column.value, column.order)
        time = F.max(F.when(F.col(column.value).isNotNull(), F.col("event_ts")))
    return [value.alias(f"last{column.place}"), time.alias(f"last_ts{column.place}")]


def tile_parts(columns: Sequence[Measured], clocks: Sequence[str]) -> list[Column]:
    """The parts of each column over all rows of a tile, called ``<part><place>``."""
    parts = []
    for column in columns:
        value = F.col(column.value)
        parts += [column.of_rows(part, value).alias(f"{part}{column.place}") for part in column.parts]
        if "last" in column.aggs:
            latest = F.struct(*(F.col(name) for name in clocks), value.alias("value"))
            parts.append(F.max(F.when(value.isNotNull(), latest)).alias(f"last{column.place}"))
    return parts


def answer_of(measure: Measure, column: Measured, is_day: bool) -> Column:
    """A measure's answer from the merged parts of one point; ``is_day``: points are days and not times."""
    if measure.agg == "last":
        inside = F.col(f"last_ts{column.place}") >= window_start(F.col("at"), measure.days, is_day)
        return F.when(inside, column.restored(F.col(f"last{column.place}")))
    parts = {part: F.col(f"{part}{column.place}_{measure.days}") for part in column.parts}
    return column.answer(measure.agg, parts)
