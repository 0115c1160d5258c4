"""Features as of a day for every account or customer that the bank has, published as slices."""

from __future__ import annotations

import argparse
import sys

from strata.conf.banks import load_bank
from strata.conf.settings import Settings
from strata.features.store.slice_contracts import feature_table
from strata.features.views import bank_views, network_views
from strata.jobs.feature_store import slices_and_sets
from strata.jobs.job_runner import run
from strata.jobs.runtime.job import Context, Job
from strata.models.specs import loan_default as loans

BOOK = ("account", "transaction_coverage")


def body(context: Context) -> None:
    """From when to when accounts can be described, where the bank has any views of them; then the day's slices."""
    if "account" in context.bank.entities:
        context.lake.replace("account_book", loans.account_book(*(context.lake.read(name) for name in BOOK)))
    slices_and_sets.publish(context, slices_and_sets.store(context), context.as_of, context.as_of)


def _reads(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    bank = load_bank(settings.bank)
    book = BOOK if "account" in bank.entities else ()
    sources = slices_and_sets.feature_sources(bank_views(bank))
    return tuple(dict.fromkeys([*book, *(name for name in sources if name in bank.tables)]))


def _may_read(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    """What the network's view is made of, once its job has run."""
    bank = load_bank(settings.bank)
    later = [view for view in network_views() if view.entity.name in bank.entities]
    return tuple(dict.fromkeys(name for view in later for name in view.tables))


def _writes(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    book = ("account_book",) if "account" in load_bank(settings.bank).entities else ()
    tables = (feature_table(view).name for view in slices_and_sets.every_view(settings))
    return (*book, *tables, "feature_slice", "feature_statistics")


def _refuses(settings: Settings, options: argparse.Namespace) -> str | None:
    return (
        None if bank_views(load_bank(settings.bank)) else "its feeds fill no view (strata check says what is missing)"
    )


JOB = Job(
    "features",
    "features of every account or customer as of a day",
    body,
    reads=_reads,
    may_read=_may_read,
    writes=_writes,
    refuses=_refuses,
)

if __name__ == "__main__":
    sys.exit(run(JOB))
