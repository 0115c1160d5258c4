"""How numbers, days and times are written in delivered files: patterns that every reader of the files shares.

A pattern is a regular expression and the order of its groups, so that Spark and plain Python read the same texts alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from strata.conf.contracts import Frozen

ISO_DAY = "yyyy-MM-dd"
ISO_TIME = "iso"
EPOCHS = ("epoch_seconds", "epoch_millis")
EXCEL_DAYS = "excel_days"
# The type of a number of which only the sign or the writing counts.
ANY_NUMBER = "decimal(38,10)"
# What stands in a pattern, longest first, with its expression and what it is a part of.
PARTS: Mapping[str, tuple[str, str]] = {
    "yyyy": (r"(\d{4})", "year"),
    "yy": (r"(\d{2})", "short_year"),
    "MMM": (r"([A-Za-z]{3})", "month_name"),
    "MM": (r"(\d{2})", "month"),
    "M": (r"(\d{1,2})", "month"),
    "dd": (r"(\d{2})", "day"),
    "d": (r"(\d{1,2})", "day"),
    "HH": (r"(\d{2})", "hour"),
    "H": (r"(\d{1,2})", "hour"),
    "mm": (r"(\d{2})", "minute"),
    "ss": (r"(\d{2})", "second"),
    "S": (r"(\d{1,6})", "fraction"),
    "X": (r"(Z|[+-]\d{2}:?\d{2})", "offset"),
}
_TOKEN = re.compile(r"'((?:[^']|'')*)'|(yyyy|yy|MMM|MM|M|dd|d|HH|H|mm|ss|S+|X)|(.)", re.DOTALL)
_ISO = r"^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?(Z|[+-]\d{2}:?\d{2})?$"
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True)
class Pattern:
    """An expression for a whole text, with the name of each group in order."""

    expression: str
    groups: tuple[str, ...]


class Notation(Frozen):
    """How values are written.

    ``days`` and ``times`` are patterns of ``yyyy yy MMM MM M dd d HH H mm ss S X``, other letters in quotes; or
    ``epoch_seconds``, ``epoch_millis``, ``excel_days``; ``iso`` is a time like 2025-01-31T08:15:00.
    """

    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    sign: Literal["front", "behind", "parentheses"] = "front"
    # What one stands for: 0.01 where amounts are in cents. A power of ten.
    unit: Decimal = Field(Decimal(1), ge=Decimal("1e-8"), le=Decimal("1e8"))
    days: str = ISO_DAY
    times: str = ISO_TIME
    # Of years of two digits: 1900 or 2000.
    century: int | None = Field(None, ge=1000, le=9900, multiple_of=100)
    # Of times without an offset; without it that of the bank.
    zone: str | None = None
    trim: bool = True

    @field_validator("unit")
    @classmethod
    def _is_a_power_of_ten(cls, value: Decimal) -> Decimal:
        if value.normalize().as_tuple().digits != (1,):
            raise ValueError("a power of ten is expected, such as 0.01 for cents")
        return value.normalize()

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, value: str | None) -> str | None:
        return value if value is None else check_zone(value)

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.thousands == self.decimal:
            raise ValueError(f"thousands: {self.thousands!r} is the decimal mark too; say which decimal mark there is")
        return self

    @field_validator("days")
    @classmethod
    def _are_days(cls, value: str) -> str:
        if value not in (*EPOCHS, EXCEL_DAYS):
            _check_parts(value, {"day"})
        return value

    @field_validator("times")
    @classmethod
    def _are_times(cls, value: str) -> str:
        if value not in (*EPOCHS, ISO_TIME):
            _check_parts(value, {"day", "hour", "minute"})
        return value

    def within(self, outer: Notation) -> Notation:
        """These values where they are given, else those of ``outer``."""
        names = Notation.model_fields
        return Notation(**{name: getattr(self if name in self.model_fields_set else outer, name) for name in names})


def check_zone(name: str) -> str:
    """The name of a time zone. Raises ``ValueError`` when there is none of that name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = get_close_matches(name, sorted(available_timezones()), n=1)
        hint = f"did you mean {near[0]}?" if near else "write it like Asia/Shanghai"
        raise ValueError(f"{name!r} is no time zone of the IANA database; {hint}") from None
    return name


def day_pattern(text: str) -> Pattern:
    """The expression of a pattern of days or times such as ``dd/MM/yyyy HH:mm``."""
    if text == ISO_TIME:
        return Pattern(_ISO, ("year", "month", "day", "hour", "minute", "second", "fraction", "offset"))
    expression, groups = "", []
    for quoted, token, other in _TOKEN.findall(text):
        if token:
            part, group = PARTS["S" if token.startswith("S") else token]
            expression += part
            groups.append(group)
        else:
            expression += re.escape(quoted.replace("''", "'") or other)
    return Pattern(f"^{expression}$", tuple(groups))


def _check_parts(text: str, needed: set[str]) -> None:
    unquoted = re.sub(r"'[^']*'", "", text)
    unknown = sorted(set(re.findall(r"[A-Za-z]+", unquoted)) - _words(unquoted))
    groups = day_pattern(text).groups
    missing = {"year", "month", *needed} - {group.replace("short_", "").replace("_name", "") for group in groups}
    if unknown or missing or len(set(groups)) < len(groups):
        why = (
            f"{unknown[0]!r} is not known" if unknown else f"no {min(missing)} in it" if missing else "a part is twice"
        )
        raise ValueError(f"{text!r}: {why}; parts are {' '.join(PARTS)}, other letters stand in quotes")


def _words(text: str) -> set[str]:
    """The runs of letters in a pattern that are made of its parts alone."""
    return {
        run for run in re.findall(r"[A-Za-z]+", text) if "".join(token for _, token, _ in _TOKEN.findall(run)) == run
    }


def spoils(kind: str, notation: Notation) -> str | None:
    """Why values of an SQL type can't be read exactly in a notation; ``None`` when they can."""
    if whole_number(kind) and _scale(kind) + int(notation.unit.log10()) < 0:
        return f"unit: {kind} can't hold what is delivered in units of {notation.unit:f} without rounding"
    pattern = {"date": notation.days, "timestamp": notation.times}.get(kind)
    if pattern in (None, *EPOCHS, EXCEL_DAYS) or "short_year" not in day_pattern(str(pattern)).groups:
        return None
    return None if notation.century else f"{pattern!r} has years of two digits; say century: 1900 or 2000"


def _scale(kind: str) -> int:
    return int(kind.rstrip(")").split(",")[1]) if "(" in kind else 0


def whole_number(kind: str) -> bool:
    """Whether an SQL type is an exact number: a whole one or a decimal."""
    return kind in ("tinyint", "smallint", "int", "bigint") or kind.startswith("decimal")


def number_expression(kind: str, notation: Notation) -> str:
    """The texts that are a number of the exact SQL type ``kind``: never more decimals than it has, so never rounded."""
    decimals = max(0, _scale(kind) + int(notation.unit.log10()))
    fraction = rf"({re.escape(notation.decimal)}\d{{1,{decimals}}})?" if decimals else ""
    return _signed(f"{_digits(notation)}{fraction}", notation)


def real_expression(notation: Notation) -> str:
    """The texts that are a number in floating point, with an exponent or without."""
    point = re.escape(notation.decimal)
    return _signed(rf"({_digits(notation)}{point}?\d*|{point}\d+)([eE][+-]?\d+)?", notation)


def _digits(notation: Notation) -> str:
    if not notation.thousands:
        return r"\d+"
    return rf"(\d{{1,3}}({re.escape(notation.thousands)}\d{{3}})+|\d+)"


def _signed(magnitude: str, notation: Notation) -> str:
    if notation.sign == "behind":
        return rf"^{magnitude}[+-]?$"
    if notation.sign == "parentheses":
        return rf"^({magnitude}|-{magnitude}|\({magnitude}\))$"
    return rf"^[+-]?{magnitude}$"


def example_of(kind: str, notation: Notation) -> str:
    """What a value of the SQL type must look like, in words for messages."""
    if kind in ("date", "timestamp"):
        return _example_of_time(kind, notation)
    if kind == "double":
        return "a number"
    if kind == "boolean":
        return "true or false"
    if not whole_number(kind):
        return "text"
    # The plain notation needs no example: the type says it.
    plain = (notation.decimal, notation.thousands, notation.sign, notation.unit) == (".", "", "front", Decimal(1))
    return kind if plain else f"{kind} written like {_example_of_number(kind, notation)}"


def _example_of_number(kind: str, notation: Notation) -> str:
    decimals = min(2, max(0, _scale(kind) + int(notation.unit.log10())))
    text = f"1{notation.thousands}234" + (f"{notation.decimal}{'5' * decimals}" if decimals else "")
    return {"front": f"-{text}", "behind": f"{text}-", "parentheses": f"({text})"}[notation.sign]


def _example_of_time(kind: str, notation: Notation) -> str:
    pattern = notation.days if kind == "date" else notation.times
    if kind == "date" and pattern == ISO_DAY:
        return "a day like 2025-01-31"
    if kind == "timestamp" and pattern == ISO_TIME:
        return "a time like 2025-01-31T08:15:00"
    return f"a {'day' if kind == 'date' else 'time'} written {pattern}"
