"""The data sets on which scorecards are compared, and their folds, as files that every peer reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from strata.conf.settings import load_settings
from strata.jobs import build_features, ingest
from strata.jobs.runtime.tables import Lake
from strata.models.specs import loan_default as loans
from strata.models.validation import assign_folds
from tests.bench.kept import HERE, SCRATCH, stamp_of
from tests.bench.meter import run_job

SHARED = HERE.parents[1].parent / "shared" / "data"
GERMAN = HERE.parent / "golden" / "german_credit" / "german.csv.gz"
ID, GROUP, BAD, FOLDS, SEED = "row_id", "group_id", "bad", 5, 20261031


@dataclass(frozen=True)
class Dataset:
    """A table with columns row_id, group_id, bad (0/1) and features; ``specials`` are codes of every number."""

    name: str
    rows: pd.DataFrame
    repeats: int
    specials: tuple[float, ...] = ()

    @property
    def numbers(self) -> list[str]:
        """Features that are numbers."""
        return [name for name in self._features if pd.api.types.is_numeric_dtype(self.rows[name])]

    @property
    def texts(self) -> list[str]:
        """Features that are text."""
        return [name for name in self._features if name not in self.numbers]

    @property
    def _features(self) -> list[str]:
        return [name for name in self.rows if name not in (ID, GROUP, BAD)]

    @property
    def data(self) -> Path:
        """Where the rows are, as Parquet."""
        return SCRATCH / "truth" / self.name / "data.parquet"

    @property
    def folds(self) -> Path:
        """Where row_id, repeat and fold are, as Parquet."""
        return self.data.with_name("folds.parquet")

    def stamp(self) -> str:
        """A hash of the rows and of how they are divided."""
        hashes = pd.util.hash_pandas_object(self.rows, index=False).to_numpy()
        return stamp_of(hashes.tobytes().hex(), ",".join(self.rows), f"{self.repeats} {FOLDS} {SEED} {self.specials}")

    def write(self, spark: SparkSession) -> DataFrame:
        """Write both files; returns the rows as Spark reads them."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self.rows.to_parquet(self.data, index=False)
        rows = spark.read.parquet(str(self.data))
        dealt = assign_folds(rows, bad=BAD, group=GROUP, folds=FOLDS, repeats=self.repeats, seed=SEED)
        groups = self.rows[[ID, GROUP]].assign(group=self.rows[GROUP].astype(str))
        groups.merge(dealt.toPandas(), on="group")[[ID, "repeat", "fold"]].to_parquet(self.folds, index=False)
        return rows


def datasets(spark: SparkSession) -> Iterator[Dataset]:
    """All that this machine has; those that it lacks are named."""
    german = pd.read_csv(GERMAN)
    yield Dataset("german", _named(german.drop(columns="creditability"), german["creditability"] == "bad"), 5)
    yield Dataset("berka", _berka(spark), 5)
    if (file := _present("heloc/heloc.csv.gz")) is not None:
        heloc = pd.read_csv(file)
        target = heloc.pop("RiskPerformance")
        yield Dataset("heloc", _named(heloc, target == 1), 3, (-9.0, -8.0, -7.0))
    if (file := _present("bank_marketing/bank-additional-full.csv.gz")) is not None:
        calls = pd.read_csv(file, sep=";")
        yes = calls.pop("y") == "yes"
        yield Dataset("bank_marketing", _named(calls.drop(columns="duration"), yes), 2)
        yield Dataset("bank_marketing_with_duration", _named(calls, yes), 2)


def _present(name: str) -> Path | None:
    if (SHARED / name).exists():
        return SHARED / name
    print(f"bench: skipped {name}, the data are not on this machine", flush=True)
    return None


def _named(features: pd.DataFrame, bad: pd.Series) -> pd.DataFrame:
    ids = np.arange(len(features))
    return pd.concat([pd.DataFrame({ID: ids, GROUP: ids, BAD: bad.astype(int)}), features], axis=1)


def _berka(spark: SparkSession) -> pd.DataFrame:
    """The training set of the product's own jobs, on a lake of the bench's."""
    root = SCRATCH / "bank"
    places = {"lake": f"{root}/lake", "reports": f"{root}/reports", "token_key_file": f"{root}/token.key"}
    settings = load_settings("test", **places, tracking_uri=f"sqlite:///{root}/mlflow.db")
    spark.conf.set("spark.sql.session.timeZone", settings.bank_timezone)
    for job in (ingest.JOB, build_features.JOB):
        run_job(job, settings, spark)
    rows = Lake(spark, settings.lake).read(loans.TRAINING_SET).orderBy("loan_id").toPandas()
    features = rows[list(loans.features())].astype("float64")
    keys = {ID: rows["loan_id"], GROUP: rows[loans.GROUP], BAD: rows[loans.TARGET].astype(int)}
    return pd.concat([pd.DataFrame(keys), features], axis=1)
