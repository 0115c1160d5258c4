"""Writing the catalogue of features: what the code defines, with what lake and registry know of it."""

from __future__ import annotations

from pathlib import Path

from strata.features.store.feature_store import FeatureStore
from strata.jobs.feature_store.feature_answers import newest_statistics
from strata.jobs.feature_store.feature_uses import offers, uses
from strata.jobs.reports.pages.catalogue import catalogue
from strata.jobs.reports.pages.page import written
from strata.jobs.runtime.job import Context
from strata.jobs.table_catalog import known_contracts


def write_catalogue(context: Context, store: FeatureStore) -> Path:
    """Write ``features.html``; returns where it lies."""
    found = newest_statistics(context, store.names)
    facts = {"Run": context.run_id, "Made": f"{context.now:%Y-%m-%d %H:%M} UTC", "Lake": context.lake.root}
    tables = known_contracts(context.bank)
    page = catalogue(context.bank.name, store.views, tables, found, uses(context), offers(context), facts)
    return written(Path(context.settings.reports) / "features.html", page.html())
