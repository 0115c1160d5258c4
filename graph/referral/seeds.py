"""Key customers: whom to speak to so that most people are reached, without reaching anybody twice.

Everybody belongs to one group (a manager's or branch's people): a customer to its own, somebody outside to the group
with whose customers the ties are strongest. A group is solved by itself, exactly, in one task, and what groups reach
can't overlap.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, LongType, StructField, StructType

from strata.graph.algorithms.arrays import Ints
from strata.graph.algorithms.inputs import GraphError, check_columns, check_whole, checked
from strata.graph.referral.referral_pairs import CAPS, warm_links
from strata.graph.ties.dated_edges import check_caps

Method = Literal["coverage", "degree_discount"]
Near = Sequence[Ints]
"""Whom each customer is tied to, as codes: customers of the group come first, in the order of their ids."""

MAX_GROUP_ROWS = 20_000_000


def coverage_seeds(
    ties: DataFrame,
    persons: DataFrame,
    *,
    per_group: int,
    group: str = "manager_id",
    method: Method = "coverage",
    probability: float = 0.01,
    caps: Mapping[str, int] = CAPS,
) -> DataFrame:
    """The ``per_group`` key customers of each group, in order: a row a seed.

    ``ties`` and ``persons`` are those of ``referral_candidates``; persons have ``group`` too (long or string), null
    for who belongs to none, and these are nobody's seeds. ``method``:

    - ``coverage``: the next seed is the customer that adds most people (itself and whom it is tied to) to those
      reached; at least 1 - 1/e of the best possible reach (Nemhauser, Wolsey and Fisher 1978). It ends when
      nobody would be added;
    - ``degree_discount``: the next seed is the customer with the largest degree less what ties to seeds take from
      it when word passes along a tie with ``probability`` (Chen, Wang and Yang, KDD 2009, DegreeDiscountIC).

    Equals go to the smaller id. Columns: ``group``, seed_rank (from 1), id, degree_cnt (people of the group that it
    is tied to), gain_cnt (people that it added) and reached_cnt (reached so far). A customer with no tie in the group
    is no seed. Plan: the check, links as in ``warm_links``, two joins with persons, one for the groups of those
    outside, and one exchange by group. Raises ``GraphError`` on a missing column, a bad number, method or weight, and
    on a group of more ties than a task holds.
    """
    _check(ties, persons, per_group, group, method, probability)
    check_caps(caps)
    near = warm_links(ties, caps).localCheckpoint()
    rows = _own_ties(near, _groups(near, persons, group), group).localCheckpoint()
    _check_size(rows, group)
    choose: Callable[[Near, int], list[int]] = (
        greedy_cover if method == "coverage" else lambda near, most: degree_discount(near, most, probability)
    )

    def pick(part: pd.DataFrame) -> pd.DataFrame:
        ids, tied = _coded(part)
        chosen = choose(tied, per_group)
        degree = [len(tied[seed]) for seed in chosen]
        gain = np.array(list(gains(tied, chosen)), np.int64)
        return pd.DataFrame(
            {
                group: part[group].iloc[0], "seed_rank": np.arange(1, len(chosen) + 1), "id": ids[chosen],
                "degree_cnt": degree, "gain_cnt": gain, "reached_cnt": gain.cumsum(),
            }
        )  # fmt: skip

    return rows.groupBy(group).applyInPandas(pick, _schema(persons, group))


def greedy_cover(near: Near, most: int) -> list[int]:
    """Up to ``most`` customers, each adding most people to those reached; stops when nobody would be added.

    Lazy: what a customer adds can only fall, so the one on top of the heap is the best if its number still holds
    (Minoux 1978).
    """
    reached: set[int] = set()
    heap = [(-len(others) - 1, code) for code, others in enumerate(near) if len(others)]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < most:
        promised, code = heap[0]
        gain = len({code, *near[code].tolist()} - reached)
        if gain < -promised:
            heapq.heapreplace(heap, (-gain, code))
        elif gain == 0:
            break
        else:
            heapq.heappop(heap)
            chosen.append(code)
            reached |= {code, *near[code].tolist()}
    return chosen


def degree_discount(near: Near, most: int, probability: float) -> list[int]:
    """Up to ``most`` customers with a tie, by degree d - 2t - (d - t) t p, t being their ties to seeds so far."""
    degree = np.array([len(others) for others in near], float)
    tied = np.zeros(len(near))
    open_ = degree > 0
    chosen: list[int] = []
    while open_.any() and len(chosen) < most:
        discounted = degree - 2 * tied - (degree - tied) * tied * probability
        best = int(np.where(open_, discounted, -np.inf).argmax())
        open_[best] = False
        chosen.append(best)
        others = near[best]
        tied[others[others < len(near)]] += 1
    return chosen


def gains(near: Near, seeds: Sequence[int]) -> Iterator[int]:
    """People that each seed in turn adds to those reached: itself and whom it is tied to."""
    reached: set[int] = set()
    for seed in seeds:
        mine = {seed, *near[seed].tolist()}
        yield len(mine - reached)
        reached |= mine


def _check(ties: DataFrame, persons: DataFrame, most: int, group: str, method: str, probability: float) -> None:
    check_columns("ties", ties, "kind")
    check_columns("persons", persons, "customer_id", group)
    check_whole("per_group", most, 1)
    if method not in get_args(Method):
        raise GraphError(f"method: one of {', '.join(get_args(Method))} is expected, not {method!r}")
    if not 0 <= probability <= 1:
        raise GraphError(f"probability: a number from 0 to 1 is expected, not {probability!r}")
    checked(persons, ties, weight="weight")


def _groups(near: DataFrame, persons: DataFrame, group: str) -> DataFrame:
    """Whose everybody is: id, ``group``, inside; somebody outside is the group's with most strength, then the first."""
    own = persons.where(F.col("customer_id").isNotNull() & F.col(group).isNotNull()).select("id", group)
    outside = persons.where("customer_id IS NULL").select("id")
    met = near.join(outside, on="id", how="left_semi").join(own.withColumnRenamed("id", "other"), "other", "inner")
    strength = met.groupBy("id", group).agg(F.sum("strength").alias("strength"))
    # Sums in another order differ in their last digits; equals must stay equal.
    order = Window.partitionBy("id").orderBy(F.desc(F.round("strength", 9)), group)
    theirs = strength.withColumn("place", F.row_number().over(order)).where("place = 1").select("id", group)
    return own.withColumn("inside", F.lit(True)).unionByName(theirs.withColumn("inside", F.lit(False)))


def _own_ties(near: DataFrame, groups: DataFrame, group: str) -> DataFrame:
    """Ties of a customer with people of its own group: ``group``, id, other, inside (whether other is a customer)."""
    first = groups.where("inside").select("id", group)
    second = groups.select(F.col("id").alias("other"), group, "inside")
    return near.select("id", "other").join(first, on="id", how="inner").join(second, on=["other", group], how="inner")


def _check_size(rows: DataFrame, group: str) -> None:
    largest = rows.groupBy(group).count().agg(F.max("count").alias("rows")).first()
    if largest is not None and (largest["rows"] or 0) > MAX_GROUP_ROWS:
        raise GraphError(
            f"{group}: one group has {largest['rows']} ties, more than one task holds ({MAX_GROUP_ROWS}); "
            "take smaller groups or lower caps"
        )


def _coded(part: pd.DataFrame) -> tuple[np.ndarray, Near]:
    """The group's customers with a tie, by id, and whom each is tied to."""
    ids, first = np.unique(part["id"].to_numpy(), return_inverse=True)
    far = pd.Index(ids).append(pd.Index(part.loc[~part["inside"], "other"].unique()))
    second = far.get_indexer(part["other"]).astype(np.int64)
    order = np.lexsort((second, first))
    cuts = np.searchsorted(first[order], np.arange(1, len(ids)))
    return ids, np.split(second[order], cuts)


def _schema(persons: DataFrame, group: str) -> StructType:
    def column(name: str, kind: DataType) -> StructField:
        return StructField(name, kind, True)

    counts = [column(name, LongType()) for name in ("degree_cnt", "gain_cnt", "reached_cnt")]
    kinds = persons.schema
    return StructType(
        [column(group, kinds[group].dataType), column("seed_rank", LongType()), column("id", kinds["id"].dataType)]
        + counts
    )
