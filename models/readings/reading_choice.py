"""Which reading a column of texts has: chosen from a summary of its cells, each way of writing with its count."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from strata.models.readings.ordered_scales import ranks
from strata.models.readings.text_readings import WORD, Reading, ReadingKind, fold

# Of twenty cells one may be a slip of the pen; more is not a column of numbers with slips but something else.
SHARE = 0.95
EXAMPLES = 3
CURRENCIES = frozenset(
    [
        "$",
        "€",
        "£",
        "¥",
        "₽",
        "₹",
        "₩",
        "₺",
        "฿",
        "元",
        "円",
        "usd",
        "eur",
        "gbp",
        "jpy",
        "cny",
        "rmb",
        "czk",
        "kč",
        "chf",
    ]
    + ["pln", "zł", "huf", "ft", "rub", "inr", "krw", "sek", "nok", "dkk", "kr", "aud", "cad"]
)
# Words that multiply: 12k beside 500 isn't one unit.
MULTIPLIERS = frozenset(
    ["k", "m", "b", "t", "mn", "bn", "mio", "mil", "mrd", "tis", "thousand", "million", "lakh", "万", "亿"]
)
PLURALS = frozenset(["day", "week", "month", "quarter", "year", "hour", "time", "point", "payment", "instalment"])
KINDS = ("text", "number", "comma", "point", "percent", "money", "unit", "order")
AsKind = Literal["text", "number", "comma", "point", "percent", "money", "unit", "order"]
_SAME_WORDS = (frozenset({"rok", "roky", "roků", "let", "rokem"}), frozenset({"den", "dny", "dní", "dnů"}))
_NOT_WORDS = re.compile(r"[0-9.,'()+\-<> ]+")
_EXPONENT = re.compile(r"[-+]?[0-9.,]+e[-+]?[0-9]{1,2}|[-+]?inf(inity)?")
# As long in every cell: groups of three are a telephone number, three and more digits with letters close behind a code.
_UNIFORM = re.compile(r"[0-9]{3}( [0-9]{3})+|[0-9]{3,}[^\W\d_]+")
_PLAIN = Reading("number")


class Cells(NamedTuple):
    """Cells that are written alike (the same but for their digits): one of them, and how often."""

    example: str
    times: int


@dataclass(frozen=True)
class Choice:
    """The reading of a column (None: it stays text), what it reads, and what a person should know about that."""

    reading: Reading | None
    numbers: int = 0
    note: str = ""


def choose(
    cells: Sequence[Cells],
    name: str,
    filled: int,
    *,
    comma: bool | None,
    kind: AsKind | None = None,
    likely: bool = True,
) -> Choice:
    """The reading that understands at least 95 % of the ``filled`` cells of a column.

    ``comma``: whether numbers of the rest of the table have decimal commas, None when nothing says so. ``likely``:
    where nothing does, ``1,234`` may be taken for thousands, because the file itself is separated by commas.
    ``kind`` is somebody's own word for it: then the share doesn't matter. Raises ``ValueError`` naming the column
    when not one cell is of that kind.
    """
    if kind in (None, "order") and (
        levels := ranks({fold(cell.example) for cell in cells}, name, asked=kind == "order")
    ):
        return _ordered(levels, cells, filled)
    if kind == "order":
        shown = _listed(cell.example for cell in cells)
        raise ValueError(f"{name!r} can't be read as order: no known scale has all its levels, among them {shown}")
    best = max(_candidates(cells, kind), key=lambda reading: _understood(cells, reading))
    return _numbers(cells, name, filled, best, comma, kind, likely)


def _ordered(levels: tuple[tuple[str, float], ...], cells: Sequence[Cells], filled: int) -> Choice:
    reading = Reading("order", levels=levels)
    read = sorted({(reading.number(cell.example), cell.example.strip()) for cell in cells})
    ends = [text for _, text in read]
    shown = " < ".join(ends if len(ends) <= 6 else [*ends[:3], "…", ends[-1]])
    return Choice(reading, filled, f"ordered texts are read as ranks, {shown}; {filled:,} values")


def _candidates(cells: Sequence[Cells], kind: AsKind | None) -> list[Reading]:
    """A plain number, and one with each family of words that stands at numbers; both decimal marks of each."""
    words = Counter[str]()
    for cell in cells:
        words[_word(cell.example)] += cell.times
    bare = words.pop("", 0) and any(not math.isnan(_PLAIN.number(cell.example)) for cell in cells)
    words = Counter({word: count for word, count in words.items() if not (bare and word in MULTIPLIERS)})
    found = [_reading_with(_family(word, words)) for word, _ in words.most_common(3)]
    if kind not in (None, "number", "comma", "point"):
        found = [reading for reading in found if reading.kind == kind]
    return [replace(reading, comma=comma) for reading in [_PLAIN, *found] for comma in (False, True)]


def _word(text: str) -> str:
    """What stands at the number of a text: one word of letters or one sign, else nothing."""
    folded = fold(text)
    if not re.search("[0-9]", folded) or _EXPONENT.fullmatch(folded):
        return ""
    rest = _NOT_WORDS.sub("", folded)
    is_mask = len(rest) > 1 and len(set(rest)) == 1  # 123xx
    return rest if WORD.fullmatch(rest) and len(rest) <= 15 and not is_mask else ""


def _family(word: str, words: Iterable[str]) -> tuple[str, ...]:
    """The word and its other forms among ``words``: month and months, Jahr and Jahre, rok and let."""
    same = next((known for known in _SAME_WORDS if word in known), frozenset({word}))
    if word in CURRENCIES or len(word) < 3:
        return tuple(sorted(same & {word, *words}))
    stem = word.removesuffix("s")
    forms = {other for other in words if other.startswith(stem) and abs(len(other) - len(word)) <= 2}
    both = {stem, f"{stem}s"} if stem in PLURALS else set()
    return tuple(sorted({word, *forms, *(same & set(words)), *both}))


def _reading_with(words: tuple[str, ...]) -> Reading:
    kind: ReadingKind = "percent" if words == ("%",) else "money" if words[0] in CURRENCIES else "unit"
    return Reading(kind, words=words)


def _understood(cells: Sequence[Cells], reading: Reading) -> int:
    return sum(cell.times for cell in cells if not math.isnan(reading.number(cell.example)))


def _numbers(
    cells: Sequence[Cells],
    name: str,
    filled: int,
    best: Reading,
    comma: bool | None,
    kind: AsKind | None,
    likely: bool,
) -> Choice:
    point, other = replace(best, comma=False), replace(best, comma=True)
    either = [
        cell
        for cell in cells
        if not math.isnan(a := point.number(cell.example))
        and not math.isnan(b := other.number(cell.example))
        and a != b
    ]
    by_point, by_comma = _understood(cells, point), _understood(cells, other)
    if kind in ("comma", "point"):
        reading = other if kind == "comma" else point
    elif by_point != by_comma:
        reading = point if by_point > by_comma else other
    elif comma is not None:
        reading = other if comma else point
    elif not either or likely or best.kind == "money":
        reading = other if either and best.kind == "money" and "." in either[0].example else point
    else:
        return Choice(
            None,
            0,
            f"stays text: {either[0].example!r} has thousands or decimals; say --as {name}=comma or {name}=point",
        )
    numbers = _understood(cells, reading)
    if not numbers and kind:
        shown = _listed(cell.example for cell in cells)
        raise ValueError(f"{name!r} can't be read as {kind}: none of its values is one, among them {shown}")
    if kind is None and numbers < SHARE * filled:
        told = f"stays text, though {numbers:,} of its {filled:,} filled values are numbers"
        return Choice(None, numbers, told if 2 * numbers > filled else "")
    if kind is None and _is_code(cells, reading):
        return Choice(None, numbers, f"stays text like a telephone number or code; --as {name}=number reads numbers")
    return Choice(reading, numbers, _note(cells, reading, numbers, filled, either))


def _is_code(cells: Sequence[Cells], reading: Reading) -> bool:
    read = [cell.example.strip() for cell in cells if not math.isnan(reading.number(cell.example))]
    return len({len(text) for text in read}) == 1 and all(_UNIFORM.fullmatch(reading.fold(text)) for text in read)


def _note(cells: Sequence[Cells], reading: Reading, numbers: int, filled: int, either: Sequence[Cells]) -> str:
    """Such as: percent, 8,162 numbers, 3 not understood: 'abc', 'x'."""
    named = {"percent": "percent", "money": f"money in {'/'.join(reading.words)}", "number": "number"}
    parts = [named.get(reading.kind, f"number of {'/'.join(reading.words)}") + " with decimal comma" * reading.comma]
    parts.append(f"{numbers:,} number{'s' * (numbers != 1)}")
    bare = sum(cell.times for cell in cells if not _word(cell.example) and not math.isnan(reading.number(cell.example)))
    if reading.words and bare:
        parts.append(f"{bare:,} of them without {reading.words[0]}")
    if either:
        grouped = reading.comma == ("." in either[0].example)
        parts.append(f"{either[0].example!r} has {'thousands' if grouped else 'decimals'}")
    if numbers < filled:
        unread = (cell.example for cell in cells if math.isnan(reading.number(cell.example)))
        parts.append(f"{filled - numbers:,} not understood: {_listed(unread)}")
    return ", ".join(parts)


def _listed(texts: Iterable[str]) -> str:
    found = list(dict.fromkeys(texts))
    return ", ".join(repr(text) for text in found[:EXAMPLES]) + (" …" if len(found) > EXAMPLES else "")
