"""Logistic regression on WOE by constrained Newton steps; each step is one pass that sums small blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from strata.models.binning.bin_counts import Block, BlockSum, Coded, Floats

Bools = NDArray[np.bool_]
MOST_STEPS, MOST_HALVINGS, LEAST_GAIN = 50, 30, 1e-9
LARGEST = 25.0
"""A coefficient of WOE is about −1; one beyond this has no finite maximum: goods and bads are separated."""


class SeparatedError(ValueError):
    """The features tell every good from every bad, so that no finite coefficients are the best."""


@dataclass(frozen=True)
class Sums:
    """Log-likelihood, gradient and negative Hessian at ``beta``; index 0 is the intercept."""

    beta: Floats
    value: float
    gradient: Floats
    hessian: Floats


Pass = Callable[[Floats], Sums]


def woe_matrix(block: Block, woes: Mapping[int, Floats]) -> Floats:
    """A column of ones, then the WOE of each row by code; ``woes`` names the columns of codes to take."""
    looked_up = [woe[block.codes[:, i]] for i, woe in woes.items()]
    return np.stack([np.ones(len(block.bad)), *looked_up], axis=1)


def logistic_pass(coded: Coded, woes: Mapping[int, Floats], penalty: float = 0.0) -> Pass:
    """One scan per call: the sums at ``beta`` over all rows, for the columns of codes that ``woes`` names.

    ``penalty`` times half the sum of squared coefficients (not the intercept) is taken from the likelihood.
    """
    width = len(woes) + 1

    def one(beta: Floats) -> Sums:
        return penalised(read_sums(coded.sums(_block_sums(beta, woes)), beta, width), penalty)

    return one


def penalised(plain: Sums, penalty: float) -> Sums:
    """The sums less ``penalty`` times half the sum of squared coefficients; the intercept, the first, is free."""
    beta = plain.beta
    shrunk = penalty * np.concatenate([[0.0], beta[1:]])
    curve = plain.hessian + penalty * np.diag([0.0, *np.ones(len(beta) - 1)])
    return Sums(beta, float(plain.value - shrunk @ beta / 2), plain.gradient - shrunk, curve)


def _block_sums(beta: Floats, woes: Mapping[int, Floats]) -> BlockSum:
    return lambda block: likelihood_sums(woe_matrix(block, woes), block.bad, block.weight, beta)


def likelihood_sums(x: Floats, bad: Floats, weight: Floats, beta: Floats) -> Floats:
    """Log-likelihood, gradient and negative Hessian of some rows at ``beta``, flat, as ``read_sums`` reads them."""
    logit = x @ beta
    # ln(1 + e^z) without overflow.
    value = weight @ (bad * logit - np.logaddexp(0.0, logit))
    risk = 1.0 / (1.0 + np.exp(-np.clip(logit, -700, 700)))
    gradient = x.T @ (weight * (bad - risk))
    hessian = (x * (weight * risk * (1 - risk))[:, None]).T @ x
    return np.concatenate([[value], gradient, hessian.ravel()])


def read_sums(flat: Floats, beta: Floats, width: int) -> Sums:
    """The sums at ``beta`` from what ``likelihood_sums`` wrote."""
    return Sums(beta, float(flat[0]), flat[1 : 1 + width], flat[1 + width :].reshape(width, width))


def maximise(sums: Pass, start: Sums, free: Bools, upper: Floats, *, tolerance: float = 1e-9) -> Sums:
    """The largest likelihood over the ``free`` coefficients, none above its ``upper`` bound.

    The problem is concave, so the answer is the only one. Newton steps solve the bounded quadratic exactly
    and are halved while the likelihood falls; four or five passes from a cold start. Stops when no
    coefficient moves by more than ``tolerance`` or a step gains less than 1e-9. Raises ``SeparatedError``
    when a coefficient runs beyond 25, or 50 steps don't do.
    """
    at = start
    for _ in range(MOST_STEPS):
        step = _bounded_step(at, free, upper)
        if np.abs(step).max() <= tolerance:
            return at
        reached = _uphill(sums, at, step)
        gain, at = reached.value - at.value, reached
        if np.abs(at.beta[1:]).max(initial=0.0) > LARGEST:
            break
        if gain <= LEAST_GAIN:
            return at
    raise SeparatedError("features: they separate goods from bads entirely; take fewer, or set penalty= or min_bads=")


def _bounded_step(at: Sums, free: Bools, upper: Floats) -> Floats:
    index = np.flatnonzero(free)
    hessian, gradient = at.hessian[np.ix_(index, index)], at.gradient[index]
    ridge = 1e-12 * max(1.0, float(np.trace(hessian)))
    root = np.linalg.cholesky(hessian + ridge * np.eye(len(index))).T
    wanted = np.linalg.solve(root.T, gradient)
    room = np.maximum(upper[index] - at.beta[index], 0.0)
    step = np.zeros_like(at.beta)
    plain = np.linalg.solve(root, wanted)
    if (plain <= room).all():
        step[index] = plain
    else:
        bounds = (np.full(len(index), -np.inf), np.maximum(room, 1e-300))
        step[index] = np.minimum(lsq_linear(root, wanted, bounds, method="bvls").x, room)
    return step


def _uphill(sums: Pass, at: Sums, step: Floats) -> Sums:
    share = 1.0
    for _ in range(MOST_HALVINGS):
        reached = sums(at.beta + share * step)
        if reached.value >= at.value - 1e-12 * (1 + abs(at.value)):
            return reached
        share /= 2
    return at


def standard_errors(at: Sums, free: Bools) -> Floats:
    """Standard errors of the free coefficients from the Hessian at the maximum; NaN for the others."""
    index = np.flatnonzero(free)
    errors = np.full(len(at.beta), np.nan)
    variance = np.diag(np.linalg.pinv(at.hessian[np.ix_(index, index)]))
    errors[index] = np.sqrt(np.maximum(variance, 0.0))
    return errors


def wald_p_value(coefficient: float, error: float) -> float:
    """Two-sided p-value of a coefficient against 0; 1 when the error is 0 or not a number."""
    if not error > 0:
        return 1.0
    return math.erfc(abs(coefficient / error) / math.sqrt(2))


def score_p_value(at: Sums, free: Bools, j: int) -> float:
    """Rao's score test for letting coefficient ``j`` into the model whose free coefficients are at their maximum."""
    index = np.flatnonzero(free)
    cross = at.hessian[index, j]
    left = at.hessian[j, j] - cross @ np.linalg.pinv(at.hessian[np.ix_(index, index)]) @ cross
    if left <= 1e-10 * max(at.hessian[j, j], 1e-300):
        return 1.0
    return math.erfc(abs(at.gradient[j]) / math.sqrt(2 * left))
