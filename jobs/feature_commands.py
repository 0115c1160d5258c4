"""The feature store from the command line: features found, slices published, drift watched, training sets made."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from strata.conf.settings import Settings
from strata.features.store.coverage import MODES
from strata.features.store.slice_contracts import feature_table
from strata.jobs.feature_store import feature_answers, feature_uses, slices_and_sets
from strata.jobs.feature_store.catalogue_page import write_catalogue
from strata.jobs.job_runner import day, run
from strata.jobs.own_table.any_input import add_reading_options
from strata.jobs.runtime.job import Context, Job

# What jobs leave behind about features: their slices, figures, training sets.
KNOWN = ("feature_slice", "feature_statistics", "training_manifest", "customer_segment")


def _patterns(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "features", nargs="*", default=["*"], metavar="PATTERN", help="names or patterns like 'income_*' (default all)"
    )


def _words(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "words", nargs="+", metavar="WORD", help="words or parts of words, all of which must be there"
    )


def _plan_options(arguments: argparse.ArgumentParser) -> None:
    _patterns(arguments)
    _days(arguments)


def _days(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--from", dest="start", type=day, metavar="DAY", help="first day (default: --as-of)")
    arguments.add_argument("--to", dest="end", type=day, metavar="DAY", help="last day (default: --as-of)")
    arguments.add_argument("--views", nargs="*", default=["*"], metavar="PATTERN", help="which views (default all)")


def _drift(arguments: argparse.ArgumentParser) -> None:
    _patterns(arguments)
    arguments.add_argument(
        "--reference", type=day, required=True, metavar="DAY", help="the day to compare --as-of with"
    )
    arguments.add_argument("--entity", help="whose features (default: that of the bank's first view)")
    arguments.add_argument("--gate", type=float, metavar="PSI", help="exit 4 when a feature's PSI is above it")


def _training_set(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--spine", type=Path, required=True, metavar="PATH", help="who is asked about, and when")
    arguments.add_argument(
        "--features",
        nargs="+",
        required=True,
        metavar="PATTERN",
        help="'income_*', 'spending_*' … 'allowed:*': all that the purpose may use",
    )
    arguments.add_argument("--purpose", required=True, help="what the set is for: credit_risk, marketing …")
    arguments.add_argument("--at", default="at", metavar="COLUMN", help="the column of days or times (default at)")
    arguments.add_argument("--label", metavar="COLUMN", help="the column that a model is to learn")
    arguments.add_argument("--published", action="store_true", help="take features from published slices")
    arguments.add_argument(
        "--coverage",
        choices=MODES,
        default="refuse",
        help="rows whose windows the data do not hold: refuse those without any data and warn of the others (default), "
        "refuse both (strict), flag them, or make their features null",
    )
    arguments.add_argument(
        "--drop-without-consent",
        action="store_true",
        help="leave out rows of people who have not consented to the purpose by --as-of (default: refuse the set)",
    )
    arguments.add_argument(
        "--protected",
        nargs="*",
        default=[],
        metavar="COLUMN",
        help="columns of the spine that features may stand in for",
    )
    arguments.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the set is written")
    add_reading_options(arguments)


def span(context: Context) -> tuple[date, date]:
    """The days asked for; one day without --from and --to."""
    options = context.options
    return options.start or options.end or context.as_of, options.end or options.start or context.as_of


def _list(context: Context) -> None:
    """Every feature with its view, unit and meaning."""
    print(feature_answers.listed(slices_and_sets.store(context), context.options.features))


def _search(context: Context) -> None:
    """The features whose name, unit or meaning holds all the words."""
    print(feature_answers.search_results(slices_and_sets.store(context), " ".join(context.options.words)))


def _describe(context: Context) -> None:
    """All that is known of features: meaning, lineage, owner, class, purposes, published days, spread."""
    print(feature_answers.described(context, slices_and_sets.store(context), context.options.features))


def _plan(context: Context) -> None:
    """Passes with scans and shuffles; slices that stand, are missing or outdated; what a new definition costs."""
    options = context.options
    print(feature_answers.planned(slices_and_sets.store(context), *span(context), options.features, options.views))


def _build(context: Context) -> None:
    """Publish the slices of the days asked for, and their statistics."""
    slices_and_sets.publish(context, slices_and_sets.store(context), *span(context), context.options.views)


def _watch(context: Context) -> None:
    """PSI, nulls and means of a day against a reference day."""
    feature_answers.drift(context, slices_and_sets.store(context))


def _make(context: Context) -> None:
    """A training set for anybody's spine, with its manifest and the proxies in it."""
    feature_answers.training_set(context, slices_and_sets.store(context))


def _catalogue(context: Context) -> None:
    """One self-contained page of every feature, for the bank that the environment has."""
    with context.progress.step("catalogue") as step:
        step.says(f"open {write_catalogue(context, slices_and_sets.store(context))}")


def _sources(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    """What the features of all views are computed from, their slices, and what is known of both."""
    views = slices_and_sets.every_view(settings)
    slices = (feature_table(view).name for view in views)
    return tuple(dict.fromkeys([*slices_and_sets.feature_sources(views), *slices, *KNOWN]))


def _slices(settings: Settings, options: argparse.Namespace) -> tuple[str, ...]:
    """The tables of all views, with their manifest and statistics."""
    return (
        *(feature_table(view).name for view in slices_and_sets.every_view(settings)),
        "feature_slice",
        "feature_statistics",
    )


CATALOGUE = Job(
    "features catalogue",
    "a page of every feature: search, lineage, statistics, and what uses it",
    _catalogue,
    may_read=KNOWN,
    fingerprint=feature_uses.registry_state,
)
JOBS = (
    Job("features list", "every feature: name, view, unit, meaning", _list, options=_patterns, recorded=False),
    Job("features search", "features by words of their meaning", _search, options=_words, recorded=False),
    Job(
        "features describe",
        "all that is known of features",
        _describe,
        may_read=_sources,
        options=_patterns,
        recorded=False,
    ),
    Job(
        "features plan",
        "passes, shuffles, and slices to build or mend",
        _plan,
        may_read=_sources,
        options=_plan_options,
        recorded=False,
    ),
    Job(
        "features build",
        "publish slices: build missing days, mend changed ones",
        _build,
        may_read=_sources,
        writes=_slices,
        options=_days,
    ),
    Job(
        "features drift",
        "how far a day's features have shifted",
        _watch,
        may_read=_sources,
        options=_drift,
        recorded=False,
    ),
    Job(
        "features training-set",
        "features as of a spine's times",
        _make,
        may_read=_sources,
        options=_training_set,
        recorded=False,
    ),
    CATALOGUE,
)


def main(argv: list[str]) -> int:
    """``feature_commands.py build …``, for spark-submit."""
    known = {job.name.removeprefix("features "): job for job in JOBS}
    if not argv or argv[0] not in known:
        print(f"feature_commands: say one of {', '.join(known)}", file=sys.stderr)
        return 2
    return run(known[argv[0]], argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
