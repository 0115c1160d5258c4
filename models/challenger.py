"""A scorecard's boosted challenger: the same features as trees can take them, with the trends that the bins found."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from strata.models.binning import Binning
from strata.models.binning_rows import column
from strata.models.boosting import BoostingSpec
from strata.models.export import case_sql, number_sql

# From so many bads on trees may be deeper and more: below, a few hundred rows carry sixty small ones.
MANY_BADS = 500


def challenger_columns(binning: Binning, features: Sequence[str]) -> list[Column]:
    """``features`` as numbers under their own names: a text is its WOE, a special value is missing."""
    return [_as_number(binning, name).alias(name) for name in features]


def _as_number(binning: Binning, name: str) -> Column:
    binned = binning.features[name]
    if binned.bins.kind == "text":
        return F.expr(case_sql(binned.bins, [number_sql(woe) for woe in binned.woe]))
    value = column(name).cast("double")
    return F.when(~value.isin(*binned.bins.specials), value) if binned.bins.specials else value


def challenger_spec(
    binning: Binning, features: Sequence[str], *, target: str, weight: str | None, bads: float, reasons: int
) -> BoostingSpec:
    """As monotone as the bins: a number in its direction, a text's WOE downwards; more trees where bads carry them."""
    trends = binning.trends()
    directions = {name: -1 if binning.features[name].bins.kind == "text" else trends[name] for name in features}
    size = {"trees": 300, "max_depth": 4, "min_child_weight": 5.0} if bads >= MANY_BADS else {}
    return BoostingSpec(
        target=target,
        features=tuple(features),
        trends={name: trend for name, trend in directions.items() if trend},
        weight=weight,
        reasons=reasons,
        **size,
    )
