"""What a feature call accepts: frames with the named columns, keys of one type, times that are dates or timestamps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    ByteType,
    DataType,
    DateType,
    IntegerType,
    LongType,
    MapType,
    NullType,
    ShortType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

_WHOLE = (ByteType, ShortType, IntegerType, LongType)


class FeatureError(ValueError):
    """An argument, column or definition of a feature call can't be used; the message names which and the fix."""


class FeatureTypeError(TypeError):
    """An argument or column of a feature call is of a type that it can't be; the message names which."""


class FeatureWarning(UserWarning):
    """An answer that is given, and that may not be what was meant; the message says why and what to do."""


def quoted(name: str) -> Column:
    """The column of exactly this name, dots and spaces included."""
    return F.col("`" + name.replace("`", "``") + "`")


def instant(name: str) -> Column:
    """A date or timestamp column as a timestamp; a date is its midnight in the session's (the bank's) zone."""
    return quoted(name).cast("timestamp")


def days_before(moment: Column, days: int) -> Column:
    """``days`` calendar days earlier at the same wall-clock time in the session's zone, also across daylight saving."""
    return moment - F.make_interval(days=F.lit(days))


def window_start(at: Column, days: int, is_day: bool) -> Column:
    """Where a window of ``days`` before ``at`` begins: for a day the midnight of an earlier one.

    Days and times are told apart because some zones skip a midnight when daylight saving begins: that
    day begins at one o'clock, but a window of days that ends with it doesn't.
    """
    return F.date_sub(at.cast("date"), days).cast("timestamp") if is_day else days_before(at, days)


def next_midnight(moment: Column) -> Column:
    """The day whose midnight is the first at or after ``moment``."""
    day = F.to_date(moment)
    return F.when(day.cast("timestamp") == moment, day).otherwise(F.date_add(day, 1))


def check_frame(argument: str, frame: Any) -> None:
    """Raise ``FeatureTypeError`` unless ``frame`` is a Spark DataFrame, ``FeatureError`` on repeated column names."""
    if not isinstance(frame, DataFrame):
        raise FeatureTypeError(f"{argument}: a Spark DataFrame is expected, not {type(frame).__name__}")
    seen: set[str] = set()
    for name in frame.columns:
        if name.lower() in seen:
            raise FeatureError(f"{argument}: column {name!r} stands more than once; rename one of them")
        seen.add(name.lower())


def check_column(argument: str, frame: DataFrame, owner: str, name: Any) -> DataType:
    """The type of column ``name``; raises naming the argument, the frame and the columns that there are."""
    if not isinstance(name, str):
        raise FeatureTypeError(f"{argument}: the name of a column is expected, not {type(name).__name__}")
    if name not in frame.columns:
        raise FeatureError(f"{argument}: {owner} has no column {name!r}; there are: {', '.join(frame.columns)}")
    return frame.schema[name].dataType


def check_instant(argument: str, frame: DataFrame, owner: str, name: Any) -> None:
    """Raise unless column ``name`` is there and holds dates or timestamps."""
    kind = check_column(argument, frame, owner, name)
    if not isinstance(kind, DateType | TimestampType | TimestampNTZType):
        raise FeatureTypeError(
            f"{argument}: column {name!r} of {owner} is {kind.simpleString()}; a date or timestamp is expected"
        )


def key_list(key: str | Sequence[str], argument: str = "key") -> list[str]:
    """A key given as a name or a list of names, as a list; raises on anything else."""
    names = [key] if isinstance(key, str) else key
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise FeatureTypeError(f"{argument}: the name of a column, or a list of names, is expected, not {key!r}")
    if not names or len(set(names)) != len(names):
        raise FeatureError(f"{argument}: at least one column, each once, is expected, not {list(names)!r}")
    return list(names)


def check_keys(spine: DataFrame, other: DataFrame, owner: str, keys: Sequence[str]) -> None:
    """Raise unless both frames have the key columns, of one type (whole numbers of any width count as one)."""
    for key in keys:
        ours = check_column("key", spine, "spine", key)
        theirs = check_column("key", other, owner, key)
        if not orderable(ours):
            raise FeatureTypeError(f"key: column {key!r} is {ours.simpleString()}, which can't be compared")
        if ours != theirs and not (isinstance(ours, _WHOLE) and isinstance(theirs, _WHOLE)):
            raise FeatureTypeError(
                f"key: column {key!r} is {ours.simpleString()} in spine and {theirs.simpleString()} in {owner}; "
                "cast one of them"
            )


def key_column(frame: DataFrame, key: str) -> Column:
    """A key column; whole numbers of any width become bigint, so that both sides hash alike."""
    whole = isinstance(frame.schema[key].dataType, _WHOLE)
    return quoted(key).cast("bigint") if whole else quoted(key)


def packed(spine: DataFrame, keys: Sequence[str], at: str) -> DataFrame:
    """The spine as key0…, ``at`` as a timestamp, and ``spine``, each row whole, so that no name can clash."""
    return spine.select(
        *(key_column(spine, key).alias(f"key{i}") for i, key in enumerate(keys)),
        instant(at).alias("at"),
        F.struct(*(quoted(name).alias(name) for name in spine.columns)).alias("spine"),
    )


def unpacked(spine: DataFrame) -> list[Column]:
    """The columns of ``spine`` out of a column of that name, in their order."""
    return [F.col("spine").getField(name).alias(name) for name in spine.columns]


def orderable(kind: DataType) -> bool:
    """Whether values of this type can be compared: everything but maps and intervals of months and days."""
    if isinstance(kind, ArrayType):
        return orderable(kind.elementType)
    if isinstance(kind, StructType):
        return all(orderable(field.dataType) for field in kind.fields)
    return not isinstance(kind, MapType) and kind.typeName() not in ("interval", "variant")


def check_new_names(spine: DataFrame, names: Sequence[str]) -> None:
    """Raise when a column to be added stands in the spine already, or twice among the new ones."""
    taken = {name.lower() for name in spine.columns}
    for name in names:
        if name.lower() in taken:
            raise FeatureError(f"spine: column {name!r} would be added but is there already; rename it")
        taken.add(name.lower())


def warn_of_repeats(spine: DataFrame, keys: Sequence[str], at: str) -> None:
    """Warn (``FeatureWarning``) of rows that repeat the entity and time of another. One scan and one shuffle.

    Rows without key or time repeat nothing.
    """
    for key in keys:
        check_column("key", spine, "spine", key)
    named = [quoted(name) for name in [*keys, at]]
    cases = spine.where(all_present(named)).groupBy(*named).count()
    total, repeats = cases.agg(F.sum("count"), F.sum(F.col("count") - 1)).collect()[0]
    if repeats:
        warnings.warn(
            f"spine: {repeats:,} of {total:,} rows repeat the {', '.join(keys)} and {at} of another; each is answered, "
            "so such a case counts more than once: drop_duplicates() the spine unless that is meant",
            FeatureWarning,
            stacklevel=3,
        )


def unusable_rows(rows: DataFrame, *, key: str | Sequence[str], times: Sequence[str]) -> int:
    """How many rows of a state or event table can never match: a null in the key or in a needed time.

    One scan, no shuffle but that of the one count. Raises ``FeatureError`` naming a missing column.
    """
    check_frame("rows", rows)
    needed = [*key_list(key), *times]
    for name in needed:
        check_column("times" if name in times else "key", rows, "rows", name)
    return rows.where(~all_present([quoted(name) for name in needed])).count()


def all_present(columns: Sequence[Column]) -> Column:
    """Whether none of the columns is null."""
    present = F.lit(True)
    for column in columns:
        present = present & column.isNotNull()
    return present


def comparable_columns(frame: DataFrame, owner: str, argument: str) -> list[str]:
    """The columns of a frame that break ties; raises ``FeatureTypeError`` for one that can't be compared."""
    for field in frame.schema.fields:
        if not orderable(field.dataType) or isinstance(field.dataType, NullType):
            raise FeatureTypeError(
                f"{argument}: column {field.name!r} of {owner} is {field.dataType.simpleString()}, which can't be "
                "compared to settle ties; drop or cast it"
            )
    return list(frame.columns)
