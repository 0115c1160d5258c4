"""Part scorecard_truth: how well scorecards predict, ours and its peers', on the same folds of real data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.conf.settings import load_settings
from strata.jobs import local_session
from strata.jobs import scorecard as scorecard_job
from strata.jobs.job_runner import execute, parser
from strata.models import ScorecardSpec, cross_validate, fit_binning
from strata.models.boosting.challenger import fit_challenger
from strata.models.evaluation.discrimination import auc, auc_interval, ks
from strata.models.evaluation.score_table import ScoreTable
from strata.models.specs import loan_default as loans
from strata.models.validation.cross_validation import Learner, Predict
from tests.bench.kept import RESULTS, SCRATCH, Measurement, engine_stamp, kept, stamp_of
from tests.bench.peer import Peer
from tests.bench.truth_data import BAD, FOLDS, GROUP, ID, SEED, WHEN, Dataset, datasets
from tests.bench.truth_table import truth_table

FOLDER = RESULTS / "scorecard_truth"


@dataclass(frozen=True)
class Theirs:
    """A peer with options of its own; ``repeats`` caps those of the data set where it is slow."""

    peer: Peer
    options: dict[str, Any] = field(default_factory=dict)
    repeats: int = 99

    def stamp(self) -> str:
        """A hash of what its figures depend on, but for the data."""
        return stamp_of(self.peer.stamp(), repr((self.options, self.repeats)))

    def measure(self, dataset: Dataset, rows: DataFrame) -> Measurement:
        """One process a repeat; a repeat that doesn't end in time ends the measurement."""
        folds, seconds, peak, status = [], [], 0, "done"
        for repeat in range(min(self.repeats, dataset.repeats)):
            predictions = SCRATCH / "truth" / "predictions.parquet"
            found = self.peer.run(self._job(dataset) | {"repeat": repeat, "predictions": str(predictions)})
            peak, status = max(peak, found["peak_bytes"]), found["status"]
            if status != "done":
                status = f"{status} in repeat {repeat}: {found['error']}"
                break
            seconds += found["fit_seconds"]
            folds += fold_rows(pd.read_parquet(predictions), repeat)
        return {"status": status, "folds": folds, "fit_seconds": seconds, "peak_bytes": peak}

    def _job(self, dataset: Dataset) -> dict[str, Any]:
        files = {"data": str(dataset.data), "folds": str(dataset.folds)}
        features = {"numbers": dataset.numbers, "texts": dataset.texts, "specials": list(dataset.specials)}
        return {"task": "folds", "target": BAD, "options": self.options} | files | features


@dataclass(frozen=True)
class Ours:
    """A learner of Strata's own, validated by its own cross-validation."""

    learner: Callable[[Dataset], ScorecardSpec | Learner]

    def stamp(self) -> str:
        """A hash of what its figures depend on, but for the data."""
        return engine_stamp()

    def measure(self, dataset: Dataset, rows: DataFrame) -> Measurement:
        """The same folds as in the peers' file: they depend on group, target and seed alone."""
        learner, start = self.learner(dataset), time.monotonic()
        found = cross_validate(
            rows, learner, target=BAD, group=GROUP, id=ID, folds=FOLDS, repeats=dataset.repeats, seed=SEED
        )
        seconds = (time.monotonic() - start) / len(found.folds)
        _same_folds(found.predictions.select(ID, "repeat", "fold").toPandas(), pd.read_parquet(dataset.folds))
        folds = found.folds.to_dict("records")
        return {"status": "done", "folds": folds, "fit_seconds": [seconds] * len(folds)}


def _same_folds(ours: pd.DataFrame, given: pd.DataFrame) -> None:
    keys = [ID, "repeat", "fold"]
    if len(ours) != len(given) or len(ours.merge(given, on=keys)) != len(given):
        raise RuntimeError("the folds of the cross-validation are not those that the peers were given")


def fold_rows(predictions: pd.DataFrame, repeat: int) -> list[dict[str, float]]:
    """The rows of ``CrossValidation.folds`` from one repeat's predictions."""
    answer = []
    for fold, test in predictions[predictions["fold"] >= 0].groupby("fold"):
        table = ScoreTable.of(test["bad"], test["probability"])
        row = {"repeat": repeat, "fold": int(fold), "train_rows": len(predictions) - len(test), "test_rows": len(test)}
        bads = int(test["bad"].sum())
        row |= {"train_bads": int(predictions["bad"].sum()) - bads, "test_bads": bads}
        interval = auc_interval(table)
        answer.append({**row, "auc": auc(table), "ks": ks(table), "low": interval.low, "high": interval.high})
    return answer


def scorecard(dataset: Dataset, **changed: Any) -> ScorecardSpec:
    """All features, everything else as it is by default or ``changed``."""
    return ScorecardSpec(BAD, [*dataset.numbers, *dataset.texts], special_values=dataset.specials or None, **changed)


def boosted(dataset: Dataset, *, is_monotone: bool = False) -> Learner:
    """A challenger that `strata scorecard` trains; everything, its size too, is learnt anew in each fold."""
    names = [*dataset.numbers, *dataset.texts]

    def learner(train: DataFrame) -> Predict:
        bins = fit_binning(train, target=BAD, features=names, special_values=dataset.specials or None)
        return fit_challenger(train, bins, names, target=BAD, is_monotone=is_monotone).score

    return learner


@dataclass(frozen=True)
class ByCommand:
    """``strata scorecard --time`` at its defaults, and what one run of it says: the card's or a challenger's scores."""

    probability: str = "probability"
    drift: str = "reversed"

    def stamp(self) -> str:
        """A hash of what its figures depend on, but for the data."""
        return stamp_of(engine_stamp(), repr(self))

    def measure(self, dataset: Dataset, rows: DataFrame) -> Measurement:
        """Its own split, which must be that of the peers."""
        output = dataset.data.with_name(f"card_{self.drift}")
        start = time.monotonic()
        if not (output / engine_stamp() / "metrics.json").exists():
            _command(rows.sparkSession, dataset, output / engine_stamp(), self.drift)
        seconds = time.monotonic() - start
        scored = rows.sparkSession.read.format("delta").load(str(output / engine_stamp() / "scored"))
        found = scored.select(ID, "split", BAD, F.col(self.probability).alias("probability")).toPandas()
        found["fold"] = (found["split"] == "test").astype(int) - 1
        _same_folds(found.assign(repeat=0)[[ID, "repeat", "fold"]], pd.read_parquet(dataset.folds))
        return {"status": "done", "folds": fold_rows(found, 0), "fit_seconds": [seconds]}


def _command(spark: SparkSession, dataset: Dataset, output: Path, drift: str) -> None:
    """All but the split at defaults."""
    given = ["--input", dataset.data, "--target", BAD, "--time", WHEN, "--id", ID, "--exclude", GROUP, "--monotone"]
    arguments = [*map(str, given), "--drift", drift, "--output", str(output)]
    if dataset.specials:
        arguments.append(f"--special={','.join(f'{value:g}' for value in dataset.specials)}")
    places = {"lake": str(SCRATCH / "card_lake"), "tracking_uri": f"sqlite:///{SCRATCH}/card_mlflow.db"}
    options = parser(scorecard_job.JOB).parse_args(arguments)
    if code := execute(scorecard_job.JOB, load_settings("test", **places), options, spark):
        raise RuntimeError(f"strata scorecard ended with {code} on {dataset.name}")


def competitors(dataset: Dataset) -> dict[str, Ours | ByCommand | Theirs]:
    """Who is compared; the first is ours, the second what it is measured against."""
    ascending = {"trend": "auto_asc_desc"}
    trees = {"n_estimators": 200, "learning_rate": 0.1, "max_depth": 4, "n_jobs": 2}
    product = Ours(lambda _: replace(loans.scorecard_spec(), target=BAD))
    if dataset.is_by_time:
        return {
            "strata": ByCommand(),
            "optbinning": Theirs(Peer("optbinning")),
            "optbinning_monotone": Theirs(Peer("optbinning"), ascending),
            "scorecardpy": Theirs(Peer("scorecardpy"), {"no_cores": 1}, repeats=1),
            "strata_drift_shifted": ByCommand(drift="shifted"),
            "strata_drift_keep": ByCommand(drift="keep"),
            "strata_boosted": ByCommand("challenger_probability"),
            "strata_monotone": ByCommand("monotone_probability"),
            "xgboost": Theirs(Peer("xgboost"), trees),
        }
    return {
        "strata": Ours(scorecard),
        "optbinning": Theirs(Peer("optbinning")),
        "optbinning_monotone": Theirs(Peer("optbinning"), ascending),
        "scorecardpy": Theirs(Peer("scorecardpy"), {"no_cores": 1}, repeats=1),
        "strata_any_trend": Ours(partial(scorecard, trend="none")),
        "strata_boosted": Ours(boosted),
        "strata_monotone": Ours(partial(boosted, is_monotone=True)),
        "xgboost": Theirs(Peer("xgboost"), trees),
        **({"strata_loan_default": product} if dataset.name == "berka" else {}),
    }


def run() -> None:
    """Measure what is missing, then print and keep the table."""
    spark = local_session(cores=2, memory="4g", shuffle_partitions=2)
    found: dict[str, dict[str, Measurement]] = {}
    for dataset in datasets(spark):
        rows = dataset.write(spark)
        found[dataset.name] = {name: _kept(dataset, rows, name, entry) for name, entry in competitors(dataset).items()}
    text = truth_table(found)
    (RESULTS / "scorecard_truth.md").write_text(text)
    print(text)
    spark.stop()


def _kept(dataset: Dataset, rows: DataFrame, name: str, entry: Ours | ByCommand | Theirs) -> Measurement:
    stamp = stamp_of(dataset.stamp(), entry.stamp())
    return kept(FOLDER / f"{dataset.name}_{name}.json", stamp, lambda: entry.measure(dataset, rows))
