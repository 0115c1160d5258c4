"""How news of an offer passes along ties, and how many take it up: the model of the microfinance villages.

Banerjee, Chandrasekhar, Duflo and Jackson, "The Diffusion of Microfinance", Science 341 (2013) 1236498. Seeds hear
first. Whoever hears decides once, with a chance of its own. In every round everybody who has heard tells each
neighbour with one probability if they took the offer up and with another if not. Nobody's choice depends on what
neighbours chose, only on whether word came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strata.graph.algorithms.arrays import Floats, Ints
from strata.graph.algorithms.inputs import GraphError

Bools = NDArray[np.bool_]
MOMENTS = (
    "take-up of who is no seed",
    "take-up where a neighbour is a seed that took",
    "take-up where the neighbouring seeds took not",
    "covariance with the neighbours' share",
    "covariance with the share two steps away",
)


@dataclass(frozen=True)
class Community:
    """People (n) among whom word passes: who is tied to whom, who hears first, each one's chance to take if told.

    ``ties`` is a symmetric n x n matrix of 0 and 1 with an empty diagonal.
    """

    ties: Floats
    seeds: Ints
    chance: Floats

    @property
    def n(self) -> int:
        """Number of people."""
        return len(self.ties)

    @cached_property
    def far(self) -> Floats:
        """Who is exactly two steps away, as ``ties``."""
        far = ((self.ties @ self.ties > 0) & (self.ties == 0)).astype(float)
        np.fill_diagonal(far, 0.0)
        return far


class Sharing(NamedTuple):
    """Probability to tell a neighbour in a round: of who took the offer up, and of who did not."""

    taker: float
    other: float


class Fit(NamedTuple):
    """The chosen ``sharing``, and the squared distance of moments at every point of ``grid``."""

    sharing: Sharing
    grid: tuple[Sharing, ...]
    distance: Floats


def community(n: int, src: Ints, dst: Ints, seeds: Ints, chance: Floats) -> Community:
    """A community from ties in any order or direction, loops and repeats left out; raises ``GraphError``.

    ``src``, ``dst`` and ``seeds`` are codes below ``n``; ``chance`` (n) holds probabilities.
    """
    for name, codes in (("src", src), ("dst", dst), ("seeds", seeds)):
        if len(codes) and not 0 <= min(codes) <= max(codes) < n:
            raise GraphError(f"{name}: codes from 0 to {n - 1} are expected; there is {max(codes)} or {min(codes)}")
    if len(chance) != n or not ((chance >= 0) & (chance <= 1)).all():
        raise GraphError(f"chance: {n} probabilities are expected")
    ties = np.zeros((n, n))
    ties[src, dst] = ties[dst, src] = 1.0
    np.fill_diagonal(ties, 0.0)
    return Community(ties, np.asarray(seeds, np.int64), np.asarray(chance, float))


def spread(among: Community, sharing: Sharing, *, rounds: int, draws: int, seed: int = 0) -> tuple[Bools, Bools]:
    """Who had heard and who had taken after ``rounds``, in each of ``draws`` simulations (draws x n each).

    Ties are independent, so somebody with a takers and b others among the neighbours that heard misses the news of a
    round with probability (1 - taker)^a (1 - other)^b. A round is one dense product, and a random number
    for each draw and person.
    Raises ``GraphError`` on numbers that are no probabilities or counts.
    """
    _check(sharing, rounds, draws)
    rng = np.random.default_rng(seed)
    heard = np.zeros((draws, among.n), bool)
    heard[:, among.seeds] = True
    willing = rng.random((draws, among.n)) < among.chance
    silent = np.log1p(-np.minimum(sharing, 1 - 1e-15))
    for _ in range(rounds):
        pull = np.where(willing, silent[0], silent[1]) * heard
        missed = np.exp(pull @ among.ties)
        heard |= rng.random((draws, among.n)) >= missed
    return heard, heard & willing


def expected_take_up(
    among: Community, sharing: Sharing, *, rounds: int, draws: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Expected share that takes the offer up, seeds too, and the standard error of the simulation."""
    shares = spread(among, sharing, rounds=rounds, draws=draws, seed=seed)[1].mean(axis=1)
    return float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(draws))


def moments(among: Community, taken: NDArray[np.generic]) -> Floats:
    """``MOMENTS`` of outcomes (draws x n, or n): the mean over draws; those of an empty group are 0."""
    took = np.atleast_2d(taken).astype(float)
    is_seed = np.zeros(among.n)
    is_seed[among.seeds] = 1.0
    rest = np.broadcast_to(1 - is_seed, took.shape)
    near_seed = among.ties @ is_seed > 0
    near_taker = (took * is_seed) @ among.ties > 0
    rows = [
        _mean(took, rest),
        _mean(took, rest * near_taker),
        _mean(took, rest * (near_seed & ~near_taker)),
        _covariance(took, among.ties),
        _covariance(took, among.far),
    ]
    return np.array([row.mean() for row in rows])


def fit_sharing(
    among: Sequence[Community],
    taken: Sequence[NDArray[np.generic]],
    *,
    grid: Sequence[Sharing],
    rounds: int,
    draws: int = 100,
    seed: int = 0,
) -> Fit:
    """The ``grid`` point whose simulated moments are nearest to the real ones, by the method of simulated moments.

    ``taken``: what really was taken in each community (0 or 1 a person). Distances are those of the communities' mean
    moments, weighted by the inverse of their covariance between communities at the point that unit variances choose
    first (Hansen's two steps). Every point sees the same random numbers. Needs more communities than moments.
    """
    errors = moment_errors(among, taken, grid=grid, rounds=rounds, draws=draws, seed=seed)
    return nearest(grid, errors)


def moment_errors(
    among: Sequence[Community],
    taken: Sequence[NDArray[np.generic]],
    *,
    grid: Sequence[Sharing],
    rounds: int,
    draws: int,
    seed: int = 0,
) -> Floats:
    """Simulated less real moments: grid points x communities x moments."""
    real = np.array([moments(one, outcome) for one, outcome in zip(among, taken, strict=True)])
    simulated = [
        [moments(one, spread(one, point, rounds=rounds, draws=draws, seed=seed + i)[1]) for i, one in enumerate(among)]
        for point in grid
    ]
    return np.array(simulated) - real


def nearest(grid: Sequence[Sharing], errors: Floats) -> Fit:
    """The grid point with the smallest two-step distance of ``moment_errors``; of equals the first."""
    if errors.shape[1] <= errors.shape[2]:
        raise GraphError(f"among: {errors.shape[1]} communities are too few for {errors.shape[2]} moments")
    mean = errors.mean(axis=1)
    first = int((mean**2 / np.maximum(errors.var(axis=1), 1e-12).mean(axis=0)).sum(axis=1).argmin())
    weight = np.linalg.pinv(np.cov(errors[first].T) / errors.shape[1])
    distance = np.einsum("gi,ij,gj->g", mean, weight, mean)
    return Fit(Sharing(*grid[int(distance.argmin())]), tuple(grid), distance)


def _check(sharing: Sharing, rounds: int, draws: int) -> None:
    if not all(0 <= share <= 1 for share in sharing):
        raise GraphError(f"sharing: two probabilities are expected, not {tuple(sharing)}")
    if rounds < 0 or draws < 1:
        raise GraphError(f"rounds, draws: {rounds} and {draws} won't do; rounds from 0, draws from 1")


def _mean(values: Floats, weight: Floats) -> Floats:
    """The weighted mean of each row, 0 without weight."""
    total = weight.sum(axis=1)
    return np.divide((values * weight).sum(axis=1), total, out=np.zeros(len(values)), where=total > 0)


def _covariance(took: Floats, ties: Floats) -> Floats:
    """Covariance, over people with a tie, of the own outcome with the share among those tied; a value a row."""
    degree = ties.sum(axis=0)
    some = degree > 0
    if not some.any():
        return np.zeros(len(took))
    share, own = (took @ ties)[:, some] / degree[some], took[:, some]
    return (own * share).mean(axis=1) - own.mean(axis=1) * share.mean(axis=1)
