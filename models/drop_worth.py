"""What each rule's drops would have been worth: the card out of fold with and without the features it sent away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from strata.models.binning import Binning, BinningRules, bin_rows
from strata.models.binning_rows import Source
from strata.models.counts import Floats, Integers, Training
from strata.models.evaluation import auc
from strata.models.logistic import SeparatedError, logistic_pass, maximise
from strata.models.score_table import ScoreTable
from strata.models.selection_rules import SelectionRules, Verdict
from strata.models.training_local import LocalTraining, local_training

T = TypeVar("T")
MOST_ROWS, MOST_FEATURES, FOLDS, SEED = 20_000, 100, 5, 20_240_101
# Features that nobody may use are not missed.
NOT_ASKED = ("kept", "business")
TOGETHER = "all rules"


@dataclass(frozen=True)
class DropWorth:
    """The features that one rule dropped, the information in them, and the AUC out of fold without and with them.

    The AUCs are means over five folds of a regression on the WOE of the kept features, and on those and the dropped
    ones (at most the 100 with most information); bins are learnt in each fold. NaN where the features with the dropped
    ones separate the classes.
    """

    rule: str
    features: tuple[str, ...]
    information: float
    auc_without: float
    auc_with: float

    @property
    def cost(self) -> float:
        """What the drops cost in AUC; negative when the card is better without them."""
        return self.auc_with - self.auc_without


def drop_worth(
    rows: Training, binning: Binning, verdicts: Sequence[Verdict], rules: BinningRules, selection: SelectionRules
) -> list[DropWorth]:
    """One entry for each rule that dropped anything, then one for all together; empty when nothing was dropped.

    Up to 20,000 rows are looked at, on the driver, whatever the table's size: of more a random sample, in one scan.
    Five folds are binned and one regression each is fitted for every rule.
    """
    by_rule: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.stage not in NOT_ASKED:
            by_rule.setdefault(verdict.stage, []).append(verdict.feature)
    if not by_rule:
        return []
    kept = [verdict.feature for verdict in verdicts if verdict.kept]
    strongest = {rule: _strongest(names, binning) for rule, names in by_rule.items()}
    everything = _strongest([name for names in by_rule.values() for name in names], binning)
    variants = {"": kept} | {rule: kept + names for rule, names in (strongest | {TOGETHER: everything}).items()}
    used = list(dict.fromkeys(name for names in variants.values() for name in names))
    areas = _areas(_sample(rows), used, variants, rules, selection.penalty)
    dropped = by_rule | ({TOGETHER: [name for names in by_rule.values() for name in names]})
    return [
        DropWorth(rule, tuple(names), sum(binning.features[name].honest_iv for name in names), areas[""], areas[rule])
        for rule, names in dropped.items()
    ]


def _strongest(names: Sequence[str], binning: Binning) -> list[str]:
    ranked = sorted(names, key=lambda name: -binning.features[name].honest_iv)
    return ranked[:MOST_FEATURES]


def _sample(rows: Training) -> LocalTraining:
    """At most ``MOST_ROWS`` rows on the driver."""
    if isinstance(rows, LocalTraining):
        few = rows.frame if len(rows.frame) <= MOST_ROWS else rows.frame.sample(MOST_ROWS, random_state=SEED)
    else:
        share = min(1.0, MOST_ROWS / rows.totals.rows)
        few = replace(rows.source, data=rows.source.data.sample(share, seed=SEED)).rows().toPandas()
    return local_training(rows.source, few.reset_index(drop=True))


def _areas(
    rows: LocalTraining, used: Sequence[str], variants: Mapping[str, Sequence[str]], rules: BinningRules, penalty: float
) -> dict[str, float]:
    """The mean AUC over the folds of a regression on each variant's features."""
    source = rows.source
    places = [source.place(name) for name in used]
    part = replace(
        source,
        features=tuple(used),
        kinds=tuple(source.kinds[i] for i in places),
        specials=tuple(source.specials[i] for i in places),
        period=None,
    )
    named = rows.frame[["bad", "weight", *[f"f{i}" for i in places]]].assign(period="")
    frame = named.set_axis(["bad", "weight", *[f"f{i}" for i in range(len(places))], "period"], axis=1)
    splits = None if rules.splits is None else _of_used(rules.splits, used)
    trend = _of_used(rules.trend, used) if isinstance(rules.trend, Mapping) else rules.trend
    own = replace(rules, stability=0.0, splits=splits, trend=trend)
    found = [_fold(part, train, test, variants, own, penalty) for train, test in _folds(frame)]
    return {name: float(np.mean([areas[name] for areas in found])) for name in variants}


def _of_used(given: Mapping[str, T], used: Sequence[str]) -> dict[str, T]:
    """An analyst's mapping of features, those alone that are used."""
    return {name: value for name, value in given.items() if name in used}


def _folds(frame: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Train and test of each fold: goods and bads are dealt out apart."""
    fold, rng = np.empty(len(frame), np.int64), np.random.default_rng(SEED)
    for side in (0.0, 1.0):
        places: Integers = np.flatnonzero(frame["bad"].to_numpy() == side)
        fold[rng.permutation(places)] = np.arange(len(places)) % FOLDS
    for k in range(FOLDS):
        yield frame[fold != k].reset_index(drop=True), frame[fold == k].reset_index(drop=True)


def _fold(
    source: Source,
    train: pd.DataFrame,
    test: pd.DataFrame,
    variants: Mapping[str, Sequence[str]],
    rules: BinningRules,
    penalty: float,
) -> dict[str, float]:
    rows = local_training(source, train)
    binned = bin_rows(rows, rules).features
    places = {name: place for place, name in enumerate(binned)}
    coded = rows.coded([one.bins for one in binned.values()])
    woes = [np.asarray(one.woe) for one in binned.values()]
    unseen = np.stack(
        [woe[one.bins.codes(test[f"f{i}"])] for i, (one, woe) in enumerate(zip(binned.values(), woes))], 1
    )
    areas = {}
    for variant, names in variants.items():
        columns = [places[name] for name in names]
        sums = logistic_pass(coded, {i: woes[i] for i in columns}, penalty)
        size = len(columns) + 1
        upper: Floats = np.concatenate([[np.inf], np.zeros(size - 1)])
        try:
            beta = maximise(sums, sums(np.zeros(size)), np.ones(size, bool), upper, tolerance=1e-3).beta
        except SeparatedError:
            areas[variant] = float("nan")
            continue
        areas[variant] = auc(ScoreTable.of(test["bad"], beta[0] + unseen[:, columns] @ beta[1:], test["weight"]))
    return areas
