"""Which columns of an unknown table may be features, and which features look like the outcome in disguise.

Before binning ``profile`` and ``roles`` give every column a part and a reason; after it ``suspects`` names the
features that know more than an application can. Pure: the caller decides what is refused and what is warned of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import binomtest

from strata.models.binning.bin_counts import Floats
from strata.models.binning.woe_binning import BinnedFeature, Binning
from strata.models.evaluation.discrimination import auc_interval
from strata.models.evaluation.score_table import ScoreTable
from strata.models.samples.column_profiles import ColumnProfile, profile, suggests_date

__all__ = ["ColumnProfile", "Roles", "Suspect", "profile", "roles", "suggests_date", "suspects"]
SuspectKind = Literal["target in disguise", "implausible power", "filled by outcome", "missing by outcome"]
# Above the best honest single features (a bureau's score: 0.75); bins cost up to 0.02 of the raw column's AUC.
MOST_AUC = 0.78
# Filled for one outcome: so nearly pure, so many rows, so unlikely by chance, the other outcome so much rarer.
ONE_SIDED, FEWEST_FILLED, RARE_CHANCE, TIMES_RARER = 0.99, 30, 1e-6, 10.0


@dataclass(frozen=True)
class Roles:
    """The candidate ``features``; for every other column why it isn't one; the ``disguises`` among the latter."""

    features: tuple[str, ...]
    reasons: Mapping[str, str]
    disguises: tuple[str, ...] = ()


def roles(
    profiles: Sequence[ColumnProfile],
    names: Mapping[str, str],
    rows: int,
    *,
    target: str,
    time: str | None = None,
    id: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    exclude: Collection[str] = (),
) -> Roles:
    """Give each column a part. ``names`` maps columns to the names that sentences call them; ``rows`` are all rows.

    Raises ``ValueError`` when a named column is not there or has two parts, or when no feature is left.
    """
    given = {"target": target, "time": time, "id": id, "group": group, "weight": weight}
    parts = _parts({role: name for role, name in given.items() if name}, [p.name for p in profiles], exclude)
    reasons: dict[str, str] = {}
    for one in profiles:
        why = parts.get(one.name) or _why_not(one, rows, needs_time=time is None)
        if why:
            reasons[one.name] = f"{names.get(one.name, one.name)!r} {why}"
    features = tuple(one.name for one in profiles if one.name not in reasons)
    disguises = tuple(one.name for one in profiles if one.tells and one.name not in parts)
    if not features and not disguises:
        raise ValueError(f"features: no column is left; {'; '.join(reasons.values())}")
    return Roles(features, reasons, disguises)


PART_WORDS = {
    "target": "is the target",
    "time": "is the time that the test part is cut by",
    "id": "is the identifier",
    "group": "is the group whose rows stay together",
    "weight": "is the weight of the row",
    "exclude": "is excluded by name",
}


def _parts(given: Mapping[str, str], there: Sequence[str], exclude: Collection[str]) -> dict[str, str]:
    """Column to its given part. An identifier may be the group too."""
    parts: dict[str, str] = {}
    held: dict[str, str] = {}
    for role, name in [*given.items(), *(("exclude", name) for name in exclude)]:
        if name not in there:
            raise ValueError(f"{role}: there is no column {name!r}; there are {', '.join(there)}")
        other = held.setdefault(name, role)
        if other != role and {other, role} != {"id", "group"}:
            raise ValueError(f"{role}: {name!r} is the {other} already; name another column")
        parts[name] = PART_WORDS[other]
    return parts


def _why_not(one: ColumnProfile, rows: int, *, needs_time: bool) -> str | None:
    """Why a column can't be a feature; None when it can."""
    if one.filled == 0:
        return "is missing in all rows"
    if one.tells:
        return "is the target in other words: goods all have one value, bads all have another"
    if one.looks_like_a_date:
        return "is a date" + ("; name it with --time to test on the latest rows" if needs_time else "")
    if one.constant:
        return _constant(one, rows)
    if one.looks_like_an_identifier:
        return f"is an identifier: about {one.distinct:,} of {one.filled:,} values are different"
    return None


def _constant(one: ColumnProfile, rows: int) -> str | None:
    """A column with one value tells something only by being filled in some rows and not in others."""
    return "has one value in all rows" if one.filled == rows else None


class Suspect(NamedTuple):
    """A feature that knows too much, how, and the sentence that says so."""

    feature: str
    kind: SuspectKind
    sentence: str


def suspects(binning: Binning, good_total: float, bad_total: float) -> list[Suspect]:
    """The features that look as if the outcome had made them, each once, in the order of the binning.

    The totals are of all rows, in rows of mean weight. A feature all of whose bins are pure is the target in
    disguise; one with a lower 95 % end of AUC above 0.78 by itself is implausible; so is one that is filled (or
    missing) for one outcome only. Bins can't show a rarer outcome than their ``min_share``: ``Roles.disguises`` can.
    """
    found = (_suspect(name, binned, good_total, bad_total) for name, binned in binning.features.items())
    return [one for one in found if one is not None]


def _suspect(name: str, binned: BinnedFeature, goods: float, bads: float) -> Suspect | None:
    good, bad = np.asarray(binned.good) / binned.unit, np.asarray(binned.bad) / binned.unit
    filled = good + bad > 0
    if filled.sum() > 1 and not (good * bad).any():
        return Suspect(name, "target in disguise", f"{name!r} tells every outcome; it is the target in disguise")
    by_filling = _by_filling(name, binned, goods, bads)
    if by_filling:
        return by_filling
    interval = auc_interval(_ordered(np.asarray(binned.woe)[filled], good[filled], bad[filled]))
    if interval.low <= MOST_AUC:
        return None
    figures = f"AUC {interval.value:.3f}, {interval.method} from {interval.low:.3f}"
    return Suspect(name, "implausible power", f"{name!r} alone has {figures}: was it known before the outcome?")


def _ordered(woe: Floats, good: Floats, bad: Floats) -> ScoreTable:
    """The bins from the safest to the riskiest."""
    risk, place = np.unique(-woe, return_inverse=True)
    goods, bads = (np.bincount(place, part).astype(np.float64) for part in (good, bad))
    return ScoreTable(risk, goods, bads)


def _by_filling(name: str, binned: BinnedFeature, goods: float, bads: float) -> Suspect | None:
    """Filled, or missing, for one outcome only; special values are neither."""
    ordinary, missing = slice(0, binned.bins.ordinary), binned.bins.missing
    sides: tuple[tuple[SuspectKind, float, float], ...] = (
        ("filled by outcome", sum(binned.good[ordinary]), sum(binned.bad[ordinary])),
        ("missing by outcome", binned.good[missing], binned.bad[missing]),
    )
    for kind, weight_good, weight_bad in sides:
        good, bad = weight_good / binned.unit, weight_bad / binned.unit
        rest = (goods - good, bads - bad)
        for word, many, few, rest_many, rest_few in (
            ("bad", bad, good, rest[1], rest[0]),
            ("good", good, bad, rest[0], rest[1]),
        ):
            if _one_sided(many, few, rest_many, rest_few):
                state = kind.split(" ")[0]
                share = f"{many:,.0f} of the {many + few:,.0f} rows where it is {state}"
                words = f"{name!r} is {state} for one outcome: {share} are {word}"
                return Suspect(name, kind, f"{words}; was it written after the outcome?")
    return None


def _one_sided(many: float, few: float, rest_many: float, rest_few: float) -> bool:
    """Whether one outcome has these rows nearly alone, the others being mixed, and chance does not explain it."""
    rows, rest = many + few, rest_many + rest_few
    if rows < FEWEST_FILLED or many < ONE_SIDED * rows or rest_many <= 0 or rest_few <= 0:
        return False
    # A safe portfolio has nearly all goods everywhere: the other outcome must be far rarer here than elsewhere.
    if few / rows * TIMES_RARER > rest_few / rest:
        return False
    chance = binomtest(round(many), round(many) + round(few), rest_many / rest, alternative="greater").pvalue
    return bool(chance < RARE_CHANCE)
