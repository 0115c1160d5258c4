"""Offers assigned to customers under limits, by optimisation: the most value, a bound on it, and what limits cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from scipy import sparse

from strata.models.marketing.assignment_core import Solution, solve
from strata.models.marketing.assignment_problem import Floats, Places, Problem
from strata.models.samples.training_rows import column

KINDS = ("unit", "offer", "channel")
LIMIT_COLUMNS = (*KINDS, "minimum", "maximum")
# More kinds of candidates (a unit's offer by a channel), or limits, than any bank has: they are held on the driver.
MOST_KINDS = 1_000_000


class AssignmentError(ValueError):
    """Candidates or limits that can't be used; the message names the argument, the column and an example."""


@dataclass(frozen=True)
class Assignment:
    """An assignment of offers and its evidence.

    - ``chosen``: the chosen candidates, with all their columns, at most one per block.
    - ``value``: the sum of their values. ``bound``: no assignment within the limits is worth more; where minimums can't
      be met, none that misses them by as little. ``gap``: how far below the bound, as a share of it.
    - ``prices`` (pandas): each limit with ``used``; ``price``, what one more place under its maximum would bring; and
      ``price_minimum``, what one place more in its minimum would cost.
    - ``shortfalls`` (pandas): minimums that can't be met, with ``missing`` places.
    """

    chosen: DataFrame
    value: float
    bound: float
    prices: pd.DataFrame
    shortfalls: pd.DataFrame

    @property
    def gap(self) -> float:
        """(bound - value) / bound; 0 where both are 0."""
        return (self.bound - self.value) / abs(self.bound) if self.bound else 0.0


def assign_offers(
    candidates: DataFrame,
    *,
    customer: str,
    offer: str,
    value: str,
    unit: str | None = None,
    channel: str | None = None,
    block: str | None = None,
    limits: DataFrame,
) -> Assignment:
    """Choose at most one candidate per block so that limits hold and the sum of values is largest.

    ``candidates`` has a row per customer and offer that is allowed (and channel and unit, if there
    are any), ``value`` what it is worth; one of negative value is chosen only where a minimum needs
    it. ``block`` (default: the customer) is what gets one offer at most, such as a household.
    ``limits`` has the columns unit, offer, channel (null: any), minimum (null: none) and maximum
    (null: none), in chosen candidates; each row is a limit on all candidates that fit.

    Up to 20,000 candidates the answer is exact; beyond, prices found by a smoothed dual settle most
    blocks and HiGHS the rest, and ``gap`` says how near it is. Minimums that can't be met are
    missed by as few places as possible and listed. The same candidates give the same answer,
    whatever their order and partitions.

    Two scans of the candidates, for their kinds (one shuffle) and for their keys, kinds and values, which are
    brought to the driver: some 40 bytes each, 10 million take 3 GB while solving. ``chosen`` is a third, with
    one join. Raises ``AssignmentError``.
    """
    names = {"customer": customer, "offer": offer, "value": value, "unit": unit, "channel": channel, "block": block}
    used = {role: name for role, name in names.items() if name is not None}
    _check_columns(candidates, used)
    kinds: dict[str, str] = {role: used[role] for role in KINDS if role in used}
    bounds = _read_limits(limits, candidates, kinds)
    cells = _cells(candidates, kinds)
    rows = _collected(candidates, used, cells)
    keys = rows["block"].to_numpy() if "block" in rows else rows["customer"].to_numpy()
    problem = _problem(keys, rows["value"].to_numpy(), rows["cell"].to_numpy(), cells, bounds)
    found = solve(problem)
    chosen = rows.loc[found.chosen, ["customer", "cell"]]
    taken = _chosen_rows(candidates, used, cells, chosen)
    prices = _priced(bounds, problem, found)
    short = prices.assign(missing=(prices["minimum"] - prices["used"]).clip(lower=0).astype("int64"))
    return Assignment(
        taken,
        float(problem.value[found.chosen].sum()),
        found.bound,
        prices,
        short.loc[short["missing"] > 0, [*LIMIT_COLUMNS, "missing"]].reset_index(drop=True),
    )


def _check_columns(candidates: DataFrame, used: Mapping[str, str]) -> None:
    for role, name in used.items():
        if name not in candidates.columns:
            raise AssignmentError(f"{role}: the candidates have no column {name!r}; they have {candidates.columns}")
    if not isinstance(candidates.schema[used["value"]].dataType, T.NumericType):
        raise AssignmentError(f"value: the column {used['value']!r} is no number")


def _read_limits(limits: DataFrame, candidates: DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """The limits as given, keys in the types of the candidates' columns, ends as whole numbers; checked."""
    missing = [name for name in LIMIT_COLUMNS if name not in limits.columns]
    if missing:
        raise AssignmentError(f"limits: lacks the columns {missing}; needs {list(LIMIT_COLUMNS)}, null meaning any")
    texts = {role: F.col(role).cast("string") for role in KINDS}
    typed = {role: F.col(role).cast(candidates.schema[name].dataType) for role, name in kinds.items()}
    ends = {end: F.col(end).cast("double") for end in ("minimum", "maximum")}
    asked = limits.select(
        *(typed.get(role, text).alias(role) for role, text in texts.items()),
        *(text.alias(f"_{role}") for role, text in texts.items()),
        *(cast.alias(end) for end, cast in ends.items()),
        *(F.col(end).isNotNull().alias(f"_{end}") for end in ends),
    )
    read = asked.limit(MOST_KINDS + 1).collect()
    if len(read) > MOST_KINDS:
        raise AssignmentError(f"limits: more than {MOST_KINDS:,} rows")
    for row in read:
        _check_limit(row.asDict(), kinds)
    columns = {role: [row[role] for row in read] for role in KINDS}
    low = [0 if row["minimum"] is None else int(np.ceil(row["minimum"])) for row in read]
    high = [np.inf if row["maximum"] is None else np.floor(row["maximum"]) for row in read]
    found = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    return found.assign(minimum=np.array(low, np.int64), maximum=np.array(high, np.float64))


def _check_limit(row: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    said = ", ".join(f"{role} {row['_' + role]}" for role in KINDS if row["_" + role]) or "all"
    for role in KINDS:
        if row["_" + role] is not None and role not in kinds:
            raise AssignmentError(f"limits: a limit on {said}, but no column of {role}s was named: pass {role}=")
        if row["_" + role] is not None and row[role] is None:
            raise AssignmentError(f"limits: {role} {row['_' + role]!r} is no value of the column {kinds[role]!r}")
    for end in ("minimum", "maximum"):
        if row["_" + end] and not (row[end] is not None and row[end] >= 0):
            raise AssignmentError(f"limits: the {end} of {said} is no number of at least 0")
    low, high = row["minimum"] or 0, np.inf if row["maximum"] is None else row["maximum"]
    if np.ceil(low) > np.floor(high):
        raise AssignmentError(f"limits: the minimum {low:g} of {said} is above its maximum {high:g}")


def _cells(candidates: DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Each combination of unit, offer and channel that occurs, in order, numbered by its place. One shuffle."""
    found = candidates.select(*(column(name).alias(role) for role, name in kinds.items())).distinct()
    rows = found.orderBy(*kinds).limit(MOST_KINDS + 1).collect()
    if len(rows) > MOST_KINDS:
        raise AssignmentError(f"candidates: more than {MOST_KINDS:,} combinations of {', '.join(kinds)}")
    return pd.DataFrame({role: pd.Series([row[role] for row in rows], dtype=object) for role in kinds})


def _collected(candidates: DataFrame, used: Mapping[str, str], cells: pd.DataFrame) -> pd.DataFrame:
    """Keys, cell and value of each candidate, sorted by block, customer and cell; no key twice."""
    wanted = {role: column(used[role]) for role in ("block", "customer") if role in used}
    numbered = _numbered(candidates, used, cells).select(
        *(key.alias(role) for role, key in wanted.items()),
        F.col("__cell").alias("cell"),
        column(used["value"]).cast("double").alias("value"),
        column(used["offer"]).isNull().alias("_no_offer"),
    )
    rows = numbered.toPandas()
    unusable = {(role, "null"): rows[role].isna() for role in wanted}
    unusable["offer", "null"] = rows["_no_offer"]
    unusable["value", "null or not finite"] = ~np.isfinite(rows["value"])
    for (role, what), is_so in unusable.items():
        if count := int(is_so.sum()):
            raise AssignmentError(f"{role}: {used[role]!r} is {what} in {count:,} of {len(rows):,} candidates")
    rows = rows.drop(columns="_no_offer").sort_values([*wanted, "cell"], ignore_index=True)
    twice = rows.duplicated(["customer", "cell"])
    if twice.any():
        one = rows.loc[twice, "customer"].iloc[0]
        raise AssignmentError(
            f"candidates: {int(twice.sum()):,} repeat the customer, offer, unit and channel of another, such as "
            f"those of customer {one}; keep one"
        )
    return rows


def _numbered(candidates: DataFrame, used: Mapping[str, str], cells: pd.DataFrame) -> DataFrame:
    """The candidates with ``__cell``: the place of their unit, offer and channel. One broadcast join."""
    spark, roles = candidates.sparkSession, list(cells.columns)
    types = [T.StructField(f"__{role}", candidates.schema[used[role]].dataType) for role in roles]
    listed = [(*row, place) for place, row in enumerate(cells.itertuples(index=False, name=None))]
    table = spark.createDataFrame(listed, T.StructType([*types, T.StructField("__cell", T.LongType())]))
    same = [column(used[role]).eqNullSafe(F.col(f"__{role}")) for role in roles]
    return candidates.join(F.broadcast(table), same, "inner").drop(*(f"__{role}" for role in roles))


def _problem(keys: Any, value: Floats, cell: Places, cells: pd.DataFrame, limits: pd.DataFrame) -> Problem:
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    block = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(keys))))
    ends = limits["minimum"].to_numpy(np.float64), limits["maximum"].to_numpy(np.float64)
    return Problem(begins, block, value.astype(np.float64), cell.astype(np.int64), _membership(cells, limits), *ends)


def _membership(cells: pd.DataFrame, limits: pd.DataFrame) -> sparse.csr_array:
    """Cells x limits, 1 where the cell is one that the limit speaks of."""
    places: list[Places] = []
    groups: dict[tuple[str, ...], dict[Any, Any]] = {}
    for limit in limits.itertuples(index=False):
        roles = tuple(role for role in cells.columns if getattr(limit, role) is not None)
        if roles and roles not in groups:
            groups[roles] = {
                key if isinstance(key, tuple) else (key,): rows
                for key, rows in cells.groupby(list(roles), sort=False).indices.items()
            }
        named = tuple(getattr(limit, role) for role in roles)
        places.append(np.asarray(groups[roles].get(named, []), np.int64) if roles else np.arange(len(cells)))
    sizes = [len(rows) for rows in places]
    row = np.concatenate(places) if places else np.zeros(0, np.int64)
    of_limit = np.repeat(np.arange(len(limits)), sizes)
    return sparse.csr_array((np.ones(len(row)), (row, of_limit)), shape=(len(cells), len(limits)))


def _chosen_rows(
    candidates: DataFrame, used: Mapping[str, str], cells: pd.DataFrame, chosen: pd.DataFrame
) -> DataFrame:
    """The candidates of these customers and cells, as they came."""
    kind = candidates.schema[used["customer"]].dataType
    schema = T.StructType([T.StructField("__customer", kind), T.StructField("__chosen", T.LongType())])
    keys = candidates.sparkSession.createDataFrame(chosen.set_axis(schema.names, axis=1), schema)
    numbered = _numbered(candidates, used, cells)
    same = (column(used["customer"]) == F.col("__customer")) & (F.col("__cell") == F.col("__chosen"))
    return numbered.join(keys, same, "left_semi").drop("__cell")


def _priced(limits: pd.DataFrame, problem: Problem, found: Solution) -> pd.DataFrame:
    used = np.round(problem.usage(found.chosen)).astype(np.int64)
    return limits.assign(used=used, price=found.prices.of_maximum, price_minimum=found.prices.of_minimum)
