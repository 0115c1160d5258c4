"""The lasso on WOE: which features keep a coefficient at the penalty that cross-validation chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from strata.models.binning.bin_counts import Block, BlockSum, Coded, Floats, Integers
from strata.models.scorecard.logistic import (
    LARGEST,
    Bools,
    SeparatedError,
    Sums,
    likelihood_sums,
    read_sums,
    woe_matrix,
)

FOLDS, PENALTIES, SMALLEST = 5, 25, 1e-3
ROUGH, EXACT = 1e-3, 1e-7
MOST_STEPS, MOST_SWEEPS = 30, 10_000


@dataclass(frozen=True)
class Lasso:
    """The path: penalties, falling; mean deviance a row outside the folds and its standard error at each.

    ``penalty`` is the chosen one and ``beta`` the coefficients of all rows there, the intercept first.
    """

    penalties: Floats
    deviance: Floats
    error: Floats
    penalty: float
    beta: Floats


def choose_lasso(coded: Coded, woes: Mapping[int, Floats], unpenalised: Bools, *, seed: int = 0) -> Lasso:
    """The largest penalty whose deviance outside the folds is within one standard error of the least.

    The penalty times the sum of absolute coefficients is taken from the log-likelihood (scikit-learn's 1/C), but
    for the intercept and those of ``woes`` that are ``unpenalised``. WOE columns are not standardised: all are
    log-odds. Tried are 25 penalties from where all coefficients are 0 down to a thousandth of it, each in five
    folds, with a fold's penalty in proportion to its rows; the rule is that of Breiman, Friedman, Olshen and Stone
    1984, the solver that of Friedman, Hastie and Tibshirani, Journal of Statistical Software 33 (2010) 1.
    About 60 scans, each of which sums (folds + 1) Hessians. Raises ``SeparatedError`` when the unpenalised
    features separate the classes.
    """
    weights = np.concatenate([[0.0], np.where(unpenalised, 0.0, 1.0)])
    fits = _Fits(coded, woes, weights, seed)
    at = fits.settled(fits.at(np.zeros((FOLDS + 1, len(weights)))), np.inf, EXACT)
    largest = float(np.max(np.abs(at[-1].train.gradient) * weights))
    penalties = largest * np.geomspace(1.0, SMALLEST, PENALTIES)
    path = []
    for penalty in penalties:
        at = fits.settled(at, penalty, ROUGH)
        path.append(at)
    tested = np.array([[-2 * fold.test / fold.test_weight for fold in step[:-1]] for step in path])
    deviance, error = tested.mean(axis=1), tested.std(axis=1, ddof=1) / np.sqrt(FOLDS)
    best = int(deviance.argmin())
    chosen = int(np.argmax(deviance <= deviance[best] + error[best]))
    whole = fits.settled(path[chosen], penalties[chosen], EXACT)[-1]
    return Lasso(penalties, deviance, error, float(penalties[chosen]), whole.train.beta)


@dataclass(frozen=True)
class _Fold:
    """The sums of the rows outside a fold at its coefficients; log-likelihood and weight of those inside."""

    train: Sums
    share: float
    test: float
    test_weight: float


@dataclass(frozen=True)
class _Fits:
    """One regression outside each fold and, last, one of all rows, side by side in every scan."""

    coded: Coded
    woes: Mapping[int, Floats]
    weights: Floats
    seed: int

    def at(self, betas: Floats) -> list[_Fold]:
        """One scan: the sums of all regressions, each at its row of ``betas``."""
        width = len(self.weights)
        flat = self.coded.sums(_block_sums(betas, self.woes, self.seed)).reshape(len(betas), -1)
        every = flat[-1, 0]
        return [_Fold(read_sums(row[3:], beta, width), row[0] / every, *row[1:3]) for row, beta in zip(flat, betas)]

    def settled(self, at: list[_Fold], penalty: float, tolerance: float) -> list[_Fold]:
        """Newton steps, each a lasso of a quadratic, until no coefficient moves by more than ``tolerance``.

        From the solution at the penalty before, two or three do.
        """
        for _ in range(MOST_STEPS):
            before = np.array([one.train.beta for one in at])
            betas = np.array([lasso_step(one.train, self._penalties(penalty * one.share)) for one in at])
            if np.abs(betas - before).max() <= tolerance:
                return at
            if np.abs(betas[:, 1:]).max(initial=0.0) > LARGEST:
                break
            at = self.at(betas)
        raise SeparatedError("forced: these features separate goods from bads entirely; take fewer")

    def _penalties(self, penalty: float) -> Floats:
        return np.where(self.weights > 0, penalty, 0.0)


def _block_sums(betas: Floats, woes: Mapping[int, Floats], seed: int) -> BlockSum:
    """For each regression: weight outside its fold, log-likelihood and weight inside, then ``likelihood_sums``."""

    def make(block: Block) -> Floats:
        x, fold = woe_matrix(block, woes), deal_folds(block, seed)
        parts = []
        for k, beta in enumerate(betas):
            outside, inside = block.weight * (fold != k), block.weight * (fold == k)
            logit = x @ beta
            tested = inside @ (block.bad * logit - np.logaddexp(0.0, logit))
            sizes = np.array([outside.sum(), tested, inside.sum()])
            parts += [sizes, likelihood_sums(x, block.bad, outside, beta)]
        return np.concatenate(parts)

    return make


def deal_folds(block: Block, seed: int) -> Integers:
    """The fold of each row: goods and bads are shuffled apart and dealt out evenly, block by block."""
    rng = np.random.default_rng([seed, len(block.bad), int(block.bad.sum())])
    fold = np.empty(len(block.bad), np.int64)
    for side in (0, 1):
        rows = np.flatnonzero(block.bad == side)
        fold[rng.permutation(rows)] = np.arange(len(rows)) % FOLDS
    return fold


def lasso_step(at: Sums, penalties: Floats) -> Floats:
    """The coefficients that maximise the quadratic at ``at`` less ``penalties`` times their absolute values.

    Coordinate descent: each in turn is set to its best, those that were not 0 again and again, until none moves.
    An infinite penalty holds a coefficient at 0.
    """
    beta, gradient = at.beta.copy(), at.gradient.copy()
    curve = np.maximum(np.diag(at.hessian), 1e-12)
    turn = np.arange(len(beta))
    for _ in range(MOST_SWEEPS):
        moved = 0.0
        for j in turn:
            pull = gradient[j] + curve[j] * beta[j]
            best = float(np.sign(pull) * max(abs(pull) - penalties[j], 0.0) / curve[j])
            if (step := best - beta[j]) != 0.0:
                beta[j] = best
                gradient -= at.hessian[:, j] * step
                moved = max(moved, abs(step))
        if moved <= EXACT / 10:
            if len(turn) == len(beta):
                break
            turn = np.arange(len(beta))
        else:
            turn = np.flatnonzero(beta)
    return beta
