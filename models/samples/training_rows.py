"""Training rows as the scorecard reads them: checked columns under safe names, outcome 0/1, weight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.models.readings.text_readings import Reading

Kind = Literal["number", "text"]
TRUTHS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
Specials = Sequence[float | str] | Mapping[str, Sequence[float | str]] | None


@dataclass(frozen=True)
class Source:
    """The columns that a fit reads, checked against the schema of ``data``."""

    data: DataFrame
    target: str
    features: tuple[str, ...]
    kinds: tuple[Kind, ...]
    specials: tuple[tuple[float | str, ...], ...]
    event: Any = None
    weight: str | None = None
    period: str | None = None
    readings: Mapping[str, Reading] = field(default_factory=dict)

    def place(self, feature: str) -> int:
        """The number of ``feature`` in the names of the columns of ``rows``."""
        return self.features.index(feature)

    def rows(self, *keep: str) -> DataFrame:
        """``keep`` as it is, then ``bad`` (1, 0 or null), ``weight``, ``period`` and a column ``f<i>`` per feature."""
        values = [
            self._value(name, kind).alias(f"f{i}")
            for i, (name, kind) in enumerate(zip(self.features, self.kinds, strict=True))
        ]
        weight = column(self.weight).cast("double") if self.weight else F.lit(1.0)
        period = column(self.period).cast("string") if self.period else F.lit("")
        kept = [column(name).alias(f"k{i}") for i, name in enumerate(keep)]
        basics = (self.outcome().alias("bad"), weight.alias("weight"), period.alias("period"))
        # A row of weight 0 is as if it weren't there; one without a weight is found out later.
        weighed = self.data.where(~weight.eqNullSafe(F.lit(0.0))) if self.weight else self.data
        return weighed.select(*kept, *basics, *values)

    def _value(self, name: str, kind: Kind) -> Column:
        if kind == "text":
            return column(name).cast("string")
        reading, is_text = self.readings.get(name), isinstance(self.data.schema[name].dataType, T.StringType)
        return reading.column(column(name)) if reading and is_text else column(name).cast("double")

    def outcome(self) -> Column:
        """1 for bad, 0 for good, null when unknown."""
        return outcome_of(self.data, self.target, self.event)


def outcome_of(data: DataFrame, target: str, event: Any = None) -> Column:
    """1 where ``target`` is ``event`` (where it is 1 or true without one), 0 where it isn't, null where it is null."""
    outcome, kind = column(target), data.schema[target].dataType
    if event is None:
        return outcome.cast("double")
    value = event_value(kind, target, event)
    plain = outcome if isinstance(kind, T.StringType | T.BooleanType) else outcome.cast("double")
    return (plain == F.lit(value)).cast("double")


def event_value(kind: T.DataType, target: str, event: Any) -> str | bool | float:
    """The bad value as the target's type has it: a text, a truth (``True``, ``"TRUE"``, ``1`` alike) or a number.

    Raises ``ValueError`` naming the event and the column when it can't be one of its values.
    """
    if isinstance(kind, T.StringType):
        return str(event)
    if isinstance(kind, T.BooleanType):
        word = str(event).strip().lower()
        if word not in TRUTHS:
            raise ValueError(f"event: {event!r} is neither true nor false, which the target {target!r} is made of")
        return TRUTHS[word]
    try:
        number = float(event)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise ValueError(f"event: {event!r} is no number, but the target {target!r} is {kind.simpleString()}")
    return number


def source(
    data: DataFrame,
    target: str,
    features: Sequence[str],
    *,
    event: Any = None,
    weight: str | None = None,
    special_values: Specials = None,
    period: str | None = None,
    readings: Mapping[str, Reading] | None = None,
) -> Source:
    """Check the arguments of a fit against the schema; no job runs.

    A text with a reading is a number.

    Raises ``TypeError`` when ``data`` is no DataFrame or a feature is neither number nor text, ``ValueError``
    when a column is absent, doubled or used twice, or a special value fits no feature.
    """
    if not isinstance(data, DataFrame):
        raise TypeError(f"data must be a Spark DataFrame, not {type(data).__name__}")
    if isinstance(features, str) or not features:
        raise ValueError("features: give a list of at least one column name")
    names = tuple(features)
    for role, name in [
        ("target", target),
        *[("features", f) for f in names],
        *[(role, name) for role, name in (("weight", weight), ("period", period)) if name],
    ]:
        require_column(data, role, name)
    if len(set(names)) != len(names):
        raise ValueError(f"features: {next(n for n in names if names.count(n) > 1)!r} is named twice; name it once")
    if used := {target, weight, period} & set(names):
        raise ValueError(f"features: {used.pop()!r} is the target, weight or period; remove it from the features")
    _check_target(data, target, event)
    known = dict(readings or {})
    if strangers := [name for name in known if name not in names]:
        raise ValueError(f"readings: {strangers[0]!r} is not among the features")
    kinds = tuple(_kind(data, name, known.get(name)) for name in names)
    specials = _specials(special_values, names, kinds)
    return Source(data, target, names, kinds, specials, event, weight, period, known)


def column(name: str) -> Column:
    """The column of exactly this name, whatever characters it has."""
    return F.col(quoted(name))


def quoted(name: str) -> str:
    """The name in Spark SQL's backticks."""
    return "`" + name.replace("`", "``") + "`"


def require_column(data: DataFrame, role: str, name: str) -> None:
    """Raise ``ValueError`` naming ``role`` unless ``data`` has exactly one column ``name``."""
    found = data.columns.count(name)
    if found == 0:
        raise ValueError(f"{role}: the data have no column {name!r}; they have {', '.join(data.columns[:8])}, …")
    if found > 1:
        raise ValueError(f"{role}: the data have {found} columns named {name!r}; rename one")


def _check_target(data: DataFrame, target: str, event: Any) -> None:
    kind = data.schema[target].dataType
    if not isinstance(kind, T.StringType | T.NumericType | T.BooleanType):
        raise TypeError(f"target: {target!r} is {kind.simpleString()}; it must be 0/1, boolean or text with event=")
    if isinstance(kind, T.StringType) and event is None:
        raise ValueError(f"target: {target!r} is text; name its bad value with event=")
    if event is not None:
        _check_event(data, target, event)


def _check_event(data: DataFrame, target: str, event: Any) -> None:
    """Raise ``ValueError`` naming the event, the target and some of its values; they are only looked up for that."""
    try:
        event_value(data.schema[target].dataType, target, event)
    except ValueError as wrong:
        found = data.select(column(target).cast("string").alias("value")).distinct().orderBy("value").limit(5).collect()
        raise ValueError(f"{wrong}; its values are {', '.join(str(row['value']) for row in found)}") from None


def _kind(data: DataFrame, name: str, reading: Reading | None) -> Kind:
    kind = data.schema[name].dataType
    if isinstance(kind, T.NumericType | T.BooleanType):
        return "number"
    if isinstance(kind, T.StringType):
        return "number" if reading else "text"
    raise TypeError(f"features: {name!r} is {kind.simpleString()}; only numbers, booleans and text can be binned")


def _specials(given: Specials, names: tuple[str, ...], kinds: tuple[Kind, ...]) -> tuple[tuple[float | str, ...], ...]:
    if isinstance(given, str | int | float):
        raise ValueError("special_values: give a list of values, or a mapping of feature to list")
    if isinstance(given, Mapping):
        if strangers := [name for name in given if name not in names]:
            raise ValueError(f"special_values: {strangers[0]!r} is not among the features")
        return tuple(_fitting(given.get(name, ()), kind, name) for name, kind in zip(names, kinds, strict=True))
    values = tuple(given or ())
    for value in values:
        if ("text" if isinstance(value, str) else "number") not in kinds:
            raise ValueError(f"special_values: {value!r} fits no feature, none is of its type")
    return tuple(
        _fitting([v for v in values if isinstance(v, str) == (kind == "text")], kind, name)
        for name, kind in zip(names, kinds, strict=True)
    )


def _fitting(values: Sequence[float | str], kind: Kind, name: str) -> tuple[float | str, ...]:
    for value in values:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            raise ValueError(f"special_values: missing has its own bin already; remove {value!r} of {name!r}")
        if isinstance(value, str) != (kind == "text"):
            raise ValueError(f"special_values: {value!r} is not of the type of {name!r}, which is {kind}")
    return tuple(dict.fromkeys(str(v) if kind == "text" else float(v) for v in values))
