"""How many clusters: candidate numbers tried on a sample, with separation and stability for each.

Each candidate number k is fitted to a sample and to bootstrap resamples of it. Separation is the mean
silhouette of squared distances; stability is the adjusted Rand index (Hubert and Arabie 1985) between the
sample's clusters and those that each resample's centres give to the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

_TRIAL = "k int, silhouette double, stability double, stability_low double, smallest_share double"


@dataclass(frozen=True)
class Trial:
    """What one number of clusters gave: mean silhouette, mean and lowest adjusted Rand index, smallest share."""

    k: int
    silhouette: float
    stability: float
    stability_low: float
    smallest_share: float


def try_numbers(points: DataFrame, candidates: Sequence[int], *, bootstraps: int, seed: int) -> list[Trial]:
    """Try each k on ``points`` (``key``, ``values``: array of standardised doubles; a bounded sample).

    One job: the sample goes once to one task for each k (a shuffle of sample x candidates), which needs it
    in memory; one row for each k comes back.
    """
    numbers = F.explode(F.array(*[F.lit(k) for k in candidates])).alias("k")
    tried = points.select("key", "values", numbers).groupBy("k").applyInPandas(_trial(bootstraps, seed), _TRIAL)
    return [Trial(**row.asDict()) for row in tried.orderBy("k").collect()]


def choose(trials: Sequence[Trial], *, min_stability: float, min_share: float) -> tuple[Trial, str]:
    """The trial to use, and why in words.

    Among those whose mean stability and smallest share reach the bounds, the one with the highest
    silhouette (the smaller k when equal); when none does, the most stable one.
    """
    sound = [trial for trial in trials if trial.stability >= min_stability and trial.smallest_share >= min_share]
    if sound:
        best = max(sound, key=lambda trial: (trial.silhouette, -trial.k))
        told = f"highest silhouette ({best.silhouette:.3f}) of {len(sound)} numbers of clusters"
        bounds = f"stability of at least {min_stability:.2f} and no cluster under {100 * min_share:.0f} %"
        return best, f"k = {best.k}: {told} with {bounds}"
    best = max(trials, key=lambda trial: (trial.stability, -trial.k))
    return best, (
        f"k = {best.k}: no number of clusters is stable to {min_stability:.2f} with none under "
        f"{100 * min_share:.0f} %, so the most stable ({best.stability:.3f})"
    )


def silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette of squared Euclidean distances, in rows x clusters steps; a lone row counts 0."""
    names, own = np.unique(labels, return_inverse=True)
    sizes = np.bincount(own).astype(float)
    centres = np.stack([points[own == index].mean(axis=0) for index in range(len(names))])
    squares = np.einsum("ij,ij->i", points, points)
    spread = np.bincount(own, weights=squares) / sizes
    mean_distance = squares[:, None] + spread[None, :] - 2 * points @ centres.T
    rows = np.arange(len(points))
    inside = mean_distance[rows, own] * sizes[own] / np.maximum(sizes[own] - 1, 1)
    mean_distance[rows, own] = np.inf
    outside = mean_distance.min(axis=1)
    larger = np.maximum(np.maximum(inside, outside), np.finfo(float).tiny)
    return float(np.where(sizes[own] > 1, (outside - inside) / larger, 0.0).mean())


def _trial(bootstraps: int, seed: int) -> Callable[[tuple[int], pd.DataFrame], pd.DataFrame]:
    def trial(group: tuple[int], rows: pd.DataFrame) -> pd.DataFrame:
        k = int(group[0])
        points = np.stack(rows.sort_values("key")["values"].to_numpy())
        labels = KMeans(k, n_init=4, random_state=seed).fit_predict(points)
        random = np.random.default_rng([seed, k])
        agreements = [adjusted_rand_score(labels, _again(points, k, random)) for _ in range(bootstraps)]
        shares = np.bincount(labels, minlength=k) / len(points)
        found = [k, silhouette(points, labels), np.mean(agreements), np.min(agreements), shares.min()]
        return pd.DataFrame([found], columns=[part.split()[0] for part in _TRIAL.split(", ")])

    return trial


def _again(points: np.ndarray, k: int, random: np.random.Generator) -> np.ndarray:
    resample = points[random.integers(len(points), size=len(points))]
    seed = int(random.integers(2**31))
    return KMeans(k, n_init=4, random_state=seed).fit(resample).predict(points)
