"""What a selection of features may be told, its candidates while it lasts, and the verdict on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from strata.models.binning.woe_binning import BinnedFeature

SELECTIONS = ("stepwise", "lasso")
SIGNS = ("auto", "right", "any")
# What each choice of ``drift`` drops: see ``drift.Movement``.
DROPPED_DRIFTS: Mapping[str, tuple[str, ...]] = {
    "reversed": ("reversed",),
    "shifted": ("reversed", "shifted"),
    "keep": (),
}


class Verdict(NamedTuple):
    """What became of a candidate feature.

    ``stage`` is kept, business, iv, drift, correlation, vif, lasso, sign, p_value, few_bads or separation.
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

    ``selection="lasso"`` first drops what has the coefficient 0 in an L1-penalised regression on WOE, at the penalty
    that ``choose_lasso`` finds by five stratified folds drawn from ``seed``; what is left is fitted as above, without
    the lasso's shrinking. It is one more sieve after correlation, not a cure for it: of two near-equals it keeps one
    by chance.

    ``drift`` says which features go for what time does to them (``drift.find_drift``): ``reversed`` (the default) those
    whose WOE is against what is true in the later half; ``shifted`` also those whose PSI is above ``max_psi``
    and above chance; ``keep`` none. A shifted feature
    that keeps its meaning is worth more in the card than out of it: on bank marketing, tested on its last calls, a card
    without those that shift has an AUC of .548, with them .682.

    ``signs``: ``right`` keeps every coefficient on the side of its own WOE, so that less risk never costs points, and
    drops near-doubles by ``max_correlation`` and ``max_vif``, which beside each other add nothing then. ``any`` asks
    none of this: what two near-doubles differ in may tell. ``auto`` (the default) is ``right`` unless that costs over
    .005 AUC and two standard errors on rows held out (``drop_worth.signs_worth``).
    """

    forced: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    min_iv: float = 0.01
    max_correlation: float | None = 0.9
    max_vif: float | None = 10.0
    max_p_value: float | None = None
    max_features: int | None = None
    max_psi: float | None = 0.25
    penalty: float = 1.0
    bads_per_feature: float = 5.0
    selection: str = "stepwise"
    seed: int = 0
    drift: str = "reversed"
    signs: str = "auto"

    def check(self) -> None:
        """Raise ``ValueError`` naming the argument that cannot be."""
        for role in ("penalty", "bads_per_feature"):
            if getattr(self, role) < 0:
                raise ValueError(f"{role}: {getattr(self, role)!r} is negative")
        if self.selection not in SELECTIONS:
            raise ValueError(f"selection: {self.selection!r} is none of {', '.join(SELECTIONS)}")
        if self.drift not in DROPPED_DRIFTS:
            raise ValueError(f"drift: {self.drift!r} is none of {', '.join(DROPPED_DRIFTS)}")
        if self.signs not in SIGNS:
            raise ValueError(f"signs: {self.signs!r} is none of {', '.join(SIGNS)}")

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

    def may_turn(self, i: int) -> bool:
        """Whether the coefficient of candidate ``i`` may count against its own WOE."""
        return self.forced(i) or self.rules.signs == "any"

    def forced(self, i: int) -> bool:
        """Whether the analyst wants candidate ``i`` whatever the figures say."""
        return self.name(i) in self.rules.forced

    def record(self) -> tuple[Verdict, ...]:
        """One verdict per candidate, in their order."""
        return tuple(
            self.verdicts.get(i) or Verdict(self.name(i), True, "kept", "forced" if self.forced(i) else "kept")
            for i in range(len(self.binned))
        )
