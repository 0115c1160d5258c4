"""Figures of rankings of pairs: hits among the first of each list, and what a list of all pairs brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strata.models.evaluation.intervals import wilson
from tests.bench.kept import Measurement

Floats = NDArray[np.float64]
SCORES: Mapping[str, str] = {
    "link_probability": "trained",
    "walk_rank": "personalised PageRank, two steps",
    "full_rank": "personalised PageRank, to its end",
    "tie_strength": "tie strength",
    "prospect_degree_cnt": "popularity",
    "adamic_adar": "Adamic-Adar",
    "common_contact_cnt": "common neighbours",
}
SIDES = {"referrer_id": "of the referrer's prospects", "prospect_id": "of the prospect's referrers"}
FIRST, LISTS, RESAMPLES, SEED = (1, 5, 10), (100, 1_000), 1_000, 20261031


@dataclass(frozen=True)
class Split:
    """A half-year: pairs at its start (``came_id``: whom it brought, else null), all referrals, and those possible.

    ``known`` counts the referrals by somebody who was a customer at the start.
    """

    since: str
    until: str
    pairs: pd.DataFrame
    true: int
    known: int

    @property
    def hit(self) -> NDArray[np.bool_]:
        """Whether each pair became a referral."""
        return self.pairs["came_id"].notna().to_numpy()


def split_figures(split: Split) -> Measurement:
    """Sizes, and the share of true referrals that is among the candidates."""
    found = split.pairs[split.hit]
    n = found["came_id"].nunique()
    low, high = wilson(n, split.true)
    return {
        "since": split.since, "until": split.until, "pairs": len(split.pairs), "true": split.true, "known": split.known,
        "found": n, "recall": [n / split.true, float(low), float(high)],
        "direct": int(found.loc[found["step_cnt"] == 1, "came_id"].nunique()), "rate": float(split.hit.mean()),
        "hits": {score: {side: [float(v) for v in _hits(split, score, side).mean(axis=0)] for side in SIDES}
                 for score in SCORES},
    }  # fmt: skip


def compared(splits: Sequence[Split]) -> Measurement:
    """Hit rates over all half-years, and how much better the trained ranking is, with bootstrap intervals."""
    rng = np.random.default_rng(SEED)
    n = sum(split.true for split in splits)
    drawn = rng.integers(0, n, (RESAMPLES, n))
    found: Measurement = {}
    for side in SIDES:
        hits = {score: np.concatenate([_hits(split, score, side) for split in splits]) for score in SCORES}
        best = hits["link_probability"]
        found[side] = {
            score: {"rate": _spans(values, drawn), "less": _spans(best - values, drawn)}
            for score, values in hits.items()
        }
    return found


def lists(splits: Sequence[Split]) -> Measurement:
    """Precision of the first pairs of each half-year's list of all, referrers drawn again for intervals."""
    found: Measurement = {}
    drawn = [_weights(split) for split in splits]
    for size in LISTS:
        means = {
            score: np.mean([_precision(split, score, size, w) for split, w in zip(splits, drawn)], axis=0)
            for score in SCORES
        }
        best = means["link_probability"]
        found[str(size)] = {
            score: {"precision": _ends(values), "less": _ends(best - values)} for score, values in means.items()
        }
    return found


def _hits(split: Split, score: str, side: str) -> Floats:
    """For each true referral, the chance to be among the first k of its list; equals stand in random order."""
    pairs = split.pairs
    group, value = pd.factorize(pairs[side])[0], pairs[score].to_numpy(float)
    order = np.lexsort((-value, group))
    place = np.empty(len(pairs))
    place[order] = np.arange(len(pairs)) - np.searchsorted(group[order], group[order])
    run = pd.DataFrame({"group": group, "value": value, "place": place}).groupby(["group", "value"])["place"]
    before, equal = run.transform("min").to_numpy()[split.hit], run.transform("size").to_numpy()[split.hit]
    chance = np.clip((np.array(FIRST)[None, :] - before[:, None]) / equal[:, None], 0, 1)
    # Who had two phones could have been found by either.
    by_person = pd.DataFrame(chance).groupby(pairs.loc[split.hit, "came_id"].to_numpy()).max().to_numpy()
    return np.vstack([by_person, np.zeros((split.true - len(by_person), len(FIRST)))])


def _spans(values: Floats, drawn: NDArray[np.int64]) -> list[list[float]]:
    """For each k the mean, and its 95 % interval over drawn referrals."""
    means = values[drawn].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    return [[float(v) for v in three] for three in zip(values.mean(axis=0), low, high)]


def _weights(split: Split) -> Floats:
    """How often each pair's referrer is drawn: once in the first row, then by chance."""
    place, names = pd.factorize(split.pairs["referrer_id"])
    rng = np.random.default_rng(SEED)
    counts = np.vstack(
        [np.ones(len(names)), rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)]
    )
    return counts[:, place].astype(np.float32)


def _precision(split: Split, score: str, size: int, weights: Floats) -> Floats:
    """The share of referrals among the first ``size`` pairs, by row of weights; equals stand in random order."""
    value = split.pairs[score].to_numpy(float)
    ordered = np.unique(-value)
    # No draw of referrers reaches beyond ten times the list.
    level = np.searchsorted(ordered, -value)
    far = int(np.searchsorted(np.cumsum(np.bincount(level)), 10 * size)) + 1
    near = np.flatnonzero(level < far)
    near = near[np.argsort(level[near], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(level[near]) > 0])
    pairs = np.add.reduceat(weights[:, near], starts, axis=1)
    hits = np.add.reduceat(weights[:, near] * split.hit[near], starts, axis=1)
    room = np.clip(size - (np.cumsum(pairs, axis=1) - pairs), 0, pairs)
    return (hits * np.divide(room, pairs, out=np.zeros_like(pairs), where=pairs > 0)).sum(axis=1) / size


def _ends(values: Floats) -> list[float]:
    """The value as it is and its 95 % interval over drawn referrers."""
    return [float(values[0]), *(float(end) for end in np.quantile(values[1:], (0.025, 0.975)))]
