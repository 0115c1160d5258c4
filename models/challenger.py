"""A scorecard's boosted challenger: the same features as trees can take them, with the trends that the bins found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pyspark.sql import Column
from pyspark.sql import functions as F

from strata.models.binning import BinnedFeature, Binning
from strata.models.binning_rows import column
from strata.models.boosting import BoostingSpec
from strata.models.export import case_sql, number_sql

# From so many bads on trees may be deeper and more: below, a few hundred rows carry sixty small ones.
MANY_BADS = 500


def challenger_columns(binning: Binning, features: Sequence[str]) -> list[Column]:
    """``features`` as numbers under their own names: a text is its WOE, a special value stands where its risk is.

    A code such as −9 has no place on a monotone scale of its own: it is put in the ordinary bin whose WOE is
    nearest to its own, and is missing when training had none.
    """
    return [_as_number(binning.features[name]).alias(name) for name in features]


def _as_number(binned: BinnedFeature) -> Column:
    if binned.bins.kind == "text":
        return F.expr(case_sql(binned.bins, [number_sql(woe) for woe in binned.woe]))
    raw, reading = column(binned.bins.feature), binned.bins.reading
    value = reading.column(raw) if reading else raw.cast("double")
    placed = [(special, _place(binned, i)) for i, special in enumerate(binned.bins.specials)]
    if not placed:
        return value
    found = F.when(value == placed[0][0], F.lit(placed[0][1]))
    for special, place in placed[1:]:
        found = found.when(value == special, F.lit(place))
    return found.otherwise(value).cast("double")


def _place(binned: BinnedFeature, i: int) -> float | None:
    """A value in the ordinary bin whose WOE is nearest to that of special value ``i``."""
    code, edges = binned.bins.ordinary + i, binned.bins.edges
    if not edges or binned.good[code] + binned.bad[code] == 0:
        return None
    nearest = int(np.abs(np.asarray(binned.woe[: binned.bins.ordinary]) - binned.woe[code]).argmin())
    return edges[nearest - 1] if nearest else float(np.nextafter(np.float32(edges[0]), np.float32(-np.inf)))


def challenger_spec(
    binning: Binning, features: Sequence[str], *, target: str, weight: str | None, bads: float, reasons: int
) -> BoostingSpec:
    """As monotone as the bins: a number in its direction, a text's WOE downwards; more trees where bads carry them."""
    trends = binning.trends()
    directions = {name: -1 if binning.features[name].bins.kind == "text" else trends[name] for name in features}
    many = {"trees": 300, "max_depth": 3, "learning_rate": 0.05, "min_child_weight": 5.0, "row_share": 0.7}
    return BoostingSpec(
        target=target,
        features=tuple(features),
        trends={name: trend for name, trend in directions.items() if trend},
        weight=weight,
        reasons=reasons,
        **(many if bads >= MANY_BADS else {}),
    )
