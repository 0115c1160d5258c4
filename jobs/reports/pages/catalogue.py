"""The catalogue of features: one page with a search, what each is made of and used by, and how it is spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from pyspark.sql import Row

from strata.conf.contracts import Table
from strata.features.definitions.view import FeatureView
from strata.jobs.reports.charts import catalogue_drawings
from strata.jobs.reports.pages.catalogue_entries import (
    Offer,
    TableEntry,
    Use,
    UseEntry,
    ViewEntry,
    breakable,
    number,
    search_data,
    table_entries,
    use_entries,
    view_entries,
)
from strata.jobs.reports.pages.page import Tile, rendered

LEAD = (
    "Every feature of the bank's views: what it means, which columns it is made of, which models use it, who may use "
    "it for what, and how its newest published values are spread."
)


@dataclass(frozen=True)
class Catalogue:
    """The page: entries by view, then the same lineage from the columns' and the models' side."""

    bank: str
    views: tuple[ViewEntry, ...]
    tables: tuple[TableEntry, ...]
    models: tuple[UseEntry, ...]
    facts: Mapping[str, str]
    lead: str = LEAD

    @property
    def tiles(self) -> list[Tile]:
        """What people look for first."""
        days = sorted({str(row["as_of_date"]) for row in self._statistics})
        said = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else "none yet"
        return [
            Tile(f"{sum(len(view.entries) for view in self.views):,}", "features"),
            Tile(f"{len(self.views)}", "views"),
            Tile(f"{len(self.tables)}", "source tables"),
            Tile(f"{len(self.models)}" if self.models else "none yet", "models that use them"),
            Tile(said, "day of the statistics"),
        ]

    @property
    def _statistics(self) -> list[Row]:
        return [entry.statistics for view in self.views for entry in view.entries if entry.statistics]

    @property
    def facets(self) -> dict[str, list[str]]:
        """What the search can be narrowed to, by the names in its rows."""
        rows = [entry.search_row() for view in self.views for entry in view.entries]
        single = {name: sorted({str(row[name]) for row in rows}) for name in ("view", "class", "unit", "kind")}
        purposes = sorted({purpose for view in self.views for entry in view.entries for purpose in entry.purposes})
        return {"view": single.pop("view"), "purpose": purposes, **single}

    @property
    def search(self) -> Markup:
        """The rows that the search looks through."""
        return search_data(self.views)

    @property
    def map(self) -> Markup:
        """From tables to views to models."""
        views = [view.view for view in self.views]
        into = [edge for view in views for edge in _edges_into(view)]
        out = [edge for model in self.models for edge in _edges_out(model, self.views)]
        labels = {model.use.anchor: model.use.label for model in self.models}
        return catalogue_drawings.lineage_map(
            [table.table.name for table in self.tables], [view.name for view in views], labels, into, out
        )

    def html(self) -> str:
        """The page as one HTML text; every value is escaped."""
        return rendered("catalogue.html", page=self, number=number, breakable=breakable)


def _edges_into(view: FeatureView) -> list[catalogue_drawings.Edge]:
    links = dict.fromkeys(name for name in view.tables if name != view.source)
    if view.over:
        return [catalogue_drawings.Edge(table, view.name, is_link=True) for table in links]
    return [
        catalogue_drawings.Edge(view.source, view.name, len(view.features)),
        *(catalogue_drawings.Edge(table, view.name, is_link=True) for table in links),
    ]


def _edges_out(model: UseEntry, views: Sequence[ViewEntry]) -> list[catalogue_drawings.Edge]:
    counts = {view.view.name: sum(entry.feature.name in model.used for entry in view.entries) for view in views}
    return [catalogue_drawings.Edge(view, model.use.anchor, count) for view, count in counts.items() if count]


def catalogue(
    bank: str,
    views: Sequence[FeatureView],
    tables: Mapping[str, Table],
    statistics: Mapping[str, Row],
    models: Sequence[Use],
    sets: Sequence[Offer],
    facts: Mapping[str, str],
) -> Catalogue:
    """The page of ``views``, whose tables have contracts in ``tables``."""
    entries = view_entries(views, tables, statistics, models, sets)
    return Catalogue(bank, entries, table_entries(entries, tables), use_entries(entries, models), facts)
