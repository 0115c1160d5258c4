"""What ``strata scorecard`` leaves behind: files for people and systems, scored rows, an MLflow run."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import mlflow
import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F

from strata.jobs.own_table.scorecard_input import write_whole
from strata.jobs.own_table.scorecard_results import (
    BOOSTED,
    CARD,
    MONOTONE,
    PERIOD,
    RISKS,
    ROW,
    SPLIT,
    STATE,
    CardTable,
    FittedCard,
    TestedCard,
)
from strata.jobs.reports.cards.scorecard_card import model_card
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.tracking import CHALLENGER, CHAMPION, Tracking
from strata.models.samples.development_sample import TEST, TRAIN

MEASURES = ("auc", "ks", "gini", "brier", "bad_rate", "n")
# What a Delta table without column mapping can't have in a column's name.
REFUSED = re.compile(r"[ ,;{}()\n\t=]+")


def write(context: Context, table: CardTable, fitted: FittedCard, tested: TestedCard, *, seconds: float) -> None:
    """The card as JSON, SQL and PMML (where its names can be), its tables and figures, and every row scored."""
    folder = table.options.output
    with context.progress.step("write") as step:
        folder.mkdir(parents=True, exist_ok=True)
        files = texts(table, fitted, tested, seconds)
        try:
            files["scorecard.pmml"] = fitted.card.to_pmml()
        except ValueError as wrong:
            step.says(f"no PMML: {wrong}")
        for name, text in files.items():
            write_whole(folder / name, text)
        _scored(table, fitted, tested).write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(
            str(folder / "scored")
        )
        step.says(f"{', '.join(files)} and scored/ in {folder}")


def texts(table: CardTable, fitted: FittedCard, tested: TestedCard, seconds: float) -> dict[str, str]:
    """Every text file of the output by name."""
    card = fitted.card
    return {
        "scorecard.json": card.to_json(),
        "scorecard.sql": f"SELECT *,\n{card.to_sql('ansi')}\nFROM applications\n",
        "challenger.json": fitted.boosted.to_json(),
        **({"challenger_monotone.json": fitted.monotone.to_json()} if table.options.monotone else {}),
        "points.csv": card.points_table().to_csv(index=False),
        "binning.csv": _bins(fitted).to_csv(index=False),
        "selection.csv": card.selection_table().to_csv(index=False),
        "metrics.json": json.dumps(
            metrics(fitted, tested, seconds) | {"set_aside": len(table.source.set_aside)}, indent=1, allow_nan=False
        ),
        "model_card.md": model_card(table, fitted, tested),
    }


def _bins(fitted: FittedCard) -> pd.DataFrame:
    parts = [binned.table().assign(feature=name) for name, binned in fitted.binning.features.items()]
    return pd.concat(parts)[["feature", *parts[0].columns.drop("feature")]]


def metrics(fitted: FittedCard, tested: TestedCard, seconds: float) -> dict[str, Any]:
    """auc, ks, gini, brier, bad_rate and n of train and test, the test's with intervals; the challengers' too.

    ``prices`` are the AUC that monotonicity and the card's form cost on the test; ``drops`` what each rule's drops are
    worth out of fold.
    """
    answer: dict[str, Any] = {split: _figures(tested, CARD, split) for split in (TRAIN, TEST)}
    for name, model in (("challenger", BOOSTED), ("monotone", MONOTONE)):
        answer[name] = {split: _figures(tested, model, split) for split in (TRAIN, TEST)}
    drops = {
        drop.rule: {
            "features": list(drop.features),
            "information": drop.information,
            "auc_without": _or_none(drop.auc_without),
            "auc_with": _or_none(drop.auc_with),
        }
        for drop in fitted.drops
    }
    return answer | {"prices": tested.prices, "drops": drops, "seconds": round(seconds, 2)}


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _figures(tested: TestedCard, model: str, split: str) -> dict[str, Any]:
    figures: dict[str, Any] = {name: tested.figures[model, split][name] for name in MEASURES}
    figures["n"] = int(figures["n"]) if float(figures["n"]).is_integer() else figures["n"]
    if split == TEST:
        figures["intervals"] = {
            name: {"low": interval.low, "high": interval.high, "method": interval.method}
            for name, interval in tested.intervals[model].items()
        }
    return figures


def _scored(table: CardTable, fitted: FittedCard, tested: TestedCard) -> Any:
    """The rows as they came, under names that Delta takes, then split, outcome and what both models say."""
    row = F.col(ROW)
    own = [name for name in table.rows.columns if name not in (STATE, SPLIT, PERIOD)]
    outcome = F.when(row[STATE] == "bad", 1).when(row[STATE] == "good", 0)
    added: dict[str, Column] = {"split": row[SPLIT], "outcome": row[STATE], "bad": outcome}
    hidden = {ROW} if table.options.monotone else {ROW, RISKS[MONOTONE]}
    added |= {name: F.col(name) for name in tested.scored.columns if name not in hidden}
    names = delta_names(own, taken=added)
    return tested.scored.select(
        *[row[name].alias(names[name]) for name in own], *[value.alias(name) for name, value in added.items()]
    )


def delta_names(names: list[str], taken: Mapping[str, object]) -> dict[str, str]:
    """Names that Delta takes and that aren't ``taken``, each different whatever its case."""
    used, answer = {name.lower() for name in taken}, {}
    for name in names:
        plain = REFUSED.sub("_", name).strip("_") or "column"
        unique = next(
            candidate
            for candidate in (plain, f"{plain}_input", *(f"{plain}_{n}" for n in range(2, len(names) + 3)))
            if candidate.lower() not in used
        )
        used.add(unique.lower())
        answer[name] = unique
    return answer


def track(context: Context, table: CardTable, fitted: FittedCard, tested: TestedCard) -> None:
    """One MLflow run with parameters, figures and every file; with ``--model`` a new version of that model."""
    options, tracking = table.options, Tracking(context.settings.tracking_uri)
    tags = {
        "kind": CARD,
        "strata.run_id": context.run_id,
        "input": str(options.input),
        "input.kind": table.source.kind,
        "input.fingerprint": table.source.fingerprint,
    }
    with context.progress.step("track") as step, tracking.run(f"scorecard {options.input.name}", {}, tags) as run_id:
        mlflow.log_params(
            {name: str(value)[:500] for name, value in asdict(options).items() if value not in (None, ())}
        )
        mlflow.log_metrics(_flat_metrics(tested))
        for path in sorted(options.output.iterdir()):
            if path.is_file():
                mlflow.log_artifact(str(path))
        step.says(f"run {run_id}")
        if options.model:
            step.says(_registered(tracking, options.model, run_id, fitted, table, tested))


def _flat_metrics(tested: TestedCard) -> dict[str, float]:
    return {
        f"{model}_{split}_{name}": float(tested.figures[model, split][name])
        for model in RISKS
        for split in (TRAIN, TEST)
        for name in MEASURES
        if math.isfinite(tested.figures[model, split][name])
    }


def _registered(
    tracking: Tracking, model: str, run_id: str, fitted: FittedCard, table: CardTable, tested: TestedCard
) -> str:
    """The first version of a model is its champion; each later one challenges until ``strata promote``."""
    description = model_card(table, fitted, tested)
    version = tracking.register(model, run_id, CARD, {"scorecard.json": fitted.card.to_json()}, description)
    alias = CHAMPION if tracking.version(model, CHAMPION) is None else CHALLENGER
    tracking.alias(model, alias, version)
    return f"{model} version {version} is {alias}"
