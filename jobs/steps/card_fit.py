"""Fitting and testing of ``strata scorecard``: bins, suspects, card, challenger, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.runtime.errors import InputError
from strata.jobs.runtime.run import Context
from strata.jobs.steps.card_input import PERIOD, SPLIT, STATE, CardTable, read_splits
from strata.models.binning import Binning, bin_rows
from strata.models.binning_rows import column
from strata.models.boosting import Boosting, fit_boosting
from strata.models.challenger import challenger_columns, challenger_spec
from strata.models.evaluation import Interval, ScoreTable, bootstrap_intervals, measures, score_table
from strata.models.fairness import fairness_report
from strata.models.labels import LEARNT, TEST, TRAIN
from strata.models.scorecard import Scorecard, ScorecardSpec, fit_binned, require_features
from strata.models.screening import Suspect, suspects
from strata.models.selection import screen_alone
from strata.models.swap import SwapSet, swap_set
from strata.models.training import training

CARD, BOOSTED = "scorecard", "boosted"
REASONS = 4
BAD, ROW, BOOSTED_SCORE = "__bad", "__row", "challenger_probability"
# Where swaps and fairness are looked at: the share of applicants that either model may approve.
APPROVED = 0.7


@dataclass(frozen=True)
class FittedCard:
    """The card, its challenger, every feature's bins, and the features that look like leaks."""

    card: Scorecard
    boosted: Boosting
    binning: Binning
    suspects: tuple[Suspect, ...]
    spec: ScorecardSpec


@dataclass(frozen=True)
class TestedCard:
    """What both models do on train and test.

    ``scored`` has the rows in ``__row`` with what both models add to them; ``tables`` and ``figures`` are by
    (model, split), ``intervals`` of the test by model and measure.
    """

    scored: DataFrame
    tables: Mapping[tuple[str, str], ScoreTable]
    figures: Mapping[tuple[str, str], Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, Interval]]
    swaps: SwapSet
    fairness: pd.DataFrame | None
    by_period: pd.DataFrame | None


def fit(context: Context, table: CardTable) -> FittedCard:
    """Bin all features in one pass, name the suspects, select and regress, then train the challenger."""
    spec, train = _spec(table), table.part(TRAIN)
    with context.progress.step("bin features") as step:
        rows = training(spec.source(train))
        binning = bin_rows(rows, spec.binning_rules)
        step.says(f"{sum(iv >= spec.min_iv for iv in binning.iv.values())} of {len(binning.iv)} tell something")
    found = suspects(binning, rows.totals.good, rows.totals.bad)
    _warn(context, table, found)
    with context.progress.step("fit scorecard") as step:
        card = fit_binned(rows, spec, binning)
        require_features(card)
        step.says(f"{len(card.features)} features kept")
    with context.progress.step("fit challenger") as step:
        dropped = screen_alone(binning, spec.selection_rules)
        names = [name for name in binning.features if name not in dropped] or list(card.features)
        boosting = challenger_spec(
            binning, names, target=BAD, weight=spec.weight, bads=rows.totals.bad, reasons=REASONS
        )
        given = [column(spec.weight)] if spec.weight else []
        boosted = fit_boosting(train.select(_bad().alias(BAD), *given, *challenger_columns(binning, names)), boosting)
        step.says(f"{boosting.trees} trees of depth {boosting.max_depth} on {len(names)} features")
    return FittedCard(card, boosted, binning, tuple(found), spec)


def _spec(table: CardTable) -> ScorecardSpec:
    options, features = table.options, table.roles.features
    return ScorecardSpec(
        options.target,
        features,
        event=options.event,
        weight=options.weight,
        special_values=options.special or None,
        max_bins=options.max_bins,
        min_share=options.min_share,
        splits=read_splits(options.splits, table.source.names, features),
        period=PERIOD if table.has_periods else None,
        stability=options.stability,
        forced=options.forced,
        forbidden=options.forbidden,
        selection=options.selection,
        reasons=REASONS,
        readings={name: reading for name, reading in table.source.readings.items() if name in features},
    )


def _warn(context: Context, table: CardTable, found: list[Suspect]) -> None:
    """Refuse a target in disguise by name; warn of every other suspect and keep it."""
    for one in found:
        name = table.source.names[one.feature]
        if one.kind == "target in disguise" and one.feature not in table.options.forced:
            raise InputError(f"{one.sentence}; leave it out with --exclude {name}")
        context.progress.line(f"warning: suspected leak: {one.sentence} It is kept; --exclude {name} drops it")


def _bad() -> Column:
    return (F.col(STATE) == "bad").cast("int")


def test(context: Context, table: CardTable, fitted: FittedCard) -> TestedCard:
    """Score every row with both models once, then measure on train and test apart."""
    with context.progress.step("score") as step:
        scored = _scored(table, fitted).persist()
        step.says(f"{scored.count():,} rows")
    with context.progress.step("test") as step:
        learnt = _flat(table, scored)
        risks = {CARD: "probability", BOOSTED: BOOSTED_SCORE}
        tables = {
            (model, split): score_table(learnt.where(F.col(SPLIT) == split), target=BAD, risk=risk, weight="__weight")
            for model, risk in risks.items()
            for split in (TRAIN, TEST)
        }
        figures = {key: measures(value) for key, value in tables.items()}
        intervals = {model: bootstrap_intervals(tables[model, TEST], seed=context.settings.seed) for model in risks}
        swaps = _swaps(learnt)
        fairness = _fairness(table, learnt, tables[CARD, TEST])
        by_period = _by_period(learnt) if table.has_periods else None
        step.says(_told(figures, intervals))
    return TestedCard(scored, tables, figures, intervals, swaps, fairness, by_period)


def _scored(table: CardTable, fitted: FittedCard) -> DataFrame:
    """The row whole in ``__row``, so that no column of it can be taken for ours, and both models' columns."""
    whole = table.rows.withColumn(ROW, F.struct("*"))
    card = fitted.card.columns()
    inputs = challenger_columns(fitted.binning, fitted.boosted.spec.features)
    both = whole.select(ROW, F.struct(*card.values()).alias("__card"), *inputs)
    boosted = fitted.boosted.score(both)
    return boosted.select(
        ROW,
        *[F.col("__card")[name].alias(name) for name in card],
        F.col("probability").alias(BOOSTED_SCORE),
        *[F.col(name).alias(f"challenger_{name}") for name in fitted.boosted.reason_columns],
    )


def _flat(table: CardTable, scored: DataFrame) -> DataFrame:
    """What measuring needs of the good and bad rows."""
    row, options = F.col(ROW), table.options
    weight = row[options.weight].cast("double") if options.weight else F.lit(1.0)
    kept = [row[name].alias(name) for name in (SPLIT, *([PERIOD] if table.has_periods else ()))]
    protected = [row[name].alias(f"protected {i}") for i, name in enumerate(options.protected)]
    bad = (row[STATE] == "bad").cast("int").alias(BAD)
    return scored.where(row[STATE].isin(*LEARNT)).select(
        *kept, bad, weight.alias("__weight"), "score", "probability", BOOSTED_SCORE, "grade", *protected
    )


def _swaps(learnt: DataFrame) -> SwapSet:
    """The challenger in the card's place, both approving the same share of the test."""
    test = learnt.where(F.col(SPLIT) == TEST).withColumn("__safety", -F.col(BOOSTED_SCORE))
    return swap_set(test, target=BAD, champion="score", challenger="__safety", approve=APPROVED, weight="__weight")


def _fairness(table: CardTable, learnt: DataFrame, scores: ScoreTable) -> pd.DataFrame | None:
    """Decisions on the test by protected column, when the safest seven in ten are approved."""
    names = table.options.protected
    if not names:
        return None
    weight = (scores.good + scores.bad).cumsum() / scores.rows
    limit = float(scores.risk[min(int((weight <= APPROVED).sum()), len(weight) - 1)])
    decided = learnt.where(F.col(SPLIT) == TEST).withColumn("approved", F.col("probability") <= limit)
    inner = [f"protected {i}" for i in range(len(names))]
    report = fairness_report(decided, attributes=inner, approved="approved", bad=BAD).toPandas()
    called = {ours: table.source.names[name] for ours, name in zip(inner, names, strict=True)}
    return report.assign(attribute=report["attribute"].map(called)).sort_values(
        ["attribute", "group"], ignore_index=True
    )


def _by_period(learnt: DataFrame) -> pd.DataFrame:
    """Each vintage: rows, bad rate, mean probability; bounded by the number of vintages."""
    weight = F.col("__weight")
    sums = learnt.groupBy(PERIOD, SPLIT).agg(
        F.sum(weight).alias("rows"),
        (F.sum(weight * F.col(BAD)) / F.sum(weight)).alias("bad_rate"),
        (F.sum(weight * F.col("probability")) / F.sum(weight)).alias("mean_probability"),
    )
    return sums.toPandas().sort_values([PERIOD, SPLIT], ignore_index=True)


def _told(
    figures: Mapping[tuple[str, str], Mapping[str, float]], intervals: Mapping[str, Mapping[str, Interval]]
) -> str:
    parts = []
    for model in (CARD, BOOSTED):
        area = intervals[model]["auc"]
        parts.append(
            f"{model} AUC {area.value:.3f} ({area.low:.3f} to {area.high:.3f}), KS {figures[model, TEST]['ks']:.3f}"
        )
    return "; ".join(parts)
