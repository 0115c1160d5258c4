"""An uplift model as a value: what it is made of, how it scores rows, and how it travels as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from strata.models.binning.woe_binning import read_json
from strata.models.boosting.challenger import Input
from strata.models.boosting.raw_inputs import raw_inputs
from strata.models.boosting.tree_sum import TreeSum, mean_contributions, predicted_column
from strata.models.readings.raw_values import UNREADABLE, check_columns
from strata.models.samples.table_checks import require_numbers
from strata.models.samples.training_rows import column, require_column
from strata.models.uplift.meta_learners import LEARNERS, RECIPES, Learner, Trial
from strata.models.uplift.uplift_training import (
    LEAST_CHANCE,
    OUTCOME,
    TREATED,
    Overlap,
    Plan,
    measure_overlap,
    train_uplift,
)

FORMAT = "strata-uplift-1"
# Fewer rows in an arm, or rows with an outcome other than 0, say nothing of a difference.
FEWEST_ROWS, FEWEST_OUTCOMES = 50, 5


@dataclass(frozen=True)
class UpliftSpec:
    """What an uplift model is made of: a number ``outcome``, a 0/1 ``treatment``, the ``features``, the learner.

    ``learner`` is "x" (imputed effects), "t" (two models), "class" (class transformation, outcomes of 0 and
    1 only) or "transformed" (transformed outcome). ``recipe`` names the shape of the trees ("additive",
    "light", "strict", "rich"); None chooses it on rows held out and calibrates the effects there.
    ``observational`` says that the treatment was not drawn at random: its chance is then fitted on the
    features and kept between ``clip`` and 1 − ``clip``. Raises ``ValueError`` for what can't be fitted.
    """

    outcome: str
    treatment: str
    features: Sequence[str]
    learner: Learner = "x"
    recipe: str | None = None
    observational: bool = False
    clip: float = LEAST_CHANCE
    seed: int = 20240101

    def __post_init__(self) -> None:
        if isinstance(self.features, str) or not self.features:
            raise ValueError("features: give a list of at least one column name")
        object.__setattr__(self, "features", tuple(self.features))
        if self.outcome == self.treatment:
            raise ValueError(f"treatment: {self.treatment!r} is the outcome too; name another column")
        if used := [name for name in (self.outcome, self.treatment) if name in self.features]:
            raise ValueError(f"features: the outcome or treatment {used[0]!r} is among the features; remove it")
        if len(set(self.features)) != len(self.features):
            raise ValueError("features: a feature is named twice; name each once")
        if self.learner not in LEARNERS:
            raise ValueError(f"learner: {self.learner!r} is none of {', '.join(LEARNERS)}; name one of them")
        if self.recipe is not None and self.recipe not in RECIPES:
            raise ValueError(f"recipe: {self.recipe!r} is none of {', '.join(RECIPES)}; name one, or None")
        if not 0 < self.clip < 0.5:
            raise ValueError(f"clip: {self.clip} is not between 0 and 0.5; give a small chance such as 0.02")


@dataclass(frozen=True)
class Uplift:
    """A fitted uplift model; ``trials`` are the recipes that were tried, ``overlap`` is None for random arms."""

    spec: UpliftSpec
    inputs: tuple[Input, ...]
    effect: TreeSum
    treatment: TreeSum
    trials: tuple[Trial, ...] = ()
    overlap: Overlap | None = None

    def score(self, data: DataFrame) -> DataFrame:
        """Add ``uplift``: what the treatment adds to the outcome of a row (a difference of chances, or of amounts).

        One pass, no shuffle; only the inputs go to Python, in Arrow batches. Needs neither outcome nor
        treatment. Raises ``ValueError`` or ``TypeError`` naming a feature that is absent or of another type.
        """
        self._check_features(data)
        found = predicted_column(self.inputs, {"uplift": self.effect})["uplift"]
        kept = [column(name) for name in data.columns if name != "uplift"]
        return data.select(*kept, found.alias("uplift"))

    def propensity(self, data: DataFrame) -> Column:
        """The chance of treatment of each row, kept between ``clip`` and 1 − ``clip``; a constant for random arms."""
        self._check_features(data)
        log_odds = predicted_column(self.inputs, {"treatment": self.treatment})["treatment"]
        chance = 1 / (1 + F.exp(-log_odds))
        low, high = F.lit(self.spec.clip), F.lit(1 - self.spec.clip)
        return F.least(F.greatest(chance, low), high)

    def drivers(self, data: DataFrame) -> pd.DataFrame:
        """One row per feature, largest first: ``feature`` and ``mean``, how far it moves the uplift of a row.

        The mean of absolute SHAP values. One scan; slow for many rows, so pass a sample of large tables.
        """
        self._check_features(data)
        return mean_contributions(data, self.inputs, self.effect)

    def to_json(self) -> str:
        """The whole model as JSON text; ``from_json`` gives an equal value back."""
        plain = {
            "format": FORMAT,
            "spec": asdict(self.spec),
            "inputs": [one.to_plain() for one in self.inputs],
            "effect": self.effect.to_plain(),
            "treatment": self.treatment.to_plain(),
            "trials": [asdict(trial) for trial in self.trials],
            "overlap": self.overlap and asdict(self.overlap),
        }
        return json.dumps(plain, allow_nan=False)

    @staticmethod
    def from_json(text: str) -> Uplift:
        """The model that ``to_json`` wrote. Raises ``ValueError`` when the text is something else."""
        plain = read_json(text, FORMAT)
        return Uplift(
            UpliftSpec(**plain["spec"]),
            tuple(Input.from_plain(one) for one in plain["inputs"]),
            TreeSum.from_plain(plain["effect"]),
            TreeSum.from_plain(plain["treatment"]),
            tuple(Trial(**trial) for trial in plain["trials"]),
            Overlap(**plain["overlap"]) if plain["overlap"] else None,
        )

    def _check_features(self, data: DataFrame) -> None:
        for name in self.spec.features:
            require_column(data, "data", name)
        check_columns(data, {one.bins.feature: one.bins for one in self.inputs}.values(), UNREADABLE)


def fit_uplift(data: DataFrame, spec: UpliftSpec) -> Uplift:
    """Learn from ``data`` (one row per case of an experiment) what the treatment changes, by features.

    Missing values of features have a branch of their own, texts a column per common level. Unless
    ``spec.recipe`` names one, the shape of the trees is the one of four with the least R-loss on rows held
    out. The same rows give the same model, however they are ordered or partitioned.

    Raises ``ValueError`` when a column is absent, the outcome is null, not finite or (for "class") not 0/1,
    the treatment is not 0/1, or an arm has under 50 rows or the outcomes under 5 that differ;
    ``TypeError`` when ``data`` is no DataFrame or a feature is neither number, boolean nor text.
    Plan: one scan for the checks, one for levels of texts, one shuffle of outcome, arm and inputs to one task
    per 20 million cells; some 10 seconds for 20,000 rows of 70 features.
    """
    if not isinstance(data, DataFrame):
        raise TypeError(f"data must be a Spark DataFrame, not {type(data).__name__}")
    count = _check_arms(data, spec)
    inputs = raw_inputs(data, spec.features)
    rows = _training_rows(data, spec, inputs)
    plan = Plan(spec.learner, spec.recipe, spec.observational, spec.clip, spec.seed)
    found = train_uplift(rows, inputs, plan, count)
    return Uplift(spec, inputs, found.effect, found.treatment, found.trials, found.overlap)


def treatment_overlap(data: DataFrame, spec: UpliftSpec) -> Overlap:
    """How far the features predict the treatment, by trees out of fold: an AUC near .5 says that it was random.

    Raises as ``fit_uplift``. One scan for the checks and one shuffle to one task, which holds a sample of
    large tables.
    """
    count = _check_arms(data, spec)
    inputs = raw_inputs(data, spec.features)
    return measure_overlap(_training_rows(data, spec, inputs), inputs, spec.seed, count)


def _training_rows(data: DataFrame, spec: UpliftSpec, inputs: Sequence[Input]) -> DataFrame:
    """Outcome, arm and inputs under their own names."""
    return data.select(
        column(spec.outcome).cast("double").alias(OUTCOME),
        column(spec.treatment).cast("double").alias(TREATED),
        *[one.column() for one in inputs],
    )


def _check_arms(data: DataFrame, spec: UpliftSpec) -> int:
    """The number of rows. Raises ``ValueError`` unless outcome and treatment can be learnt from."""
    require_numbers(data, "outcome", [spec.outcome])
    require_numbers(data, "treatment", [spec.treatment])
    outcome, arm = (column(name).cast("double") for name in (spec.outcome, spec.treatment))
    is_sound = outcome.isNotNull() & ~F.isnan(outcome) & (F.abs(outcome) < float("inf"))
    found = data.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_if(~is_sound).alias("unsound"),
        F.count_if(~outcome.isin(0.0, 1.0)).alias("amounts"),
        F.count_if(arm == 1).alias("treated"),
        F.count_if(arm == 0).alias("control"),
        F.count_if(outcome != 0).alias("outcomes"),
        F.count_if(outcome == 0).alias("zeros"),
    ).head()
    assert found is not None
    _check_values(spec, found)
    _check_sizes(spec, found)
    return int(found["rows"])


def _check_values(spec: UpliftSpec, found: Row) -> None:
    """Raise ``ValueError`` when some outcome or treatment has a value that can't be learnt from."""
    if found["unsound"]:
        raise ValueError(
            f"outcome: column {spec.outcome!r} is null or not finite in {found['unsound']:,} rows; remove them"
        )
    if stray := found["rows"] - found["treated"] - found["control"]:
        raise ValueError(f"treatment: column {spec.treatment!r} is neither 0 nor 1 in {stray:,} rows; remove them")
    if spec.learner == "class" and found["amounts"]:
        raise ValueError(
            f"learner: 'class' needs outcomes of 0 and 1, but {spec.outcome!r} has {found['amounts']:,} others; "
            "take 'x', 't' or 'transformed'"
        )


def _check_sizes(spec: UpliftSpec, found: Row) -> None:
    """Raise ``ValueError`` when an arm, or one of two outcomes, is too small."""
    for arm in ("treated", "control"):
        if found[arm] < FEWEST_ROWS:
            raise ValueError(
                f"treatment: column {spec.treatment!r} has {found[arm]:,} {arm} rows; at least {FEWEST_ROWS} of "
                "each arm are needed"
            )
    fewest = found["outcomes"] if found["amounts"] else min(found["outcomes"], found["zeros"])
    if fewest < FEWEST_OUTCOMES:
        raise ValueError(
            f"outcome: column {spec.outcome!r} has {fewest:,} rows that differ from the others; at least "
            f"{FEWEST_OUTCOMES} are needed"
        )
