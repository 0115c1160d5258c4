"""Writing what the feature store computes: the slices of days, their statistics, a training set with its manifest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame

from strata.conf.banks import Bank, load_bank
from strata.conf.settings import Settings
from strata.features.definitions.view import FeatureView
from strata.features.governance.permissions import Consents
from strata.features.governance.purposes import CONSENT_KEY, CONSENT_TABLE, STANDARD_POLICY
from strata.features.store.feature_store import FeatureStore
from strata.features.store.publishing import Published
from strata.features.store.statistics import feature_statistics, measurable
from strata.features.views import bank_views, network_views
from strata.jobs.feature_store.data_coverage import OPENED, SPANS, coverage_of
from strata.jobs.feature_store.feature_answers import refusals
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.slices import FeatureTables
from strata.jobs.runtime.tables import Lake


def store(context: Context) -> FeatureStore:
    """The store over the run's lake, with every view that the bank can fill."""
    with refusals():
        return store_of(context.lake, context.bank)


def store_of(lake: Lake, bank: Bank) -> FeatureStore:
    """The store over a lake, with every view that the bank can fill, the network's once its job has run."""
    later = tuple(view for view in network_views() if view.entity.name in bank.entities and lake.exists(view.source))
    views = (*bank_views(bank), *later)
    known = coverage_of(lake, bank)
    return FeatureStore(lake.spark, FeatureTables(lake), views=views, consents=consents_of(bank), coverage=known)


def consents_of(bank: Bank) -> Consents | None:
    """The bank's table of consents under the standard policy; ``None`` for a bank that delivers no statements.

    Such a bank settles consent before it delivers, as the publishers of the Czech bank's anonymised data did: nothing
    in its tables could say who has agreed to what, so no purpose asks.
    """
    return Consents(STANDARD_POLICY, CONSENT_TABLE, CONSENT_KEY) if CONSENT_TABLE in bank.tables else None


def feature_sources(views: Sequence[FeatureView]) -> tuple[str, ...]:
    """The tables that features of these views are computed and checked from."""
    tables = [name for view in views for name in (view.entity.source, *view.tables)]
    # Beside them people's consents, and what says where data are whole.
    return tuple(dict.fromkeys([*tables, CONSENT_TABLE, SPANS, *OPENED]))


def every_view(settings: Settings) -> tuple[FeatureView, ...]:
    """The views that the bank can fill, with those over tables of the network's job."""
    bank = load_bank(settings.bank)
    return (*bank_views(bank), *(view for view in network_views() if view.entity.name in bank.entities))


def published_views(settings: Settings, entity: str) -> tuple[FeatureView, ...]:
    """The views of an entity that the bank can fill, and so publish, with the network's."""
    return tuple(view for view in every_view(settings) if view.entity.name == entity)


def publish(context: Context, features: FeatureStore, start: date, end: date, views: str | Sequence[str] = "*") -> None:
    """The slices of the days: built where they are missing, mended where sources have moved; then their statistics."""
    with refusals(), context.progress.step("publish slices") as step:
        rebuild, say = context.options.force, context.progress.line
        done = features.materialize(views, start, end, rebuild=rebuild, say=say)
        step.says("; ".join(str(one) for one in done) if len(done) == 1 else _summary(done))
    changed = {day for one in done for day in (*one.built, *one.mended)}
    with context.progress.step("statistics") as step:
        # A kill may have come between slices and statistics, so days without any are done too.
        asked = changed | (set(done[0].days) - _measured(context))
        whole = sorted(asked & features.published_days())
        write_statistics(context, features, whole)
        step.says(f"{len(whole)} days")


def _measured(context: Context) -> set[date]:
    """Days that have statistics."""
    if not context.lake.exists("feature_statistics"):
        return set()
    days = context.lake.read("feature_statistics").select("as_of_date").distinct()
    return {row["as_of_date"] for row in days.collect()}


def _summary(done: Sequence[Published]) -> str:
    built, mended = (sum(len(getattr(one, part)) for one in done) for part in ("built", "mended"))
    return f"{len(done)} views: {built} slices built, {mended} mended, of {sum(len(one.days) for one in done)}"


def write_statistics(context: Context, features: FeatureStore, days: Sequence[date]) -> None:
    """How the published values of each day are spread, one row a feature and day."""
    for day in days:
        parts = []
        for entity in dict.fromkeys(view.entity.name for view in features.views):
            rows = features.published(entity, day)
            parts.append(feature_statistics(rows, measurable(rows, features.names)))
        figures = reduce(DataFrame.unionByName, parts)
        dated = figures.selectExpr(f"DATE '{day.isoformat()}' AS as_of_date", "*")
        context.lake.replace("feature_statistics", dated, slice={"as_of_date": day})
