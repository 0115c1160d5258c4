"""Meta-learners of uplift on arrays: each turns an experiment into a few regressions by boosted trees.

``t``: one model of the outcome per arm, their difference (two models). ``x``: the effect of each row is
imputed by the other arm's model and regressed (Künzel, Sekhon, Bickel and Yu, PNAS 116, 2019, 4156-4165).
``class``: whether the outcome agrees with the arm is regressed (Jaskowski and Jaroszewicz, ICML 2012
workshop). ``transformed``: the outcome, less its expectation, weighted by the arm, is regressed (Athey and
Imbens, PNAS 113, 2016, 7353-7360).

Effects are far smaller than outcomes, so trees are regularised strongly, and how strongly is chosen by the
R-loss on rows held out (Nie and Wager, Biometrika 108, 2021, 299-319), which no outcome of the same row can
please by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from strata.models.boosting.tree_sum import Floats, Matrix, Recipe, TreeSum, grow_trees

Learner = Literal["x", "t", "class", "transformed"]
Places = NDArray[np.int64]
RECIPES: Mapping[str, Recipe] = {
    "additive": Recipe(trees=100, depth=1, rows=50, l2=50, column_share=0.7),
    "light": Recipe(trees=60, depth=2, rows=200, l2=200),
    "strict": Recipe(trees=150, depth=3, rows=200, l2=100),
    "rich": Recipe(trees=200, depth=4, rows=100, l2=100, column_share=0.5),
}
OUTCOME_RECIPE, CONSTANT = "light", "constant"
FOLDS, SLOPES = 3, (0.1, 3.0)


@dataclass(frozen=True)
class Experiment:
    """Rows of an experiment: inputs, outcome, treatment (0/1), chance of treatment, outcome expected of either arm."""

    values: Matrix
    outcome: Floats
    treated: Floats
    propensity: Floats
    expected: Floats

    def part(self, places: NDArray[np.bool_]) -> Experiment:
        """Some of the rows."""
        return Experiment(
            self.values[places], self.outcome[places], self.treated[places], self.propensity[places],
            self.expected[places],
        )  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """A recipe's mean R-loss on rows held out; ``constant`` is the same effect for all rows."""

    recipe: str
    r_loss: float
    chosen: bool = False


@dataclass(frozen=True)
class Choice:
    """The recipe that was taken, all trials, and the line that calibrates its effects: slope · effect + shift."""

    recipe: str
    trials: tuple[Trial, ...]
    slope: float = 1.0
    shift: float = 0.0


def fit_effect(rows: Experiment, learner: Learner, recipe: Recipe, seed: int) -> TreeSum:
    """The effect of treatment as a sum of trees, by one learner with trees of one recipe."""
    return _LEARNERS[learner](rows, recipe, seed)


def _two_models(rows: Experiment, recipe: Recipe, seed: int) -> TreeSum:
    with_it, without = _outcome_models(rows, recipe, seed)
    return with_it.plus(without.times(-1.0))


def _outcome_models(rows: Experiment, recipe: Recipe, seed: int) -> tuple[TreeSum, TreeSum]:
    """Models of the outcome with treatment, and without."""
    with_it, without = (rows.part(rows.treated == arm) for arm in (1.0, 0.0))
    return (
        grow_trees(with_it.values, with_it.outcome, recipe, seed=seed),
        grow_trees(without.values, without.outcome, recipe, seed=seed),
    )


def _imputed_effects(rows: Experiment, recipe: Recipe, seed: int) -> TreeSum:
    """The smaller arm's own effects are the noisier ones: each arm's regression weighs as the other's share."""
    with_it, without = _outcome_models(rows, recipe, seed)
    treated, control = rows.part(rows.treated == 1), rows.part(rows.treated == 0)
    gained = treated.outcome - without.predict(treated.values)
    missed = with_it.predict(control.values) - control.outcome
    share = float(rows.propensity.mean())
    of_treated = grow_trees(treated.values, gained, recipe, seed=seed).times(1 - share)
    return of_treated.plus(grow_trees(control.values, missed, recipe, seed=seed).times(share))


def _class_transformation(rows: Experiment, recipe: Recipe, seed: int) -> TreeSum:
    """Uplift is 2 P(outcome agrees with arm) − 1 when arms weigh the same."""
    agrees = np.where(rows.treated == 1, rows.outcome, 1 - rows.outcome)
    weight = 0.5 / np.where(rows.treated == 1, rows.propensity, 1 - rows.propensity)
    twice = grow_trees(rows.values, agrees, recipe, seed=seed, weight=weight).times(2.0)
    return twice.plus(TreeSum(-1.0, ()))


def _transformed_outcome(rows: Experiment, recipe: Recipe, seed: int) -> TreeSum:
    """What the expectation takes away has no effect on the mean, and much of the noise."""
    chance = rows.propensity
    turned = (rows.outcome - rows.expected) * (rows.treated - chance) / (chance * (1 - chance))
    return grow_trees(rows.values, turned, recipe, seed=seed)


_LEARNERS: Mapping[Learner, Callable[[Experiment, Recipe, int], TreeSum]] = {
    "x": _imputed_effects,
    "t": _two_models,
    "class": _class_transformation,
    "transformed": _transformed_outcome,
}
LEARNERS: tuple[Learner, ...] = tuple(_LEARNERS)


def choose_recipe(rows: Experiment, learner: Learner, seed: int) -> Choice:
    """The recipe with the least R-loss over three folds, from the simplest on, and how its effects are calibrated.

    The richest is not tried when the one before it was no better than simpler ones. R-loss: the mean of
    (y − m(x) − (w − e) τ(x))², with m the expected outcome and e the chance of treatment, both without the
    row's own outcome.
    """
    folds = stratified_folds(rows.treated, rows.outcome > np.median(rows.outcome), seed)
    losses, effects = {CONSTANT: _r_loss(rows, _constant_effect(rows))}, dict[str, Floats]()
    for name, recipe in RECIPES.items():
        if len(effects) > 2 and losses[list(effects)[-1]] > min(losses[one] for one in effects):
            break
        effects[name] = _held_out_effect(rows, learner, recipe, folds, seed)
        losses[name] = _r_loss(rows, effects[name])
    best = min(effects, key=lambda name: losses[name])
    trials = tuple(Trial(name, loss, name == best) for name, loss in losses.items())
    return Choice(best, trials, *_calibration(rows, effects[best]))


def _held_out_effect(rows: Experiment, learner: Learner, recipe: Recipe, folds: Places, seed: int) -> Floats:
    """The effect of each row by models that never saw it."""
    effect = np.empty(len(rows.outcome))
    for fold in range(FOLDS):
        inside = folds == fold
        effect[inside] = fit_effect(rows.part(~inside), learner, recipe, seed).predict(rows.values[inside])
    return effect


def _calibration(rows: Experiment, effect: Floats) -> tuple[float, float]:
    """Slope and shift of held-out effects with the least R-loss: strong regularisation makes effects too alike.

    The best linear predictor of Chernozhukov, Demirer, Duflo and Fernández-Val (2018); the slope stays
    between 0.1 and 3, so that it never turns the order.
    """
    left, arm = rows.outcome - rows.expected, rows.treated - rows.propensity
    centre = float(effect.mean())
    design = np.column_stack([arm, arm * (effect - centre)])
    mean, slope = np.linalg.lstsq(design, left, rcond=None)[0]
    slope = float(np.clip(slope, *SLOPES))
    return slope, float(mean) - slope * centre


def _r_loss(rows: Experiment, effect: Floats | float) -> float:
    left = rows.outcome - rows.expected - (rows.treated - rows.propensity) * effect
    return float(np.mean(left**2))


def _constant_effect(rows: Experiment) -> float:
    """The one effect with the least R-loss."""
    shift = rows.treated - rows.propensity
    return float(shift @ (rows.outcome - rows.expected) / (shift @ shift))


def held_out_means(
    values: Matrix, outcome: Floats, folds: Places, seed: int, objective: str = "reg:squarederror"
) -> Floats:
    """What trees expect of each row, grown without the row's own fold; log-odds for ``binary:logistic``."""
    expected = np.empty(len(outcome))
    for fold in range(FOLDS):
        inside = folds == fold
        trees = grow_trees(values[~inside], outcome[~inside], RECIPES[OUTCOME_RECIPE], seed=seed, objective=objective)
        expected[inside] = trees.predict(values[inside])
    return expected


def stratified_folds(treated: Floats, high: NDArray[np.bool_], seed: int) -> Places:
    """A fold for each row, dealt out by arm and by whether the outcome is ``high``."""
    folds, rng = np.empty(len(treated), np.int64), np.random.default_rng(seed)
    strata = 2 * treated.astype(np.int64) + high
    for stratum in range(4):
        places = np.flatnonzero(strata == stratum)
        folds[rng.permutation(places)] = np.arange(len(places)) % FOLDS
    return folds
