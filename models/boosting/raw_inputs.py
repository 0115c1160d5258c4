"""Features as trees read them when there are no bins: numbers as they are, texts by their levels."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.models.binning.feature_bins import FeatureBins
from strata.models.boosting.challenger import Input
from strata.models.samples.training_rows import column, require_column

MOST_LEVELS, FEWEST_ROWS = 40, 20


def raw_inputs(data: DataFrame, features: Sequence[str]) -> tuple[Input, ...]:
    """One input per number, one per common level of a text; missing values stay missing.

    A text's levels are its 40 most frequent ones with at least 20 rows; rows of all other levels are 0
    in each of them. Raises ``ValueError`` for an absent column, ``TypeError`` for one that is neither
    number, boolean nor text. One scan and a shuffle of level counts when there are texts, none without.
    """
    kinds = {name: _kind_of(data, name) for name in features}
    levels = _common_levels(data, [name for name, kind in kinds.items() if kind == "text"])
    made: list[Input] = []
    for name, kind in kinds.items():
        if kind == "number":
            made.append(Input(f"{len(made)}: {name}", FeatureBins(name, "number")))
        for level in levels.get(name, ()):
            made.append(Input(f"{len(made)}: {name} = {level}", FeatureBins(name, "text"), level))
    if not made:
        raise ValueError(
            f"features: no text among {', '.join(features)} has a level with {FEWEST_ROWS} rows; "
            "give numbers, or texts with fewer levels"
        )
    return tuple(made)


def _kind_of(data: DataFrame, name: str) -> str:
    require_column(data, "features", name)
    kind = data.schema[name].dataType
    if isinstance(kind, T.NumericType | T.BooleanType):
        return "number"
    if isinstance(kind, T.StringType):
        return "text"
    raise TypeError(f"features: {name!r} is {kind.simpleString()}; give numbers, booleans or texts, or leave it out")


def _common_levels(data: DataFrame, texts: Sequence[str]) -> dict[str, list[str]]:
    """The common levels of each text, sorted by name so that equal data give equal inputs."""
    if not texts:
        return {}
    cells = [F.struct(F.lit(i).alias("text"), column(name).alias("level")) for i, name in enumerate(texts)]
    counts = data.select(F.inline(F.array(*cells))).where(F.col("level").isNotNull()).groupBy("text", "level").count()
    rank = F.row_number().over(Window.partitionBy("text").orderBy(F.desc("count"), "level"))
    common = counts.where(F.col("count") >= FEWEST_ROWS).withColumn("rank", rank)
    found: dict[str, list[str]] = {}
    for row in common.where(F.col("rank") <= MOST_LEVELS).orderBy("text", "level").collect():
        found.setdefault(texts[row["text"]], []).append(row["level"])
    return found
