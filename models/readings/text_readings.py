"""How a text becomes a number: percentages, money, units, decimal commas, brackets, and texts that have an order.

A ``Reading`` is a value. It has three forms that agree exactly on every text: a Spark column, SQL text of a
``Dialect`` (Spark, and standard SQL as DuckDB and PostgreSQL run it), and a pandas series. All three follow the same
steps:

1. A number stays the number that it is, whatever the reading. So typed and raw tables get the same values.
2. A text is folded character by character: full-width digits and signs become ASCII, every kind of space becomes a
   blank, capitals become small letters. Blanks around it are dropped.
3. The folded text is looked up among ``levels`` (and the words for infinity), then compared with one pattern after
   another. The first that fits decides. A text that fits none is missing.

Examples with the reading ``percent``: ``"10.65 %"`` is 10.65 (the value is in per cent), ``"(1.5%)"`` is −1.5,
``"n.a."`` is missing. With ``unit`` and the words year and years: ``"10+ years"`` is 10, ``"< 1 year"`` is 0.5 and
``"> 5 years"`` is 5.5: half a unit below or above the limit keeps the order among whole numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property, reduce
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F

ReadingKind = Literal["number", "percent", "money", "unit", "order"]
READING_KINDS: tuple[ReadingKind, ...] = ("number", "percent", "money", "unit", "order")
WORD = re.compile(r"[^\W\d_]+|[%$€£¥₽₹₩₺฿]")

_SPACES = (
    "\t\n\v\f\r\x85\xa0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_WIDE = dict(zip("０１２３４５６７８９．，％＋－（）＜＞＄￡￥", "0123456789.,%+-()<>$£¥", strict=True))
_SIGNS = {"\u2212": "-", "\u2019": "'"}
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ACCENTED = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝĄĆČĎĘĚŁŃŇŐŘŚŠŤŮŰŹŻŽ"
_FOLD = {
    **dict.fromkeys(_SPACES, " "),
    **_WIDE,
    **_SIGNS,
    **{letter: letter.lower() for letter in _CAPITALS + _ACCENTED},
}
_FOLD_ALL = str.maketrans(_FOLD)
_INFINITE = {f"{sign}{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in ("inf", "infinity")}
_MARKS = " '()+-<>"


def fold(text: str) -> str:
    """A text in the form that levels and words of readings are written in."""
    return text.translate(_FOLD_ALL).strip(" ")


class SqlForm(Protocol):
    """What a reading asks of a dialect of SQL (``models/scorecard/sql_export.py``)."""

    @property
    def number(self) -> str:
        """The name of the type of doubles."""

    @property
    def string(self) -> str:
        """The name of the type of texts."""

    def text(self, value: str) -> str:
        """A string literal."""

    def double(self, value: float) -> str:
        """A literal of a double."""

    def matches(self, text: str, pattern: str) -> str:
        """Whether the whole of ``text`` fits the pattern."""

    def is_text(self, value: str) -> str:
        """Whether ``value`` is of a type of text."""


class Rule(NamedTuple):
    """Texts that fit ``pattern`` are their digits, times ``sign``, plus ``shift``; ``exponent``: as they stand."""

    pattern: str
    sign: int = 1
    shift: float = 0.0
    exponent: bool = False


@dataclass(frozen=True)
class Reading:
    """How the texts of a column are read as numbers.

    ``comma``: the decimal mark is a comma and points group thousands (otherwise the other way round; blanks and
    apostrophes group thousands in both). ``words`` are what may stand before or behind the number, folded (``%``,
    ``$``, ``eur``, ``month``, ``months``). ``levels`` are the folded texts of an ordered scale with their ranks.
    ``missing`` are words for a missing value: they are read as missing like any text that is no number, but not
    counted among those that were not understood.
    """

    kind: ReadingKind
    comma: bool = False
    words: tuple[str, ...] = ()
    levels: tuple[tuple[str, float], ...] = ()
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in READING_KINDS:
            raise ValueError(f"kind: {self.kind!r} is none of {', '.join(READING_KINDS)}")
        if wrong := [word for word in self.words if not WORD.fullmatch(word)]:
            raise ValueError(f"words: {wrong[0]!r} is neither a word of letters nor one sign")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without what is empty; ``from_dict`` gives an equal value back."""
        return {name: value for name, value in asdict(self).items() if value not in ((), False)}

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Reading:
        """The reading that ``to_dict`` wrote. Raises ``ValueError`` when it is something else."""
        if strangers := sorted(set(plain) - {field.name for field in fields(Reading)}):
            raise ValueError(f"reading: {strangers[0]!r} is not known; a newer version of Strata may have written it")
        levels = tuple((str(text), float(rank)) for text, rank in plain.get("levels", ()))
        words, missing = (tuple(map(str, plain.get(name, ()))) for name in ("words", "missing"))
        return Reading(plain["kind"], bool(plain.get("comma", False)), words, levels, missing)

    @cached_property
    def known(self) -> dict[str, float]:
        """Folded texts whose number is known without looking at digits."""
        return dict(self.levels) if self.kind == "order" else _INFINITE

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The patterns, of which the first that fits decides; an order has none."""
        return () if self.kind == "order" else tuple(_rules(self.words, self.comma))

    @cached_property
    def folding(self) -> tuple[str, str]:
        """Characters and what they become, for ``translate``; accented capitals only where they can occur."""
        accented = not "".join([*self.words, *(text for text, _ in self.levels)]).isascii()
        table = {char: to for char, to in _FOLD.items() if accented or char not in _ACCENTED}
        return "".join(table), "".join(table.values())

    @cached_property
    def digits(self) -> tuple[str, str]:
        """As ``folding`` for texts that fit a pattern: digits and a point stay, what is deleted comes last."""
        point, dropped = (",", f".{_MARKS}") if self.comma else (".", f",{_MARKS}")
        marks = [*"0123456789.,", *_MARKS, *"".join(self.words)]
        table = dict(zip(*self.folding, strict=True)) | {char: char for char in marks}
        kept = {char: "." if to == point else to for char, to in table.items() if to == point or to.isdigit()}
        gone = [char for char, to in table.items() if to in dropped or to in "".join(self.words)]
        return "".join([*kept, *gone]), "".join(kept.values())

    # In Python ---------------------------------------------------------------------------------------------------

    def fold(self, text: str) -> str:
        """The text in the form that levels and patterns are written in."""
        return text.translate(self._fold_table).strip(" ")

    @cached_property
    def _fold_table(self) -> dict[int, int]:
        return str.maketrans(*self.folding)

    @cached_property
    def _digit_table(self) -> dict[int, int | None]:
        chars, to = self.digits
        return str.maketrans(chars[: len(to)], to, chars[len(to) :])

    @cached_property
    def _compiled(self) -> tuple[tuple[re.Pattern[str], Rule], ...]:
        return tuple((re.compile(rule.pattern), rule) for rule in self.rules)

    def number(self, text: str) -> float:
        """The number that one text is, NaN when it is none."""
        folded = self.fold(text)
        if folded in self.known:
            return self.known[folded]
        for pattern, rule in self._compiled:
            if pattern.fullmatch(folded):
                digits = self._decimal(folded) if rule.exponent else text.translate(self._digit_table)
                return rule.sign * float(digits) + rule.shift
        return math.nan

    def _decimal(self, folded: str) -> str:
        return folded.replace(",", ".") if self.comma else folded

    def understands(self, text: str) -> bool:
        """Whether a text is a number, a level, or one of the words for missing."""
        return not math.isnan(self.number(text)) or self.is_missing(text)

    def is_missing(self, text: str) -> bool:
        """Whether a text says that there is no value."""
        return not text.strip() or text.strip() in self.missing

    def series(self, values: pd.Series) -> pd.Series:
        """Doubles of a pandas series, NaN for missing: each distinct text is read once."""
        if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            return pd.Series(values.to_numpy(np.float64, na_value=math.nan), values.index, name=values.name)
        objects = values.astype(object)
        number_of = {value: self._value(value) for value in objects.dropna().unique()}
        return objects.map(number_of).astype(np.float64)

    def _value(self, value: object) -> float:
        return self.number(value) if isinstance(value, str) else float(value)  # type: ignore[arg-type]

    # In Spark ----------------------------------------------------------------------------------------------------

    def column(self, value: Column) -> Column:
        """A column of doubles, null for missing; plain column expressions."""
        raw = value.cast("string")
        folded, digits = F.trim(F.translate(raw, *self.folding)), F.translate(raw, *self.digits).cast("double")
        decimal = F.translate(folded, ",", ".") if self.comma else folded
        read = F.when(~F.typeof(value).like("string%"), value.cast("double"))
        read = reduce(lambda so_far, item: so_far.when(folded == item[0], F.lit(item[1])), self.known.items(), read)
        for rule in self.rules:
            number = decimal.cast("double") if rule.exponent else digits
            number = -number if rule.sign < 0 else number
            read = read.when(folded.rlike(f"^({rule.pattern})$"), number + rule.shift if rule.shift else number)
        return read

    # In SQL ------------------------------------------------------------------------------------------------------

    def sql(self, value: str, form: SqlForm) -> str:
        """SQL of a double, NULL for missing, from the SQL of a column. A cast is only made of what fits a pattern.

        Characters such as the no-break space stand in its literals as they are.
        """
        raw = f"CAST({value} AS {form.string})"
        folded, digits = f"trim({_translate(raw, self.folding, form)})", _translate(raw, self.digits, form)
        decimal = _translate(folded, (",", "."), form) if self.comma else folded
        whens = [f"NOT {form.is_text(value)} THEN CAST({value} AS {form.number})"]
        if self.kind == "order":
            whens += [f"{folded} = {form.text(text)} THEN {form.double(rank)}" for text, rank in self.known.items()]
        else:
            for infinite in (math.inf, -math.inf):
                words = ", ".join(form.text(word) for word, number in _INFINITE.items() if number == infinite)
                whens.append(f"{folded} IN ({words}) THEN {form.double(infinite)}")
        for rule in self.rules:
            number = f"CAST({decimal if rule.exponent else digits} AS {form.number})"
            number = f"-{number}" if rule.sign < 0 else number
            shifted = f"{number} + {form.double(rule.shift)}" if rule.shift else number
            whens.append(f"{form.matches(folded, rule.pattern)} THEN {shifted}")
        return f"CASE {' '.join(f'WHEN {when}' for when in whens)} END"


def _translate(text: str, table: tuple[str, str], form: SqlForm) -> str:
    return f"translate({text}, {form.text(table[0])}, {form.text(table[1])})"


def _rules(words: tuple[str, ...], comma: bool) -> list[Rule]:
    """Patterns of folded texts in what Java, Python, RE2 and SQL's SIMILAR TO understand alike.

    Groups of thousands begin with no zero and have one mark throughout; a plus sign before groups parted by blanks
    would be a telephone number.
    """
    point, mark = ("[,]", "[.]") if comma else ("[.]", "[,]")
    fraction, digits = f"({point}[0-9]{{0,30}})?", "[0-9]{1,30}"
    tight = "|".join(f"[1-9][0-9]{{0,2}}({group}[0-9]{{3}}){{1,8}}" for group in (mark, "[']"))
    spaced = "[1-9][0-9]{0,2}([ ][0-9]{3}){1,8}"
    small = f"{point}[0-9]{{1,30}}"
    body, bare = (f"(({digits}|{some}){fraction}|{small})" for some in (f"{tight}|{spaced}", tight))
    either = "|".join(_escaped(word) for word in words)
    before, behind = (f"(({either})[ ]?)?", f"([ ]?({either}))?") if words else ("", "")
    whole = f"{before}{body}{behind}"
    negative = [f"[-][ ]?{whole}", f"{whole}[ ]?[-]", f"[(][ ]?{whole}[ ]?[)]"]
    if words:
        negative += [f"({either})[ ]?[-][ ]?{body}", f"{body}[ ]?[-][ ]?({either})"]
    exponent = f"[-+]?({digits}{fraction}|{small})e[-+]?[0-9]{{1,2}}"
    return [
        Rule(f"{whole}|[+][ ]?{before}{bare}{behind}|{before}{digits}[ ]?[+]{behind}"),
        Rule("|".join(negative), sign=-1),
        Rule(exponent, exponent=True),
        Rule(f"[<][ ]?{before}{digits}{behind}", shift=-0.5),
        Rule(f"[>][ ]?{before}{digits}{behind}", shift=0.5),
    ]


def _escaped(word: str) -> str:
    """A word as part of a pattern: signs in brackets, where they mean themselves in every dialect."""
    return "".join(char if char.isalnum() else f"[{char}]" for char in word)
