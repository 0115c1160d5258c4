"""What uses features: registered models, the segments of customers, and training sets, from registry and lake."""

from __future__ import annotations

from argparse import Namespace

from strata.conf.settings import Settings
from strata.features.store.manifest import Manifest
from strata.jobs.reports.pages.catalogue_entries import Offer, Use
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.pyfunc import Model, read_model
from strata.jobs.runtime.tracking import Tracking, has_registry
from strata.models.scorecard.scorecard import Scorecard
from strata.models.specs import segments


def uses(context: Context) -> tuple[Use, ...]:
    """Every model that an alias points at, then the segments where customers have been placed in them."""
    placed = (_segments(),) if context.lake.exists("customer_segment") else ()
    return (*_registered(context.settings), *placed)


def offers(context: Context) -> tuple[Offer, ...]:
    """Every training set whose manifest the lake has."""
    if not context.lake.exists("training_manifest"):
        return ()
    rows = context.lake.read("training_manifest").orderBy("training_set", "as_of_date").collect()
    newest = {row["training_set"]: Manifest.from_json(row["manifest"]) for row in rows}
    return tuple(Offer(name, manifest.purpose, tuple(manifest.features)) for name, manifest in newest.items())


def registry_state(settings: Settings, options: Namespace) -> str:
    """Which versions the aliases point at: a model may come while no table changes."""
    return str(Tracking(settings.tracking_uri).aliases()) if has_registry(settings.tracking_uri) else ""


def taken(model: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The features that a model scores by, and those that were offered to it and left."""
    if isinstance(model, Scorecard):
        return model.features, tuple(verdict.feature for verdict in model.selection if not verdict.kept)
    return model.features, ()


def _registered(settings: Settings) -> tuple[Use, ...]:
    if not has_registry(settings.tracking_uri):
        return ()
    tracking = Tracking(settings.tracking_uri)
    return tuple(_use(tracking, name, alias) for name, alias, _ in tracking.aliases())


def _use(tracking: Tracking, name: str, alias: str) -> Use:
    found = tracking.load(name, alias)
    used, left = taken(read_model(found.kind, found.text))
    return Use(name, found.kind, used, left, found.version, alias)


def _segments() -> Use:
    """The segments are fitted anew each day, from what their spec names."""
    named = (*segments.RFM.values(), segments.VALUE, *segments.WORDS)
    return Use("customer_segment", "RFM classes, behaviour clusters and tiers of value", tuple(dict.fromkeys(named)))
