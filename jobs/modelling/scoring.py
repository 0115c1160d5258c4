"""Scores of any model: the book of a day, its own cases out of fold, and cases that it has never seen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.feature_store import slices_and_sets
from strata.jobs.feature_store.feature_answers import refusals
from strata.jobs.modelling.tables import declared_columns
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.pyfunc import read_model
from strata.jobs.runtime.tables import Slice
from strata.jobs.runtime.tracking import CHAMPION, Registered, Tracking
from strata.models.model_spec import BOOSTED, SCORECARD, ModelSpec
from strata.models.scorecard.points_scale import Scale
from strata.models.scorecard.scorecard import Scorecard
from strata.models.validation.cross_validation import CrossValidation

OUT_OF_FOLD, BY_MODEL = "out of fold", "model"
OWNERS = "account_holder"


def champion(context: Context, spec: ModelSpec) -> Registered:
    """The version that carries the champion's alias. Raises ``InputError`` when none does."""
    return Tracking(context.settings.tracking_uri).load(spec.name, CHAMPION)


def score(context: Context, spec: ModelSpec) -> None:
    """Whatever of the book and of the cases the model is to score, by its champion."""
    model = champion(context, spec)
    if "book" in spec.outputs:
        with refusals(), context.progress.step(f"{spec.name}: the book of the day") as step:
            rows = apply(model, spec, book(context, spec, model))
            where: Slice = {"as_of_date": context.as_of, "model": spec.name}
            written = context.lake.replace("scores", declared_columns(context, "scores", rows), slice=where)
            step.says(f"{written.rows:,} scored by {model.kind} version {model.version}")
    if "cases" in spec.outputs:
        with context.progress.step(f"{spec.name}: cases") as step:
            step.says(f"{_write(context, spec, unseen_cases(context, spec, model), model.version, BY_MODEL):,} scored")


def book(context: Context, spec: ModelSpec, model: Registered) -> DataFrame:
    """Every entity of the day with the features that the model reads, from published slices, and its customer."""
    features = read_model(model.kind, model.text).features
    rows = slices_and_sets.store(context).published(spec.entity, context.as_of, features)
    if spec.entity == "customer":
        return rows
    owners = context.lake.read(OWNERS).where("role = 'owner'").select("account_id", "customer_id")
    return rows.join(owners, "account_id", "inner")


def unseen_cases(context: Context, spec: ModelSpec, model: Registered) -> DataFrame:
    """The eligible cases that the model was not trained on, scored by it."""
    rows = context.lake.read(spec.training_set)
    if context.lake.exists("application_score"):
        # The newest version, not one pinned as an input: what this job writes itself would make every run look new.
        scored = context.lake.read("application_score", context.lake.version("application_score")).where(
            (F.col("model") == spec.name)
            & (F.col("model_version") == model.version)
            & (F.col("scored_by") == OUT_OF_FOLD)
        )
        seen = scored.select(F.col("application_id").alias(spec.population.key))
        rows = rows.join(seen, spec.population.key, "left_anti")
    return apply(model, spec, rows)


def apply(model: Registered, spec: ModelSpec, rows: DataFrame) -> DataFrame:
    """Add score, probability, grade, reasons, model and version, whatever kind of model it is."""
    found = read_model(model.kind, model.text)
    scored = found.score(rows)
    if not isinstance(found, Scorecard):
        scored = graded(scored, spec.scorecard((spec.population.key,)).scale)
    return scored.withColumns({"model": F.lit(model.name), "model_version": F.lit(model.version)})


def graded(rows: DataFrame, scale: Scale) -> DataFrame:
    """Add score and grade to rows with a probability, on the scorecard's own scale; null stays null."""
    odds = F.log((1 - F.col("probability")) / F.col("probability"))
    *named, last = scale.grades
    grade = reduce(
        lambda other, g: F.when(F.col("probability") <= g[1], g[0]).otherwise(other), reversed(named), F.lit(last[0])
    )
    known = F.col("probability").isNotNull()
    return rows.withColumns(
        {"score": F.round(scale.offset + scale.factor * odds).cast("int"), "grade": F.when(known, grade)}
    )


def write_out_of_fold(
    context: Context,
    spec: ModelSpec,
    rows: DataFrame,
    found: Mapping[str, CrossValidation],
    versions: Mapping[str, int],
) -> None:
    """Write each case's score by the one model of the first repeat that never saw it, of both kinds."""
    key = spec.population.key
    for kind in (SCORECARD, BOOSTED):
        with context.progress.step(f"{spec.name}: scores out of fold by {kind}") as step:
            first = found[kind].predictions.where("repeat = 0").drop("repeat", "fold", "bad")
            if kind == BOOSTED:
                first = graded(first, spec.scorecard((key,)).scale)
            known = [name for name in rows.columns if name in (spec.population.person, "account_id", spec.target)]
            named = rows.select(key, "at", "outcome_state", *known)
            scored = first.join(named, key, "inner").withColumn("model", F.lit(spec.name))
            scored = scored.withColumn("model_version", F.lit(versions[kind]))
            step.says(f"{_write(context, spec, scored, versions[kind], OUT_OF_FOLD):,} cases")


def _write(context: Context, spec: ModelSpec, scored: DataFrame, version: int, how: str) -> int:
    """Replace the rows of a version that were scored in one way; how many there are."""
    named = scored.withColumns(
        {
            "application_id": F.col(spec.population.key),
            "customer_id": F.col(spec.population.person),
            "as_of_date": F.to_date("at"),
            "is_bad": F.col(spec.target),
            "scored_by": F.lit(how),
        }
    )
    where: Slice = {"model": spec.name, "model_version": version, "scored_by": how}
    rows = declared_columns(context, "application_score", named)
    return context.lake.replace("application_score", rows, slice=where).rows or 0
