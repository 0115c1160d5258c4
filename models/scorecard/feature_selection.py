"""Which features a scorecard keeps, and the recorded reason for each that it doesn't."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from strata.models.binning.bin_counts import Block, Coded, Floats
from strata.models.binning.woe_binning import BinnedFeature, Binning
from strata.models.scorecard.lasso import choose_lasso
from strata.models.scorecard.logistic import (
    Bools,
    Pass,
    SeparatedError,
    Sums,
    logistic_pass,
    maximise,
    score_p_value,
    standard_errors,
    wald_p_value,
    woe_matrix,
)
from strata.models.scorecard.selection_rules import DROPPED_DRIFTS, Choice, SelectionRules, Verdict
from strata.models.scorecard.vintage_drift import find_drift

# A step below ROUGH is exact enough to choose the next feature by; Newton's next is its square.
ROUGH, EXACT = 1e-3, 1e-9
INTERCEPT = "(intercept)"


@dataclass(frozen=True)
class Fitted:
    """The final model: ``(intercept)`` and the kept features by name, with coefficients, errors and p-values."""

    names: tuple[str, ...]
    beta: Floats
    errors: Floats
    p_values: Floats
    log_likelihood: float

    def by_name(self, values: Floats) -> dict[str, float]:
        """One of the arrays as a mapping."""
        return {name: float(value) for name, value in zip(self.names, values, strict=True)}


def screen_alone(binning: Binning, rules: SelectionRules) -> dict[str, Verdict]:
    """Why features go that are judged by themselves: the business list, information value, drift over periods."""
    reasons = {name: _alone(name, binned, rules) for name, binned in binning.features.items()}
    return {name: Verdict(name, False, *reason) for name, reason in reasons.items() if reason}


def _alone(name: str, binned: BinnedFeature, rules: SelectionRules) -> tuple[str, str] | None:
    """Stage and reason, or None when the feature passes."""
    if name in rules.forbidden:
        return "business", "on the business list of features not to be used"
    if name in rules.forced:
        return None
    if binned.honest_iv < rules.min_iv:
        less = f", {binned.chance_iv:.4f} of it by chance," if binned.chance_iv >= 5e-5 else ""
        return "iv", f"information value {binned.iv:.4f}{less} is below {rules.min_iv:g}"
    drift = find_drift(binned, math.inf if rules.max_psi is None else rules.max_psi)
    if drift is not None and drift.movement in DROPPED_DRIFTS[rules.drift]:
        return "drift", drift.sentence
    return None


def select_and_fit(
    coded: Coded, binned: Sequence[BinnedFeature], bads: float, rules: SelectionRules
) -> tuple[Fitted, tuple[Verdict, ...]]:
    """Screen candidates against each other, then fit those that remain with coefficients as ``rules.signs`` asks.

    ``coded`` are rows as codes of the bins of ``binned``, in their order. One pass for the Gramian, then four or
    five per feature that enters (and some 60 for a lasso); each sums bounded arrays. Raises ``SeparatedError`` when
    forced or jointly entered features separate the classes.
    """
    choice = Choice(binned, rules, bads, list(range(len(binned))))
    woes = [np.asarray(part.woe) for part in binned]
    if choice.alive and rules.signs != "any" and (rules.max_correlation is not None or rules.max_vif is not None):
        _screen_correlation(choice, correlations(coded, woes))
    if choice.alive and rules.selection == "lasso":
        _screen_lasso(choice, coded, woes)
    fitted = _Model.fit(choice, coded, woes)
    return fitted, choice.record()


def correlations(coded: Coded, woes: Sequence[Floats]) -> Floats:
    """Weighted correlations of the WOE columns, from one Gramian; 0 beside a constant column."""
    width = len(woes) + 1

    def gramian(block: Block) -> Floats:
        x = woe_matrix(block, dict(enumerate(woes)))
        return ((x * block.weight[:, None]).T @ x).ravel()

    gram = coded.sums(gramian).reshape(width, width)
    mean = gram[0, 1:] / gram[0, 0]
    covariance = gram[1:, 1:] / gram[0, 0] - np.outer(mean, mean)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.outer(spread, spread)
    answer = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 1e-18)
    np.fill_diagonal(answer, 1.0)
    return answer


def vifs(correlation: Floats) -> Floats:
    """Variance inflation factors: the diagonal of the inverse correlation matrix."""
    return np.diag(np.linalg.pinv(correlation, hermitian=True))


def _screen_correlation(choice: Choice, correlation: Floats) -> None:
    ranked = sorted(choice.alive, key=lambda i: (not choice.forced(i), -choice.binned[i].honest_iv, i))
    limit, kept = choice.rules.max_correlation, list[int]()
    for i in ranked:
        near = max(kept, key=lambda j: abs(correlation[i, j]), default=None)
        if limit is None or near is None or choice.forced(i) or abs(correlation[i, near]) <= limit:
            kept.append(i)
        else:
            by = f"correlation {correlation[i, near]:.2f} with {choice.name(near)}"
            choice.drop(i, "correlation", f"{by}, which has more information, is above {limit:g}")
    if choice.rules.max_vif is not None:
        _screen_vif(choice, correlation, choice.rules.max_vif)


def _screen_vif(choice: Choice, correlation: Floats, limit: float) -> None:
    while len(choice.alive) > 1:
        index = np.asarray(choice.alive)
        inflation = vifs(correlation[np.ix_(index, index)])
        over = [(v, i) for v, i in zip(inflation, choice.alive, strict=True) if v > limit and not choice.forced(i)]
        if not over:
            return
        worst, i = max(over)
        choice.drop(i, "vif", f"variance inflation {worst:.1f} is above {limit:g}")


def _screen_lasso(choice: Choice, coded: Coded, woes: Sequence[Floats]) -> None:
    alive = list(choice.alive)
    forced = np.array([choice.forced(i) for i in alive])
    found = choose_lasso(coded, {i: woes[i] for i in alive}, forced, seed=choice.rules.seed)
    for i, coefficient, kept in zip(alive, found.beta[1:], forced, strict=True):
        if coefficient == 0 and not kept:
            choice.drop(i, "lasso", f"lasso: coefficient is 0 at penalty {found.penalty:.3g}")


@dataclass
class _Model:
    """The regression while features enter and leave; index 0 of the arrays is the intercept."""

    choice: Choice
    sums: Pass
    at: Sums
    free: Bools
    upper: Floats

    @staticmethod
    def fit(choice: Choice, coded: Coded, woes: Sequence[Floats]) -> Fitted:
        candidates = list(choice.alive)
        sums = logistic_pass(coded, {i: woes[i] for i in candidates}, choice.rules.penalty)
        size = len(candidates) + 1
        upper = np.zeros(size)
        upper[0] = np.inf
        free = np.zeros(size, bool)
        free[0] = True
        model = _Model(choice, sums, sums(np.zeros(size)), free, upper)
        position = {i: p + 1 for p, i in enumerate(candidates)}
        for i, p in position.items():
            upper[p] = np.inf if choice.may_turn(i) else 0.0
        model._enter(position)
        model._settle(position, EXACT)
        return model._fitted([INTERCEPT, *map(choice.name, candidates)])

    def _enter(self, position: dict[int, int]) -> None:
        """Let features in: forced ones at once; the others all together or by their score test."""
        limit = self.choice.rules.entry_limit(len(self.choice.alive), self.choice.bads)
        for i in list(self.choice.alive):
            self.free[position[i]] = limit is None or self.choice.forced(i)
        self._settle(position, ROUGH)
        while limit is not None and (step := self._next(position, limit)) is not None:
            self._try(step, position)
        if limit is not None:
            self._refuse(position, limit)

    def _try(self, i: int, position: dict[int, int]) -> None:
        """Let a feature in, unless the regression then has no maximum."""
        before = self.at
        self.free[position[i]] = True
        try:
            self._settle(position, ROUGH)
        except SeparatedError:
            self.at = before
            self.free[position[i]] = False
            self.choice.drop(i, "separation", "with the kept features it separates goods from bads entirely")

    def _waiting(self, position: dict[int, int]) -> list[int]:
        return [i for i in self.choice.alive if not self.free[position[i]]]

    def _next(self, position: dict[int, int], limit: float) -> int | None:
        if self.free.sum() > self.choice.rules.most_features(self.choice.bads):
            return None
        right = [i for i in self._waiting(position) if not self._is_wrong(i, position)]
        tests = [(score_p_value(self.at, self.free, position[i]), i) for i in right]
        best = min(tests, default=None)
        return best[1] if best is not None and best[0] <= limit else None

    def _refuse(self, position: dict[int, int], limit: float) -> None:
        for i in self._waiting(position):
            p = score_p_value(self.at, self.free, position[i])
            if self._is_wrong(i, position):
                self.choice.drop(i, "sign", "beside the kept features it would count against its own WOE")
            elif p > limit:
                self.choice.drop(i, "p_value", f"p-value {p:.3g} beside the kept features is above {limit:g}")
            else:
                self.choice.drop(i, "few_bads", f"{self.free.sum() - 1} features are in, as many as may be")

    def _is_wrong(self, i: int, position: dict[int, int]) -> bool:
        """Whether a waiting candidate would enter with a sign that it may not have."""
        return bool(self.at.gradient[position[i]] >= 0) and not self.choice.may_turn(i)

    def _settle(self, position: dict[int, int], tolerance: float) -> None:
        """Maximise, and send away the features that the sign constraint holds at 0."""
        while True:
            self.at = maximise(self.sums, self.at, self.free, self.upper, tolerance=tolerance)
            held = [i for i in self.choice.alive if self._held(position[i])]
            if not held:
                return
            for i in held:
                self.free[position[i]] = False
                self.choice.drop(i, "sign", "beside the kept features it would count against its own WOE")

    def _held(self, p: int) -> bool:
        return bool(self.free[p] and self.upper[p] == 0.0 and self.at.beta[p] >= -1e-9)

    def _fitted(self, names: Sequence[str]) -> Fitted:
        errors, inside = standard_errors(self.at, self.free), np.flatnonzero(self.free)
        p_values = np.array([wald_p_value(self.at.beta[p], errors[p]) for p in inside])
        kept = tuple(names[int(p)] for p in inside)
        return Fitted(kept, self.at.beta[inside], errors[inside], p_values, self.at.value)
