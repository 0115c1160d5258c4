"""Training: champion and challenger on the training set, validated on the same folds, tracked and registered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import mlflow
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.runtime.run import Context
from strata.jobs.runtime.tracking import CHALLENGER, CHAMPION, Tracking
from strata.models.boosting import Boosting, boosting_learner, fit_boosting
from strata.models.evaluation import Interval, auc_interval, score_table
from strata.models.scorecard import Scorecard, ScorecardSpec, fit_scorecard
from strata.models.specs import loan_default as loans
from strata.models.validation import CrossValidation, Learner, cross_validate, paired_difference

SCORECARD, BOOSTED = "scorecard", "boosted"
# The last year's loans had least time to go bad, so they test what the earlier ones taught.
OUT_OF_TIME = "1998-01-01"


@dataclass(frozen=True)
class Measured:
    """One figure of one variant, as the validation table holds it."""

    variant: str
    metric: str
    interval: Interval
    rows: int
    bads: int
    note: str

    def row(self) -> tuple[object, ...]:
        """In the order of the contract."""
        interval = self.interval
        note = f"{self.note}; {interval.method}" if self.note else interval.method
        return (self.variant, self.metric, interval.value, interval.low, interval.high, self.rows, self.bads, note)


def training_rows(context: Context) -> DataFrame:
    """The training set with the applicants' neighbours beside it, persisted."""
    network = context.lake.read("feature_application_network")
    return context.lake.read(loans.TRAINING_SET).join(network, "loan_id", "left").persist()


def fit(context: Context, rows: DataFrame) -> tuple[Scorecard, Boosting]:
    """The scorecard and its boosted challenger on all rows."""
    with context.progress.step("fit scorecard") as step:
        card = fit_scorecard(rows, loans.scorecard_spec())
        step.says(f"{len(card.features)} of {len(loans.features())} features kept")
    with context.progress.step("fit boosted challenger") as step:
        boosted = fit_boosting(rows, loans.boosting_spec(card))
        step.says(f"{boosted.spec.trees} trees of depth {boosted.spec.max_depth}")
    return card, boosted


def validate(context: Context, rows: DataFrame, boosted: Boosting) -> tuple[dict[str, CrossValidation], list[Measured]]:
    """Every variant on repeated grouped folds; what it measures, and the differences to the champion's spec."""
    found: dict[str, CrossValidation] = {}
    measured: list[Measured] = []
    for variant in loans.variants():
        population = rows.where(variant.where) if variant.where else rows
        with context.progress.step(f"validate {variant.name}") as step:
            found[variant.name] = _validated(context, population, loans.scorecard_spec(variant.features))
            measured += _figures(variant.name, found[variant.name], variant.note)
            step.says(_told(measured[-2]))
    with context.progress.step(f"validate {BOOSTED}") as step:
        found[BOOSTED] = _validated(context, rows, boosting_learner(boosted.spec))
        measured += _figures(BOOSTED, found[BOOSTED], "monotone trees on the same features")
        step.says(_told(measured[-2]))
    with context.progress.step("out of time 1998") as step:
        measured.append(_out_of_time(rows))
        step.says(_told(measured[-1]))
    measured.append(_neighbours_alone(rows))
    return found, measured + _differences(found)


def _validated(context: Context, rows: DataFrame, learner: ScorecardSpec | Learner) -> CrossValidation:
    settings = context.settings.validation
    return cross_validate(
        rows, learner, target=loans.TARGET, group=loans.GROUP, id="loan_id",
        folds=settings.folds, repeats=settings.repeats, seed=context.settings.seed,
    )  # fmt: skip


def _figures(name: str, validation: CrossValidation, note: str) -> list[Measured]:
    """AUC first, KS second."""
    first = validation.folds[validation.folds["repeat"] == 0]
    rows, bads = int(first["test_rows"].sum()), int(first["test_bads"].sum())
    return [Measured(name, metric, validation.interval(metric), rows, bads, note) for metric in ("auc", "ks")]


def _differences(found: Mapping[str, CrossValidation]) -> list[Measured]:
    """What loan terms, the network and boosting add to the champion's spec, fold by fold."""
    base = found[SCORECARD]
    rows, bads = (int(base.folds.loc[base.folds["repeat"] == 0, part].sum()) for part in ("test_rows", "test_bads"))
    answers = []
    for name in ("scorecard with loan terms", "scorecard with network", BOOSTED):
        difference = paired_difference(base, found[name])
        note = f"AUC against the scorecard on the same folds, p = {difference.p_value:.2f}"
        answers.append(Measured(name, "auc_difference", difference.interval, rows, bads, note))
    return answers


def _out_of_time(rows: DataFrame) -> Measured:
    """Taught on loans granted before 1998, tested on those of 1998: an illustration, it has few bads."""
    earlier, later = F.col("opened_on") < OUT_OF_TIME, F.col("opened_on") >= OUT_OF_TIME
    card = fit_scorecard(rows.where(earlier), loans.scorecard_spec())
    table = score_table(card.score(rows.where(later)), target=loans.TARGET)
    note = "taught on grants before 1998, tested on those of 1998; an illustration, so few bads"
    return Measured("scorecard out of time", "auc", auc_interval(table), int(table.rows), int(table.bad.sum()), note)


def _neighbours_alone(rows: DataFrame) -> Measured:
    """What the network could say with no other feature: hardly anybody has a neighbour, so no bin holds them."""
    table = score_table(rows, target=loans.TARGET, risk="network_neighbour_cnt")
    note = "the number of neighbours as the score, no model; in the scorecard the selection drops it"
    return Measured("neighbours alone", "auc", auc_interval(table), int(table.rows), int(table.bad.sum()), note)


def _told(figure: Measured) -> str:
    interval = figure.interval
    return (
        f"{figure.metric.upper()} {interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f}), {figure.bads} bads"
    )


def publish(context: Context, rows: DataFrame, found: Mapping[str, CrossValidation], measured: list[Measured]) -> None:
    """The validation table and the out-of-fold scores."""
    lake, spark = context.lake, context.spark
    with context.progress.step("write validation"):
        columns = (
            "variant string, metric string, estimate double, low double, high double, rows long, bads long, note string"
        )
        parts = {
            "model_validation": spark.createDataFrame([figure.row() for figure in measured], columns),
            "application_score": _out_of_fold(rows, found),
        }
        lake.replace_all(parts)


def _out_of_fold(rows: DataFrame, found: Mapping[str, CrossValidation]) -> DataFrame:
    """Each application's probability by models that never saw it, averaged over repeats."""
    parts = [found[name].predictions.withColumn("model", F.lit(name)) for name in (SCORECARD, BOOSTED)]
    predictions = parts[0].unionByName(parts[1])
    means = predictions.groupBy("loan_id", "model").agg(F.avg("probability").alias("probability"))
    named = rows.select("loan_id", loans.GROUP, loans.TARGET)
    return means.join(named, "loan_id", "inner").withColumnRenamed("loan_id", "application_id")


def register(context: Context, card: Scorecard, boosted: Boosting, measured: list[Measured]) -> None:
    """One MLflow run a model, tagged with the Delta versions it was trained on; the first scorecard is champion."""
    # The registry is written beside the lake: not by a run that has lost its lock either.
    context.lake.before_write()
    tracking = Tracking(context.settings.tracking_uri)
    manifest = context.lake.read("training_manifest").where(F.col("training_set") == loans.TRAINING_SET).head()
    shared = {"manifest.json": manifest["manifest"]}
    tables = {
        "points.csv": card.points_table().to_csv(index=False),
        "selection.csv": card.selection_table().to_csv(index=False),
    }
    importance = {"importance.csv": boosted.importance().to_csv(index=False)}
    with context.progress.step("register scorecard") as step:
        version = _registered(context, tracking, SCORECARD, card.to_json(), {**shared, **tables}, measured)
        first = tracking.version(loans.NAME, CHAMPION) is None
        if first:
            tracking.alias(loans.NAME, CHAMPION, version)
        step.says(f"version {version}" + (" is champion" if first else ", the champion stays until `strata promote`"))
    with context.progress.step("register challenger") as step:
        version = _registered(context, tracking, BOOSTED, boosted.to_json(), {**shared, **importance}, measured)
        tracking.alias(loans.NAME, CHALLENGER, version)
        step.says(f"version {version} is challenger")


def _registered(
    context: Context, tracking: Tracking, kind: str, text: str, files: Mapping[str, str], measured: list[Measured]
) -> int:
    tags = {"kind": kind, "strata.run_id": context.run_id, "strata.as_of": context.as_of.isoformat()}
    with tracking.run(f"{loans.NAME} {kind}", context.lake.inputs, tags) as run_id:
        own = [figure for figure in measured if figure.variant.startswith(kind)]
        for figure in own:
            name = f"{figure.variant}/{figure.metric}".replace(" ", "_")
            mlflow.log_metrics(
                {name: figure.interval.value, f"{name}_low": figure.interval.low, f"{name}_high": figure.interval.high}
            )
        mlflow.log_params({"kind": kind, "rows": own[0].rows, "bads": own[0].bads, "features": len(loans.features())})
        mlflow.log_dict({"spec": json.loads(text).get("spec", {})}, "spec.json")
        return tracking.register(loans.NAME, run_id, kind, {f"{kind}.json": text, **files}, __doc__ or "")
