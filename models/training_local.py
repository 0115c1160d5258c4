"""A training set that is small enough to be held on the driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from strata.models.binning_bins import FeatureBins, number_edges
from strata.models.binning_rows import Source
from strata.models.counts import (
    Answer,
    Block,
    BlockSum,
    Floats,
    Item,
    Outcomes,
    Totals,
    check_rows,
    check_totals,
    count_codes,
    empty_bins,
    level_bins,
    most_edges,
    split_counts,
)

ROWS_PER_CANDIDATE, FEWEST_CANDIDATES = 5, 20


def local_training(given: Source, frame: pd.DataFrame) -> LocalTraining:
    """Rows of ``Source.rows`` on the driver; the same errors as ``training``."""
    bad, weight = frame["bad"].to_numpy(np.float64), frame["weight"].to_numpy(np.float64)
    wrong = ~np.isin(bad, (0.0, 1.0)) & ~np.isnan(bad)
    unsound = ~(weight >= 0) | np.isinf(weight)
    check_rows(given, int(np.isnan(bad).sum()), int(wrong.sum()), int(unsound.sum()), int(frame["period"].isna().sum()))
    periods = tuple(sorted(frame["period"].unique()))
    totals = Totals(len(frame), float(weight[bad == 0].sum()), float(weight[bad == 1].sum()), periods)
    check_totals(given, totals)
    return LocalTraining(given, totals, frame)


@dataclass(frozen=True)
class LocalTraining:
    """Rows in a pandas frame of ``Source.rows``."""

    source: Source
    totals: Totals
    frame: pd.DataFrame

    def candidates(self, min_share: float) -> tuple[FeatureBins, ...]:
        """Pre-bins from all rows."""
        most = max(FEWEST_CANDIDATES, min(most_edges(self.totals), len(self.frame) // ROWS_PER_CANDIDATE))
        return tuple(self._candidate(i, most, min_share) for i in range(len(self.source.features)))

    def _candidate(self, i: int, most: int, min_share: float) -> FeatureBins:
        empty = empty_bins(self.source, i)
        values = self.frame[f"f{i}"]
        ordinary = ~values.isin(empty.specials) & values.notna()
        if empty.kind == "number":
            return replace(empty, edges=number_edges(values[ordinary].to_numpy(np.float64), most))
        shares = self.frame["weight"][ordinary].groupby(values[ordinary]).sum() / self.totals.weight
        return level_bins(empty, list(shares.items()), min_share, self.totals.rows)

    def counts(self, bins: Sequence[FeatureBins]) -> list[Floats]:
        """The counts table, feature by feature."""
        periods = pd.Index(self.totals.periods)
        rows = Outcomes(
            self.frame["bad"].to_numpy(np.int64),
            self.frame["weight"].to_numpy(np.float64),
            periods.get_indexer(self.frame["period"]).astype(np.int64),
            len(periods),
        )
        flat = [count_codes(self._codes(part), part.size, rows) for part in bins]
        return split_counts(np.concatenate(flat), bins, len(periods))

    def _codes(self, part: FeatureBins) -> np.ndarray:
        return part.codes(self.frame[f"f{self.source.place(part.feature)}"])

    def coded(self, bins: Sequence[FeatureBins]) -> LocalCoded:
        """Codes as one block."""
        codes = np.empty((len(self.frame), len(bins)), np.int16)
        for column, part in enumerate(bins):
            codes[:, column] = self._codes(part)
        return LocalCoded(Block(codes, *(self.frame[name].to_numpy(np.float64) for name in ("bad", "weight"))))

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
