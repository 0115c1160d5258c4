"""The table of ``strata uplift``: read, its arms and outcome understood, its columns screened, its rows split."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.jobs.own_table.any_input import read_table
from strata.jobs.own_table.uplift_options import UpliftOptions
from strata.jobs.own_table.uplift_results import ARM, OUTCOME, SPLIT, Experiment
from strata.jobs.runtime.errors import InputError, UsageError
from strata.jobs.runtime.job import Context
from strata.jobs.sources.any_table.csv_types import Role
from strata.jobs.sources.any_table.reading import AnyTable, find_column
from strata.models.samples.development_sample import TEST, TRAIN
from strata.models.samples.screening import Roles, profile, roles
from strata.models.samples.training_rows import column

TEST_SHARE, HASHES, MOST_ARMS, SHOWN_ARMS = 0.3, 2**31, 1_000, 8
# Of each arm in all, and of rows with an outcome in all: fewer leave nothing to test on.
FEWEST_ROWS, FEWEST_RESPONSES = 100, 20
TRUTHS = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0}


def prepare(context: Context, given: UpliftOptions) -> Experiment:
    """Read the table, then say of every column and row what part it plays."""
    with context.progress.step("read") as step:
        source = _read(context, given)
        options = _named_as_rows(given, source.names)
        everything = context.keep(source.rows)
        step.says(f"{everything.count():,} rows, {len(everything.columns)} columns of {source.kind}")
    with context.progress.step("arms") as step:
        arms, rows, left_out = _of_both_arms(everything, options, source)
        step.says(f"treated {arms[1]!r}, control {arms[0]!r}")
        if left_out:
            step.says(f"note: {left_out:,} rows of other arms are left out")
    with context.progress.step("outcome") as step:
        rows, is_flag = _with_outcome(rows, options, source)
        step.says("0 and 1" if is_flag else "an amount")
    with context.progress.step("screen columns") as step:
        found = _screened(rows, options, source, is_flag)
        step.says(f"{len(found.features)} features of {len(everything.columns)} columns")
    with context.progress.step("split") as step:
        rows = context.keep(split_experiment(rows, options.id, context.settings.seed))
        counts, responses = _sizes(rows)
        _check_sizes(options, source, counts, responses)
        table = Experiment(rows, options, source, found, arms, counts, responses, left_out, is_flag)
        step.says(f"{table.size(TRAIN):,} rows to learn from, {table.size(TEST):,} to test on")
    return table


def _read(context: Context, given: UpliftOptions) -> AnyTable:
    """The table; the names of arms keep their words, identifiers every character."""
    parts: tuple[tuple[str | None, Role], ...] = ((given.id, "identifier"), (given.treatment, "outcome"))
    untouched = [name for name in (given.treatment, given.id, *given.exclude) if name]
    known = {name: role for name, role in parts if name}
    return read_table(context, given.input, roles=known, kinds=dict(given.kinds), untouched=untouched)


def _named_as_rows(given: UpliftOptions, names: Mapping[str, str]) -> UpliftOptions:
    """The options with columns named as in the rows, whichever of their names somebody used, in any case."""

    def ours(role: str, name: str) -> str:
        if (found := find_column(names, name)) is None:
            there = ", ".join(list(names.values())[:12])
            raise UsageError(f"--{role}: the table has no column {name!r}; it has {there}{', …' * (len(names) > 12)}")
        return found

    renamed: dict[str, Any] = {
        role: ours(role, name) for role in ("outcome", "treatment", "id") if (name := getattr(given, role))
    }
    if renamed["outcome"] == renamed["treatment"]:
        raise UsageError(f"--treatment: {given.treatment!r} is the outcome too; name another column")
    return replace(given, **renamed, exclude=tuple(ours("exclude", name) for name in given.exclude))


def _of_both_arms(rows: DataFrame, options: UpliftOptions, source: AnyTable) -> tuple[tuple[str, str], DataFrame, int]:
    """What control and treated are called, their rows with ``__arm``, and how many rows have another arm."""
    name = source.names[options.treatment]
    text = column(options.treatment).cast("string")
    counted = rows.groupBy(text.alias("arm")).count().orderBy(F.desc("count"), "arm").limit(MOST_ARMS).collect()
    counts = {row["arm"]: int(row["count"]) for row in counted}
    if len(counts) == 1:
        raise InputError(
            f"{name!r}: the treatment has one value only, {next(iter(counts))!r}; an experiment needs two arms"
        )
    if options.treated is None or options.control is None:
        control, treated = _zero_and_one(name, counts)
    else:
        control, treated = (_arm(role, getattr(options, role), name, counts) for role in ("control", "treated"))
    if control == treated:
        raise UsageError(f"--control: {options.control!r} and --treated are the same arm {treated!r}; name another")
    kept = rows.where(text.isin(control, treated)).withColumn(ARM, (text == treated).cast("int"))
    return (control, treated), kept, rows.count() - counts[control] - counts[treated]


def _zero_and_one(name: str, counts: Mapping[str | None, int]) -> tuple[str, str]:
    """The values that say control and treated by themselves."""
    if missing := counts.get(None):
        raise InputError(f"{name!r}: the treatment is missing in {missing:,} rows; fill it in or remove them")
    said = {value: TRUTHS.get(str(value).strip().lower()) for value in counts}
    if len(counts) != 2 or set(said.values()) != {0.0, 1.0}:
        raise InputError(
            f"{name!r}: the treatment is not 0 and 1 but {_shown(counts)}; name two arms with --treated and --control"
        )
    control, treated = sorted(said, key=lambda value: said[value] or 0.0)
    return str(control), str(treated)


def _arm(role: str, wanted: str, name: str, counts: Mapping[str | None, int]) -> str:
    """The value that somebody calls ``wanted``, whatever its case, blanks around it and decimal zeros."""
    there = [value for value in counts if value is not None]
    alike = [value for value in there if value == wanted] or [
        value for value in there if _plain(value) == _plain(wanted)
    ]
    if alike:
        return alike[0]
    by_plain = {_plain(value): value for value in there}
    near = [by_plain[one] for one in difflib.get_close_matches(_plain(wanted), by_plain, 3, 0.4)]
    advice = f"the nearest are {', '.join(map(repr, near))}" if near else f"there are {_shown(counts)}"
    raise UsageError(f"--{role}: {name!r} has no value {wanted!r}; {advice}")


def _plain(value: str) -> str:
    return value.strip().casefold().removesuffix(".0")


def _shown(counts: Mapping[str | None, int]) -> str:
    values = [repr(value) for value in counts][:SHOWN_ARMS]
    return ", ".join(values) + ", …" * (len(counts) > SHOWN_ARMS)


def _with_outcome(rows: DataFrame, options: UpliftOptions, source: AnyTable) -> tuple[DataFrame, bool]:
    """The rows with ``__outcome``, and whether it is 0 and 1."""
    name, kind = source.names[options.outcome], rows.schema[options.outcome].dataType
    if not isinstance(kind, T.NumericType | T.BooleanType):
        some = [row[0] for row in rows.select(column(options.outcome).cast("string")).distinct().limit(3).collect()]
        raise InputError(
            f"{name!r}: the outcome is {kind.simpleString()} (such as {', '.join(map(repr, some))}), neither 0/1 nor "
            "a number; turn it into one"
        )
    value = column(options.outcome).cast("double")
    found = rows.agg(
        F.count_if(value.isNull() | F.isnan(value) | (F.abs(value) == float("inf"))).alias("missing"),
        F.count_if(~value.isin(0.0, 1.0)).alias("amounts"),
        F.min(value).alias("low"),
        F.max(value).alias("high"),
    ).head()
    assert found is not None
    if found["missing"]:
        raise InputError(
            f"{name!r}: the outcome is missing in {found['missing']:,} rows of both arms; fill it in (0 for nothing) "
            "or remove them"
        )
    if found["low"] == found["high"]:
        raise InputError(f"{name!r}: the outcome is {found['low']:g} in all rows; there is no difference to learn")
    if found["amounts"] and options.learner == "class":
        raise UsageError(
            f"--learner class: needs an outcome of 0 and 1, but {name!r} has others; take x, t or transformed"
        )
    return rows.withColumn(OUTCOME, value), not found["amounts"]


def _screened(rows: DataFrame, options: UpliftOptions, source: AnyTable, is_flag: bool) -> Roles:
    """The features, and why other columns are none; a column that is the outcome in other words is refused."""
    own = [name for name in rows.columns if name not in (ARM, OUTCOME)]
    profiles = profile(rows, own, outcome=F.col(OUTCOME) if is_flag else None)
    set_aside = {name: name for name in options.exclude if name not in (options.id, options.outcome)}
    found = roles(
        [one for one in profiles if one.name != options.treatment], source.names, rows.count(),
        target=options.outcome, id=options.id, exclude=[name for name in set_aside if name != options.treatment],
    )  # fmt: skip
    if found.disguises:
        name = source.names[found.disguises[0]]
        raise InputError(
            f"{name!r} is the outcome in disguise: it tells every outcome; leave it out with --exclude {name}"
        )
    return found


def split_experiment(rows: DataFrame, key: str | None, seed: int) -> DataFrame:
    """Add ``__split``: 30 % of each arm with and without an outcome are the test.

    A row's side depends on the seed and its ``key`` alone (equal keys stay together), without one on its
    content; equal rows are taken for different customers. One shuffle by content without a key, one of a
    threshold per stratum (exact to 1 row in 10,000).
    """
    if key:
        drawn = rows.withColumn("__share", _hash_share(seed, column(key)))
    else:
        columns = [column(name) for name in rows.columns]
        turn = F.row_number().over(Window.partitionBy(*columns).orderBy(F.lit(0)))
        drawn = rows.withColumn("__turn", turn)
        drawn = drawn.withColumn("__share", _hash_share(seed, F.col("__turn"), *columns)).drop("__turn")
    stratum = (F.col(ARM), F.col(OUTCOME) != 0)
    ends = drawn.groupBy(*(part.alias(f"s{i}") for i, part in enumerate(stratum))).agg(
        F.percentile_approx("__share", 1 - TEST_SHARE, 10_000).alias("end")
    )
    limit = F.lit(1.0)
    for row in ends.collect():
        limit = F.when((stratum[0] == row["s0"]) & (stratum[1] == row["s1"]), row["end"]).otherwise(limit)
    side = F.when(F.col("__share") <= limit, TRAIN).otherwise(TEST)
    return drawn.withColumn(SPLIT, side).drop("__share")


def _hash_share(seed: int, *keys: Column) -> Column:
    """A number from 0 to 1 that depends on the seed and the keys alone."""
    return F.pmod(F.xxhash64(F.lit(seed), *keys), F.lit(HASHES)) / F.lit(float(HASHES))


def _sizes(rows: DataFrame) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
    """Rows, and rows whose outcome is not 0, by part and arm."""
    found = rows.groupBy(SPLIT, ARM).agg(F.count(F.lit(1)).alias("n"), F.count_if(F.col(OUTCOME) != 0).alias("y"))
    collected = found.collect()
    counts = {(row[SPLIT], row[ARM]): int(row["n"]) for row in collected}
    return counts, {(row[SPLIT], row[ARM]): int(row["y"]) for row in collected}


def _check_sizes(
    options: UpliftOptions,
    source: AnyTable,
    counts: Mapping[tuple[str, int], int],
    responses: Mapping[tuple[str, int], int],
) -> None:
    """Raise ``InputError`` when an arm or the outcome is too rare to learn from and to test on."""
    for arm, word in ((1, "treated"), (0, "control")):
        rows = sum(count for (_, one), count in counts.items() if one == arm)
        if rows < FEWEST_ROWS:
            raise InputError(
                f"{source.names[options.treatment]!r}: {rows:,} {word} rows are too few for an uplift model; it takes "
                f"{FEWEST_ROWS} of each arm"
            )
    if (found := sum(responses.values())) < FEWEST_RESPONSES:
        raise InputError(
            f"{source.names[options.outcome]!r}: {found:,} rows have an outcome other than 0, too few for an uplift "
            f"model; it takes {FEWEST_RESPONSES}"
        )
