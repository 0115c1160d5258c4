"""Decisions on the cases of any model that decides: each as of its own day, by the champion, under the policy."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.policies import Policy
from strata.jobs.modelling.cases import labelled_cases
from strata.jobs.modelling.scoring import champion
from strata.jobs.modelling.tables import declared_columns
from strata.jobs.runtime.job import Context
from strata.models.decisioning.decision_table import decide_credit
from strata.models.evaluation.fairness import age_band, fairness_report
from strata.models.model_spec import ModelSpec

SCORED = ("scored_by", "score", "probability", "grade", "reason_1", "reason_2", "reason_3")


def applications(context: Context, spec: ModelSpec) -> DataFrame:
    """Every case as the application that it was, also those that can't be scored: terms, income, score, neighbours.

    A case of the training set has the champion's score out of fold, any other that of the champion itself. Two joins by
    the case.
    """
    key, model = spec.population.key, champion(context, spec)
    case = labelled_cases(context, spec)
    scored = context.lake.read("application_score").where(
        (F.col("model") == spec.name) & (F.col("model_version") == model.version)
    )
    scores = scored.select(F.col("application_id").alias(key), *SCORED)
    features = context.lake.read(spec.training_set)
    more = features.select(key, *(name for name in features.columns if name not in case.columns))
    rows = case.join(more, key, "left").join(scores, key, "left")
    named = {
        "application_id": F.col(key),
        "customer_id": F.col(spec.population.person),
        "as_of_date": F.to_date("at"),
        "model": F.lit(spec.name),
        "model_version": F.lit(model.version),
        "is_bad": F.col(spec.target),
    }
    needed = {name: F.expr(text) for name, text in spec.decision.items()}
    kept = [name for name in (*SCORED, "account_id") if name in rows.columns]
    return rows.select(*kept, *(value.alias(name) for name, value in {**named, **needed}.items()))


def decide(context: Context, spec: ModelSpec, policy: Policy) -> None:
    """Replace the decisions of a model that decides, one for every case, and how fair they are."""
    if not spec.decision:
        return
    where = {"model": spec.name}
    with context.progress.step(f"{spec.name}: decide") as step:
        decided = context.keep(decide_credit(applications(context, spec), policy))
        rows = declared_columns(context, "application_decision", decided)
        written = context.lake.replace("application_decision", rows, slice=where)
        step.says(f"{written.rows:,} applications under policy {policy.version}")
    with context.progress.step(f"{spec.name}: fairness"):
        people = context.lake.latest("customer").select("customer_id", "gender", "birth_date")
        rows = fairness(decided, people).withColumn("model", F.lit(spec.name))
        context.lake.replace("decision_fairness", declared_columns(context, "decision_fairness", rows), slice=where)


def fairness(decided: DataFrame, people: DataFrame) -> DataFrame:
    """Approvals and bads by gender and age band; of scored applications with an outcome, others are referred unread."""
    known = decided.where("probability IS NOT NULL AND is_bad IS NOT NULL").join(people, "customer_id", "left")
    grouped = known.withColumns(
        {
            "approved": F.col("decision") == "approve",
            "age_band": age_band(F.col("birth_date"), F.col("as_of_date")),
        }
    )
    return fairness_report(grouped, attributes=("gender", "age_band"), approved="approved", bad="is_bad")
