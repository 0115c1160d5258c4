"""The bins of one feature as a value: where a raw value falls. Used for pre-bins and for final bins."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strata.models.binning.edge_rounding import short_between
from strata.models.readings.text_readings import Reading

Codes = NDArray[np.int16]
MISSING, UNSEEN, RARE, NO_LEVEL = "missing", "unseen", "(rare or unseen)", "no level"
SEPARATOR = " | "
TAKEN = re.compile(rf"(?s)|{MISSING}|{UNSEEN}|{re.escape(RARE)}|\({NO_LEVEL}.*|special .*|\".*|\s.*|.*\s|.*[|\n\r].*")


@dataclass(frozen=True)
class FeatureBins:
    """Codes of a feature: ordinary bins first, then one per special value, missing, and (text) unseen.

    A number falls in [a, b) between neighbouring ``edges``, from −∞ to +∞ (+∞ itself is in the last bin);
    a text falls in the group of levels that lists it. ``rest`` is the group that takes levels which no
    group lists (rare ones were grouped there); without it they are unseen, a bin that tells nothing. ``reading``
    says how texts of a number are read where raw rows are scored.
    """

    feature: str
    kind: Literal["number", "text"]
    edges: tuple[float, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    specials: tuple[float | str, ...] = ()
    rest: int | None = None
    reading: Reading | None = None

    @cached_property
    def edge_array(self) -> NDArray[np.float64]:
        """The edges for searching: turning them into an array takes longer than counting some thousand values."""
        return np.asarray(self.edges, np.float64)

    @property
    def ordinary(self) -> int:
        """Number of ordinary bins."""
        return len(self.edges) + 1 if self.kind == "number" else len(self.groups)

    @property
    def missing(self) -> int:
        """Code of null and NaN."""
        return self.ordinary + len(self.specials)

    @property
    def size(self) -> int:
        """Number of codes."""
        return self.missing + (1 if self.kind == "number" else 2)

    def labels(self) -> list[str]:
        """What each code is called, in order; no two are the same.

        Numbers are written with as many digits as they need to be read back exactly. A level stands as it is; one that
        could be taken for another label, or for several levels, stands in quotes, as a JSON text: an empty one, one
        with blanks around it, with ``|`` or a line break, one that begins with a quote or with ``special`` and a
        blank, and those that are called ``missing``, ``unseen``, ``(rare or unseen)`` or ``(no level)``. So labels
        can be read back.
        """
        if self.kind == "number":
            ends = ["-inf", *map(short, self.edges), "inf"]
            names = [f"[{a}, {b})" for a, b in zip(ends[:-1], ends[1:], strict=True)]
        else:
            names = [self._group_label(i) for i in range(len(self.groups))]
        names += [f"special {_level(value) if isinstance(value, str) else short(value)}" for value in self.specials]
        return [*names, MISSING] if self.kind == "number" else [*names, MISSING, UNSEEN]

    def _group_label(self, i: int) -> str:
        levels = [_level(level) for level in self.groups[i]] + ([RARE] if i == self.rest else [])
        nth = sum(not group and j != self.rest for j, group in enumerate(self.groups[:i]))
        return SEPARATOR.join(levels) or (f"({NO_LEVEL} {nth + 1})" if nth else f"({NO_LEVEL})")

    def codes(self, values: pd.Series | NDArray[Any]) -> Codes:
        """Codes of raw values: float64 with NaN for missing when a number, objects with None when text."""
        return self._number_codes(values) if self.kind == "number" else self._text_codes(values)

    def _number_codes(self, values: pd.Series | NDArray[Any]) -> Codes:
        raw = np.asarray(values, dtype=np.float64)
        codes = self.edge_array.searchsorted(raw, side="right").astype(np.int16)
        for i, special in enumerate(self.specials):
            codes[raw == special] = self.ordinary + i
        codes[np.isnan(raw)] = self.missing
        return codes

    def _text_codes(self, values: pd.Series | NDArray[Any]) -> Codes:
        raw = np.asarray(values, dtype=object)
        code_of: dict[str, int] = {level: i for i, levels in enumerate(self.groups) for level in levels}
        code_of |= {str(value): self.ordinary + i for i, value in enumerate(self.specials)}
        known = pd.Index(list(code_of), dtype=object)
        numbers = np.asarray([*code_of.values(), self.missing + 1 if self.rest is None else self.rest], np.int16)
        codes = numbers[known.get_indexer(raw)]
        codes[pd.isna(raw)] = self.missing
        return codes

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON (infinity as the text ``inf`` or ``-inf``); ``from_dict`` gives an equal value back."""
        common: dict[str, Any] = {"feature": self.feature, "kind": self.kind, "specials": _plain(self.specials)}
        if self.kind == "number":
            reading = {"reading": self.reading.to_dict()} if self.reading else {}
            return common | {"edges": _plain(self.edges)} | reading
        return common | {"groups": [list(levels) for levels in self.groups], "rest": self.rest}

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> FeatureBins:
        """The bins that ``to_dict`` wrote."""
        number = plain["kind"] == "number"
        return FeatureBins(
            plain["feature"],
            plain["kind"],
            tuple(float(edge) for edge in plain.get("edges", ())),
            tuple(tuple(levels) for levels in plain.get("groups", ())),
            tuple(float(value) if number else value for value in plain["specials"]),
            plain.get("rest"),
            Reading.from_dict(plain["reading"]) if plain.get("reading") else None,
        )


def short(value: float) -> str:
    """The shortest text that reads back as exactly ``value``, without a needless ``.0``."""
    return repr(float(value)).removesuffix(".0")


def _plain(values: Sequence[float | str]) -> list[float | str]:
    """Values for JSON, which has no infinite numbers."""
    return [short(value) if isinstance(value, float) and math.isinf(value) else value for value in values]


def _level(text: str) -> str:
    """A level as it stands in a label."""
    return json.dumps(text, ensure_ascii=False) if TAKEN.fullmatch(text) else text


def number_edges(values: NDArray[np.float64], most: int) -> tuple[float, ...]:
    """Candidate edges among ``values``: below every distinct finite value but the least, or below ``most`` quantiles.

    An edge is the shortest decimal between its value and the one before (``short_between``): between neighbouring
    values it divides them as its value would, between quantiles anywhere among the rows of that quantile.
    """
    finite = np.sort(values[np.isfinite(values)])
    distinct = np.unique(finite)
    chosen = distinct[1:]
    if len(chosen) > most:
        picks = np.linspace(0, len(finite) - 1, most + 2)[1:-1].round().astype(int)
        chosen = np.setdiff1d(finite[picks], distinct[:1])
    below = np.concatenate([distinct[:1], chosen[:-1]])[: len(chosen)]
    return tuple(short_between(below, chosen).tolist())


def merged_groups(groups: Sequence[tuple[str, ...]], members: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], ...]:
    """Levels of merged groups, each sorted by name so that equal data give equal text."""
    return tuple(tuple(sorted(level for i in part for level in groups[i])) for part in members)
