"""Writing what the feature store computes: a day's snapshot, view by view, and a training set with its manifest."""

from __future__ import annotations

from pyspark.sql import DataFrame

from strata.features.contracts import feature_table
from strata.features.statistics import feature_statistics
from strata.features.store import FeatureStore
from strata.jobs.runtime.run import Context
from strata.models.specs import loan_default as loans

MANIFEST = "training_set string, manifest string, run_id string"


def write_snapshot(context: Context, store: FeatureStore, book: DataFrame) -> None:
    """The features of the book's accounts with whole history, one table a view, and their statistics."""
    spine = book.where("has_whole_history").select("account_id", "as_of_date", "at")
    with context.progress.step("snapshot of the book") as step:
        snapshot = store.training_set(spine, "*", purpose=loans.PURPOSE).persist()
        step.says(f"{snapshot.count():,} of {book.count():,} open accounts have whole history")
    with context.progress.step("write snapshot") as step:
        columns = {feature_table(view).name: feature_table(view).names for view in store.views}
        parts = {name: snapshot.select(*names) for name, names in columns.items()}
        parts["feature_statistics"] = statistics(context, store, snapshot)
        context.lake.replace_all(parts, snapshot=context.as_of)
        step.says(f"{sum(len(view.features) for view in store.views)} features in {len(store.views)} tables")
    snapshot.unpersist()


def statistics(context: Context, store: FeatureStore, snapshot: DataFrame) -> DataFrame:
    """How the day's values are spread, one row a feature."""
    names = [feature.name for view in store.views for feature in view.features]
    figures = feature_statistics(snapshot, names)
    return figures.selectExpr(f"DATE '{context.as_of.isoformat()}' AS as_of_date", "*")


def write_training_set(context: Context, store: FeatureStore, asked: DataFrame) -> None:
    """The training set as of each grant, and from what it was made. Loans without whole history stay out."""
    spine = asked.where("has_whole_history AND is_bad IS NOT NULL").drop("has_whole_history").persist()
    with context.progress.step("training set as of each grant") as step:
        rows = store.training_set(spine, "*", loans.TARGET, purpose=loans.PURPOSE)
        written = context.lake.replace(loans.TRAINING_SET, rows)
        step.says(f"{written.rows:,} of {asked.count():,} loans have whole history")
    with context.progress.step("manifest"):
        manifest = store.manifest(spine, "*", loans.TARGET, purpose=loans.PURPOSE)
        row = (loans.TRAINING_SET, manifest.to_json(), context.run_id)
        context.lake.replace("training_manifest", context.spark.createDataFrame([row], MANIFEST))
    spine.unpersist()
