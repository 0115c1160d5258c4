"""Registering what a training has made: one MLflow run per model, versions, and the aliases that say which serves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import mlflow
from pyspark.sql import functions as F

from strata.jobs.modelling.validating import Figure
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.tracking import CHALLENGER, CHAMPION, Tracking
from strata.models.boosting.challenger import Challenger
from strata.models.boosting.trees import Boosting
from strata.models.model_spec import BOOSTED, SCORECARD, ModelSpec
from strata.models.scorecard.scorecard import Scorecard


def register(
    context: Context, spec: ModelSpec, card: Scorecard, boosted: Boosting | Challenger, figures: Sequence[Figure]
) -> dict[str, int]:
    """Register both as new versions, without an alias; returns the version of each kind."""
    # The registry is written beside the lake: not by a run that has lost its lock either.
    context.lake.before_write()
    manifests = context.lake.read("training_manifest").where(F.col("training_set") == spec.training_set)
    newest = manifests.orderBy(F.desc("as_of_date")).head()
    shared = {"manifest.json": newest["manifest"]} if newest else {}
    files = {
        SCORECARD: {
            "points.csv": card.points_table().to_csv(index=False),
            "selection.csv": card.selection_table().to_csv(index=False),
        },
        BOOSTED: {"importance.csv": boosted.importance().to_csv(index=False)},
    }
    texts = {SCORECARD: card.to_json(), BOOSTED: boosted.to_json()}
    versions = {}
    for kind, text in texts.items():
        with context.progress.step(f"{spec.name}: register {kind}") as step:
            versions[kind] = _registered(context, spec, kind, text, {**shared, **files[kind]}, figures)
            step.says(f"version {versions[kind]}")
    return versions


def point_aliases(context: Context, spec: ModelSpec, versions: Mapping[str, int], figures: Sequence[Figure]) -> None:
    """The boosted model is challenger; the scorecard becomes champion where there is none and it passes its gate."""
    context.lake.before_write()
    tracking = Tracking(context.settings.tracking_uri)
    low = next(one.interval.low for one in figures if (one.variant, one.metric) == (SCORECARD, "auc"))
    with context.progress.step(f"{spec.name}: champion and challenger") as step:
        champion = tracking.version(spec.name, CHAMPION)
        if champion is None and low >= spec.gate:
            champion = versions[SCORECARD]
            tracking.alias(spec.name, CHAMPION, champion)
        tracking.alias(spec.name, CHALLENGER, versions[BOOSTED])
        none = f"none: the scorecard's AUC may be as low as {low:.3f}, its gate is {spec.gate:g}"
        step.says(f"champion is {f'version {champion}' if champion else none}; challenger version {versions[BOOSTED]}")


def _registered(
    context: Context, spec: ModelSpec, kind: str, text: str, files: Mapping[str, str], figures: Sequence[Figure]
) -> int:
    tracking = Tracking(context.settings.tracking_uri)
    tags = {
        "kind": kind,
        "strata.run_id": context.run_id,
        "strata.as_of": context.as_of.isoformat(),
        "strata.bank": context.bank.name,
        "strata.purpose": spec.purpose,
    }
    own = [one for one in figures if one.variant.startswith(kind)]
    with tracking.run(f"{spec.name} {kind}", context.lake.inputs, tags) as run_id:
        for one in own:
            name, value = f"{one.variant}/{one.metric}".replace(" ", "_"), one.interval
            mlflow.log_metrics({name: value.value, f"{name}_low": value.low, f"{name}_high": value.high})
        mlflow.log_params({"kind": kind, "rows": own[0].rows, "bads": own[0].bads})
        mlflow.log_dict({"spec": json.loads(text).get("spec", {})}, "spec.json")
        description = f"{spec.title}. {spec.population.description} {spec.outcome.description}"
        return tracking.register(spec.name, run_id, kind, {f"{kind}.json": text, **files}, description)
