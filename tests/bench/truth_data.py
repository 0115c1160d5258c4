"""The data sets on which scorecards are compared, and their folds, as files that every peer reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from strata.conf.settings import load_settings
from strata.jobs import build_cases, build_network, ingest
from strata.jobs.table_catalog import open_lake
from strata.models.specs import loan_default as loans
from strata.models.validation.cross_validation import assign_folds
from tests.bench.kept import HERE, SCRATCH, stamp_of
from tests.bench.meter import run_job

SHARED = HERE.parents[1].parent / "shared" / "data"
GERMAN = HERE.parent / "data" / "german_credit" / "german.csv.gz"
ID, GROUP, BAD, WHEN, FOLDS, SEED = "row_id", "group_id", "bad", "when", 5, 20261031
TEST_SHARE = 0.3
# The first rows of CoIL 2000 are its training set.
COIL_TRAIN = 5_822


@dataclass(frozen=True)
class Dataset:
    """A table with columns row_id, group_id, bad (0/1) and features; ``specials`` are codes of every number.

    With a column ``when`` its last part is the test, as ``strata scorecard --time`` has it, and there are no folds.
    """

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
        return [name for name in self.rows if name not in (ID, GROUP, BAD, WHEN)]

    @property
    def is_by_time(self) -> bool:
        """Whether the test is the last part in time."""
        return WHEN in self.rows

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
        if self.is_by_time:
            self._split_by_time().to_parquet(self.folds, index=False)
            return rows
        dealt = assign_folds(rows, bad=BAD, group=GROUP, folds=FOLDS, repeats=self.repeats, seed=SEED)
        groups = self.rows[[ID, GROUP]].assign(group=self.rows[GROUP].astype(str))
        groups.merge(dealt.toPandas(), on="group")[[ID, "repeat", "fold"]].to_parquet(self.folds, index=False)
        return rows

    def _split_by_time(self) -> pd.DataFrame:
        """Fold 0 is the test, from the moment on that brings its share nearest to 30 %; -1 are rows to learn from."""
        moments = sorted(self.rows[WHEN].unique())[1:]
        cut = min(moments, key=lambda moment: abs((self.rows[WHEN] >= moment).mean() - TEST_SHARE))
        return pd.DataFrame({ID: self.rows[ID], "repeat": 0, "fold": (self.rows[WHEN] >= cut).astype(int) - 1})


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
        # The calls are ordered by date, which isn't told: two dozen equal parts stand for months.
        ordered = _named(calls.drop(columns="duration"), yes)
        yield Dataset("bank_marketing_by_time", ordered.assign(**{WHEN: ordered[ID] * 24 // len(ordered)}), 1)
    if (file := _present("coil2000/ticdata.csv.gz")) is not None:
        policies = pd.read_csv(file)
        owner = policies.pop("CARAVAN") == "insurance"
        yield Dataset("coil2000", _named(policies, owner), 2)
        fixed = _named(policies, owner)
        yield Dataset("coil2000_as_given", fixed.assign(**{WHEN: (fixed[ID] >= COIL_TRAIN).astype(int)}), 1)
    if (file := _present("information_uplift/train.csv.gz")) is not None:
        mailed = pd.concat([pd.read_csv(file), pd.read_csv(file.with_name("valid.csv.gz"))], ignore_index=True)
        bought = mailed.pop("PURCHASE") == 1
        unknown = [name for name in mailed if name == "TREATMENT" or "UNIQUE" in name.upper()]
        yield Dataset("information_purchase", _named(mailed.drop(columns=unknown), bought), 1)
    if (file := _present("hillstrom/hillstrom.csv.gz")) is not None:
        mailed = pd.read_csv(file)
        visit = mailed.pop("visit") == 1
        yield Dataset("hillstrom_visit", _named(mailed.drop(columns=["conversion", "spend"]), visit), 1)
    if (file := _present("lgd_credit_risk_analytics/lgd.csv.gz")) is not None:
        yield Dataset("lgd_any_loss", _losses(pd.read_csv(file)), 2)
    if (script := SHARED.parent / "cases" / "thin_periods.py").exists():
        yield Dataset("thin_periods", _thin(script), 1)


def _losses(loans: pd.DataFrame) -> pd.DataFrame:
    """Whether a defaulted loan lost anything beyond the floor at which 28.8 % of losses stand."""
    return _named(loans[["LTV", "purpose1"]], loans["lgd_time"] > loans["lgd_time"].min() + 1e-9)


def _thin(script: Path) -> pd.DataFrame:
    """A made-up lender that starts small; the peers are given its rates and terms as numbers."""
    output = SCRATCH / "truth" / "thin_periods.csv"
    output.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, str(script), str(output)], check=True, stdout=subprocess.DEVNULL)
    loans = pd.read_csv(output)
    numbers = {name: loans[name].str.extract(r"([\d.]+)")[0].astype(float) for name in ("rate", "term")}
    features = loans.assign(**numbers).drop(columns=["id", "opened_on", "bad"])
    return _named(features, loans["bad"] == 1).assign(**{WHEN: pd.to_datetime(loans["opened_on"]).dt.date})


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
    for job in (ingest.JOB, build_network.JOB, build_cases.JOB):
        run_job(job, settings, spark)
    rows = open_lake(spark, settings).read(loans.TRAINING_SET).orderBy("loan_id").toPandas()
    features = rows[list(loans.features())].astype("float64")
    keys = {ID: rows["loan_id"], GROUP: rows[loans.GROUP], BAD: rows[loans.TARGET].astype(int)}
    return pd.concat([pd.DataFrame(keys), features], axis=1)
