"""Where to cut: approval, bad rate and profit at every cut-off of one grouped score table; two grades crossed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.models.binning.feature_bins import MISSING
from strata.models.evaluation.intervals import Z_95
from strata.models.evaluation.score_table import ScoreTable
from strata.models.samples.training_rows import column, require_column

MOST_CELLS = 10_000
ROUNDING = 1e-12


@dataclass(frozen=True)
class Economics:
    """What one case is worth over the horizon of the outcome; three amounts of one currency, none negative.

    ``profit_per_good`` and ``loss_per_bad`` (LGD × EAD) are of approved accounts; ``cost_per_application`` is
    paid for the refused too.
    """

    profit_per_good: float
    loss_per_bad: float
    cost_per_application: float = 0.0

    def __post_init__(self) -> None:
        for name, amount in asdict(self).items():
            if not 0 <= amount < math.inf:
                raise ValueError(f"{name}: {amount!r} is not an amount of at least 0")


def strategy_table(table: ScoreTable, *, economics: Economics) -> pd.DataFrame:
    """One row a cut-off, from the strictest (nobody, threshold −∞) to the loosest (everybody).

    A case is approved when its risk is at most ``threshold``; with minus a score for risk, when its score is
    at least −threshold. Columns: threshold, approved (weight), approval_rate, bad_rate (of the approved; NaN
    for nobody), bad_refused_rate and good_refused_rate (shares of all bads and of all goods), profit (total)
    and profit_per_application (of all, with ``low`` and ``high``, its pointwise 95 % interval: the normal
    one of a mean of payoffs, weights counting as rows). The outcomes must be those of everybody who would be
    approved, so of the old policy's rejects too (see ``rejects``). Thresholds of a table that isn't ``exact``
    are means of joined risks.
    """
    goods, bads = (np.concatenate([[0.0], np.cumsum(part)]) for part in (table.good, table.bad))
    approved, rows = goods + bads, table.rows
    gain, loss = economics.profit_per_good, economics.loss_per_bad
    gross = (goods * gain - bads * loss) / rows
    half = Z_95 * np.sqrt(np.maximum((goods * gain**2 + bads * loss**2) / rows - gross**2, 0.0) / rows)
    mean = gross - economics.cost_per_application
    with np.errstate(invalid="ignore"):
        bad_rate = bads / approved
    return pd.DataFrame(
        {
            "threshold": np.concatenate([[-np.inf], table.risk]),
            "approved": approved,
            "approval_rate": approved / rows,
            "bad_rate": bad_rate,
            "bad_refused_rate": 1 - bads / bads[-1],
            "good_refused_rate": 1 - goods / goods[-1],
            "profit": mean * rows,
            "profit_per_application": mean,
            "low": mean - half,
            "high": mean + half,
        }
    )


def best_cut_off(strategy: pd.DataFrame) -> pd.Series:
    """The row of ``strategy_table`` with the largest profit; of equal ones the strictest.

    Its profit flatters: it was the largest of many on these same rows. Measure it on others.
    """
    profit = strategy["profit"].to_numpy(np.float64)
    close = ROUNDING * (1 + np.abs(profit).max())
    return strategy.iloc[int(np.flatnonzero(profit >= profit.max() - close)[0])]


def cut_off_at(
    strategy: pd.DataFrame, *, approval_rate: float | None = None, bad_rate: float | None = None
) -> pd.Series:
    """The loosest row whose ``approval_rate``, or whose ``bad_rate``, is not above the one to keep.

    Every cut-off is looked at and none is interpolated: equal risks are approved or refused together.
    Raises ``ValueError`` unless exactly one rate is given and a cut-off that approves somebody keeps it.
    """
    given = {name: x for name, x in (("approval_rate", approval_rate), ("bad_rate", bad_rate)) if x is not None}
    if len(given) != 1:
        raise ValueError("approval_rate, bad_rate: give one of the two")
    (name, rate), *_ = given.items()
    kept = strategy[(strategy["approved"] > 0) & (strategy[name] <= rate + ROUNDING)]
    if kept.empty:
        least = strategy.loc[strategy["approved"] > 0, name].min()
        raise ValueError(
            f"{name}: no cut-off keeps it at {rate!r}; the least there is when anybody is approved: {least:.6g}"
        )
    return kept.iloc[-1]


def two_way(data: DataFrame, *, rows: str, columns: str, target: str) -> pd.DataFrame:
    """Two grades or segments crossed: ``two_way(…)["bad_rate"]`` is the matrix of rows by columns.

    Beside bad_rate (bads / known; NaN without known outcomes) there are count, known and bads. ``target`` is
    0/1, null where unknown; a null grade is "missing", the last. One scan and one shuffle of counts by cell.
    Raises ``ValueError`` naming a column that is absent, for outcomes that are not 0/1, and for more than
    10,000 cells.
    """
    for role, name in (("rows", rows), ("columns", columns), ("target", target)):
        require_column(data, role, name)
    outcome = column(target).cast("double")
    cells = (
        data.groupBy(column(rows).alias("row"), column(columns).alias("column"))
        .agg(
            F.count("*").alias("count"),
            F.count(outcome).alias("known"),
            F.count_if(outcome == 1).alias("bads"),
            F.count_if(~outcome.isin(0.0, 1.0)).alias("wrong"),
        )
        .limit(MOST_CELLS + 1)
        .collect()
    )
    if wrong := sum(cell["wrong"] for cell in cells):
        raise ValueError(f"target: {target!r} is neither 0, 1 nor null in {wrong} rows")
    down, across = (_levels([cell[axis] for cell in cells]) for axis in ("row", "column"))
    if len(cells) > MOST_CELLS or len(down) * len(across) > MOST_CELLS:
        raise ValueError(f"rows, columns: {rows!r} by {columns!r} has more than {MOST_CELLS:,} cells; group them first")
    counts = np.zeros((3, len(down), len(across)), np.int64)
    for cell in cells:
        counts[:, down[_key(cell["row"])], across[_key(cell["column"])]] += cell["count"], cell["known"], cell["bads"]
    return _matrices(
        counts, pd.Index([*down], name=rows, dtype=object), pd.Index([*across], name=columns, dtype=object)
    )


def _key(value: Any) -> Any:
    # NaN differs from itself; it is missing like null.
    return MISSING if value is None or value != value else value


def _levels(values: Iterable[Any]) -> dict[Any, int]:
    """The place of each level in rising order, missing last."""
    levels = {_key(value) for value in values}
    return {level: i for i, level in enumerate(sorted(levels, key=lambda x: (x == MISSING, x)))}


def _matrices(counts: np.ndarray[Any, np.dtype[np.int64]], down: pd.Index, across: pd.Index) -> pd.DataFrame:
    count, known, bads = counts
    with np.errstate(invalid="ignore", divide="ignore"):
        measures = {"count": count, "known": known, "bads": bads, "bad_rate": bads / known}
    matrices = {name: pd.DataFrame(values, down, across) for name, values in measures.items()}
    return pd.concat(matrices, axis=1, names=["measure"])
