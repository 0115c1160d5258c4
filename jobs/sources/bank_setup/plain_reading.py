"""Delivered texts read by plain Python as the mappings have Spark read them: for samples, in seconds, no session.

The patterns and expressions are those of ``strata.conf.banks.notation``, so both readers take the same texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from strata.conf.banks import Feed, Source
from strata.conf.banks.notation import (
    ANY_NUMBER,
    EPOCHS,
    EXCEL_DAYS,
    MONTHS,
    Notation,
    day_pattern,
    number_expression,
    real_expression,
    whole_number,
)

EXCEL_ZERO = date(1899, 12, 30)
WIDTHS = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}


def delivered_text(raw: str | None, feed: Feed, column: str, *, trim: bool = True) -> str | None:
    """A delivered field as the mapping sees it: trimmed, ``None`` where nothing is there."""
    if raw is None or raw.strip(" ") in ("", *feed.nothing(column)):
        return None
    return raw.strip(" ") if trim else raw


def plain_value(text: str | None, kind: str, source: Source, notation: Notation, zone: str) -> Any:
    """The value of a delivered text as the SQL type ``kind``; ``None`` where it can't be read or isn't there.

    ``zone`` is the bank's. Numbers are ``Decimal`` (``float`` for doubles), times are aware.
    """
    if text is None:
        return None
    if source.map is not None:
        return source.map.get(text)
    if source.by_sign is not None:
        number = _number(text, ANY_NUMBER, notation)
        return None if number is None else source.by_sign.get("negative" if number < 0 else "positive")
    if source.token or source.id is not None or kind == "string":
        return text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text)
    if kind == "date":
        return _day(text, notation)
    if kind == "timestamp":
        return _time(text, notation, zone)
    number = _number(text, kind, notation)
    return abs(number) if source.absolute and number is not None else number


def _number(text: str, kind: str, notation: Notation) -> Decimal | float | None:
    exact = whole_number(kind)
    if not re.fullmatch(number_expression(kind, notation) if exact else real_expression(notation), text, re.ASCII):
        return None
    plain = text.replace(notation.thousands, "") if notation.thousands else text
    plain = plain.replace(notation.decimal, ".")
    if notation.sign == "behind" and plain[-1] in "+-":
        plain = plain[-1] + plain[:-1]
    if notation.sign == "parentheses" and plain.startswith("("):
        plain = f"-{plain[1:-1]}"
    if not exact:
        return float(plain) * float(notation.unit)
    try:
        value = Decimal(plain) * notation.unit
    except InvalidOperation:
        return None
    return value if abs(value) < _limit(kind) else None


def _limit(kind: str) -> Decimal:
    if kind in WIDTHS:
        return Decimal(2) ** WIDTHS[kind]
    precision, scale = map(int, kind[len("decimal(") : -1].split(","))
    return Decimal(10) ** (precision - scale)


def _day(text: str, notation: Notation) -> date | None:
    if notation.days == EXCEL_DAYS:
        return EXCEL_ZERO + timedelta(days=int(text)) if re.fullmatch(r"\d{1,6}", text, re.ASCII) else None
    if notation.days in EPOCHS:
        return None
    parts = _parts(text, notation.days)
    return None if parts is None else _date_of(parts, notation)


def _time(text: str, notation: Notation, zone: str) -> datetime | None:
    if notation.times in EPOCHS:
        if not re.fullmatch(r"-?\d{1,15}", text, re.ASCII):
            return None
        unit = timedelta(seconds=1) if notation.times == "epoch_seconds" else timedelta(milliseconds=1)
        try:
            return datetime(1970, 1, 1, tzinfo=UTC) + int(text) * unit
        except OverflowError:
            return None
    parts = _parts(text, notation.times)
    day = None if parts is None else _date_of(parts, notation)
    if parts is None or day is None:
        return None
    hour, minute, second = (int(parts.get(name) or 0) for name in ("hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 59:
        return None
    micros = int((parts.get("fraction") or "0").ljust(6, "0"))
    local = datetime(day.year, day.month, day.day, hour, minute, second, micros)
    if not 1 < day.year < 9999:
        return None
    return local.replace(tzinfo=ZoneInfo(notation.zone or zone)) - _offset(parts.get("offset"), local, notation, zone)


def _offset(text: str | None, local: datetime, notation: Notation, zone: str) -> timedelta:
    """By how much the text's own offset moves what its zone would say."""
    if not text:
        return timedelta(0)
    told = timedelta(0)
    if text != "Z":
        told = timedelta(hours=int(text[1:3]), minutes=int(text[-2:])) * (-1 if text[0] == "-" else 1)
    own = local.replace(tzinfo=ZoneInfo(notation.zone or zone)).utcoffset() or timedelta(0)
    return told - own


def _parts(text: str, pattern: str) -> Mapping[str, str] | None:
    found = day_pattern(pattern)
    match = re.fullmatch(found.expression, text, re.ASCII)
    return None if match is None else dict(zip(found.groups, match.groups(), strict=True))


def _date_of(parts: Mapping[str, str], notation: Notation) -> date | None:
    year = int(parts["year"]) if "year" in parts else (notation.century or 0) + int(parts["short_year"])
    if "month_name" in parts:
        if parts["month_name"].upper() not in MONTHS:
            return None
        month = MONTHS.index(parts["month_name"].upper()) + 1
    else:
        month = int(parts["month"])
    try:
        return date(year, month, int(parts["day"]))
    except ValueError:
        return None
