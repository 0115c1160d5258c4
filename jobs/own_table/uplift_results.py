"""What the steps of ``strata uplift`` hand on: the table of an experiment, the fitted model, its test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.own_table.uplift_options import UpliftOptions
from strata.jobs.sources.any_table.reading import AnyTable
from strata.models.samples.screening import Roles
from strata.models.uplift.qini import Estimate, Qini
from strata.models.uplift.uplift_model import Uplift
from strata.models.uplift.uplift_training import Overlap

# Columns that the job adds to the rows: arm (0/1), outcome as a number, part, weight by the chance of the arm.
ARM, OUTCOME, SPLIT, WEIGHT = "__arm", "__outcome", "__split", "__weight"
SHARES = (0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Experiment:
    """The rows of both arms with ``__arm``, ``__outcome`` and ``__split``, and what is known about them.

    ``options`` name columns as ``rows`` do. ``counts`` is (split, arm) to number of rows, ``responses`` to the
    rows whose outcome is not 0; ``left_out`` the rows of other arms; ``is_flag`` whether outcomes are 0 and 1.
    """

    rows: DataFrame
    options: UpliftOptions
    source: AnyTable
    roles: Roles
    arms: tuple[str, str]
    counts: Mapping[tuple[str, int], int]
    responses: Mapping[tuple[str, int], int]
    left_out: int
    is_flag: bool

    def part(self, split: str) -> DataFrame:
        """The rows of train or test."""
        return self.rows.where(F.col(SPLIT) == split)

    def size(self, split: str) -> int:
        """Rows of train or test."""
        return sum(rows for (part, _), rows in self.counts.items() if part == split)

    def name_of(self, column: str) -> str:
        """What the file calls a column."""
        return self.source.names.get(column, column)


@dataclass(frozen=True)
class FittedModel:
    """The model, how far features predict the treatment, how arms differ by feature, and suspected leaks."""

    model: Uplift
    overlap: Overlap
    balance: pd.DataFrame
    suspects: tuple[str, ...]


@dataclass(frozen=True)
class TestedModel:
    """The scored rows of both parts, the Qini curve of the test, its deciles, what drives uplift, and the net gain.

    ``best`` is the share to treat and its net gain per head, None without cost and value.
    """

    scored: DataFrame
    qini: Qini
    deciles: pd.DataFrame
    drivers: pd.DataFrame
    best: tuple[float, Estimate] | None

    def figures(self) -> dict[str, Estimate]:
        """Every figure of the test with its interval, by the name that metrics have."""
        at = {f"uplift_at_{round(100 * share)}": self.qini.at(share) for share in SHARES}
        found = {"ate": self.qini.ate, "area": self.qini.area, "normalised": self.qini.normalised} | at
        return found | ({"net_gain": self.best[1]} if self.best else {})
