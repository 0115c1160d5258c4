"""What the catalogue of features says, as values: an entry a feature, a view, a column of a source, a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape
from pyspark.sql import Row

from strata.conf.contracts import Column, Table
from strata.features.definitions.feature import Feature
from strata.features.definitions.lineage import Origin, origins, shared_origins
from strata.features.definitions.missing_values import missing_rule
from strata.features.definitions.view import FeatureView
from strata.jobs.reports.charts import catalogue_drawings
from strata.jobs.reports.pages.page import shown

KINDS = {"windowed": "aggregate over days", "state": "state", "derived": "derived"}
CLOCKS = {
    "event_ts": "happened", "valid_from": "holds from", "valid_to": "holds to", "known_ts": "known",
    "sequence": "order of versions",
}  # fmt: skip
FIGURES = {
    "rows": "rows", "distinct": "different values", "mean": "mean", "std": "deviation", "min": "least", "q01": "1 %",
    "q05": "5 %", "q25": "25 %", "q50": "median", "q75": "75 %", "q95": "95 %", "q99": "99 %", "max": "most",
}  # fmt: skip


@dataclass(frozen=True)
class Use:
    """A model and what it takes: ``used`` is what scoring needs, ``tried`` what it was offered and left."""

    name: str
    about: str
    used: tuple[str, ...]
    tried: tuple[str, ...] = ()
    version: int | None = None
    alias: str | None = None

    @property
    def label(self) -> str:
        """As people call it: ``loan_default 2 (challenger)``."""
        return self.name if self.version is None else f"{self.name} {self.version} ({self.alias})"

    @property
    def anchor(self) -> str:
        """Its address in a page."""
        return self.name if self.version is None else f"{self.name}-{self.version}-{self.alias}"


@dataclass(frozen=True)
class Offer:
    """A training set and the features in it."""

    name: str
    purpose: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class Path:
    """One way from the source to a feature: its columns, and what it is derived from on the way, if anything."""

    origins: tuple[Origin, ...]
    through: Feature | None = None


@dataclass(frozen=True)
class FeatureEntry:
    """All that is known of a feature."""

    feature: Feature
    view: FeatureView
    origins: tuple[Origin, ...]
    paths: tuple[Path, ...]
    missing: str
    uses: tuple[Use, ...]
    tried: tuple[Use, ...]
    offers: tuple[Offer, ...]
    statistics: Row | None

    @property
    def kind(self) -> str:
        """In words."""
        return KINDS[self.feature.kind]

    @property
    def formula(self) -> str:
        """The SQL of its measure, with the aggregate around it."""
        feature = self.feature
        return f"{feature.agg}({feature.formula})" if feature.agg else feature.formula

    @property
    def purposes(self) -> list[str]:
        """In order."""
        return sorted(self.feature.purposes)

    @property
    def null_share(self) -> str:
        """As a percentage; of a share too small to show that it is small."""
        share = self.statistics["null_ratio"] if self.statistics else 0.0
        return "under 0.1 %" if 0 < share < 0.001 else f"{share:.1%}".replace("%", " %")

    @property
    def figures(self) -> list[tuple[str, str]]:
        """Statistics with their names, as people read them."""
        row = self.statistics
        return [(words, number(row[name])) for name, words in FIGURES.items()] if row else []

    @property
    def bars(self) -> Markup | None:
        """The path of its small histogram; none without values."""
        row = self.statistics
        return catalogue_drawings.bars(row["ranks"], row["q01"], row["q99"]) if row and row["ranks"] else None

    def search_row(self) -> dict[str, object]:
        """What the search looks through."""
        feature, view = self.feature, self.view
        words = [feature.name, feature.unit, feature.description, view.description, *view.tables, view.owner]
        words += [*(origin.column for origin in self.origins), view.name, view.entity.name, str(feature.personal)]
        words += [self.kind, *self.purposes, *(use.name for use in self.uses)]
        facets = {"view": view.name, "class": str(feature.personal), "unit": feature.unit or "none", "kind": self.kind}
        return {"name": feature.name, **facets, "purpose": self.purposes, "words": " ".join(words).lower()}


@dataclass(frozen=True)
class ViewEntry:
    """A subject and its features."""

    view: FeatureView
    entries: tuple[FeatureEntry, ...]

    @property
    def classes(self) -> list[str]:
        """The personal classes of its features."""
        return sorted({str(entry.feature.personal) for entry in self.entries})

    @property
    def clocks(self) -> list[tuple[str, str]]:
        """What tells when a row happened, held and was known."""
        return [(words, column) for name, words in CLOCKS.items() if (column := getattr(self.view, name))]


@dataclass(frozen=True)
class ColumnEntry:
    """A column of a source and what would feel a change of it."""

    column: Column
    features: tuple[Feature, ...]
    uses: tuple[Use, ...]
    # Views all of whose features depend on it: their key, clock or link.
    views: tuple[str, ...]


@dataclass(frozen=True)
class TableEntry:
    """A table that features are made of: its columns in use, and the others."""

    table: Table
    columns: tuple[ColumnEntry, ...]
    unused: tuple[str, ...]


@dataclass(frozen=True)
class UseEntry:
    """A model with the features and columns that it stands on."""

    use: Use
    used: tuple[str, ...]
    tried: tuple[str, ...]
    # What it takes that no view offers.
    others: tuple[str, ...]
    sources: tuple[tuple[str, tuple[str, ...]], ...]


def number(value: float | None) -> str:
    """A figure as people read it: a whole one without decimals."""
    return shown(int(value) if isinstance(value, float) and value.is_integer() else value)


def breakable(name: str) -> Markup:
    """A name that may be broken after each of its words."""
    return escape(name).replace("_", Markup("_<wbr>"))


def view_entries(
    views: Sequence[FeatureView],
    tables: Mapping[str, Table],
    statistics: Mapping[str, Row],
    uses: Sequence[Use],
    offers: Sequence[Offer],
) -> tuple[ViewEntry, ...]:
    """Every offered feature of ``views`` with its lineage; of the uses and statistics those that name it."""

    def entry(view: FeatureView, feature: Feature) -> FeatureEntry:
        name = feature.name
        return FeatureEntry(
            feature=feature,
            view=view,
            origins=origins(feature, view, tables),
            paths=_paths(feature, view, tables),
            missing=missing_rule(feature, view),
            uses=tuple(use for use in uses if name in use.used),
            tried=tuple(use for use in uses if name in use.tried),
            offers=tuple(offer for offer in offers if name in offer.features),
            statistics=statistics.get(name),
        )

    return tuple(ViewEntry(view, tuple(entry(view, feature) for feature in view.features)) for view in views)


def _paths(feature: Feature, view: FeatureView, tables: Mapping[str, Table]) -> tuple[Path, ...]:
    if not feature.inputs:
        return (Path(origins(feature, view, tables)),)
    known = {part.name: part for part in view.needed([feature.name])}
    through = [known[name] for name in feature.inputs]
    return tuple(Path(origins(one, view.by_name[one.view], tables), one) for one in through)


def table_entries(views: Sequence[ViewEntry], tables: Mapping[str, Table]) -> tuple[TableEntry, ...]:
    """Each source and link table once, in the order of the views, with its columns that matter to features."""
    entries = [entry for view in views for entry in view.entries]
    shared = {view.view.name: frozenset(shared_origins(view.view, tables)) for view in views}
    names = dict.fromkeys(name for view in views for name in view.view.tables if name in tables)
    return tuple(_table_entry(tables[name], entries, shared) for name in names)


def _table_entry(table: Table, entries: Sequence[FeatureEntry], shared: Mapping[str, frozenset[Origin]]) -> TableEntry:
    found = [_column_entry(Origin(table.name, column.name), column, entries, shared) for column in table.columns]
    used = tuple(one for one in found if one.features or one.views)
    return TableEntry(table, used, tuple(one.column.name for one in found if one not in used))


def _column_entry(
    origin: Origin, column: Column, entries: Sequence[FeatureEntry], shared: Mapping[str, frozenset[Origin]]
) -> ColumnEntry:
    touched = [entry for entry in entries if origin in entry.origins]
    views = tuple(name for name, needed in shared.items() if origin in needed)
    felt = [entry for entry in entries if origin in entry.origins or entry.view.name in views]
    uses = sorted({use for entry in felt for use in entry.uses}, key=lambda use: use.label)
    return ColumnEntry(column, tuple(entry.feature for entry in touched), tuple(uses), views)


def use_entries(views: Sequence[ViewEntry], uses: Sequence[Use]) -> tuple[UseEntry, ...]:
    """Each model that takes at least one of the features, with what it stands on."""
    entries = {entry.feature.name: entry for view in views for entry in view.entries}
    return tuple(_use_entry(use, entries) for use in uses if any(name in entries for name in use.used))


def _use_entry(use: Use, entries: Mapping[str, FeatureEntry]) -> UseEntry:
    used, others = ([name for name in use.used if (name in entries) is known] for known in (True, False))
    sources: dict[str, dict[str, None]] = {}
    for origin in (origin for name in used for origin in entries[name].origins):
        sources.setdefault(origin.table, {})[origin.column] = None
    return UseEntry(
        use=use,
        used=tuple(used),
        tried=tuple(name for name in use.tried if name in entries),
        others=tuple(others),
        sources=tuple((table, tuple(columns)) for table, columns in sources.items()),
    )


def search_data(views: Sequence[ViewEntry]) -> Markup:
    """The search's rows as JSON that can stand in a page: nothing in it ends the script."""
    rows = [entry.search_row() for view in views for entry in view.entries]
    return Markup(json.dumps(rows, separators=(",", ":")).replace("<", "\\u003c"))
