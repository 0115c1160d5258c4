"""Scored rows of an experiment as one bounded table: sums of each arm at each distinct uplift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.models.samples.table_checks import require_numbers
from strata.models.samples.training_rows import column

Floats = NDArray[np.float64]
MOST_VALUES = 100_000
# By arm: sum of weights, of weighted outcomes, and the sums of squares that errors are made of.
SUMS = ("weight", "outcome", "weight_squares", "cross", "outcome_squares")


@dataclass(frozen=True)
class UpliftTable:
    """Distinct uplifts, the highest first, with ``sums`` (sum, arm, value): arm 0 is control, 1 treated.

    The sums are those of ``SUMS``: Σw, Σwy, Σw², Σw²y, Σw²y².
    """

    uplift: Floats
    sums: Floats

    @property
    def weight(self) -> Floats:
        """Σw by arm and value."""
        return np.asarray(self.sums[0], np.float64)

    @property
    def outcome(self) -> Floats:
        """Σwy by arm and value."""
        return np.asarray(self.sums[1], np.float64)

    def joined(self, most: int) -> UpliftTable:
        """At most ``most`` groups of neighbouring values, each of about as many rows."""
        if len(self.uplift) <= most:
            return self
        below = np.cumsum(self.weight.sum(axis=0))
        group = np.minimum((below - 1e-9) / below[-1] * most, most - 1).astype(np.int64)
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        return UpliftTable(self.uplift[starts], np.add.reduceat(self.sums, starts, axis=-1))


def uplift_tables(
    rows: DataFrame, *, outcome: str, treatment: str, uplift: str, weight: str | None = None
) -> tuple[UpliftTable, UpliftTable]:
    """Two tables from one scan: by ``uplift``, and by what a perfect model would sort by.

    The second is by the outcome of the treated and minus the outcome of the others. Up to 100,000 distinct
    values of both they are exact; above, values are joined on a grid of so many cells, in another scan.
    Raises ``ValueError`` naming a column that is absent or no number, or how many rows are null or have
    a treatment that is neither 0 nor 1.
    """
    require_numbers(rows, "rows", [outcome, treatment, uplift, *([weight] if weight else [])])
    arm, value = column(treatment).cast("double"), column(outcome).cast("double")
    perfect = F.when(arm == 1, value).otherwise(-value)
    keys = [F.struct(F.lit(i).alias("kind"), key.alias("key")) for i, key in enumerate((_double(uplift), perfect))]
    plain = rows.select(
        arm.alias("arm"), value.alias("y"), (_double(weight) if weight else F.lit(1.0)).alias("w"),
        F.inline(F.array(*keys)),
    )  # fmt: skip
    found = _grouped(plain, F.col("key")).limit(4 * MOST_VALUES + 1).toPandas()
    if len(found) > 4 * MOST_VALUES or found.groupby("kind")["key"].nunique().max() > MOST_VALUES:
        found = _grouped(*_on_grid(plain)).toPandas()
    if wrong := int(found.loc[found["kind"] == 0, "wrong"].sum()):
        raise ValueError(
            f"rows: {outcome!r}, {treatment!r} or {uplift!r} is null or not finite, or {treatment!r} is neither "
            f"0 nor 1, in {wrong:,} rows; remove them"
        )
    return _table(found[found["kind"] == 0]), _table(found[found["kind"] == 1])


def _double(name: str) -> Column:
    return column(name).cast("double")


def _grouped(plain: DataFrame, by: Column) -> DataFrame:
    w, y = F.col("w"), F.col("y")
    finite = [~F.isnan(name) & (F.abs(name) < float("inf")) for name in ("y", "key", "w")]
    is_sound = F.col("arm").isin(0.0, 1.0) & finite[0] & finite[1] & finite[2]
    sums = (w, w * y, w * w, w * w * y, w * w * y * y)
    # Minus zero and zero are one value.
    return plain.groupBy("kind", "arm", (by + F.lit(0.0)).alias("key")).agg(
        *[F.sum(value).alias(name) for name, value in zip(SUMS, sums, strict=True)],
        F.count_if(~F.coalesce(is_sound, F.lit(False))).alias("wrong"),
    )


def _on_grid(plain: DataFrame) -> tuple[DataFrame, Column]:
    """The same rows with what to group them by: cells of equal width between the ends of each kind."""
    ends = {row["kind"]: row for row in plain.groupBy("kind").agg(F.min("key"), F.max("key")).collect()}
    cell = F.lit(None).cast("double")
    for kind, (_, low, high) in ends.items():
        width = (high - low) / MOST_VALUES or 1.0
        at = F.lit(low) + F.floor((F.col("key") - low) / width) * F.lit(width)
        cell = F.when(F.col("kind") == kind, at).otherwise(cell)
    return plain, cell


def _table(found: pd.DataFrame) -> UpliftTable:
    """One kind's groups by falling key."""
    wide = found.pivot(index="key", columns="arm", values=list(SUMS)).sort_index(ascending=False).fillna(0.0)
    sums = np.array(
        [[wide[name].get(arm, pd.Series(0.0, wide.index)).to_numpy(np.float64) for arm in (0.0, 1.0)] for name in SUMS]
    )
    return UpliftTable(wide.index.to_numpy(np.float64), sums)
