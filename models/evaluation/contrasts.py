"""In which of very many features two groups differ: ranks within strata, permutations, false discovery rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, rankdata

Floats = NDArray[np.float64]


def contrasts(
    rows: pd.DataFrame,
    features: Sequence[str],
    *,
    outcome: str,
    stratum: str,
    draws: int = 9_999,
    least: int = 10,
    seed: int = 7,
) -> pd.DataFrame:
    """One row a feature, the surest difference first: rows with the outcome (1) against those without (0).

    Only rows of one stratum are compared, so what differs between strata alone is no difference. Columns:

    - ``known_with``, ``known_without``: rows of either group in which the feature is known; nulls are left out
      of its comparison;
    - ``auc``: the chance that a row with the outcome has the greater value than one of its stratum without;
      equal values count half, .5 is no difference (Mann and Whitney 1947, pairs added up over strata);
    - ``p_value``: how often outcomes dealt anew within strata are as far from .5; never 0, because the
      outcomes as they are count as one deal (Phipson and Smyth 2010). The least is 1 / (``draws`` + 1);
    - ``q_value``: the share of false finds among all features that are at least as sure (Benjamini and
      Hochberg 1995, over the features returned).

    Features known in fewer than ``least`` rows of either group, and constant ones, are left out. Memory is
    ``draws`` times features numbers. Raises ``ValueError`` when the outcome is not 0 or 1 or has one value.
    """
    hits = rows[outcome].to_numpy(np.float64)
    if set(np.unique(hits)) != {0.0, 1.0}:
        raise ValueError(f"outcome: {outcome!r} must hold 0 and 1, both of them and nothing else")
    values = rows[list(features)].to_numpy(np.float64)
    known = ~np.isnan(values)
    with_it, without = known[hits == 1].sum(axis=0), known[hits == 0].sum(axis=0)
    varies = np.array([len(np.unique(values[known[:, i], i])) > 1 for i in range(len(features))], bool)
    kept = varies & (with_it >= least) & (without >= least)
    names, values = [name for name, keep in zip(features, kept) if keep], values[:, kept]
    wins, pairs = _wins_and_pairs(values, hits, rows[stratum].to_numpy(), draws, np.random.default_rng(seed))
    auc = np.divide(wins, pairs, out=np.full_like(wins, 0.5), where=pairs > 0)
    distance = np.abs(auc - 0.5)
    p_value = (1 + (distance[1:] >= distance[0] - 1e-12).sum(axis=0)) / (draws + 1)
    found = pd.DataFrame(
        {
            "feature": names,
            "known_with": with_it[kept],
            "known_without": without[kept],
            "auc": auc[0],
            "p_value": p_value,
            "q_value": false_discovery_control(p_value) if names else [],
        }
    )
    surest = found.assign(far=(found["auc"] - 0.5).abs()).sort_values(["p_value", "far"], ascending=[True, False])
    return surest.drop(columns="far").reset_index(drop=True)


def _wins_and_pairs(
    values: Floats, hits: Floats, strata: NDArray[np.object_], draws: int, chance: np.random.Generator
) -> tuple[Floats, Floats]:
    """By deal (the outcomes as they are first) and feature: pairs won by rows with the outcome, and all pairs."""
    wins, pairs = np.zeros((2, draws + 1, values.shape[1]))
    for one in pd.unique(strata):
        inside = strata == one
        here, dealt = values[inside], np.tile(hits[inside], (draws + 1, 1))
        dealt[1:] = chance.permuted(dealt[1:], axis=1)
        known = (~np.isnan(here)).astype(np.float64)
        ranks = np.nan_to_num(rankdata(here, axis=0, nan_policy="omit"))
        with_it = dealt @ known
        wins += dealt @ ranks - with_it * (with_it + 1) / 2
        pairs += with_it * (known.sum(axis=0) - with_it)
    return wins, pairs
