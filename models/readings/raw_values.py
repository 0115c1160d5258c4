"""Raw rows before they are scored: are their types those of the bins, and can their texts be read as numbers?"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.models.binning.feature_bins import FeatureBins
from strata.models.readings.text_readings import Reading
from strata.models.samples.training_rows import column

EXAMPLES = 3
# The share of a column's texts that may be no numbers: as many as training takes for slips (``reading_choice.SHARE``).
UNREADABLE = 0.05
# What Python strips beside the blank.
BLANKS = "\t\n\r\x0b\x0c\x85\xa0\u2007\u2009\u202f\u3000"
_PLAIN = r"[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?|[-+]?(inf|infinity|Infinity|INF)"
_NOTHING = ("", "nan", "NaN", "NAN")
_FLAT = (T.NumericType, T.BooleanType, T.StringType, T.NullType)


def check_columns(data: DataFrame, features: Iterable[FeatureBins], unreadable: float | None) -> None:
    """Raise unless the columns of ``data`` can be scored.

    ``TypeError`` names a column that is neither number, boolean nor text. ``ValueError`` names a column of texts for a
    number when more than the share ``unreadable`` of its filled values are none, with their count and an example. That
    takes a scan of such columns; there is none without them, in a stream, and when ``unreadable`` is None.
    """
    texts = []
    for bins in features:
        kind = data.schema[bins.feature].dataType
        if not isinstance(kind, _FLAT):
            raise TypeError(
                f"data: {bins.feature!r} is {kind.simpleString()}, but the scorecard has a {bins.kind} there"
            )
        if bins.kind == "number" and isinstance(kind, T.StringType):
            texts.append(bins)
    if not texts or unreadable is None or data.isStreaming:
        return
    sums = [value for bins in texts for value in _counts(bins)]
    found = data.agg(*sums).head()
    assert found is not None
    for i, bins in enumerate(texts):
        filled, unread, example = found[3 * i : 3 * i + 3]
        if unread > _tolerated(bins, unreadable, filled):
            raise ValueError(_sentence("data", bins, unread, filled, [example]))


def _tolerated(bins: FeatureBins, unreadable: float, filled: int) -> float:
    """How many texts may be none: where training had some too, one may be even of few rows."""
    return max(unreadable * filled, 1 if bins.reading else 0)


def _counts(bins: FeatureBins) -> tuple[Column, Column, Column]:
    """Filled texts, those that are no number, and one of them."""
    raw = column(bins.feature)
    text = F.trim(F.translate(raw, BLANKS, " " * len(BLANKS)))
    if bins.reading:
        filled, number = ~text.isin("", *bins.reading.missing), bins.reading.column(raw).isNotNull()
    else:
        filled, number = ~text.isin(*_NOTHING), text.rlike(f"^({_PLAIN})$")
    unread = filled & ~number
    return F.count_if(filled), F.count_if(unread), F.min(F.when(unread, raw))


def _sentence(role: str, bins: FeatureBins, unread: int, filled: int, examples: list[Any]) -> str:
    shown = ", ".join(map(repr, examples[:EXAMPLES]))
    how = f"read as {bins.reading.kind}" if bins.reading else "read as numbers"
    advice = "give it as it was in training" if bins.reading else "give numbers, or fit with readings="
    return f"{role}: {unread:,} of {filled:,} values of {bins.feature!r} can't be {how}, such as {shown}; {advice}"


def raw_values(values: pd.Series, bins: FeatureBins, unreadable: float) -> pd.Series:
    """A pandas column as ``bins.codes`` takes it: doubles with NaN for missing, or objects with None.

    Warns of texts that can't be read as numbers; ``ValueError`` when they are more than the share ``unreadable`` of
    the filled values, ``TypeError`` for days, lists and the like. Both name the column.
    """
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        _check_type(values, bins)
    if bins.kind == "text":
        return values.astype(object)
    numbers = (bins.reading or Reading("number")).series(values) if bins.reading or _typed(values) else _plain(values)
    if not _typed(values):
        _count_unread(values, numbers, bins, unreadable)
    return numbers


def _typed(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values))


def _check_type(values: pd.Series, bins: FeatureBins) -> None:
    """Raise ``TypeError`` for what is neither number, boolean nor text."""
    kind = str(values.dtype)
    strange = next((type(value).__name__ for value in _distinct(values) if isinstance(value, _ODD)), None)
    if strange or pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        raise TypeError(f"rows: {bins.feature!r} is {strange or kind}, but the scorecard has a {bins.kind} there")


_ODD = (date, time, timedelta, list, tuple, dict, set, np.ndarray, bytes, complex)


def _distinct(values: pd.Series) -> Iterable[Any]:
    """The distinct values; all of them when some have no hash."""
    objects = values.astype(object)
    try:
        return list(objects.dropna().unique())
    except TypeError:
        return list(objects)


def _plain(values: pd.Series) -> pd.Series:
    """Texts that are plain numbers with a decimal point, as a database casts them; numbers as they are."""
    number_of: Mapping[Any, float] = {value: _number(value) for value in _distinct(values)}
    return values.astype(object).map(number_of).astype(np.float64)


def _number(value: Any) -> float:
    if not isinstance(value, str):
        return float(value)
    return float(value) if re.fullmatch(_PLAIN, value.strip(" ")) else math.nan


def _count_unread(values: pd.Series, numbers: pd.Series, bins: FeatureBins, unreadable: float) -> None:
    texts = values[values.map(lambda value: isinstance(value, str)).astype(bool) & numbers.isna()].astype(object)
    reading = bins.reading
    unread = texts[[not (reading.is_missing(text) if reading else text.strip() in _NOTHING) for text in texts]]
    if unread.empty:
        return
    filled = int(numbers.notna().sum()) + len(unread)
    sentence = _sentence("rows", bins, len(unread), filled, list(unread.unique()))
    if len(unread) > _tolerated(bins, unreadable, filled):
        raise ValueError(sentence)
    warnings.warn(f"{sentence}; they are scored as missing", stacklevel=5)
