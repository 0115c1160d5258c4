"""Fitting and testing of ``strata uplift``: is the treatment random, what looks like a leak, whom it moves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.own_table.uplift_results import ARM, OUTCOME, SPLIT, WEIGHT, Experiment, FittedModel, TestedModel
from strata.jobs.runtime.errors import InputError
from strata.jobs.runtime.job import Context
from strata.models.evaluation.intervals import Z_95
from strata.models.samples.development_sample import TEST, TRAIN
from strata.models.uplift.qini import qini
from strata.models.uplift.uplift_model import Uplift, UpliftSpec, fit_uplift, treatment_overlap
from strata.models.uplift.uplift_training import Overlap

# Above this AUC out of fold the treatment was not drawn at random.
MOST_AUC = 0.6
# A difference between random arms that chance makes so rarely, over all features together.
RARE_CHANCE = 0.001
# A feature whose correlation with the outcome is above this knows it.
MOST_CORRELATION = 0.9
DECILES, DRIVER_ROWS = 10, 5_000


def fit(context: Context, table: Experiment) -> FittedModel:
    """Refuse a treatment that features predict, warn of leaks, then fit the model on the train part."""
    options, train = table.options, table.part(TRAIN)
    spec = UpliftSpec(
        OUTCOME, ARM, table.roles.features, options.learner, observational=options.observational,
        seed=context.settings.seed,
    )  # fmt: skip
    with context.progress.step("is it random") as step:
        overlap = treatment_overlap(train, spec)
        step.says(f"features predict the treatment with AUC {overlap.auc:.3f} out of fold")
    if overlap.auc > MOST_AUC and not options.observational:
        raise InputError(_not_random(table, overlap))
    with context.progress.step("fit uplift") as step:
        model = fit_uplift(train, spec)
        step.says(_describe_trials(model))
    with context.progress.step("balance") as step:
        balance = _balance(train, model)
        step.says(f"largest standardised difference {balance['difference'].abs().max():.3f}")
    suspects = _suspects(table, balance)
    for sentence in suspects:
        context.progress.line(f"warning: suspected leak: {sentence}")
    return FittedModel(model, overlap, balance, suspects)


def _not_random(table: Experiment, overlap: Overlap) -> str:
    return (
        f"{table.name_of(table.options.treatment)!r}: features predict the treatment with AUC {overlap.auc:.3f} out of "
        f"fold, above {MOST_AUC}, so it was not drawn at random; leave out what the treatment set with --exclude, or "
        "say --observational"
    )


def _describe_trials(model: Uplift) -> str:
    """Which shape of trees was taken, and whether any is better than one effect for all."""
    losses = {trial.recipe: trial.r_loss for trial in model.trials}
    chosen = next(trial for trial in model.trials if trial.chosen)
    if chosen.r_loss >= losses["constant"]:
        return f"{chosen.recipe} trees; on rows held out no better than one effect for all"
    return f"{chosen.recipe} trees, chosen on rows held out"


def _balance(train: DataFrame, model: Uplift) -> pd.DataFrame:
    """One row per input: mean in both arms, standardised difference, and the chance of one so large. One scan."""
    inputs = train.select(ARM, *[one.column().alias(f"x{i}") for i, one in enumerate(model.inputs)])
    sums = []
    for i in range(len(model.inputs)):
        value = F.when(~F.isnan(f"x{i}"), F.col(f"x{i}"))
        missing = F.coalesce(F.isnan(f"x{i}"), F.lit(True)).cast("double")
        sums += [F.count(value), F.avg(value), F.var_samp(value), F.avg(missing)]
    found = {row[0]: row[1:] for row in inputs.groupBy(ARM).agg(*sums).collect()}
    table = [(one.bins.feature, one.level, *_difference(found[1][4 * i : 4 * i + 4], found[0][4 * i : 4 * i + 4]))
             for i, one in enumerate(model.inputs)]  # fmt: skip
    names = ["feature", "level", "treated", "control", "difference", "chance"]
    return pd.DataFrame(table, columns=names).sort_values("chance", ignore_index=True)


def _difference(treated: tuple[float, ...], control: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Means, standardised difference and its two-sided chance, from (rows, mean, variance, share missing)."""
    if not (treated[0] > 1 and control[0] > 1):
        return math.nan, math.nan, 0.0, 1.0
    gap, spread = treated[1] - control[1], (treated[2] + control[2]) / 2
    error = treated[2] / treated[0] + control[2] / control[0]
    chance = math.erfc(abs(gap) / math.sqrt(2 * error)) if error > 0 else float(gap == 0)
    return treated[1], control[1], gap / math.sqrt(spread) if spread > 0 else 0.0, chance


def _suspects(table: Experiment, balance: pd.DataFrame) -> tuple[str, ...]:
    """Features that random arms should share but don't, and those that know the outcome."""
    found = []
    if not table.options.observational:
        for row in balance[balance["chance"] * len(balance) < RARE_CHANCE].drop_duplicates("feature").itertuples():
            found.append(
                f"{table.name_of(row.feature)!r} differs between random arms ({row.treated:.4g} of the treated, "
                f"{row.control:.4g} of the others): was it set after the treatment? It is kept; "
                f"--exclude {table.name_of(row.feature)} drops it"
            )
    train, numbers = table.part(TRAIN), _numbers(table)
    sizes = train.agg(*[F.corr(F.col(OUTCOME), _double(name)).alias(f"c{i}") for i, name in enumerate(numbers)])
    for name, size in zip(numbers, sizes.head() or (), strict=False):
        if size is not None and abs(size) > MOST_CORRELATION:
            found.append(
                f"{table.name_of(name)!r} follows the outcome (correlation {size:.3f}): was it known before? It is "
                f"kept; --exclude {table.name_of(name)} drops it"
            )
    return tuple(found)


def _numbers(table: Experiment) -> list[str]:
    return [name for name in table.roles.features if table.rows.schema[name].dataType.typeName() != "string"]


def _double(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`").cast("double")


def test(context: Context, table: Experiment, fitted: FittedModel) -> TestedModel:
    """Score every row once, then measure on the test part."""
    options, model = table.options, fitted.model
    with context.progress.step("score") as step:
        chance = model.propensity(table.rows) if options.observational else F.lit(1.0)
        own = F.when(F.col(ARM) == 1, chance).otherwise(1 - chance) if options.observational else F.lit(1.0)
        scored = context.keep(_scored(table, model).withColumn(WEIGHT, 1 / own))
        step.says(f"{scored.count():,} rows")
    with context.progress.step("test") as step:
        rows = scored.where(F.col(SPLIT) == TEST)
        found = qini(rows, outcome=OUTCOME, treatment=ARM, uplift="__uplift", weight=WEIGHT, seed=context.settings.seed)
        share = min(1.0, DRIVER_ROWS / max(table.size(TEST), 1))
        drivers = model.drivers(rows.sample(share, seed=context.settings.seed) if share < 1 else rows)
        best = None
        if options.cost is not None and options.value is not None:
            best = found.best_share(cost=options.cost, value=options.value)
        step.says(
            f"effect {found.ate:+.4f} ({found.ate.low:+.4f} to {found.ate.high:+.4f}), Qini {found.normalised:.4f} "
            f"({found.normalised.low:.4f} to {found.normalised.high:.4f})"
        )
        return TestedModel(scored, found, _deciles(rows), drivers, best)


def _scored(table: Experiment, model: Uplift) -> DataFrame:
    """The rows with ``__uplift``, so that no column of somebody's can be taken for ours."""
    scored = model.score(table.rows.withColumn("__kept", F.struct("*")))
    return scored.select("__kept.*", F.col("uplift").alias("__uplift"))


def _deciles(rows: DataFrame) -> pd.DataFrame:
    """One row per tenth of the test by predicted uplift, the highest first: predicted, observed, its interval."""
    cuts = rows.agg(F.percentile_approx("__uplift", [i / DECILES for i in range(1, DECILES)], 10_000)).head()
    assert cuts is not None
    tenth = F.lit(1)
    for cut in sorted(set(cuts[0])):
        tenth = tenth + (F.col("__uplift") <= cut).cast("int")
    w, y = F.col(WEIGHT), F.col(OUTCOME)
    sums = [F.sum(part).alias(name) for name, part in (("w", w), ("wy", w * y), ("ww", w * w), ("wwy", w * w * y),
                                                        ("wwyy", w * w * y * y))]  # fmt: skip
    found = (
        rows.groupBy(tenth.alias("tenth"), F.col(ARM).alias("arm"))
        .agg(F.count(F.lit(1)).alias("rows"), F.sum("__uplift").alias("uplift"), *sums)
        .toPandas()
    )
    mean = found["wy"] / found["w"]
    found["mean"] = mean
    found["variance"] = (found["wwyy"] - 2 * mean * found["wwy"] + mean**2 * found["ww"]) / found["w"] ** 2
    return pd.DataFrame([_decile(part) for _, part in found.groupby("tenth")])


def _decile(part: pd.DataFrame) -> dict[str, float]:
    arms = part.set_index("arm")
    if len(arms) < 2:
        observed = error = math.nan
    else:
        observed = float(arms["mean"][1] - arms["mean"][0])
        error = float(np.sqrt(np.maximum(arms["variance"], 0).sum()))
    return {
        "tenth": int(part["tenth"].iloc[0]),
        "rows": int(part["rows"].sum()),
        "predicted": float(part["uplift"].sum() / part["rows"].sum()),
        "observed": observed,
        "low": observed - Z_95 * error,
        "high": observed + Z_95 * error,
    }
