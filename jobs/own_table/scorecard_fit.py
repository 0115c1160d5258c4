"""Fitting and testing of ``strata scorecard``: bins, suspects, card, challengers, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.own_table.scorecard_input import read_splits
from strata.jobs.own_table.scorecard_results import (
    APPROVED,
    BAD,
    BOOSTED,
    CARD,
    MONOTONE,
    PERIOD,
    REASONS,
    RISKS,
    ROW,
    SPLIT,
    STATE,
    CardTable,
    FittedCard,
    TestedCard,
    describe_drop,
    describe_trees,
    sentence_on_drops,
    shifted_features,
)
from strata.jobs.runtime.errors import InputError
from strata.jobs.runtime.job import Context
from strata.models.binning.bin_counts import in_time
from strata.models.binning.woe_binning import Binning, bin_rows
from strata.models.boosting.challenger import Challenger, fit_challenger
from strata.models.evaluation.discrimination import Interval, bootstrap_intervals, measures
from strata.models.evaluation.fairness import fairness_report
from strata.models.evaluation.score_table import ScoreTable, score_table
from strata.models.evaluation.swap_set import SwapSet, swap_set
from strata.models.samples.development_sample import LEARNT, TEST, TRAIN
from strata.models.samples.screening import Suspect, suspects
from strata.models.samples.training import training
from strata.models.samples.training_rows import column
from strata.models.scorecard.drop_worth import drop_worth
from strata.models.scorecard.scorecard import Scorecard, ScorecardSpec, fit_binned, require_features


def fit(context: Context, table: CardTable) -> FittedCard:
    """Bin all features in one pass, name the suspects, select and regress, then train the challengers."""
    spec, train = _spec(table), table.part(TRAIN)
    with context.progress.step("bin features") as step:
        rows = training(spec.source(train))
        binning = bin_rows(rows, spec.binning_rules)
        step.says(f"{sum(iv >= spec.min_iv for iv in binning.iv.values())} of {len(binning.iv)} tell something")
    found = suspects(binning, rows.totals.good / rows.totals.unit, rows.totals.bad / rows.totals.unit)
    _warn(context, table, found)
    with context.progress.step("fit scorecard") as step:
        card = fit_binned(rows, spec, binning)
        require_features(card)
        step.says(f"{len(card.features)} features kept")
    _warn_of_signs(context, card, spec)
    _warn_of_drift(context, card, spec)
    with context.progress.step("worth of drops") as step:
        drops = drop_worth(rows, binning, card.selection, spec.binning_rules, spec.selection_rules, card.turned)
        for drop in drops if len(drops) > 2 else drops[:1]:
            step.says(describe_drop(drop))
    names = [name for name in binning.features if name not in spec.forbidden]
    fitted: dict[str, Challenger] = {}
    for model in (BOOSTED, MONOTONE):
        with context.progress.step(f"fit {model} challenger") as step:
            fitted[model] = _challenger(table, binning, names, model, like=fitted.get(BOOSTED))
            step.says(describe_trees(fitted[model]))
    return FittedCard(card, fitted[BOOSTED], fitted[MONOTONE], binning, tuple(found), tuple(drops), spec)


def _challenger(
    table: CardTable, binning: Binning, names: list[str], model: str, like: Challenger | None
) -> Challenger:
    options = table.options
    rows = table.part(TRAIN).withColumn(BAD, (F.col(STATE) == "bad").cast("int"))
    return fit_challenger(
        rows, binning, names, target=BAD, weight=options.weight, time=options.time,
        group=options.group, reasons=REASONS if model == BOOSTED else 0, is_monotone=model == MONOTONE, like=like,
    )  # fmt: skip


def warn_of_drops(context: Context, fitted: FittedCard) -> None:
    """A plain warning at the end of the run when what the rules dropped would have made a better card."""
    if fitted.has_costly_drops:
        context.progress.line(f"warning: {sentence_on_drops(fitted)}")


def _warn_of_signs(context: Context, card: Scorecard, spec: ScorecardSpec) -> None:
    """Name the kept features that count against their own WOE, but for forced ones."""
    against = [verdict for verdict in card.selection if verdict.feature in card.turned]
    for verdict in against:
        if verdict.feature not in spec.forced:
            context.progress.line(f"warning: {verdict.feature!r} is {verdict.reason}; --signs right drops it")


def _warn_of_drift(context: Context, card: Scorecard, spec: ScorecardSpec) -> None:
    """Name each kept feature that moves over time, though its risk keeps its sign."""
    for name, drift in shifted_features(card, spec).items():
        context.progress.line(f"warning: {name!r} moves over time and stays in the card: {drift.sentence}")


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
        drift=options.drift,
        signs=options.signs,
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


def test(context: Context, table: CardTable, fitted: FittedCard) -> TestedCard:
    """Score every row with all models once, then measure on train and test apart."""
    with context.progress.step("score") as step:
        scored = context.keep(_scored(table, fitted))
        step.says(f"{scored.count():,} rows")
    with context.progress.step("test") as step:
        units = _units(table)
        learnt = _flat(table, scored, units)
        keys = [(model, split) for model in RISKS for split in (TRAIN, TEST)]
        tables = {
            (model, split): score_table(
                learnt.where(F.col(SPLIT) == split), target=BAD, risk=RISKS[model], weight="__weight"
            )
            for model, split in keys
        }
        figures = {key: measures(value) for key, value in tables.items()}
        for (_, split), values in figures.items():
            values["n"] = units[split].total if table.options.weight else values["n"]
        intervals = {model: bootstrap_intervals(tables[model, TEST], seed=context.settings.seed) for model in RISKS}
        approved = max(APPROVED, *(_safest_share(tables[model, TEST]) for model in (CARD, BOOSTED)))
        swaps = _swaps(learnt, approved)
        fairness = _fairness(table, learnt, tables[CARD, TEST])
        by_period = _by_period(learnt) if table.has_periods else None
        step.says(_told(figures, intervals))
    return TestedCard(scored, tables, figures, intervals, swaps, approved, fairness, by_period)


def _safest_share(table: ScoreTable) -> float:
    """The share of rows that have the safest score."""
    return float(table.good[0] + table.bad[0]) / table.rows


class Unit(NamedTuple):
    """The weight of one effective row, Σw² / Σw, and that of all rows, Σw."""

    weight: float
    total: float


def _units(table: CardTable) -> dict[str, Unit]:
    """Of train and of test; without weights each row is one."""
    if table.options.weight is None:
        return {split: Unit(1.0, float(table.size(split))) for split in (TRAIN, TEST)}
    weight = column(table.options.weight).cast("double")
    learnt = table.rows.where(F.col(STATE).isin(*LEARNT))
    sums = learnt.groupBy(SPLIT).agg(F.sum(weight * weight).alias("squares"), F.sum(weight).alias("total")).collect()
    return {row[SPLIT]: Unit(float(row["squares"] / row["total"]), float(row["total"])) for row in sums}


def _scored(table: CardTable, fitted: FittedCard) -> DataFrame:
    """The row whole in ``__row``, so that no column of it can be taken for ours, and the models' columns."""
    whole = table.rows.withColumn(ROW, F.struct("*"))
    card = fitted.card.columns()
    inputs = [*fitted.boosted.columns(), *fitted.monotone.columns()]
    prepared = whole.select(ROW, F.struct(*card.values()).alias("__card"), *inputs)
    free = fitted.boosted.boosting.score(prepared)
    named = free.withColumnsRenamed(
        {name: f"challenger_{name}" for name in ("probability", *fitted.boosted.reason_columns)}
    )
    both = fitted.monotone.boosting.score(named)
    return both.select(
        ROW,
        *[F.col("__card")[name].alias(name) for name in card],
        *[name for name in named.columns if name.startswith("challenger_")],
        F.col("probability").alias(RISKS[MONOTONE]),
    )


def _flat(table: CardTable, scored: DataFrame, units: Mapping[str, Unit]) -> DataFrame:
    """What measuring needs of the good and bad rows; weights in effective rows."""
    row, options = F.col(ROW), table.options
    unit = F.when(row[SPLIT] == TRAIN, units[TRAIN].weight).otherwise(units[TEST].weight)
    weight = row[options.weight].cast("double") / unit if options.weight else F.lit(1.0)
    kept = [row[name].alias(name) for name in (SPLIT, *([PERIOD] if table.has_periods else ()))]
    protected = [row[name].alias(f"protected {i}") for i, name in enumerate(options.protected)]
    bad = (row[STATE] == "bad").cast("int").alias(BAD)
    return scored.where(row[STATE].isin(*LEARNT)).select(
        *kept, bad, weight.alias("__weight"), "score", "grade", *RISKS.values(), *protected
    )


def _swaps(learnt: DataFrame, approved: float) -> SwapSet:
    """The challenger in the card's place, both approving the same share of the test."""
    test = learnt.where(F.col(SPLIT) == TEST).withColumn("__safety", -F.col(RISKS[BOOSTED]))
    return swap_set(test, target=BAD, champion="score", challenger="__safety", approve=approved, weight="__weight")


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
    return sums.toPandas().sort_values(
        [PERIOD, SPLIT], key=lambda values: values.map(in_time) if values.name == PERIOD else values, ignore_index=True
    )


def _told(
    figures: Mapping[tuple[str, str], Mapping[str, float]], intervals: Mapping[str, Mapping[str, Interval]]
) -> str:
    parts = []
    for model in RISKS:
        area = intervals[model]["auc"]
        parts.append(
            f"{model} AUC {area.value:.3f} ({area.low:.3f} to {area.high:.3f}), KS {figures[model, TEST]['ks']:.3f}"
        )
    return "; ".join(parts)
