"""Training of an uplift model in Spark tasks: each part of the rows, by content, is fitted whole by one task."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.models.boosting.challenger import Input
from strata.models.boosting.tree_sum import Floats, Matrix, TreeSum, grow_trees, matrix_of
from strata.models.evaluation.discrimination import auc
from strata.models.evaluation.score_table import ScoreTable
from strata.models.uplift.meta_learners import (
    OUTCOME_RECIPE,
    RECIPES,
    Choice,
    Experiment,
    Learner,
    Places,
    Trial,
    choose_recipe,
    fit_effect,
    held_out_means,
    stratified_folds,
)

# What one task holds, and the cells (rows × inputs) of it on which recipes are tried.
CELLS_IN_ONE_TASK, CELLS_TO_TUNE = 20_000_000, 4_000_000
LEAST_CHANCE = 0.02
OUTCOME, TREATED = "outcome", "treated"
ANSWER = "part int, answer string"


@dataclass(frozen=True)
class Overlap:
    """How far features predict the treatment: AUC out of fold, and where the fitted chances of treatment lie.

    ``low`` and ``high`` are their 1 % and 99 % quantiles, ``clipped`` is the share of rows that were
    moved to the nearest allowed chance.
    """

    auc: float
    low: float
    high: float
    clipped: float


@dataclass(frozen=True)
class FittedUplift:
    """The effect and the log-odds of treatment as sums of trees, the recipes that were tried, the overlap."""

    effect: TreeSum
    treatment: TreeSum
    trials: tuple[Trial, ...]
    overlap: Overlap | None


@dataclass(frozen=True)
class Plan:
    """What a task does with its rows; ``clip`` is the least chance of either arm that an observational fit allows."""

    learner: Learner
    recipe: str | None
    is_observational: bool
    clip: float
    seed: int


def train_uplift(rows: DataFrame, inputs: Sequence[Input], plan: Plan, count: int) -> FittedUplift:
    """Fit ``rows`` (``outcome``, ``treated`` and the inputs under their names), of which there are ``count``.

    Up to 20 million cells (rows × inputs) are one part, fitted by one task. More are dealt by a hash of
    their content into parts of that size, each fitted by a task of its own, and the model is their mean:
    no task and no driver ever holds the whole table, and every row is learnt from. Rows are sorted by
    content, so neither their order nor the partitions matter. One shuffle of outcome, arm and inputs.
    """
    parts = max(1, math.ceil(count * len(inputs) / CELLS_IN_ONE_TASK))
    part = F.pmod(F.xxhash64(F.lit(plan.seed), *map(F.col, map(_quoted, rows.columns))), F.lit(parts))
    dealt = rows.withColumn("part", part.cast("int"))
    names = [one.name for one in inputs]

    def fit(frame: pd.DataFrame) -> pd.DataFrame:
        answer = json.dumps(_fit_part(frame.sort_values([OUTCOME, TREATED, *names]), names, plan))
        return pd.DataFrame({"part": [int(frame["part"].iloc[0])], "answer": [answer]})

    found = dealt.groupBy("part").applyInPandas(fit, ANSWER).orderBy("part").collect()
    return _joined([json.loads(row["answer"]) for row in found])


def measure_overlap(rows: DataFrame, inputs: Sequence[Input], seed: int, count: int) -> Overlap:
    """How far the inputs predict ``treated``, out of fold, on at most 4 million cells of ``rows`` drawn at random."""
    share = min(1.0, CELLS_TO_TUNE / max(count * len(inputs), 1))
    some = rows.sample(share, seed=seed) if share < 1 else rows
    names = [one.name for one in inputs]

    def fit(frame: pd.DataFrame) -> pd.DataFrame:
        ordered = frame.sort_values([TREATED, *names])
        treated = ordered[TREATED].to_numpy(np.float64)
        folds = stratified_folds(treated, np.zeros(len(treated), bool), seed)
        plan = Plan("x", None, True, LEAST_CHANCE, seed)
        overlap = _chances(matrix_of(ordered[names]), treated, folds, plan)[2]
        assert overlap is not None
        return pd.DataFrame({"part": [0], "answer": [json.dumps(asdict(overlap))]})

    found = some.withColumn("part", F.lit(0)).groupBy("part").applyInPandas(fit, ANSWER).collect()
    return Overlap(**json.loads(found[0]["answer"]))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _fit_part(frame: pd.DataFrame, names: list[str], plan: Plan) -> dict[str, Any]:
    """The model of one part as plain values: choose a recipe on some rows, then fit all."""
    values, outcome = matrix_of(frame[names]), frame[OUTCOME].to_numpy(np.float64)
    treated = frame[TREATED].to_numpy(np.float64)
    folds = stratified_folds(treated, outcome > np.median(outcome), plan.seed)
    chances, treatment, overlap = _chances(values, treated, folds, plan)
    expected = held_out_means(values, outcome, folds, plan.seed)
    rows = Experiment(values, outcome, treated, chances, expected)
    choice = Choice(plan.recipe, ()) if plan.recipe else choose_recipe(_some(rows, plan.seed), plan.learner, plan.seed)
    raw = fit_effect(rows, plan.learner, RECIPES[choice.recipe], plan.seed)
    effect = raw.times(choice.slope).plus(TreeSum(choice.shift, ()))
    return {
        "effect": effect.to_plain(),
        "treatment": treatment.to_plain(),
        "trials": [asdict(trial) for trial in choice.trials],
        "overlap": overlap and asdict(overlap),
    }


def _some(rows: Experiment, seed: int) -> Experiment:
    """At most as many rows as recipes are tried on, drawn at random."""
    most = max(CELLS_TO_TUNE // rows.values.shape[1], 1)
    if len(rows.outcome) <= most:
        return rows
    drawn = np.zeros(len(rows.outcome), bool)
    drawn[np.random.default_rng(seed).permutation(len(drawn))[:most]] = True
    return rows.part(drawn)


def _chances(values: Matrix, treated: Floats, folds: Places, plan: Plan) -> tuple[Floats, TreeSum, Overlap | None]:
    """Chance of treatment of each row, its log-odds as a model, and the overlap of the arms.

    The share of the treated when arms were drawn at random; else fitted, for each row without its fold.
    """
    if not plan.is_observational:
        share = float(treated.mean())
        return np.full(len(treated), share), TreeSum(math.log(share / (1 - share)), ()), None
    objective = "binary:logistic"
    raw = 1 / (1 + np.exp(-held_out_means(values, treated, folds, plan.seed, objective)))
    model = grow_trees(values, treated, RECIPES[OUTCOME_RECIPE], seed=plan.seed, objective=objective)
    chances = np.clip(raw, plan.clip, 1 - plan.clip)
    low, high = np.quantile(raw, [0.01, 0.99])
    area, clipped = auc(ScoreTable.of(treated, raw)), float((chances != raw).mean())
    return chances, model, Overlap(area, float(low), float(high), clipped)


def _joined(parts: list[dict[str, Any]]) -> FittedUplift:
    """The mean of all parts' models; trials and overlap are those of the first part."""
    first = parts[0]
    overlap = Overlap(**first["overlap"]) if first["overlap"] else None
    effect, treatment = (
        reduce(TreeSum.plus, [TreeSum.from_plain(part[name]) for part in parts]).times(1 / len(parts))
        for name in ("effect", "treatment")
    )
    return FittedUplift(effect, treatment, tuple(Trial(**trial) for trial in first["trials"]), overlap)
