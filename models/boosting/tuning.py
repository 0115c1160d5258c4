"""How many trees of which shape: a few recipes tried on rows held out, each stopped before it overfits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.models.boosting.trees import (
    LABEL,
    Boosting,
    BoostingSpec,
    fit_boosting,
    fit_in_one_task,
    train_parameters,
    train_rows,
    training_matrix,
    training_rows,
)
from strata.models.samples.training_rows import column

# From stumps that few bads carry to deep trees of small steps; each is stopped where rows held out tell it to.
RECIPES: Mapping[str, Mapping[str, float]] = {
    "shallow": {"max_depth": 2, "learning_rate": 0.1, "min_child_weight": 2.0, "l2": 5.0},
    "small": {
        "max_depth": 3,
        "learning_rate": 0.05,
        "min_child_weight": 5.0,
        "l2": 5.0,
        "row_share": 0.7,
        "column_share": 0.6,
    },
    "strict": {
        "max_depth": 5,
        "learning_rate": 0.05,
        "min_child_weight": 10.0,
        "l2": 10.0,
        "row_share": 0.7,
        "column_share": 0.4,
    },
    "deep": {
        "max_depth": 6,
        "learning_rate": 0.05,
        "min_child_weight": 1.0,
        "l2": 1.0,
        "row_share": 0.8,
        "column_share": 0.6,
    },
    "deepest": {
        "max_depth": 8,
        "learning_rate": 0.05,
        "min_child_weight": 1.0,
        "l2": 1.0,
        "row_share": 0.8,
        "column_share": 0.6,
    },
}
MOST_TREES, PATIENCE = 800, 40
FOLDS, HELD_OUT, FEWEST_BADS = 4, 0.25, 50
# With so many bads, and more cells (rows × features) than the first, one held-out part takes the place of folds; with
# more cells than the second recipes are tried on a sample; than the third the chosen one is trained by several tasks.
MANY_BADS = 2_000
CELLS_FOR_FOLDS, CELLS_TO_TUNE, CELLS_IN_ONE_TASK = 400_000, 4_000_000, 20_000_000
WHEN, GROUP = "when", "group"
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Trial:
    """One recipe on the rows held out: its best number of trees, log loss and AUC there, and whether it was taken."""

    recipe: str
    trees: int
    log_loss: float
    auc: float
    chosen: bool = False


@dataclass(frozen=True)
class Tuned:
    """A challenger, the recipes that were tried for it, and on what: ``folds`` or ``latest quarter``."""

    boosting: Boosting
    trials: tuple[Trial, ...]
    judged_on: str


def fit_tuned(
    data: DataFrame,
    spec: BoostingSpec,
    *,
    time: str | None = None,
    group: str | None = None,
    recipes: Mapping[str, Mapping[str, float]] = RECIPES,
) -> Tuned:
    """Train ``spec`` with the recipe and the number of trees that do best on rows held out, by log loss.

    With ``time`` (a day, timestamp or number) the latest quarter is held out, as the future will be; without it, or
    with under 50 bads in that quarter, four folds are, in which a ``group`` stays whole (one of them in large tables of
    many bads). The work is bounded by the size of the table, never by a clock, so one table gives one model on every
    machine: seconds up to 400,000 cells (rows × features), at most a minute for more. Plan: one scan for the checks,
    one shuffle of target and features to one task that holds up to 20 million cells; of more, a sample is tuned there
    and ``fit_boosting`` trains. Raises as it does.
    """
    whole = spec.model_copy(update={"workers": 1})
    kept = [_number(data, time).alias(WHEN) if time else F.lit(0.0).alias(WHEN)]
    kept.append(F.xxhash64(F.lit(spec.seed), column(group)).alias(GROUP) if group else F.lit(0).alias(GROUP))
    rows = data.count()
    cells = rows * len(spec.features)
    is_small = cells <= CELLS_IN_ONE_TASK
    some = data if is_small else data.sample(CELLS_TO_TUNE / cells, seed=spec.seed)
    plan = _Plan(whole, {name: dict(of) for name, of in recipes.items()}, time is not None, group is not None, is_small)
    found = json.loads(
        training_rows(some, whole, *kept).mapInPandas(_tuning_task(plan), "answer string").collect()[0]["answer"]
    )
    chosen = spec.model_copy(update=found["update"])
    boosting = Boosting(chosen, found["booster"]) if is_small else _fit_in_tasks(data, chosen, cells)
    return Tuned(boosting, tuple(Trial(**trial) for trial in found["trials"]), found["judged_on"])


def fit_shaped(data: DataFrame, spec: BoostingSpec) -> Boosting:
    """Train ``spec`` as it is: in one task up to 20 million cells, else in several. Raises as ``fit_boosting``."""
    cells = data.count() * len(spec.features)
    return fit_in_one_task(data, spec) if cells <= CELLS_IN_ONE_TASK else _fit_in_tasks(data, spec, cells)


def _fit_in_tasks(data: DataFrame, spec: BoostingSpec, cells: int) -> Boosting:
    slots = data.sparkSession.sparkContext.defaultParallelism
    workers = min(slots, math.ceil(cells / CELLS_IN_ONE_TASK))
    return fit_boosting(data, spec.model_copy(update={"workers": workers}))


def _number(data: DataFrame, name: str) -> Column:
    """A day or timestamp in seconds, a number as it is."""
    is_moment = data.schema[name].dataType.typeName() in ("date", "timestamp", "timestamp_ntz")
    return (column(name).cast("timestamp") if is_moment else column(name)).cast("double")


@dataclass(frozen=True)
class _Plan:
    """What the task is told."""

    spec: BoostingSpec
    recipes: Mapping[str, Mapping[str, float]]
    by_time: bool
    by_group: bool
    trains: bool


def _tuning_task(plan: _Plan) -> Any:
    def task(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        rows = pd.concat(list(frames), ignore_index=True)
        yield pd.DataFrame({"answer": [json.dumps(_tune(rows, plan))]})

    return task


def _tune(rows: pd.DataFrame, plan: _Plan) -> dict[str, Any]:
    """Try the recipes on a sample that is not too large, then train the best on all rows."""
    most = max(CELLS_TO_TUNE // len(plan.spec.features), 1)
    some = rows if len(rows) <= most else rows.sample(most, random_state=plan.spec.seed).sort_index(ignore_index=True)
    parts, judged_on = _held_out(some, plan)
    trials = [_trial(name, plan.spec.model_copy(update=dict(of)), some, parts) for name, of in plan.recipes.items()]
    best = min(trials, key=lambda trial: trial.log_loss)
    update = {**plan.recipes[best.recipe], "trees": best.trees}
    answer = {
        "update": update,
        "judged_on": judged_on,
        "trials": [asdict(trial) | {"chosen": trial is best} for trial in trials],
    }
    return answer | ({"booster": train_rows(rows, plan.spec.model_copy(update=update))} if plan.trains else {})


def _held_out(rows: pd.DataFrame, plan: _Plan) -> tuple[list[Places], str]:
    """Places of the rows held out each time, and what they are."""
    bad = rows[LABEL].to_numpy()
    if plan.by_time:
        when = rows[WHEN].to_numpy()
        later = np.flatnonzero(when > np.quantile(when, 1 - HELD_OUT, method="lower"))
        earlier_bads = bad.sum() - bad[later].sum()
        if bad[later].sum() >= FEWEST_BADS <= earlier_bads:
            return [later], "latest quarter"
    is_large = bad.sum() >= MANY_BADS and len(rows) * len(plan.spec.features) > CELLS_FOR_FOLDS
    parts = _parts(_group_folds(rows), bad) if plan.by_group else []
    parts = parts or _parts(_folds(rows, plan.spec.seed), bad) or [np.arange(len(rows))]
    return (parts[:1], "a quarter held out") if is_large else (parts, f"{FOLDS} folds")


def _parts(folds: Places, bad: NDArray[np.float64]) -> list[Places]:
    """Places of the rows of each fold, of those that have goods and bads inside and outside."""
    parts = [np.flatnonzero(folds == k) for k in range(FOLDS)]
    return [part for part in parts if 0 < bad[part].sum() < bad.sum() and 0 < (1 - bad[part]).sum() < (1 - bad).sum()]


def _group_folds(rows: pd.DataFrame) -> Places:
    """A fold for each row, whole groups: those with bads and those without are dealt out apart."""
    has_bad = rows.groupby(GROUP)[LABEL].max()
    turn = has_bad.groupby(has_bad).cumcount()
    return np.asarray(rows[GROUP].map(turn % FOLDS).to_numpy(np.int64))


def _folds(rows: pd.DataFrame, seed: int) -> Places:
    """A fold for each row: goods and bads dealt out apart, in a drawn order."""
    folds = np.empty(len(rows), np.int64)
    rng = np.random.default_rng(seed)
    for side in (0, 1):
        places = np.flatnonzero(rows[LABEL].to_numpy() == side)
        folds[rng.permutation(places)] = np.arange(len(places)) % FOLDS
    return folds


def _trial(name: str, spec: BoostingSpec, rows: pd.DataFrame, parts: list[Places]) -> Trial:
    """The mean curves over the parts held out, at their best number of trees."""
    curves = [_curve(spec, rows, part) for part in parts]
    shortest = min(len(curve) for curve in curves)
    losses, areas = np.mean([curve[:shortest] for curve in curves], axis=0).T
    best = int(losses.argmin())
    return Trial(name, best + 1, float(losses[best]), float(areas[best]))


def _curve(spec: BoostingSpec, rows: pd.DataFrame, held_out: Places) -> NDArray[np.float64]:
    """Log loss and AUC on the rows held out after each tree (trees × 2), until it no longer falls."""
    is_test = np.zeros(len(rows), bool)
    is_test[held_out] = True
    train = training_matrix(rows[~is_test], spec)
    test = training_matrix(rows[is_test], spec, ref=train)
    found: dict[str, dict[str, list[float]]] = {}
    xgboost.train(
        {**train_parameters(spec), "eval_metric": ["auc", "logloss"]},
        train,
        num_boost_round=MOST_TREES,
        evals=[(test, "test")],
        early_stopping_rounds=PATIENCE,
        evals_result=found,
        verbose_eval=False,
    )
    return np.stack([found["test"]["logloss"], found["test"]["auc"]], axis=1)
