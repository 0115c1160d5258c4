"""Empirical Bayes for the levels of a text: what each level's bad rate is worth after chance is taken out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def level_variation(good: Floats, bad: Floats, unit: float = 1.0) -> float:
    """The share of the variance μ(1 − μ) of an outcome that lies between levels; 0 when chance explains all of it.

    Method of moments of the beta-binomial model: Pearson's Q = Σ nᵢ(pᵢ − μ)² / (μ(1 − μ)) of levels that are all
    alike is K − 1 on average, and each unit of variation between levels adds N − Σnᵢ²/N − (K − 1) to it (Kleinman
    1973, "Proportions with extraneous variance"). ``good`` and ``bad`` are weights by level, ``unit`` that of a row.
    """
    n, bads = (good + bad) / unit, bad / unit
    n, bads = n[n > 0], bads[n > 0]
    rows, mean = n.sum(), bads.sum() / max(n.sum(), 1e-300)
    room = rows - (n @ n) / max(rows, 1e-300) - (len(n) - 1)
    if len(n) < 2 or not 0 < mean < 1 or room <= 0:
        return 0.0
    pearson = float((n * (bads / n - mean) ** 2).sum() / (mean * (1 - mean)))
    return float(np.clip((pearson - (len(n) - 1)) / room, 0.0, 1.0))


def shrunk_counts(good: Floats, bad: Floats, unit: float = 1.0) -> tuple[Floats, Floats]:
    """The goods and bads that each level is expected to have: its own rate drawn towards that of all levels.

    A level of n rows keeps the weight n / (n + s) of its own rate, where s = (1 − ρ) / ρ and ρ is
    ``level_variation``. Levels that differ by chance alone all get the common rate, so that their information value is
    0; levels of many rows, or that truly differ, keep theirs. Each level's total weight stays as it is.

    Example: of levels with 2 of 4, 0 of 4 and 3 of 6 bads, which differ by less than chance would have them, each is
    given the common rate 5/14.
    """
    variation = level_variation(good, bad, unit)
    total = good + bad
    mean = bad.sum() / max(total.sum(), 1e-300)
    prior = unit * (1 - variation) / variation if variation > 0 else np.inf
    own = np.zeros_like(total) if np.isinf(prior) else total / (total + prior)
    rate = own * np.divide(bad, total, out=np.zeros_like(bad), where=total > 0) + (1 - own) * mean
    return total * (1 - rate), total * rate
