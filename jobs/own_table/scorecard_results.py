"""What ``strata scorecard`` comes to, as values: its table, what was fitted to it, what that does on the test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.own_table.scorecard_options import CardOptions
from strata.jobs.sources.any_table.reading import AnyTable
from strata.models.binning.woe_binning import Binning
from strata.models.boosting.challenger import Challenger
from strata.models.evaluation.discrimination import Interval
from strata.models.evaluation.score_table import ScoreTable
from strata.models.evaluation.swap_set import SwapSet
from strata.models.samples.development_sample import TEST, LabelRules
from strata.models.samples.screening import Roles, Suspect
from strata.models.scorecard.drop_worth import DropWorth
from strata.models.scorecard.scorecard import Scorecard, ScorecardSpec
from strata.models.scorecard.vintage_drift import Drift, find_drift

STATE, SPLIT, PERIOD = "__state", "__split", "__period"
CARD, BOOSTED, MONOTONE = "scorecard", "boosted", "monotone"
REASONS = 4
BAD, ROW = "__bad", "__row"
RISKS = {CARD: "probability", BOOSTED: "challenger_probability", MONOTONE: "monotone_probability"}
# Where swaps and fairness are looked at: the share of applicants that either model may approve.
APPROVED = 0.7
# The rules whose drops may be forced in; another's would have the wrong sign or no maximum.
FORCEABLE = ("iv", "correlation", "vif", "p_value", "few_bads", "lasso")


@dataclass(frozen=True)
class CardTable:
    """The rows with ``__state``, ``__split`` and ``__period``, and what is known about them.

    ``options`` name columns as ``rows`` do. ``counts`` is (split, state) to number of rows; ``began`` is where the
    test begins in time, None for a random split; ``parted`` the number of equal rows that were not kept together.
    """

    rows: DataFrame
    options: CardOptions
    source: AnyTable
    labels: LabelRules
    meaning: str
    roles: Roles
    counts: Mapping[tuple[str, str], int]
    began: str | None
    parted: int = 0

    @property
    def has_periods(self) -> bool:
        """Whether rows have a vintage."""
        return self.options.time is not None

    def part(self, split: str) -> DataFrame:
        """The rows of train or test."""
        return self.rows.where(F.col(SPLIT) == split)

    def size(self, split: str) -> int:
        """Rows of train or test."""
        return sum(rows for (part, _), rows in self.counts.items() if part == split)

    def bads(self, split: str) -> int:
        """Bads of train or test."""
        return self.counts.get((split, "bad"), 0)


@dataclass(frozen=True)
class FittedCard:
    """The card, its two challengers, every feature's bins, the features that look like leaks, what drops are worth."""

    card: Scorecard
    boosted: Challenger
    monotone: Challenger
    binning: Binning
    suspects: tuple[Suspect, ...]
    drops: tuple[DropWorth, ...]
    spec: ScorecardSpec

    @property
    def has_costly_drops(self) -> bool:
        """Whether the card would be better with what all rules together dropped."""
        return bool(self.drops) and self.drops[-1].is_costly


@dataclass(frozen=True)
class TestedCard:
    """What the models do on train and test.

    ``scored`` has the rows in ``__row`` with what the models add to them; ``tables`` and ``figures`` are by (model,
    split), ``intervals`` of the test by model and measure. The tables count effective rows (of weights Kish's
    (Σw)² / Σw²), so that intervals are right whatever the unit of the weights; ``n`` of the figures is the weight of
    the rows. ``approved`` is the share at which swaps are looked at: more than ``APPROVED`` where more rows than that
    have the safest score.
    """

    scored: DataFrame
    tables: Mapping[tuple[str, str], ScoreTable]
    figures: Mapping[tuple[str, str], Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, Interval]]
    swaps: SwapSet
    approved: float
    fairness: pd.DataFrame | None
    by_period: pd.DataFrame | None

    @property
    def prices(self) -> dict[str, float]:
        """AUC on the test that ``monotonicity`` costs the trees, and that the card's ``form`` costs beside them."""
        free, bound, card = (self.figures[model, TEST]["auc"] for model in (BOOSTED, MONOTONE, CARD))
        return {"monotonicity": free - bound, "form": bound - card}


def describe_drop(drop: DropWorth) -> str:
    """What one rule's drops are worth, in words."""
    count = f"{len(drop.features)} feature{'s' if len(drop.features) != 1 else ''}"
    if math.isnan(drop.cost):
        return f"{drop.rule} dropped {count} that with the others separate goods from bads"
    return (
        f"{drop.rule} dropped {count} with information {drop.information:.3f}: AUC out of fold {drop.auc_without:.3f} "
        f"without them, {drop.auc_with:.3f} with"
    )


def describe_trees(model: Challenger) -> str:
    """The shape of the trees and how it was chosen."""
    spec, names = model.boosting.spec, len(model.features)
    return f"{spec.trees} trees of depth {spec.max_depth} on {names} features, chosen on {model.judged_on}"


def sentence_on_drops(fitted: FittedCard) -> str:
    """What all drops together cost, which rule costs most, and what to do about it."""
    together, worst = fitted.drops[-1], max(fitted.drops[:-1], key=lambda drop: np.nan_to_num(drop.cost))
    remedy = ""
    if worst.rule == "drift":
        remedy = ": --drift keep keeps them"
    elif worst.rule in FORCEABLE:
        remedy = f": --forced {','.join(worst.features[:5])} keeps those with most information"
    return (
        f"the features that the rules dropped are worth {together.cost:.3f} AUC out of fold "
        f"({together.auc_without:.3f} without them, {together.auc_with:.3f} with); "
        f"the largest part went by the rule '{worst.rule}'{remedy}"
    )


def shifted_features(card: Scorecard, spec: ScorecardSpec) -> dict[str, Drift]:
    """The kept features whose distribution shifts over the train's periods, and how."""
    limit = math.inf if spec.max_psi is None else spec.max_psi
    found = {name: find_drift(binned, limit) for name, binned in card.kept.items()}
    return {name: drift for name, drift in found.items() if drift is not None and drift.movement == "shifted"}
