"""Which features a scorecard keeps, and the recorded reason for each that it doesn't."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from strata.models.binning import BinnedFeature, Binning
from strata.models.counts import Block, Coded, Floats
from strata.models.logistic import (
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

# A step below ROUGH is exact enough to choose the next feature by; Newton's next is its square.
ROUGH, EXACT = 1e-3, 1e-9
INTERCEPT = "(intercept)"


class Verdict(NamedTuple):
    """What became of a candidate feature.

    ``stage`` is kept, business, iv, psi, correlation, vif, sign, p_value, few_bads or separation.
    """

    feature: str
    kept: bool
    stage: str
    reason: str


@dataclass(frozen=True)
class SelectionRules:
    """Thresholds; None switches a stage off. ``forced`` features pass every stage and keep any sign.

    All that survive the other stages enter together when there are ``bads_per_feature`` bads for each and no more
    than ``max_features``. Otherwise, or with ``max_p_value``, they enter one by one, the most significant by Rao's
    score test first, while its p-value is not above. ``penalty`` shrinks the coefficients (ridge; 1 is
    scikit-learn's default, and what tells best on rows never seen where bads are few); standard errors and p-values
    are of the shrunk fit, nearly those of the plain one from some hundred bads on.
    """

    forced: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    min_iv: float = 0.01
    max_correlation: float | None = 0.75
    max_vif: float | None = 5.0
    max_p_value: float | None = None
    max_features: int | None = None
    max_psi: float | None = 0.25
    penalty: float = 1.0
    bads_per_feature: float = 5.0

    def most_features(self, bads: float) -> float:
        """How many features may enter one by one with so many bads."""
        carried = bads / self.bads_per_feature if self.bads_per_feature > 0 else np.inf
        return max(1.0, min(carried, np.inf if self.max_features is None else self.max_features))

    def entry_limit(self, candidates: int, bads: float) -> float | None:
        """The p-value up to which so many candidates enter one by one; None: all together."""
        crowded = candidates > self.most_features(bads)
        return 1.0 if self.max_p_value is None and crowded else self.max_p_value


@dataclass
class Choice:
    """Candidates under selection; ``alive`` are still in, ``verdicts`` tell why the others are not."""

    binned: Sequence[BinnedFeature]
    rules: SelectionRules
    bads: float
    alive: list[int] = field(default_factory=list)
    verdicts: dict[int, Verdict] = field(default_factory=dict)

    def name(self, i: int) -> str:
        """What candidate ``i`` is called."""
        return self.binned[i].bins.feature

    def drop(self, i: int, stage: str, reason: str) -> None:
        """Record why candidate ``i`` goes."""
        self.alive.remove(i)
        self.verdicts[i] = Verdict(self.name(i), False, stage, reason)

    def forced(self, i: int) -> bool:
        """Whether the analyst wants candidate ``i`` whatever the figures say."""
        return self.name(i) in self.rules.forced

    def record(self) -> tuple[Verdict, ...]:
        """One verdict per candidate, in their order."""
        return tuple(
            self.verdicts.get(i) or Verdict(self.name(i), True, "kept", "forced" if self.forced(i) else "kept")
            for i in range(len(self.binned))
        )


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
    """Why features go that are judged by themselves: the business list, information value, PSI by period."""
    reasons = {name: _alone(name, binned, rules) for name, binned in binning.features.items()}
    return {name: Verdict(name, False, *reason) for name, reason in reasons.items() if reason}


def _alone(name: str, binned: BinnedFeature, rules: SelectionRules) -> tuple[str, str] | None:
    """Stage and reason, or None when the feature passes."""
    if name in rules.forbidden:
        return "business", "on the business list of features not to be used"
    if name in rules.forced:
        return None
    if binned.iv < rules.min_iv:
        return "iv", f"information value {binned.iv:.4f} is below {rules.min_iv:g}"
    worst = max(binned.shifts(), key=lambda shift: shift.psi, default=None)
    if worst is not None and rules.max_psi is not None and worst.psi > max(rules.max_psi, worst.noise):
        return "psi", f"PSI {worst.psi:.2f} of {worst.period} against the other periods is above {rules.max_psi:g}"
    return None


def select_and_fit(
    coded: Coded, binned: Sequence[BinnedFeature], bads: float, rules: SelectionRules
) -> tuple[Fitted, tuple[Verdict, ...]]:
    """Screen candidates against each other, then fit those that remain with coefficients of the right sign.

    ``coded`` are rows as codes of the bins of ``binned``, in their order. One pass for the Gramian, then four or
    five per feature that enters; each sums bounded arrays. Raises ``SeparatedError`` when forced or jointly
    entered features separate the classes.
    """
    choice = Choice(binned, rules, bads, list(range(len(binned))))
    woes = [np.asarray(part.woe) for part in binned]
    if choice.alive and (rules.max_correlation is not None or rules.max_vif is not None):
        _screen_correlation(choice, correlations(coded, woes))
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
    ranked = sorted(choice.alive, key=lambda i: (not choice.forced(i), -choice.binned[i].iv, i))
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
            upper[p] = np.inf if choice.forced(i) else 0.0
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
        right = [i for i in self._waiting(position) if self.at.gradient[position[i]] < 0]
        tests = [(score_p_value(self.at, self.free, position[i]), i) for i in right]
        best = min(tests, default=None)
        return best[1] if best is not None and best[0] <= limit else None

    def _refuse(self, position: dict[int, int], limit: float) -> None:
        for i in self._waiting(position):
            p = score_p_value(self.at, self.free, position[i])
            if self.at.gradient[position[i]] >= 0:
                self.choice.drop(i, "sign", "beside the kept features it would count against its own WOE")
            elif p > limit:
                self.choice.drop(i, "p_value", f"p-value {p:.3g} beside the kept features is above {limit:g}")
            else:
                self.choice.drop(i, "few_bads", f"{self.free.sum() - 1} features are in, as many as may be")

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
