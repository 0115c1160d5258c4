"""Part uplift_truth: uplift, response and loss models against peers on the same folds of real data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from strata.jobs import local_session
from strata.models import LgdSpec, UpliftSpec, fit_binning, fit_lgd, fit_uplift, qini
from strata.models.boosting.challenger import fit_challenger
from tests.bench.kept import RESULTS, SCRATCH, Measurement, engine_stamp, kept, stamp_of, table
from tests.bench.peer import Peer
from tests.bench.uplift_data import Trial, losses, policies, trials

FOLDER = RESULTS / "uplift_truth"
LEARNERS = ("x", "t")
PEERS = {
    "two models, logistic": {"approach": "two_models", "base": "logistic"},
    "class transformation, logistic": {"approach": "class_transformation", "base": "logistic"},
    "two models, xgboost": {"approach": "two_models", "base": "xgboost"},
    "class transformation, xgboost": {"approach": "class_transformation", "base": "xgboost"},
    "response model, logistic": {"approach": "response", "base": "logistic"},
}
CHOSEN, FOLDS = 800, 5
TITLES = ["model", "Qini, mean of folds", "sd of folds", "uplift at 30 %", "seconds a fit"]


def _engine() -> str:
    """A hash of the packages that figures of ours depend on."""
    return stamp_of(*(engine_stamp(f"models/{package}") for package in ("uplift", "loss", "boosting")))


@dataclass(frozen=True)
class Ours:
    """One of our learners at its defaults."""

    learner: str

    def stamp(self) -> str:
        """A hash of what its figures depend on, but for the data."""
        return _engine()

    def measure(self, spark: SparkSession, trial: Trial) -> Measurement:
        """Fit outside each fold, score and measure inside."""
        rows, folds, seconds = spark.read.parquet(str(trial.data)).cache(), [], []
        for fold in range(trial.rows["fold"].max() + 1):
            start = time.monotonic()
            spec = UpliftSpec("outcome", "treated", trial.features, learner=self.learner)  # type: ignore[arg-type]
            model = fit_uplift(rows.where(F.col("fold") != fold), spec)
            seconds.append(time.monotonic() - start)
            scored = model.score(rows.where(F.col("fold") == fold)).cache()
            folds.append(_figures(scored))
        rows.unpersist()
        return {"folds": folds, "fit_seconds": seconds}


@dataclass(frozen=True)
class Theirs:
    """One of scikit-uplift's learners."""

    options: dict[str, Any]

    @property
    def peer(self) -> Peer:
        """The process that it runs in."""
        return Peer("scikit_uplift")

    def stamp(self) -> str:
        """A hash of what its figures depend on, but for the data."""
        return stamp_of(self.peer.stamp(), repr(self.options))

    def measure(self, spark: SparkSession, trial: Trial) -> Measurement:
        """Its predictions, measured as ours are."""
        predictions = SCRATCH / "uplift" / "predictions.parquet"
        texts = [name for name in trial.features if name not in trial.numbers]
        job = {"data": str(trial.data), "numbers": trial.numbers, "texts": texts, "options": self.options}
        found = self.peer.run(job | {"predictions": str(predictions)})
        if found["status"] != "done":
            raise RuntimeError(f"scikit-uplift on {trial.name}: {found['status']}, {found['error']}")
        rows = spark.read.parquet(str(predictions))
        folds = [_figures(rows.where(F.col("fold") == fold)) for fold in range(trial.rows["fold"].max() + 1)]
        return {"folds": folds, "fit_seconds": found["fit_seconds"]}


def _figures(scored: Any) -> dict[str, float]:
    found = qini(scored, outcome="outcome", treatment="treated", uplift="uplift")
    return {"qini": float(found.normalised), "at_30": float(found.at(0.3)), "ate": float(found.ate)}


def competitors() -> dict[str, Ours | Theirs]:
    """Who is compared; the first is our default."""
    ours = {f"strata, {learner}": Ours(learner) for learner in LEARNERS}
    return ours | {name: Theirs(options) for name, options in PEERS.items()}


def measure_losses(spark: SparkSession, given: pd.DataFrame) -> Measurement:
    """R² out of fold of our two stages and of a least-squares line."""
    rows = spark.createDataFrame(given).cache()
    parts = []
    for fold in range(FOLDS):
        model = fit_lgd(rows.where(F.col("fold") != fold), LgdSpec("loss", ["LTV", "purpose1"]))
        parts.append(model.score(rows.where(F.col("fold") == fold)).select("row_id", "lgd").toPandas())
    found = given.merge(pd.concat(parts), on="row_id")
    line = np.empty(len(given))
    design = np.column_stack([np.ones(len(given)), given[["LTV", "purpose1"]]])
    for fold in range(FOLDS):
        inside = (given["fold"] == fold).to_numpy()
        beta = np.linalg.lstsq(design[~inside], given.loc[~inside, "loss"], rcond=None)[0]
        line[inside] = design[inside] @ beta
    return {"strata": _r2(found["loss"], found["lgd"]), "least squares": _r2(given["loss"], line)}


def _r2(outcome: pd.Series, expected: Any) -> float:
    return float(1 - ((outcome - expected) ** 2).sum() / ((outcome - outcome.mean()) ** 2).sum())


def measure_policies(spark: SparkSession, train: pd.DataFrame, test: pd.DataFrame) -> Measurement:
    """Owners among the 800 of 4,000 that our challenger would write to."""
    rows, names = spark.createDataFrame(train), [name for name in train if name not in ("owner", "row_id")]
    bins = fit_binning(rows, target="owner", features=names)
    model = fit_challenger(rows, bins, names, target="owner")
    scored = model.score(spark.createDataFrame(test)).orderBy(F.desc("probability"), "row_id").limit(CHOSEN)
    owners = scored.agg(F.sum("owner")).head()
    assert owners is not None
    return {"owners": int(owners[0])}


def run() -> None:
    """Measure what is missing, then print and keep the tables."""
    spark = local_session(cores=2, memory="4g", shuffle_partitions=2)
    parts = ["# Uplift, response and losses on real data\n"]
    for trial in trials():
        trial.write()
        found = {name: _kept(spark, trial, name, entry) for name, entry in competitors().items()}
        parts.append(_trial_table(trial, found))
    if (loans := losses()) is not None:
        parts.append(_losses_table(_kept_as("losses", partial(measure_losses, spark, loans))))
    if (found_policies := policies()) is not None:
        owners = _kept_as("coil2000", partial(measure_policies, spark, *found_policies))["owners"]
        parts.append(
            f"## CoIL 2000\n\nOf 4,000 people 800 are chosen: {owners} of the 238 owners are among them by our "
            "challenger at its defaults (winner of the contest 121, logistic regression 111, at random 48).\n"
        )
    text = "\n".join(parts)
    (RESULTS / "uplift_truth.md").write_text(text)
    print(text)
    spark.stop()


def _kept(spark: SparkSession, trial: Trial, name: str, entry: Ours | Theirs) -> Measurement:
    place = FOLDER / f"{trial.name}_{name.replace(', ', '_').replace(' ', '_')}.json"
    return kept(place, stamp_of(trial.stamp(), entry.stamp()), lambda: entry.measure(spark, trial))


def _kept_as(name: str, measure: Callable[[], Measurement]) -> Measurement:
    return kept(FOLDER / f"{name}.json", _engine(), measure)


def _trial_table(trial: Trial, found: dict[str, Measurement]) -> str:
    """One row per model; the mean and the standard deviation over folds."""
    rows = []
    for name, one in found.items():
        ordered = np.array([fold["qini"] for fold in one["folds"]])
        top = np.mean([fold["at_30"] for fold in one["folds"]])
        seconds = np.median(one["fit_seconds"])
        rows.append([name, f"{ordered.mean():.4f}", f"{ordered.std():.4f}", f"{top:+.4f}", f"{seconds:.1f}"])
    ate = np.mean([fold["ate"] for fold in next(iter(found.values()))["folds"]])
    lead = (
        f"{len(trial.rows):,} rows, {len(trial.features)} features, average effect {ate:+.4f}. The Qini is "
        "scikit-uplift's `qini_auc_score`, of rows that a model never saw.\n\n"
    )
    return f"## {trial.name.replace('_', ' ')}\n\n{lead}{table(TITLES, rows)}"


def _losses_table(found: Measurement) -> str:
    rows = [[name, f"{found[name]:.4f}"] for name in ("strata", "least squares")]
    return f"## Loss given default\n\n2,545 loans, five folds.\n\n{table(['model', 'R² out of fold'], rows)}"
