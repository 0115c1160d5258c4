"""Training of any model: scorecard and boosted challenger on the same cases, validated, registered, cases scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame

from strata.jobs.modelling import cases, registering, validating
from strata.jobs.modelling.scoring import write_out_of_fold
from strata.jobs.runtime.errors import InputError, NotReadyError
from strata.jobs.runtime.job import Context
from strata.models.binning.woe_binning import bin_rows
from strata.models.boosting.challenger import Challenger, fit_challenger
from strata.models.boosting.trees import Boosting, BoostingSpec, boosting_learner, fit_boosting
from strata.models.model_spec import ModelSpec
from strata.models.samples.training import training
from strata.models.scorecard.scorecard import Scorecard, fit_scorecard
from strata.models.validation.cross_validation import Learner, Predict

# Fewer outcomes of either kind teach nothing and leave folds without any.
FEWEST = 10


@dataclass(frozen=True)
class Fitted:
    """The models that one training makes, fitted to all cases, and how the challenger is fitted again in a fold."""

    card: Scorecard
    boosted: Boosting | Challenger
    boosted_learner: Learner


def train(context: Context, spec: ModelSpec) -> None:
    """Fit, validate, register and score out of fold; then the aliases, so that a kill leaves the champion as it was."""
    rows = context.keep(learnt_rows(context, spec))
    features = cases.feature_names(context, spec, spec.features, rows)
    fitted = fit(context, spec, rows, features)
    found = validating.validate(context, spec, rows, features, fitted.boosted_learner)
    versions = registering.register(context, spec, fitted.card, fitted.boosted, found.figures)
    validating.publish(context, spec, found, versions)
    write_out_of_fold(context, spec, rows, found.folds, versions)
    registering.point_aliases(context, spec, versions, found.figures)


def learnt_rows(context: Context, spec: ModelSpec) -> DataFrame:
    """The cases whose outcome is known. Raises ``NotReadyError`` when there are too few, naming all that there are."""
    cases_ = context.lake.read(spec.training_set)
    states = dict(cases_.groupBy(cases.STATE).count().collect())
    if min(states.get("good", 0), states.get("bad", 0)) < FEWEST:
        others = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items())) or "no case at all"
        raise NotReadyError(
            f"model {spec.name}: at least {FEWEST} good and {FEWEST} bad cases are needed by {context.as_of}, "
            f"there are: {others}"
        )
    return cases_.where(f"{spec.target} IS NOT NULL")


def fit(context: Context, spec: ModelSpec, rows: DataFrame, features: tuple[str, ...]) -> Fitted:
    """The scorecard and its boosted challenger on all rows."""
    with context.progress.step(f"{spec.name}: scorecard") as step:
        try:
            card = fit_scorecard(rows, spec.scorecard(features))
        except ValueError as wrong:
            raise InputError(f"model {spec.name}: {wrong}") from wrong
        step.says(f"{len(card.features)} of {len(features)} features kept")
    with context.progress.step(f"{spec.name}: boosted challenger") as step:
        boosted, learner = _monotone(spec, rows, card, features) if spec.challenger == "monotone" else _free(
            spec, rows, card, features
        )  # fmt: skip
        size = boosted.spec if isinstance(boosted, Boosting) else boosted.boosting.spec
        step.says(f"{size.trees} trees of depth {size.max_depth}")
    return Fitted(card, boosted, learner)


def _monotone(spec: ModelSpec, rows: DataFrame, card: Scorecard, features: tuple[str, ...]) -> tuple[Boosting, Learner]:
    """Trees of a fixed size, each feature as monotone as the scorecard's bins found it."""
    trends = {name: trend for name, trend in card.binning.trends().items() if trend}
    boosted = fit_boosting(
        rows, BoostingSpec(target=spec.target, features=features, trends=trends, reasons=card.reasons)
    )
    return boosted, boosting_learner(boosted.spec)


def _free(spec: ModelSpec, rows: DataFrame, card: Scorecard, features: tuple[str, ...]) -> tuple[Challenger, Learner]:
    """Trees on all features as they came, of a size found on rows held out; in a fold of the same size."""
    told = {name: card.binning.features[name] for name in features if name in card.binning.features}
    asked: dict[str, Any] = {"target": spec.target, "group": spec.population.person, "reasons": card.reasons}
    boosted = fit_challenger(rows, card.binning, tuple(told), **asked)

    def learner(part: DataFrame) -> Predict:
        options = spec.scorecard(tuple(told))
        binning = bin_rows(training(options.source(part)), options.binning_rules)
        return fit_challenger(part, binning, tuple(told), like=boosted, **asked).score

    return boosted, learner
