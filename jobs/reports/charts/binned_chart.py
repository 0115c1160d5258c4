"""A binned feature as a picture, for pages and for notebooks."""

from __future__ import annotations

import re

from strata.jobs.reports.charts import charts
from strata.jobs.reports.pages.page import Figure
from strata.models.binning.feature_bins import SEPARATOR
from strata.models.binning.woe_binning import BinnedFeature

LONGEST_LABEL, SHOWN_LEVELS = 34, 3


def binned_figure(binned: BinnedFeature, *, note: str = "") -> Figure:
    """Rows, bad rate and WOE by bin; bins without rows are left out. ``Figure.svg`` is the picture alone."""
    table, name = binned.table(), binned.bins.feature
    table = table[table["count"] > 0]
    short = map(short_label, table["bin"])
    labels = [label if len(label) <= LONGEST_LABEL else f"{label[:LONGEST_LABEL]}…" for label in short]
    woes, counts, rates = (table[column].tolist() for column in ("woe", "count", "bad_rate"))
    caption = f"{name}: IV {binned.iv:.2f}; negative WOE is riskier.{' ' * bool(note)}{note}"
    return Figure(charts.woe(labels, woes, counts, rates, name), caption)


def short_label(label: str) -> str:
    """A bin's label as people read it: of many levels the first three and how many more."""
    levels = re.split(rf"{re.escape(SEPARATOR)}(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", label)
    if len(levels) <= SHOWN_LEVELS + 1:
        return label
    return f"{SEPARATOR.join(levels[:SHOWN_LEVELS])} and {len(levels) - SHOWN_LEVELS} more"
