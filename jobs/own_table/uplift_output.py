"""What ``strata uplift`` leaves behind: figures, the model, scored rows, an MLflow run."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import mlflow
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.own_table.scorecard_input import write_whole
from strata.jobs.own_table.scorecard_output import delta_names
from strata.jobs.own_table.uplift_results import ARM, OUTCOME, SPLIT, WEIGHT, Experiment, FittedModel, TestedModel
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.tracking import Tracking
from strata.models.samples.development_sample import TEST, TRAIN
from strata.models.samples.training_rows import column

KIND = "uplift"


def write(context: Context, table: Experiment, fitted: FittedModel, tested: TestedModel, *, seconds: float) -> None:
    """The model as JSON, the figures of the test, and every row scored."""
    folder = table.options.output
    with context.progress.step("write") as step:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "model.json", fitted.model.to_json())
        figures = metrics(table, fitted, tested, seconds)
        write_whole(folder / "metrics.json", json.dumps(figures, indent=1, allow_nan=False))
        _scored(table, tested).write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(
            str(folder / "scored")
        )
        step.says(f"model.json, metrics.json and scored/ in {folder}")


def metrics(table: Experiment, fitted: FittedModel, tested: TestedModel, seconds: float) -> dict[str, Any]:
    """Every figure of the test with its interval, rows by part and arm, the overlap of arms, the recipes tried."""
    found = tested.figures()
    answer: dict[str, Any] = {name: float(value) for name, value in found.items()}
    answer["intervals"] = {name: {"low": value.low, "high": value.high} for name, value in found.items()}
    if tested.best:
        answer["best_share"] = tested.best[0]
    for split in (TRAIN, TEST):
        answer[split] = {
            "treated": table.counts.get((split, 1), 0),
            "control": table.counts.get((split, 0), 0),
            "outcomes_treated": table.responses.get((split, 1), 0),
            "outcomes_control": table.responses.get((split, 0), 0),
        }
    answer["left_out"] = table.left_out
    answer["overlap"] = asdict(fitted.overlap)
    answer["trials"] = [asdict(trial) for trial in fitted.model.trials]
    return answer | {"seconds": round(seconds, 2)}


def _scored(table: Experiment, tested: TestedModel) -> DataFrame:
    """The rows as they came, under names that Delta takes, then split, arm and uplift (and the weight of the row)."""
    ours = (ARM, OUTCOME, SPLIT)
    own = [name for name in table.rows.columns if name not in ours]
    added: dict[str, Column] = {"split": F.col(SPLIT), "treated": F.col(ARM), "uplift": F.col("__uplift")}
    if table.options.observational:
        added["arm_weight"] = F.col(WEIGHT)
    names = delta_names(own, taken=added)
    return tested.scored.select(
        *[column(name).alias(names[name]) for name in own], *[value.alias(name) for name, value in added.items()]
    )


def track(context: Context, table: Experiment, tested: TestedModel) -> None:
    """One MLflow run with parameters, figures and every file."""
    options, tracking = table.options, Tracking(context.settings.tracking_uri)
    tags = {
        "kind": KIND,
        "strata.run_id": context.run_id,
        "input": str(options.input),
        "input.kind": table.source.kind,
        "input.fingerprint": table.source.fingerprint,
    }
    with context.progress.step("track") as step, tracking.run(f"uplift {options.input.name}", {}, tags) as run_id:
        mlflow.log_params(
            {name: str(value)[:500] for name, value in asdict(options).items() if value not in (None, ())}
        )
        figures = {f"test_{name}": float(value) for name, value in tested.figures().items()}
        mlflow.log_metrics({name: value for name, value in figures.items() if math.isfinite(value)})
        for path in sorted(options.output.iterdir()):
            if path.is_file():
                mlflow.log_artifact(str(path))
        step.says(f"run {run_id}")
