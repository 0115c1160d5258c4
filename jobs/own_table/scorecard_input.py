"""The table of ``strata scorecard``: read, its target understood, its columns screened, its rows split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.own_table.any_input import read_table
from strata.jobs.own_table.scorecard_options import CardOptions
from strata.jobs.own_table.scorecard_results import PERIOD, SPLIT, STATE, CardTable
from strata.jobs.runtime.errors import InputError, UsageError
from strata.jobs.runtime.job import Context
from strata.jobs.sources.any_table.csv_days import SetAside
from strata.jobs.sources.any_table.csv_types import Role
from strata.jobs.sources.any_table.reading import AnyTable, find_column
from strata.models.binning.woe_binning import Splits
from strata.models.samples.development_sample import (
    LEARNT,
    TRAIN,
    LabelRules,
    split_at_random,
    split_by_time,
    split_rows_at_random,
    target_meaning,
    vintage,
)
from strata.models.samples.screening import Roles, profile, roles

# The rows that were set aside for want of a time: file, row, column, text, reason.
QUARANTINE = "quarantine.csv"
FEWEST = 10
COLUMN_ROLES = ("target", "time", "id", "group", "weight")
COLUMN_LISTS = ("exclude", "forced", "forbidden", "protected")


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the models refuse, one sentence each, into an input error."""
    try:
        yield
    except (ValueError, TypeError) as wrong:
        raise InputError(str(wrong)) from wrong


def prepare(context: Context, given: CardOptions) -> CardTable:
    """Read the table, then say of every column and row what part it plays."""
    with context.progress.step("read") as step:
        plain = [given.target, given.id, given.group, *given.exclude, *given.protected]
        untouched = [name for name in plain if name]
        source = read_table(context, given.input, roles=_roles(given), kinds=dict(given.kinds), untouched=untouched)
        options = _as_in_rows(given, source.names)
        rows = context.keep(source.rows)
        step.says(f"{rows.count():,} rows, {len(rows.columns)} columns of {source.kind}")
        if source.set_aside:
            step.says(f"{len(source.set_aside):,} set aside without a time")
    _write_set_aside(options.output, source.set_aside)
    with context.progress.step("target") as step:
        labels = _labels(options)
        meaning = target_meaning(rows, labels)
        step.says(meaning)
    state = labels.state(rows)
    with context.progress.step("screen columns") as step:
        found = _screened(rows, options, source, state)
        step.says(f"{len(found.features)} features of {len(rows.columns)} columns")
    with context.progress.step("split") as step:
        table = _split(context, CardTable(rows, options, source, labels, meaning, found, {}, None), state)
        step.says(_sizes(table))
    return table


def _write_set_aside(folder: Path, rows: Sequence[SetAside]) -> None:
    """List the rows without a time in a file before any later step can refuse; without such rows there is no file."""
    place = folder / QUARANTINE
    if not rows:
        place.unlink(missing_ok=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(place, pd.DataFrame(list(rows)).astype({"row": "Int64"}).to_csv(index=False))


def write_whole(place: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = place.with_name(place.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(place)


def _roles(given: CardOptions) -> dict[str, Role]:
    """What reading must know of columns: names of rows and groups keep every character, outcomes every word."""
    parts: tuple[tuple[str | None, Role], ...] = (
        (given.id, "identifier"),
        (given.group, "identifier"),
        (given.target, "outcome"),
        (given.time, "time"),
    )
    return {name: role for name, role in parts if name}


def _as_in_rows(given: CardOptions, names: Mapping[str, str]) -> CardOptions:
    """The options with columns named as in the rows, whichever of its two names somebody used."""

    def ours(role: str, name: str) -> str:
        if (found := find_column(names, name)) is None:
            there = ", ".join(list(names.values())[:12])
            raise UsageError(f"--{role}: the table has no column {name!r}; it has {there}{', …' * (len(names) > 12)}")
        return found

    renamed: dict[str, Any] = {
        role: ours(role, getattr(given, role)) for role in COLUMN_ROLES if getattr(given, role)
    } | {role: tuple(ours(role, name) for name in getattr(given, role)) for role in COLUMN_LISTS}
    return replace(given, **renamed)


def _labels(options: CardOptions) -> LabelRules:
    if (options.window_months is None) != (options.known_until is None) or (options.window_months and not options.time):
        raise UsageError("--window-months, --known-until and --time: an immature case is known by all three together")
    opened = options.time if options.window_months else None
    return LabelRules(
        options.target, options.event, options.indeterminate, opened, options.window_months, options.known_until
    )


def _screened(rows: DataFrame, options: CardOptions, source: AnyTable, state: Column) -> Roles:
    outcome = F.when(state == "bad", 1).when(state == "good", 0)
    profiles = profile(rows, rows.columns, outcome=outcome)
    found = roles(
        profiles, source.names, rows.count(),
        target=options.target, time=options.time, id=options.id, group=options.group, weight=options.weight,
        exclude={*options.exclude, *options.protected} - {options.group, options.id, options.time},
    )  # fmt: skip
    if found.disguises:
        name = source.names[found.disguises[0]]
        raise InputError(
            f"{name!r} is the target in disguise: it tells every outcome; leave it out with --exclude {name}"
        )
    return found


def _split(context: Context, table: CardTable, state: Column) -> CardTable:
    options, began = table.options, None
    if options.time:
        part, cut = split_by_time(table.rows, state, options.time)
        began = str(cut)
        rows = table.rows.withColumns({SPLIT: part, PERIOD: vintage(table.rows, options.time)})
    else:
        rows, parted = _split_at_random(context, table, state)
        table = replace(table, parted=parted)
    rows = context.keep(rows.withColumn(STATE, state))
    found = rows.groupBy(SPLIT, STATE).count().collect()
    counts = {(row[SPLIT], row[STATE]): row["count"] for row in found}
    table.source.rows.unpersist()
    _check_sizes(options.target, counts)
    return replace(table, rows=rows, counts=counts, began=began)


def _split_at_random(context: Context, table: CardTable, state: Column) -> tuple[DataFrame, int]:
    """By group or identifier; without either by whole rows. The second is how many equal rows had to be parted."""
    options, seed = table.options, context.settings.seed
    own = [name for name in (options.group, options.id) if name][:1]
    if own:
        return split_at_random(table.rows, state, keys=own, seed=seed), 0
    return split_rows_at_random(table.rows, state, ignore=[options.weight] if options.weight else [], seed=seed)


def _check_sizes(target: str, counts: Mapping[tuple[str, str], int]) -> None:
    for state in LEARNT:
        train, all_rows = counts.get((TRAIN, state), 0), sum(rows for (_, s), rows in counts.items() if s == state)
        if train < FEWEST or all_rows == train:
            raise InputError(
                f"{target!r}: {all_rows} {state} rows, {train} of them to learn from, are too few for a scorecard; "
                f"it takes {FEWEST} of each outcome to learn from and some to test on"
            )


def _sizes(table: CardTable) -> str:
    parts = [f"{split} {table.size(split):,} rows, {table.bads(split):,} bad" for split in (TRAIN, "test")]
    others = [f"{rows:,} {state}" for (split, state), rows in sorted(table.counts.items()) if split == state]
    return "; ".join([*parts, *others, *([f"test from {table.began}"] if table.began else [])])


def read_splits(path: Path | None, names: Mapping[str, str], features: Sequence[str]) -> Splits | None:
    """An analyst's bins from a JSON file: feature to a list of edges, or to a list of lists of levels."""
    if path is None:
        return None
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise UsageError(f"--splits {path}: can't be read: {wrong.strerror}") from None
    except ValueError as wrong:
        raise UsageError(f"--splits {path}: is no JSON: {wrong}") from None
    if not isinstance(given, dict):
        raise UsageError(f"--splits {path}: a JSON object of feature to edges or groups is expected")
    found = {name: find_column(names, name) for name in given}
    if strangers := [name for name, ours in found.items() if ours not in features]:
        raise UsageError(f"--splits {path}: {strangers[0]!r} is no feature of the table")
    return {ours: given[name] for name, ours in found.items() if ours is not None}
