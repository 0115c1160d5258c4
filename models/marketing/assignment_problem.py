"""Candidates and limits as arrays: which limits each candidate counts towards, and what an assignment uses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Problem:
    """Rows are candidates, sorted by block; at most one row of a block is chosen.

    - ``start``: the first row of each block (length: blocks), ``block``: the block of each row.
    - ``value``: what choosing the row is worth.
    - ``cell``: which kind of candidate a row is. Rows of one cell count towards the same limits, so that limits are
      summed over cells, of which there are few.
    - ``member``: cells x limits, 1 where a row of the cell counts towards the limit.
    - ``minimum``, ``maximum`` of each limit, in chosen rows; infinity is no maximum.
    - ``missing``: by how many rows minimums may be missed, all together.
    """

    start: Places
    block: Places
    value: Floats
    cell: Places
    member: sparse.csr_array
    minimum: Floats
    maximum: Floats
    missing: float = 0.0

    @property
    def rows(self) -> int:
        """How many candidates there are."""
        return len(self.value)

    def usage(self, chosen: Floats | Flags) -> Floats:
        """How much of each limit is used where ``chosen`` says how much of each row is taken."""
        by_cell = np.bincount(self.cell, weights=chosen, minlength=self.member.shape[0])
        return np.asarray(self.member.T @ by_cell)

    def counts_towards(self, limit: int) -> Flags:
        """Whether each row counts towards the limit."""
        return np.asarray(self.member[:, [limit]].todense()).ravel()[self.cell] > 0

    def costs(self, prices: Floats) -> Floats:
        """What each row pays for the limits that it counts towards."""
        return np.asarray(self.member @ prices)[self.cell]

    def with_limits(self, minimum: Floats, maximum: Floats, missing: float = 0.0) -> Problem:
        """The same candidates under other limits."""
        return replace(self, minimum=minimum, maximum=maximum, missing=missing)

    def part(self, rows: Flags) -> Problem:
        """Some of the rows."""
        block, numbered = np.unique(self.block[rows], return_inverse=True)
        start = np.searchsorted(numbered, np.arange(len(block)))
        return replace(self, start=start, block=numbered, value=self.value[rows], cell=self.cell[rows])


def top_rows(problem: Problem, worth: Floats) -> tuple[Places, Floats]:
    """Of each block the first row of highest ``worth``, and that worth."""
    top = np.maximum.reduceat(worth, problem.start)
    row = np.flatnonzero(worth == top[problem.block])
    return row[np.unique(problem.block[row], return_index=True)[1]], top


def best_rows(problem: Problem, worth: Floats) -> Places:
    """Of each block the first row of highest ``worth``, -1 where none is above 0."""
    row, top = top_rows(problem, worth)
    return np.where(top > 0, row, -1)
