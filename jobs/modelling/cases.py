"""The training set of a model: its eligible cases with features as of each, and what became of them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from pyspark.sql import DataFrame

from strata.features.governance.consent import HAS_CONSENT
from strata.features.store.coverage import flag_of
from strata.features.store.feature_store import FeatureStore
from strata.jobs.feature_store import slices_and_sets
from strata.jobs.feature_store.feature_answers import refusals
from strata.jobs.modelling.tables import declared_columns
from strata.jobs.runtime.errors import InputError
from strata.jobs.runtime.job import Context
from strata.models.model_spec import STATE, ModelSpec

MANIFEST = "as_of_date date, training_set string, manifest string, run_id string"


def build(context: Context, spec: ModelSpec) -> None:
    """Replace the training set of one model, then the manifest that says from what it was made."""
    lake, store = context.lake, slices_and_sets.store(context)
    with refusals(), context.progress.step(f"{spec.name}: cases") as step:
        spine, note = eligible_cases(context, spec, store)
        step.says(note)
    features = store_features(spec, store)
    with refusals(), context.progress.step(f"{spec.name}: features as of each case") as step:
        asked: dict[str, Any] = {"purpose": spec.purpose, "coverage": spec.coverage}
        rows = store.training_set(spine, features, spec.target, now=context.as_of, **asked)
        written = lake.replace(
            spec.training_set, declared_columns(context, spec.training_set, _beside(context, spec, rows))
        )
        states = lake.read(spec.training_set).groupBy(STATE).count().orderBy(STATE).collect()
        step.says(f"{written.rows:,} with {len(features)} features: {', '.join(f'{n:,} {s}' for s, n in states)}")
    with refusals(), context.progress.step(f"{spec.name}: manifest"):
        manifest = store.manifest(spine, features, spec.target, **asked)
        row = (context.as_of, spec.training_set, manifest.to_json(), context.run_id)
        rows = context.spark.createDataFrame([row], MANIFEST)
        lake.replace("training_manifest", rows, slice={"as_of_date": context.as_of, "training_set": spec.training_set})


def eligible_cases(context: Context, spec: ModelSpec, store: FeatureStore) -> tuple[DataFrame, str]:
    """The cases that are eligible and whose people have consented to the purpose, and how many there are, in words."""
    cases = labelled_cases(context, spec)
    eligible = cases.where(spec.population.eligible)
    asked = store.consented(eligible, spec.purpose, now=context.as_of)
    spine = context.keep(asked.where(HAS_CONSENT).drop(HAS_CONSENT))
    whole, left, kept = cases.count(), eligible.count(), spine.count()
    refused = f", {left - kept:,} of them without consent" if kept < left else ""
    return spine, f"{left:,} of {whole:,} cases are eligible{refused}"


def labelled_cases(context: Context, spec: ModelSpec) -> DataFrame:
    """Every case of the model with its outcome as far as it is known on the day."""
    return spec.labelled({name: context.lake.read(name) for name in spec.reads}, context.as_of)


def store_features(spec: ModelSpec, store: FeatureStore) -> tuple[str, ...]:
    """The features that the model names and its purpose may use; what a table beside the cases has is left to it."""
    beside = {column.name for one in spec.beside for column in one.columns}
    allowed = (feature for feature in store.chosen("allowed:*", purpose=spec.purpose))
    return tuple(
        feature.name for feature in allowed
        if store.view(feature.view).entity.name == spec.entity
        and spec.tries(feature.name) and feature.name not in beside
    )  # fmt: skip


def feature_names(context: Context, spec: ModelSpec, patterns: tuple[str, ...], rows: DataFrame) -> tuple[str, ...]:
    """What patterns mean in the training set: ``allowed:*`` features of the store, others any of its columns.

    Raises ``InputError`` for a pattern that means nothing.
    """
    store = slices_and_sets.store(context)
    own = store_features(spec, store)
    flags = {flag_of(view.name) for view in store.views}
    offered = [name for name in rows.columns if name not in flags]
    chosen: dict[str, None] = {}
    for pattern in patterns:
        wanted, allowed = pattern.removeprefix("allowed:"), pattern.startswith("allowed:")
        found = [name for name in offered if fnmatchcase(name, wanted) and (name in own or not allowed)]
        if not found:
            raise InputError(f"model {spec.name}: no column of {spec.training_set} is called {pattern!r}")
        chosen.update(dict.fromkeys(found))
    return tuple(chosen)


def _beside(context: Context, spec: ModelSpec, rows: DataFrame) -> DataFrame:
    """The rows with the features that other jobs have computed as of each case. A join by the case for each table."""
    key = spec.population.key
    for one in spec.beside:
        rows = rows.join(context.lake.read(one.table), key, "left")
    return rows
