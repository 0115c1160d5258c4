"""The steps of ``strata assign``: candidates and limits in; who gets what, and what each limit costs, out."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.own_table.any_input import read_table
from strata.jobs.own_table.csv_output import write_csv
from strata.jobs.own_table.scorecard_input import refusals, write_whole
from strata.jobs.own_table.scorecard_output import delta_names
from strata.jobs.runtime.errors import InputError, UsageError
from strata.jobs.runtime.job import Context
from strata.jobs.sources.any_table.csv_types import Role
from strata.jobs.sources.any_table.reading import AnyTable, find_column
from strata.models.marketing.assign_offers import KINDS, LIMIT_COLUMNS, Assignment, assign_offers
from strata.models.samples.training_rows import column

KEYS, REQUIRED = ("customer", "offer", "unit", "channel", "block"), ("customer", "offer", "value")


@dataclass(frozen=True)
class Inputs:
    """The candidates, which of their columns plays which part, and the limits."""

    candidates: DataFrame
    roles: dict[str, str]
    limits: DataFrame


def read(context: Context) -> Inputs:
    """Both tables: keys are read character by character, an empty cell of a limit means any or none."""
    options = context.options
    asked = {role: getattr(options, role) for role in (*KEYS, "value")}
    with context.progress.step("read") as step:
        ids: dict[str, Role] = {asked[role] or role: "identifier" for role in KEYS}
        table = read_table(context, options.candidates, roles=ids, untouched=[*ids])
        roles = _roles(table, asked)
        limits = _limits(context, options.limits)
        candidates = context.keep(table.rows)
        step.says(f"{candidates.count():,} candidates, {limits.count():,} limits")
    return Inputs(candidates, roles, limits)


def _roles(table: AnyTable, asked: dict[str, str | None]) -> dict[str, str]:
    """The column of each part: the named one, else one of the part's own name; a block is never guessed."""
    found = {}
    for role, name in asked.items():
        ours = find_column(table.names, name or role) if name or role != "block" else None
        if ours is not None:
            found[role] = ours
        elif name or role in REQUIRED:
            there = ", ".join(table.names.values())
            raise UsageError(f"--{role}: the candidates have no column {(name or role)!r}; they have {there}")
    return found


def _limits(context: Context, path: Path) -> DataFrame:
    kinds: dict[str, Role] = dict.fromkeys(KINDS, "identifier")
    table = read_table(context, path, roles=kinds, untouched=[*kinds])
    found = {name: find_column(table.names, name) for name in LIMIT_COLUMNS}
    if found["minimum"] is None and found["maximum"] is None:
        there = ", ".join(table.names.values())
        raise InputError(f"--limits {path}: has neither a column 'minimum' nor 'maximum'; it has {there}")
    return table.rows.select(
        *((F.lit(None).cast("string") if ours is None else column(ours)).alias(name) for name, ours in found.items())
    )


def assign(context: Context, inputs: Inputs) -> tuple[Assignment, float]:
    """The assignment, and the seconds that it took."""
    began = time.monotonic()
    with context.progress.step("assign") as step, refusals():
        found = assign_offers(inputs.candidates, **inputs.roles, limits=inputs.limits)
        step.says(f"worth {found.value:,.2f}; at most {found.bound:,.2f} is possible (gap {found.gap:.4%})")
    for row in found.shortfalls.itertuples():
        what = ", ".join(f"{role} {getattr(row, role)}" for role in KINDS if getattr(row, role) is not None)
        context.progress.line(
            f"warning: {what or 'all'}: {row.missing:,} of the minimum of {row.minimum:,} are missing"
        )
    return found, time.monotonic() - began


def write(context: Context, inputs: Inputs, found: Assignment, seconds: float, folder: Path) -> None:
    """``chosen/`` (Delta) and chosen.csv, prices.csv, shortfalls.csv, metrics.json."""
    with context.progress.step("write") as step:
        folder.mkdir(parents=True, exist_ok=True)
        names = delta_names(found.chosen.columns, taken={})
        keys = [names[inputs.roles[role]] for role in ("customer", "offer")]
        chosen = context.keep(found.chosen.select(*(column(name).alias(names[name]) for name in found.chosen.columns)))
        chosen.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(str(folder / "chosen"))
        write_csv(chosen.orderBy(*(F.col(f"`{key}`") for key in keys)), folder / "chosen.csv")
        _write_pandas(found.prices, folder / "prices.csv")
        _write_pandas(found.shortfalls, folder / "shortfalls.csv")
        metrics = {
            "value": found.value,
            "bound": found.bound,
            "gap": found.gap,
            "candidates": inputs.candidates.count(),
            "chosen": chosen.count(),
            "missing": int(found.shortfalls["missing"].sum()),
            "seconds": round(seconds, 2),
        }
        write_whole(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False))
        step.says(f"{metrics['chosen']:,} offers: chosen.csv, prices.csv, shortfalls.csv and metrics.json in {folder}")


def _write_pandas(table: pd.DataFrame, path: Path) -> None:
    """No maximum is an empty cell."""
    write_whole(path, table.replace(np.inf, np.nan).to_csv(index=False))
