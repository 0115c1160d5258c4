"""What each rule's drops would have been worth: the card out of fold with and without the features it sent away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from strata.models.binning.bin_counts import Floats, Integers, Training
from strata.models.binning.woe_binning import BinnedFeature, Binning, BinningRules, bin_rows
from strata.models.evaluation.discrimination import auc
from strata.models.evaluation.score_table import ScoreTable
from strata.models.samples.training_local import LocalTraining, local_training
from strata.models.samples.training_rows import Source
from strata.models.scorecard.logistic import Bools, SeparatedError, logistic_pass, maximise
from strata.models.scorecard.selection_rules import SelectionRules, Verdict

T = TypeVar("T")
MOST_ROWS, MOST_BADS, MOST_FEATURES, FOLDS, SEED = 20_000, 5_000, 100, 5, 20_240_101
# With fewer bads nothing can be said; with periods the test rows of each step need so many.
FEWEST_BADS, FEWEST_BADS_LATER = 50, 10
# Where the rows, in order of their periods, are cut: each part is tested by what all before it taught.
CUTS = (0.4, 0.6, 0.8, 1.0)
# Features that nobody may use are not missed.
NOT_ASKED = ("kept", "business")
TOGETHER = "all rules"
COSTLY, COSTLY_SIGNS = 0.01, 0.005
# What a card of right signs sends away because of other features.
REDUNDANT = ("correlation", "vif", "sign")


@dataclass(frozen=True)
class DropWorth:
    """The features that one rule dropped, the information in them, and the AUC out of fold without and with them.

    The AUCs are means over five folds of a regression on the WOE of the kept features, and on those and the dropped
    ones (at most the 100 with most information), which may then have any sign, as ``forced`` features do; bins are
    learnt in each fold. With periods the folds are three steps in time: the later rows are tested, the earlier ones
    teach. ``error`` is the standard error of the mean difference. NaN where the features with the dropped ones separate
    the classes.
    """

    rule: str
    features: tuple[str, ...]
    information: float
    auc_without: float
    auc_with: float
    error: float

    @property
    def cost(self) -> float:
        """What the drops cost in AUC; negative when the card is better without them."""
        return self.auc_with - self.auc_without

    @property
    def is_costly(self) -> bool:
        """Whether the card would be better with the features by over .01 AUC and by over two standard errors."""
        return self.cost > max(COSTLY, 2 * self.error)

    @property
    def signs_are_costly(self) -> bool:
        """Whether right signs, for that is what was measured, cost over .005 AUC and over two standard errors."""
        return self.cost > max(COSTLY_SIGNS, 2 * self.error)


class _Variant(NamedTuple):
    """The features of a regression, and those of them whose coefficient may have any sign."""

    features: Sequence[str]
    turning: frozenset[str]


def drop_worth(
    rows: Training,
    binning: Binning,
    verdicts: Sequence[Verdict],
    rules: BinningRules,
    selection: SelectionRules,
    turned: Collection[str] = (),
) -> list[DropWorth]:
    """One entry for each rule that dropped anything, then one for all together.

    ``turned`` are kept features that count against their own WOE, as forced ones may. Empty when nothing was dropped,
    or with under 50 bads. Up to 20,000 rows are looked at, on the driver, whatever the table's size: of more a random
    sample, in one scan. Five folds are binned and one regression each is fitted for every rule. Rows are dealt out one
    by one: of several rows of one customer some teach and others test.
    """
    by_rule: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.stage not in NOT_ASKED:
            by_rule.setdefault(verdict.stage, []).append(verdict.feature)
    if not by_rule:
        return []
    kept = [verdict.feature for verdict in verdicts if verdict.kept]
    free = frozenset([*selection.forced, *turned])
    dropped = by_rule | {TOGETHER: [name for names in by_rule.values() for name in names]}
    strongest = {rule: _ranked(names, binning)[:MOST_FEATURES] for rule, names in dropped.items()}
    more = {rule: _Variant(kept + names, free | set(names)) for rule, names in strongest.items()}
    used = list(dict.fromkeys([*kept, *(name for names in strongest.values() for name in names)]))
    areas = _areas(_sample(rows, used), {"": _Variant(kept, free), **more}, rules, selection.penalty)
    return [_worth(rule, names, binning, areas[""], areas[rule]) for rule, names in dropped.items() if areas]


def signs_worth(
    rows: Training, binning: Binning, verdicts: Sequence[Verdict], rules: BinningRules, selection: SelectionRules
) -> DropWorth | None:
    """What a card of right signs loses against one of any sign, near-doubles in it; measured as ``drop_worth`` does.

    None when correlation and signs sent nothing away, with under 50 bads, or when even on the rows that teach the card
    loses no more than .005 AUC: then no fold is binned. Example: of a feature and its near-double, whose difference
    tells what neither does alone, right signs keep one; with any sign one counts for, one against.
    """
    names = [verdict.feature for verdict in verdicts if verdict.stage in REDUNDANT]
    if not names:
        return None
    kept = [verdict.feature for verdict in verdicts if verdict.kept]
    everything = kept + _ranked(names, binning)[:MOST_FEATURES]
    variants = {
        "right": _Variant(kept, frozenset(selection.forced)),
        "any": _Variant(everything, frozenset(everything)),
    }
    few = _sample(rows, everything)
    known = _tested(few, {name: binning.features[name] for name in everything}, few.frame, variants, selection.penalty)
    if not known["any"] - known["right"] > COSTLY_SIGNS:
        return None
    areas = _areas(few, variants, rules, selection.penalty)
    return _worth("signs", names, binning, areas["right"], areas["any"]) if areas else None


def _worth(
    rule: str, names: Sequence[str], binning: Binning, without: Sequence[float], with_: Sequence[float]
) -> DropWorth:
    information = sum(binning.features[name].honest_iv for name in names)
    means = (float(np.mean(without)), float(np.mean(with_)))
    return DropWorth(
        rule, tuple(_ranked(names, binning)), information, *means, _standard_error(np.subtract(with_, without))
    )


def _standard_error(differences: Floats) -> float:
    """Of a mean over folds whose training parts overlap (Nadeau and Bengio's correction)."""
    count = len(differences)
    return float(np.sqrt((1 / count + 1 / (FOLDS - 1)) * np.var(differences, ddof=1)))


def _ranked(names: Sequence[str], binning: Binning) -> list[str]:
    """Those with most information first."""
    return sorted(names, key=lambda name: -binning.features[name].honest_iv)


def _sample(rows: Training, used: Sequence[str]) -> LocalTraining:
    """About ``MOST_ROWS`` rows of ``used`` features on the driver; a quarter bad where bads are rare: no AUC minds."""
    bads = rows.totals.bad / rows.totals.unit
    shares = {1.0: min(1.0, MOST_BADS / bads), 0.0: min(1.0, MOST_ROWS / rows.totals.rows)}
    source = rows.source
    places = [source.place(name) for name in used]
    kinds, specials = tuple(source.kinds[i] for i in places), tuple(source.specials[i] for i in places)
    part = replace(source, features=tuple(used), kinds=kinds, specials=specials)
    basics = ["bad", "weight", "period"]
    if isinstance(rows, LocalTraining):
        drawn = np.random.default_rng(SEED).random(len(rows.frame))
        few = rows.frame.loc[drawn < rows.frame["bad"].map(shares), [*basics, *[f"f{i}" for i in places]]]
        few = few.set_axis([*basics, *[f"f{i}" for i in range(len(places))]], axis=1)
    else:
        share = F.when(source.outcome() == 1, shares[1.0]).otherwise(shares[0.0])
        few = replace(part, data=source.data.where(F.rand(SEED) < share)).rows().toPandas()
    return local_training(part, few.reset_index(drop=True))


def _areas(
    few: LocalTraining, variants: Mapping[str, _Variant], rules: BinningRules, penalty: float
) -> dict[str, list[float]]:
    """The AUC in each fold of a regression on each variant's features; empty with too few bads."""
    if few.frame["bad"].sum() < FEWEST_BADS:
        return {}
    part = replace(few.source, period=None)
    folds = _steps(few) or _folds(few.frame["bad"].to_numpy())
    frame, used = few.frame.assign(period=""), few.source.features
    splits = None if rules.splits is None else _of_used(rules.splits, used)
    trend = _of_used(rules.trend, used) if isinstance(rules.trend, Mapping) else rules.trend
    own = replace(rules, stability=0.0, splits=splits, trend=trend)
    halves = [(frame[train].reset_index(drop=True), frame[test].reset_index(drop=True)) for train, test in folds]
    found = [_fold(part, train, test, variants, own, penalty) for train, test in halves]
    return {name: [areas[name] for areas in found] for name in variants}


def _of_used(given: Mapping[str, T], used: Sequence[str]) -> dict[str, T]:
    """An analyst's mapping of features, those alone that are used."""
    return {name: value for name, value in given.items() if name in used}


def _folds(bad: Floats) -> list[tuple[Bools, Bools]]:
    """Which rows teach and which test in each fold: goods and bads are dealt out apart."""
    fold, rng = np.empty(len(bad), np.int64), np.random.default_rng(SEED)
    for side in (0.0, 1.0):
        places: Integers = np.flatnonzero(bad == side)
        fold[rng.permutation(places)] = np.arange(len(places)) % FOLDS
    return [(fold != k, fold == k) for k in range(FOLDS)]


def _steps(rows: LocalTraining) -> list[tuple[Bools, Bools]]:
    """Steps in time, no period divided; none without periods, or when a step lacks bads or goods."""
    period = pd.Index(rows.totals.periods).get_indexer(rows.frame["period"])
    bad = rows.frame["bad"].to_numpy()
    reached = np.cumsum(np.bincount(period)) / len(period)
    ends = [int(np.searchsorted(reached, cut - 1e-9)) for cut in CUTS]
    steps = [(period <= first, (period > first) & (period <= last)) for first, last in zip(ends, ends[1:])]
    sides = [(side, outcome) for step in steps for side in step for outcome in (bad, 1 - bad)]
    is_enough = all(outcome[side].sum() >= FEWEST_BADS_LATER for side, outcome in sides)
    return steps if is_enough else []


def _fold(
    source: Source,
    train: pd.DataFrame,
    test: pd.DataFrame,
    variants: Mapping[str, _Variant],
    rules: BinningRules,
    penalty: float,
) -> dict[str, float]:
    rows = local_training(source, train)
    return _tested(rows, bin_rows(rows, rules).features, test, variants, penalty)


def _tested(
    rows: LocalTraining,
    binned: Mapping[str, BinnedFeature],
    test: pd.DataFrame,
    variants: Mapping[str, _Variant],
    penalty: float,
) -> dict[str, float]:
    """The AUC on ``test`` of each variant's regression on ``rows``."""
    places = {name: place for place, name in enumerate(binned)}
    coded = rows.coded([one.bins for one in binned.values()])
    woes = [np.asarray(one.woe) for one in binned.values()]
    unseen = np.stack(
        [woe[one.bins.codes(test[f"f{i}"])] for i, (one, woe) in enumerate(zip(binned.values(), woes))], 1
    )
    areas = {}
    for variant, (names, turning) in variants.items():
        columns = [places[name] for name in names]
        sums = logistic_pass(coded, {i: woes[i] for i in columns}, penalty)
        size = len(columns) + 1
        upper: Floats = np.array([np.inf, *(np.inf if name in turning else 0.0 for name in names)])
        try:
            beta = maximise(sums, sums(np.zeros(size)), np.ones(size, bool), upper, tolerance=1e-3).beta
        except SeparatedError:
            areas[variant] = float("nan")
            continue
        areas[variant] = auc(ScoreTable.of(test["bad"], beta[0] + unseen[:, columns] @ beta[1:], test["weight"]))
    return areas
