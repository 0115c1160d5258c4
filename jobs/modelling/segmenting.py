"""Segments of a day: RFM classes, behaviour clusters, and the value by risk tiers."""

from __future__ import annotations

import argparse

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.banks import load_bank
from strata.conf.policies import Policy
from strata.conf.settings import Settings
from strata.features.store.slice_contracts import feature_table
from strata.features.views import bank_views, is_feature_filled
from strata.jobs.feature_store import slices_and_sets
from strata.jobs.feature_store.feature_answers import refusals
from strata.jobs.modelling.tables import declared_columns
from strata.jobs.runtime.job import Context
from strata.models.model_spec import ModelSpec
from strata.models.segmentation.clusters import Clusters, fit_clusters
from strata.models.segmentation.rfm import fit_rfm
from strata.models.segmentation.tiers import customer_tiers
from strata.models.specs import bank_models, segments

FEATURES = tuple(dict.fromkeys((*segments.RFM.values(), segments.VALUE, *segments.WORDS)))


def risk_model(settings: Settings) -> ModelSpec | None:
    """The model whose scores cut the risk tiers: the first that scores the book of accounts."""
    models = bank_models(load_bank(settings.bank))
    return next((spec for spec in models if spec.entity == "account" and "book" in spec.outputs), None)


def sources(settings: Settings) -> tuple[str, ...]:
    """The published views that have the features of the segments."""
    views = bank_views(load_bank(settings.bank))
    return tuple(feature_table(v).name for v in views if any(feature.name in FEATURES for feature in v.features))


def why_not(settings: Settings, options: argparse.Namespace) -> str | None:
    """Why the bank can't be segmented: a feature is not filled, or no model scores its accounts."""
    bank = load_bank(settings.bank)
    filled = {f.name for view in bank_views(bank) for f in view.features if is_feature_filled(f, view, bank)}
    if missing := [name for name in FEATURES if name not in filled]:
        return f"its feeds do not fill the feature {missing[0]}"
    return None if risk_model(settings) else "no model scores its accounts"


def publish(context: Context, policy: Policy) -> None:
    """Replace the day's segments and tiers."""
    with refusals(), context.progress.step("accounts of the day") as step:
        rows = context.keep(_book(context))
        step.says(f"{rows.count():,}")
    with context.progress.step("segments") as step:
        clusters = fit_clusters(rows, segments.cluster_spec())
        segmented = _segmented(rows, clusters, policy)
        step.says(clusters.reason)
    tiers = customer_tiers(rows, policy, key="account_id", value=segments.VALUE, probability="probability")
    owners = rows.select("as_of_date", "account_id", "customer_id")
    with context.progress.step("write segments, tiers"):
        parts = {
            "customer_segment": segmented,
            "customer_tier": tiers.join(owners, "account_id", "inner"),
            "segment_profile": _on_day(context, clusters.describe().rename(columns={"count": "customer_cnt"})),
            "segment_trial": _on_day(context, clusters.trials_table()),
        }
        chosen = {name: declared_columns(context, name, part) for name, part in parts.items()}
        context.lake.replace_all(chosen, slice={"as_of_date": context.as_of})


def _book(context: Context) -> DataFrame:
    """Every account of the day with its owner, its features and its probability of bad, null where it has no score."""
    model = risk_model(context.settings)
    rows = slices_and_sets.store(context).published("account", context.as_of, FEATURES)
    owners = context.lake.read("account_holder").where("role = 'owner'").select("account_id", "customer_id")
    day = (F.col("as_of_date") == F.lit(context.as_of)) & (F.col("model") == (model.name if model else ""))
    scores = context.lake.read("scores").where(day).select("account_id", "probability")
    return rows.join(owners, "account_id", "inner").join(scores, "account_id", "left")


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
