"""The swap set: whom a new card approves in the place of whom, and which of the two turned out better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from strata.models.evaluation.intervals import Interval, newcombe, wilson
from strata.models.samples.training_rows import column, require_column

GROUPS = {
    (True, True): "approved by both",
    (False, True): "swap-in",
    (True, False): "swap-out",
    (False, False): "refused by both",
}
CARDS = ("champion", "challenger")
ROUNDING = 1e-12


@dataclass(frozen=True)
class SwapSet:
    """What changes when the challenger takes the champion's place.

    ``table`` is indexed by group: approved by both, swap-in (by the challenger only), swap-out (by the
    champion only), refused by both; columns count (weight), known (weight of rows with an outcome), bads,
    bad_rate of the known, and its Wilson interval low and high, NaN without known outcomes. A case is
    approved when its score is at least its card's cut-off in ``cut_offs`` (champion, challenger).
    ``difference`` is the bad rate of the swapped in minus that of the swapped out with Newcombe's interval:
    below 0 the challenger is better; NaN while one of the groups has no known outcome.
    """

    table: pd.DataFrame
    cut_offs: tuple[float, float]
    difference: Interval


def swap_set(
    data: DataFrame,
    *,
    target: str,
    champion: str,
    challenger: str,
    approve: float | None = None,
    cut_offs: tuple[float, float] | None = None,
    weight: str | None = None,
    level: float = 0.95,
) -> SwapSet:
    """Cross the decisions of two score columns (higher is safer), at one approval rate or at given cut-offs.

    ``approve`` is the share of cases (of weight) that each card may approve: its cut-off is the lowest score
    that approves no more, exactly; equal scores stay together, so cards with coarse scores approve a little
    less. ``target`` is 0/1 and null where the outcome is unknown, as for the old policy's rejects; a swap-in
    rate of the few that are known speaks for those only. Weights count as rows in the intervals. One pass
    for the cut-offs (a shuffle of distinct scores and a window over them), one for the counts.

    Raises ``ValueError`` naming a column that is absent or the number of rows with a score that is no
    number, an outcome not 0/1 or a weight that is null or negative, unless one of ``approve`` and
    ``cut_offs`` is given, and when ``approve`` lets nobody in.
    """
    _check(
        data, {"target": target, "champion": champion, "challenger": challenger, "weight": weight}, approve, cut_offs
    )
    rows = data.select(
        column(champion).cast("double").alias("champion"),
        column(challenger).cast("double").alias("challenger"),
        column(target).cast("double").alias("bad"),
        (column(weight).cast("double") if weight else F.lit(1.0)).alias("weight"),
    )
    ends = cut_offs or _cut_offs(rows, approve or 0.0)
    table = _rated(_counted(rows, ends), level)
    if approve is not None and math.inf in ends:
        name = (champion, challenger)[ends.index(math.inf)]
        raise ValueError(f"approve: {approve!r} lets nobody in, more than that share have the safest {name!r}")
    counts = (float(table.at[group, name]) for group in ("swap-in", "swap-out") for name in ("bads", "known"))
    return SwapSet(table, ends, newcombe(*counts, level=level))


def _check(
    data: DataFrame, columns: Mapping[str, str | None], approve: float | None, cut_offs: tuple[float, float] | None
) -> None:
    if (approve is None) == (cut_offs is None):
        raise ValueError("approve, cut_offs: give one of the two")
    if approve is not None and not 0 < approve <= 1:
        raise ValueError(f"approve: {approve!r} is not a share above 0 and up to 1")
    for role, name in columns.items():
        if name is not None:
            require_column(data, role, name)


def _cut_offs(rows: DataFrame, approve: float) -> tuple[float, float]:
    """The lowest score of each card that approves no more than the share; infinite when even the safest does."""
    scores = F.array(*[F.struct(F.lit(card).alias("card"), F.col(card).alias("score")) for card in CARDS])
    parts = rows.select("weight", F.explode(scores).alias("of")).groupBy("of.card", "of.score")
    card = Window.partitionBy("card")
    safer = card.orderBy(F.desc("score")).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    share = F.sum("weight").over(safer) / F.sum("weight").over(card)
    shares = parts.agg(F.sum("weight").alias("weight")).select("card", "score", share.alias("share"))
    lowest = shares.where(F.col("share") <= approve + ROUNDING).groupBy("card").agg(F.min("score").alias("score"))
    found = {row["card"]: row["score"] for row in lowest.collect()}
    champion, challenger = (float(found.get(name, math.inf)) for name in CARDS)
    return champion, challenger


def _counted(rows: DataFrame, cut_offs: tuple[float, float]) -> pd.DataFrame:
    old, new = (F.coalesce(F.col(card) >= float(end), F.lit(False)) for card, end in zip(CARDS, cut_offs, strict=True))
    weight, bad = F.col("weight"), F.col("bad")
    found = rows.groupBy(old.alias("old"), new.alias("new")).agg(
        F.sum(weight).alias("count"),
        F.sum(F.when(bad.isNotNull(), weight).otherwise(0.0)).alias("known"),
        F.sum(F.when(bad == 1, weight).otherwise(0.0)).alias("bads"),
        F.count_if(_wrong()).alias("wrong"),
    )
    cells = {GROUPS[row["old"], row["new"]]: row for row in found.collect()}
    if wrong := sum(row["wrong"] for row in cells.values()):
        raise ValueError(f"data: a score or weight is no number, or an outcome neither 0, 1 nor null, in {wrong} rows")
    if not cells:
        raise ValueError("data: there are no rows to compare on")
    names, figures = [*GROUPS.values()], ["count", "known", "bads"]
    counts = [[cells[name][figure] if name in cells else 0.0 for figure in figures] for name in names]
    return pd.DataFrame(counts, pd.Index(names, name="group"), figures, dtype=np.float64)


def _wrong() -> Column:
    numbers = [F.col(name).isNull() | F.isnan(name) for name in (*CARDS, "weight")]
    outcome = F.col("bad").isNotNull() & ~F.col("bad").isin(0.0, 1.0)
    return reduce(Column.__or__, [*numbers, F.col("weight") < 0, outcome])


def _rated(counts: pd.DataFrame, level: float) -> pd.DataFrame:
    low, high = wilson(counts["bads"], counts["known"], level=level)
    return counts.assign(bad_rate=counts["bads"] / counts["known"], low=low, high=high)
