"""The experiments on which uplift models are compared, with their folds, and the other tables of the part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from tests.bench.kept import SCRATCH, stamp_of
from tests.bench.truth_data import SHARED

SEED, HILLSTROM_FOLDS, INFORMATION_FOLDS = 20261031, 5, 3
OWN = ("row_id", "fold", "outcome", "treated")


@dataclass(frozen=True)
class Trial:
    """An experiment with columns row_id, fold, outcome (0/1), treated (0/1) and features."""

    name: str
    rows: pd.DataFrame

    @property
    def features(self) -> list[str]:
        """Every column that a model may read."""
        return [name for name in self.rows if name not in OWN]

    @property
    def numbers(self) -> list[str]:
        """Features that are numbers."""
        return [name for name in self.features if pd.api.types.is_numeric_dtype(self.rows[name])]

    @property
    def data(self) -> Path:
        """Where the rows are, as Parquet."""
        return SCRATCH / "uplift" / f"{self.name}.parquet"

    def stamp(self) -> str:
        """A hash of the rows and their folds."""
        return stamp_of(pd.util.hash_pandas_object(self.rows, index=False).to_numpy().tobytes().hex())

    def write(self) -> None:
        """Write the file that every competitor reads."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self.rows.to_parquet(self.data, index=False)


def trials() -> Iterator[Trial]:
    """Hillstrom's two campaigns, each against the customers without e-mail, and the Information package's."""
    if (file := SHARED / "hillstrom" / "hillstrom.csv.gz").exists():
        mailed = pd.read_csv(file)
        for name, arm in (("hillstrom_womens", "Womens E-Mail"), ("hillstrom_mens", "Mens E-Mail")):
            both = mailed[mailed["segment"].isin([arm, "No E-Mail"])]
            treated = (both["segment"] == arm).astype(int)
            features = both.drop(columns=["segment", "visit", "conversion", "spend"])
            yield Trial(name, _dealt(features, both["visit"], treated, HILLSTROM_FOLDS))
    if (file := SHARED / "information_uplift" / "train.csv.gz").exists():
        parts = [pd.read_csv(file), pd.read_csv(file.with_name("valid.csv.gz"))]
        offered = pd.concat(parts, ignore_index=True)
        outcome, treated = offered.pop("PURCHASE"), offered.pop("TREATMENT")
        features = offered.drop(columns=[name for name in offered if "UNIQUE" in name.upper()])
        yield Trial("information_uplift", _dealt(features, outcome, treated, INFORMATION_FOLDS))


def _dealt(features: pd.DataFrame, outcome: pd.Series, treated: pd.Series, folds: int) -> pd.DataFrame:
    """The rows with folds dealt out by arm and outcome, in a drawn order."""
    rng, fold = np.random.default_rng(SEED), np.empty(len(features), np.int64)
    for stratum in np.unique(2 * treated + outcome):
        places = np.flatnonzero(2 * treated + outcome == stratum)
        fold[rng.permutation(places)] = np.arange(len(places)) % folds
    own = {"row_id": np.arange(len(features)), "fold": fold}
    own |= {"outcome": outcome.to_numpy(np.int64), "treated": treated.to_numpy(np.int64)}
    return pd.concat([pd.DataFrame(own), features.reset_index(drop=True)], axis=1)


def losses() -> pd.DataFrame | None:
    """Defaulted loans with row_id, fold (five, seed 0 as published figures have it), loss, LTV and purpose1."""
    if not (file := SHARED / "lgd_credit_risk_analytics" / "lgd.csv.gz").exists():
        return None
    loans = pd.read_csv(file)
    rows = loans[["LTV", "purpose1"]].assign(row_id=np.arange(len(loans)), loss=loans["lgd_time"], fold=0)
    for fold, (_, places) in enumerate(KFold(5, shuffle=True, random_state=0).split(rows)):
        rows.loc[places, "fold"] = fold
    return rows


def policies() -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """CoIL 2000: rows to learn from and rows to choose from, with ``owner`` 0/1."""
    if not (file := SHARED / "coil2000" / "ticdata.csv.gz").exists():
        return None
    rows = pd.read_csv(file)
    rows["owner"] = (rows.pop("CARAVAN") == "insurance").astype(int)
    rows.insert(0, "row_id", np.arange(len(rows)))
    return rows.iloc[:5_822], rows.iloc[5_822:]
