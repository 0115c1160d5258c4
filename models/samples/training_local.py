"""A training set that is small enough to be held on the driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from strata.models.binning.bin_counts import (
    Answer,
    Block,
    BlockSum,
    Counted,
    Edit,
    Faults,
    Floats,
    Item,
    Outcomes,
    Totals,
    checked_totals,
    count_table,
    level_bins,
    most_edges,
    number_bins,
)
from strata.models.binning.feature_bins import Codes, FeatureBins
from strata.models.samples.training_rows import Source

ROWS_PER_CANDIDATE, FEWEST_CANDIDATES = 5, 20


def local_training(given: Source, frame: pd.DataFrame) -> LocalTraining:
    """Rows of ``Source.rows`` on the driver; the same errors as ``training``."""
    bad, weight = frame["bad"].to_numpy(np.float64), frame["weight"].to_numpy(np.float64)
    wrong = ~np.isin(bad, (0.0, 1.0)) & ~np.isnan(bad)
    unsound = ~(weight >= 0) | np.isinf(weight)
    faults = Faults(*(int(fault.sum()) for fault in (np.isnan(bad), wrong, unsound, frame["period"].isna())))
    good, bads = weight[bad == 0].sum(), weight[bad == 1].sum()
    totals = checked_totals(given, faults, len(frame), good, bads, frame["period"].unique())
    return LocalTraining(given, totals, frame)


@dataclass(frozen=True)
class LocalTraining:
    """Rows in a pandas frame of ``Source.rows``."""

    source: Source
    totals: Totals
    frame: pd.DataFrame

    def pre_bins(self, min_share: float, edit: Edit) -> list[Counted]:
        """Pre-bins from all rows, counted feature by feature."""
        most = max(FEWEST_CANDIDATES, min(most_edges(self.totals), len(self.frame) // ROWS_PER_CANDIDATE))
        candidates = [self._candidate(i, most, min_share) for i in range(len(self.source.features))]
        rows = self._outcomes()
        return [Counted(part, count_table(self._codes(part), part.size, rows)) for part in map(edit, candidates)]

    def _candidate(self, i: int, most: int, min_share: float) -> FeatureBins:
        values = self.frame[f"f{i}"]
        if self.source.kinds[i] == "number":
            return number_bins(self.source, i, values.to_numpy(np.float64), most)
        weights = self.frame["weight"].groupby(values).sum()
        return level_bins(self.source, i, dict(weights), min_share, self.totals)

    def _outcomes(self) -> Outcomes:
        bad, weight = self.frame["bad"].to_numpy(np.int64), self.frame["weight"].to_numpy(np.float64)
        periods = pd.Index(self.totals.periods)
        return Outcomes(bad, weight, periods.get_indexer(self.frame["period"]).astype(np.int64), len(periods))

    def _codes(self, part: FeatureBins) -> Codes:
        return part.codes(self.frame[f"f{self.source.place(part.feature)}"])

    def coded(self, bins: Sequence[FeatureBins]) -> LocalCoded:
        """Codes as one block, weights in rows."""
        codes = np.empty((len(self.frame), len(bins)), np.int16)
        for column, part in enumerate(bins):
            codes[:, column] = self._codes(part)
        bad, weight = (self.frame[name].to_numpy(np.float64) for name in ("bad", "weight"))
        return LocalCoded(Block(codes, bad, weight / self.totals.unit))

    def side_by_side(self, make: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """One after the other: few rows have few pre-bins."""
        return [make(item) for item in items]


@dataclass(frozen=True)
class LocalCoded:
    """One block on the driver."""

    block: Block

    def sums(self, make: BlockSum) -> Floats:
        """What ``make`` gives for the only block."""
        return make(self.block)

    def release(self) -> None:
        """Nothing is cached."""
