"""A binned feature as a picture, for pages and for notebooks."""

from __future__ import annotations

from strata.jobs.reports import charts
from strata.jobs.reports.page import Figure
from strata.models.binning import BinnedFeature

LONGEST_LABEL = 34


def binned_figure(binned: BinnedFeature, *, note: str = "") -> Figure:
    """Rows, bad rate and WOE by bin; bins without rows are left out. ``Figure.svg`` is the picture alone."""
    table, name = binned.table(), binned.bins.feature
    table = table[table["count"] > 0]
    labels = [label if len(label) <= LONGEST_LABEL else f"{label[:LONGEST_LABEL]}…" for label in table["bin"]]
    woes, counts, rates = (table[column].tolist() for column in ("woe", "count", "bad_rate"))
    caption = f"{name}: IV {binned.iv:.2f}; negative WOE is riskier.{' ' * bool(note)}{note}"
    return Figure(charts.woe(labels, woes, counts, rates, name), caption)
