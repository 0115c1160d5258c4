"""Whether a feature's distribution moves over time, whether chance explains it, and whether its risk turns round.

Small vintages are merged first, so that a quarter of 24 rows can't condemn a feature. A feature that moves but keeps
its meaning is warned of; one whose risk turns round is of no use later, however stable its distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import random_table

from strata.models.binning.monotone_merge import woe_iv
from strata.models.evaluation.discrimination import auc_interval, psi
from strata.models.evaluation.intervals import Interval
from strata.models.evaluation.score_table import ScoreTable

if TYPE_CHECKING:
    from strata.models.binning.woe_binning import BinnedFeature

Floats = NDArray[np.float64]
Movement = Literal["steady", "shifted", "reversed"]
# A period is judged alone from so many rows and so many of each outcome on.
FEWEST_ROWS, FEWEST_OUTCOMES = 200, 20
DRAWS, LEVEL, SEED = 500, 0.99, 20_240_101
# The normal deviate of a two-sided 99 % interval over that of the 95 % one that ``auc_interval`` gives.
WIDER = 2.575829 / 1.959964


class Stretch(NamedTuple):
    """Neighbouring periods as one: the first and the last name, and counts by (code, good or bad), in rows."""

    first: str
    last: str
    counts: Floats

    @property
    def name(self) -> str:
        """The period, or the first and the last."""
        return self.first if self.first == self.last else f"{self.first} to {self.last}"


class Shift(NamedTuple):
    """How far a stretch's distribution over the bins is from the rest, and the PSI that chance alone stays under."""

    period: str
    against: str
    psi: float
    noise: float


@dataclass(frozen=True)
class Drift:
    """What time does to a feature.

    ``shift`` is the largest shift found: of the later half against the earlier one if that is above the limit, else of
    one stretch against all others. ``later_auc`` is the AUC on the later half of the feature's WOE, which all periods
    taught: under 0.5 the card would count against what is true by now. ``movement`` is ``reversed`` when its whole
    99 % interval is under 0.5, ``shifted`` when the PSI is above both the limit and what chance explains.
    """

    movement: Movement
    shift: Shift
    later_auc: Interval

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        area, shift = self.later_auc, self.shift
        taught = f"its WOE has AUC {area.value:.3f} ({area.low:.3f} to {area.high:.3f}) on the later half"
        if self.movement == "reversed":
            return f"its risk turns round: {taught}"
        moved = f"PSI {shift.psi:.2f} of {shift.period} against {shift.against}"
        bound = f"chance alone stays under {shift.noise:.2f}"
        return f"{moved} ({bound}); {taught}"


def stretches(binned: BinnedFeature) -> list[Stretch]:
    """Neighbouring periods merged until each has 200 rows, 20 goods and 20 bads; what is left joins the last."""
    parts: list[Stretch] = []
    pending: Stretch | None = None
    for period in binned.periods:
        counts = np.stack([period.good, period.bad], axis=1) / binned.unit
        pending = (
            Stretch(period.period, period.period, counts)
            if pending is None
            else _joined(pending, period.period, counts)
        )
        if _is_enough(pending.counts):
            parts.append(pending)
            pending = None
    if pending is not None and parts:
        parts[-1] = _joined(parts[-1], pending.last, pending.counts)
    return parts


def _joined(stretch: Stretch, last: str, counts: Floats) -> Stretch:
    return Stretch(stretch.first, last, stretch.counts + counts)


def _is_enough(counts: Floats) -> bool:
    return bool(counts.sum() >= FEWEST_ROWS and counts.sum(axis=0).min() >= FEWEST_OUTCOMES)


def find_drift(binned: BinnedFeature, limit: float) -> Drift | None:
    """How the feature moves over its periods; None when they are too thin for two stretches.

    ``limit`` is the PSI from which a shift matters, chance apart. Chance is found by drawing tables of the same
    margins (``scipy.stats.random_table``): the 99th percentile of what such tables show, over all stretches.
    """
    parts = stretches(binned)
    if len(parts) < 2:
        return None
    early, late = _halves(parts)
    area = _later_auc(early.counts + late.counts, late.counts)
    shift = _largest_shift(parts, early, late, limit)
    if area.high < 0.5:
        return Drift("reversed", shift, area)
    return Drift("shifted" if shift.psi > max(limit, shift.noise) else "steady", shift, area)


def _halves(parts: Sequence[Stretch]) -> tuple[Stretch, Stretch]:
    """The earlier and the later stretches, cut where the rows are halved best."""
    rows = np.cumsum([part.counts.sum() for part in parts])
    cut = 1 + int(np.abs(rows[:-1] - rows[-1] / 2).argmin())
    first, second = parts[:cut], parts[cut:]
    return _whole(first), _whole(second)


def _whole(parts: Sequence[Stretch]) -> Stretch:
    return Stretch(parts[0].first, parts[-1].last, np.sum([part.counts for part in parts], axis=0))


def _largest_shift(parts: Sequence[Stretch], early: Stretch, late: Stretch, limit: float) -> Shift:
    halves = np.stack([early.counts.sum(axis=1), late.counts.sum(axis=1)])
    trend = Shift(late.name, early.name, psi(*halves), chance_psi(halves, limit))
    if trend.psi > max(limit, trend.noise) or len(parts) == 2:
        return trend
    table = np.stack([part.counts.sum(axis=1) for part in parts])
    values = psi_by_row(table)
    worst = int(values.argmax())
    return Shift(parts[worst].name, "the other periods", float(values[worst]), chance_psi(table, limit))


def psi_by_row(tables: Floats) -> Floats:
    """PSI of each row of tables of counts (…, period, bin) against the sum of that table's other rows."""
    rest = tables.sum(axis=-2, keepdims=True) - tables
    shares = []
    for side in (tables, rest):
        empty = 0.5 * np.minimum(np.where(side > 0, side, np.inf).min(axis=-1, keepdims=True), 1.0)
        shares.append(np.where(side > 0, side, empty) / side.sum(axis=-1, keepdims=True))
    own, others = shares
    used = tables + rest > 0
    return np.where(used, (own - others) * np.log(own / others), 0.0).sum(axis=-1)


def chance_psi(table: Floats, limit: float) -> float:
    """What the largest PSI of a row stays under in 99 of 100 tables of these margins, if nothing moves.

    Counts are rounded to whole rows. 0 when no row is above ``limit``: then nobody asks.
    """
    if psi_by_row(table).max() <= limit:
        return 0.0
    whole = table.round().astype(np.int64)
    whole = whole[:, whole.sum(axis=0) > 0]
    drawn = random_table(whole.sum(axis=1), whole.sum(axis=0)).rvs(DRAWS, random_state=np.random.default_rng(SEED))
    return float(np.quantile(psi_by_row(drawn.astype(np.float64)).max(axis=-1), LEVEL))


def _later_auc(whole: Floats, late: Floats) -> Interval:
    """AUC on the later rows of the WOE that all rows teach, with its 99 % interval."""
    woe, _ = woe_iv(whole[:, 0], whole[:, 1], *np.maximum(whole.sum(axis=0), 1.0))
    risk, place = np.unique(-woe, return_inverse=True)
    good, bad = (np.bincount(place, side, len(risk)).astype(np.float64) for side in late.T)
    found = auc_interval(ScoreTable(risk, good, bad))
    below, above = found.value - found.low, found.high - found.value
    return Interval(found.value, found.value - WIDER * below, found.value + WIDER * above, "DeLong 99 %")
