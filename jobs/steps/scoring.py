"""Scoring the book of a day: the champion's scores with reasons, segments, and the value by risk tiers."""

from __future__ import annotations

from functools import reduce

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.policies import Policy
from strata.features.contracts import feature_table
from strata.features.views import account_views
from strata.jobs.runtime.catalog import contract_of
from strata.jobs.runtime.run import Context
from strata.jobs.runtime.tracking import CHAMPION, Registered, Tracking
from strata.models.boosting import Boosting
from strata.models.clusters import Clusters, fit_clusters
from strata.models.rfm import fit_rfm
from strata.models.scorecard import Scorecard
from strata.models.scorecard_scale import Scale
from strata.models.specs import loan_default as loans
from strata.models.specs import segments
from strata.models.tiers import customer_tiers

SNAPSHOTS = tuple(feature_table(view).name for view in account_views())
KEYS = ("as_of_date", "account_id")


def champion(context: Context) -> Registered:
    """The model that scores: whatever carries the champion's alias."""
    return Tracking(context.settings.tracking_uri).load(loans.NAME, CHAMPION)


def book(context: Context) -> DataFrame:
    """The day's snapshot of every account with its owner, persisted: keys, customer_id, every feature."""
    day = F.col("as_of_date") == F.lit(context.as_of)
    views = [context.lake.read(name).where(day) for name in SNAPSHOTS]
    owners = context.lake.read("account_holder").where("role = 'owner'").select("account_id", "customer_id")
    wide = reduce(lambda left, right: left.join(right, [*KEYS], "inner"), views)
    return wide.join(owners, "account_id", "inner").persist()


def apply(model: Registered, rows: DataFrame) -> DataFrame:
    """Add score, probability, grade and three reasons, whichever kind of model it is."""
    if model.kind == "scorecard":
        return Scorecard.from_json(model.text).score(rows)
    return graded(Boosting.from_json(model.text).score(rows))


def graded(rows: DataFrame, scale: Scale = Scale()) -> DataFrame:  # noqa: B008 - a frozen value
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


def publish(context: Context, rows: DataFrame, model: Registered, policy: Policy) -> None:
    """Replace the day's scores, segments and tiers."""
    scored = apply(model, rows).persist()
    with context.progress.step("segments") as step:
        clusters = fit_clusters(rows, segments.cluster_spec())
        segmented = _segmented(rows, clusters, policy)
        step.says(clusters.reason)
    tiers = customer_tiers(scored, policy, key="account_id", value=segments.VALUE, probability="probability")
    owners = rows.select(*KEYS, "customer_id")
    with context.progress.step("write scores, segments, tiers") as step:
        named = scored.withColumns({"model": F.lit(model.name), "model_version": F.lit(model.version)})
        parts = {
            "scores": named,
            "customer_segment": segmented,
            "customer_tier": tiers.join(owners, "account_id", "inner"),
            "segment_profile": _on_day(context, clusters.describe().rename(columns={"count": "customer_cnt"})),
            "segment_trial": _on_day(context, clusters.trials_table()),
        }
        chosen = {name: part.select(*contract_of(name).names) for name, part in parts.items()}
        context.lake.replace_all(chosen, snapshot=context.as_of)
        step.says(f"{model.kind} version {model.version}")
    scored.unpersist()


def _on_day(context: Context, few: pd.DataFrame) -> DataFrame:
    return context.spark.createDataFrame(few).withColumn("as_of_date", F.lit(context.as_of))


def _segmented(rows: DataFrame, clusters: Clusters, policy: Policy) -> DataFrame:
    """RFM classes and behaviour clusters side by side."""
    rfm = fit_rfm(rows, policy.rfm, **segments.RFM)
    measures = {
        "recency_days": F.col(segments.RFM["recency"]),
        "frequency_cnt": F.col(segments.RFM["frequency"]),
        "monetary_amt": F.col(segments.RFM["monetary"]),
    }
    return clusters.assign(rfm.score(rows)).withColumns(measures)
