"""Which models a job works for: those that ``--model`` names, else all that the bank can fill."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from strata.conf.banks import Bank, load_bank
from strata.conf.settings import Settings
from strata.jobs.runtime.errors import NotReadyError, UsageError
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.tracking import CHAMPION, Tracking, has_registry
from strata.models.model_spec import ModelSpec
from strata.models.specs import STANDARD, ModelError, bank_models, model_of, unfilled


def model_option(arguments: argparse.ArgumentParser) -> None:
    """``--model NAME``."""
    arguments.add_argument("--model", metavar="NAME", help="one model (default: all that the bank can fill)")


def chosen_models(bank: Bank, options: argparse.Namespace) -> tuple[ModelSpec, ...]:
    """The models asked for. Raises ``UsageError`` naming the model and what the bank lacks for it."""
    name = getattr(options, "model", None)
    if name is None:
        return bank_models(bank)
    try:
        return (model_of(bank, name),)
    except ModelError as wrong:
        raise UsageError(str(wrong)) from wrong


def each_model(context: Context, work: Callable[[Context, ModelSpec], None]) -> None:
    """Do the work for every model asked for.

    One that is not ready is passed over with the reason, unless ``--model`` names it: then the job ends with that.
    """
    for spec in chosen_models(context.bank, context.options):
        try:
            work(context, spec)
        except NotReadyError as waiting:
            if getattr(context.options, "model", None):
                raise
            context.progress.line(f"passed over: {waiting}")


def models_of(settings: Settings, options: argparse.Namespace) -> tuple[ModelSpec, ...]:
    """``chosen_models`` of the settings' bank, for what a job declares."""
    return chosen_models(load_bank(settings.bank), options)


def why_none(settings: Settings, options: argparse.Namespace) -> str | None:
    """Why the bank can't run a job of models: it can fill none, with what each of the standard ones lacks."""
    if models_of(settings, options):
        return None
    bank = load_bank(settings.bank)
    lacking = "; ".join(f"{spec.name} needs {', '.join(unfilled(spec, bank))}" for spec in STANDARD)
    return f"it fills no model: {lacking}"


def champions(settings: Settings, options: argparse.Namespace) -> str:
    """The champions' versions: a promotion changes what a job would write though no table has changed."""
    if not has_registry(settings.tracking_uri):
        return ""
    tracking = Tracking(settings.tracking_uri)
    return str([(spec.name, tracking.version(spec.name, CHAMPION)) for spec in models_of(settings, options)])
