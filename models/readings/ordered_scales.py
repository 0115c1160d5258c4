"""Texts that have an order: scales of words, grades such as A1 to G5, and ratings.

A column is only read as ordered when all its levels belong to one scale and each has a rank of its own. Cities, codes
and most letters have no order, and one that is made up would force the bins of a scorecard to follow it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

FEWEST_LEVELS, FEWEST_LETTERS = 3, 4
# Of each scale its ranks from the lowest to the highest, with the words for each, folded.
SCALES: tuple[tuple[str, ...], ...] = (
    ("very low", "low|lower", "medium|middle|mid|moderate|average|normal", "high|higher", "very high", "critical"),
    ("very small|tiny", "small", "medium|middle|mid", "large|big", "very large|huge"),
    ("very poor|very bad", "poor|bad", "fair|standard|average|satisfactory|ok", "good", "very good", "excellent"),
    ("never", "rarely|seldom", "sometimes|occasionally", "often|frequently|usually", "always"),
    ("none", "little|minor|mild", "moderate|medium", "major|severe"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("sehr niedrig", "niedrig|gering", "mittel", "hoch", "sehr hoch"),
    ("sehr klein", "klein", "mittel", "groß|gross", "sehr groß|sehr gross"),
    ("sehr schlecht", "schlecht", "mittel|mäßig|ausreichend", "gut", "sehr gut", "ausgezeichnet"),
    ("nie", "selten", "manchmal|gelegentlich", "oft|häufig", "immer"),
    ("velmi nízký|velmi nízká", "nízký|nízká|nízké", "střední", "vysoký|vysoká|vysoké", "velmi vysoký|velmi vysoká"),
    ("malý|malá|malé", "střední", "velký|velká|velké"),
    ("nikdy", "zřídka", "někdy|občas", "často", "vždy"),
    ("低", "中", "高"),
    ("极低", "很低", "较低", "低", "中|中等|一般", "较高", "高", "很高", "极高"),
    ("小", "中", "大"),
    ("很差", "差", "一般|中|中等", "良|良好|好", "优|优秀|很好"),
    ("从不", "很少", "有时|偶尔", "经常", "总是"),
)  # fmt: skip
_RATINGS = ("aaa", "aa", "a", "bbb", "bb", "b", "ccc", "cc", "c", "d")
RATINGS = tuple(f"{one}{sign}" for one in _RATINGS for sign in (("",) if one in ("aaa", "d") else ("+", "", "-")))
GRADE = re.compile("([a-z])([0-9]?)")
NAMED_GRADE = re.compile(
    r"(?<![a-z])(sub)?(grade|rating|class|tier|rank|score|note)s?(?![a-z])|stufe|bonit|třída|trida|等级|评级|级别|档"
)
WORDS = frozenset(word for scale in SCALES for rank in scale for word in rank.split("|")) | {
    rating for rating in RATINGS if len(rating) > 1
}

Ranks = tuple[tuple[str, float], ...]


def ranks(levels: Iterable[str], name: str, *, asked: bool = False) -> Ranks | None:
    """Every level of the scale that all ``levels`` (folded) belong to, with its rank; None without such a scale.

    The lowest level in use has rank 1. Words need three levels in use. Letters with one digit (A1 to G5) are grades
    when they begin at A, leave no letter out and fill at least half of their grid: product codes seldom do. Bare
    letters A, B, C, D, … are as often names of branches or variants, so they need four levels and a column whose name
    says grade, rating, class or the like.
    ``asked``: somebody says that the column is ordered, then two levels will do and the name doesn't matter.
    """
    found = set(levels)
    if len(found) < (2 if asked else FEWEST_LEVELS):
        return None
    for scale in SCALES:
        rank_of = {word: float(rank) for rank, words in enumerate(scale, 1) for word in words.split("|")}
        if found <= rank_of.keys() and len({rank_of[level] for level in found}) == len(found):
            return _numbered(scale, found)
    return _grades(found, name, asked) or _ratings(found)


def _numbered(scale: Sequence[str], found: set[str]) -> Ranks:
    """All words of the scale, 1 for the lowest in use: a level that is new later has its place among them."""
    first = next(place for place, words in enumerate(scale) if found & set(words.split("|")))
    return tuple((word, place - first + 1.0) for place, words in enumerate(scale) for word in words.split("|"))


def _grades(found: set[str], name: str, asked: bool) -> Ranks | None:
    matches = [GRADE.fullmatch(level) for level in sorted(found)]
    if not all(matches):
        return None
    parts = [(match[1], match[2]) for match in matches if match]
    letters, digits = sorted({letter for letter, _ in parts}), sorted({digit for _, digit in parts})
    every = [chr(code) for code in range(ord("a"), ord(letters[-1]) + 1)]
    numbered = [int(digit) for digit in digits if digit]
    if letters != every or numbered != list(range(min(numbered, default=1), max(numbered, default=0) + 1)):
        return None
    if not numbered:
        named = asked or (len(found) >= FEWEST_LETTERS and NAMED_GRADE.search(name.lower()) is not None)
        return tuple((letter, float(rank)) for rank, letter in enumerate(letters, 1)) if named else None
    if len(letters) < 2 or min(numbered) > 1 or 2 * len(found) < len(letters) * len(numbered):
        return None
    # A letter without a digit stands where it is; the grid is filled, for levels that come later.
    bare = [letter for letter, digit in parts if not digit]
    grid = sorted({*((letter, str(n)) for letter in letters if letter not in bare for n in numbered), *parts})
    return tuple((f"{letter}{digit}", float(rank)) for rank, (letter, digit) in enumerate(grid, 1))


def _ratings(found: set[str]) -> Ranks | None:
    """Ratings as agencies write them, from AAA to D; at least one must have several letters or a sign."""
    if not found <= set(RATINGS) or all(len(level) == 1 for level in found):
        return None
    return tuple((rating, float(rank)) for rank, rating in enumerate(RATINGS, 1))
