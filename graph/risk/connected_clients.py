"""Connected clients by the large-exposure rules (大额风险暴露): who counts as one borrower, and against which limit.

Two clients are connected by control (one owns or governs the other) or by economic dependency (if one is in trouble,
the other can't pay): Basel framework LEX10, and the Chinese rules of 2018. Both kinds are grouped apart and then
merged, so a client that depends on two others is in one group with both, which errs on the side of caution. Soft
ties (a phone, a contact, a payment) say that people may know each other; they connect nobody here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from math import isfinite
from operator import add

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from strata.graph.algorithms.arrays import Ints, Part, read_part, write
from strata.graph.algorithms.components import connected_components, smallest_code
from strata.graph.algorithms.inputs import GraphError, GraphTypeError, check_columns, checked
from strata.graph.algorithms.whole_components import whole_components
from strata.graph.ties.amounts import MONEY_SUM, from_cents, in_cents, totals

SOFT = (
    "call", "colleague", "contact", "receipt", "referral", "shared_address", "shared_device", "shared_phone",
    "transfer",
)  # fmt: skip
"""Kinds of ties that never connect clients."""

GROUP_SHARE, SINGLE_SHARE, LARGE_SHARE = 0.20, 0.15, 0.025
"""Limits of the Chinese rules for clients that are no banks, by tier 1 capital: a group, a single client, and from
where an exposure is large. Basel's own are 0.25, 0.25 and 0.10."""

TIE = ("src", "dst", "kind", "known_ts", "amount")
_SIDES = ("src_members", "src_exposure_amt", "dst_members", "dst_exposure_amt")


def connected_clients(
    customers: DataFrame, control: DataFrame, dependency: DataFrame, exposures: DataFrame
) -> DataFrame:
    """The groups of connected clients: one row a customer.

    ``customers``: customer_id (long or string), one row each; ``control`` and ``dependency``: src, dst, kind,
    known_ts, amount, the ties that the caller takes for such as of its day; their ends may be outsiders, who connect
    customers but are none. ``exposures``: customer_id, exposure_amt, one row a customer; without one it owes nothing.

    Columns: customer_id, control_group, dependency_group, group_id (smallest id of the group by control, by
    dependency, by both; an outsider's where that is smallest), exposure_amt, group_exposure_amt, group_members
    (customers). Who has no tie is alone. Plan: ``connected_components`` three times, whose checks run at once, four
    joins of the customers and one exchange by group. Raises ``GraphError`` on missing columns, on ``SOFT`` ties and
    on null ids, ``GraphTypeError`` on ids of other types.
    """
    check_columns("customers", customers, "customer_id")
    check_columns("exposures", exposures, "customer_id", "exposure_amt")
    for name, ties in (("control", control), ("dependency", dependency)):
        _check_ties(name, ties)
    both = control.select("src", "dst").unionByName(dependency.select("src", "dst"))
    found = customers.select("customer_id")
    for column, ties in (("control_group", control), ("dependency_group", dependency), ("group_id", both)):
        group = _groups(ties).select(F.col("id").alias("customer_id"), F.col("component").alias(column))
        joined = found.join(group, on="customer_id", how="left")
        found = joined.withColumn(column, F.coalesce(column, "customer_id"))
    found = found.join(exposures.select("customer_id", "exposure_amt"), on="customer_id", how="left")
    found = found.withColumn("exposure_amt", F.coalesce("exposure_amt", F.lit(0)).cast(MONEY_SUM))
    group = Window.partitionBy("group_id")
    total = F.sum("exposure_amt").over(group).cast(MONEY_SUM)
    members = F.count("customer_id").over(group)
    return found.withColumns({"group_exposure_amt": total, "group_members": members})


def group_links(control: DataFrame, dependency: DataFrame) -> DataFrame:
    """The evidence of every group: group_id, relation (control or dependency), src, dst, kind, known_ts, amount.

    Plan and errors as of ``connected_clients``, with one run of the components and one join of the ties.
    """
    relations = {"control": control, "dependency": dependency}
    for name, ties in relations.items():
        _check_ties(name, ties)
    told = [ties.select(F.lit(name).alias("relation"), *TIE) for name, ties in relations.items()]
    links = told[0].unionByName(told[1])
    group = _groups(links).select(F.col("id").alias("src"), F.col("component").alias("group_id"))
    return links.join(group, on="src", how="inner").select("group_id", "relation", *TIE)


def bridges(ties: DataFrame, exposures: DataFrame) -> DataFrame:
    """The ties whose end would split a group in two: one row each, with the two sides.

    ``ties``: src, dst (long or string) and what else is to be kept, for example ``group_links``; two ties of one
    pair, whatever their direction, stand in for each other and are none. ``exposures``: customer_id, exposure_amt,
    one row a customer.

    Columns: those of ``ties``, src_members, src_exposure_amt, dst_members, dst_exposure_amt (ids and exposures on
    either side). Exact (Tarjan, 1974), linear in the ties. Plan: the check (one job), one join with the exposures,
    one exchange to whole components (``engine``), one join with the ties. Raises ``GraphError`` on missing columns
    and null ids, ``GraphTypeError`` on ids of other types.
    """
    check_columns("ties", ties, "src", "dst")
    check_columns("exposures", exposures, "customer_id", "exposure_amt")
    graph = checked(_ends(ties), ties)
    owed = exposures.select(F.col("customer_id").alias("id"), in_cents(F.col("exposure_amt")).alias("mass"))
    schema = StructType([StructField(end, graph.id_type, False) for end in ("src", "dst")])
    for name in _SIDES:
        schema = schema.add(name, LongType(), False)
    found = whole_components(graph, owed).mapInArrow(_bridges, schema)
    sides = found.withColumns({name: from_cents(F.col(name)) for name in _SIDES if name.endswith("_amt")})
    return ties.join(sides, on=["src", "dst"], how="inner").select(*ties.columns, *_SIDES)


def limit_breaches(
    groups: DataFrame,
    capital: Decimal | int | float,
    share: float = GROUP_SHARE,
    single: float = SINGLE_SHARE,
    large: float = LARGE_SHARE,
) -> DataFrame:
    """The large exposures, and which are above their limit: one row a group of at least ``large`` of the capital.

    ``groups``: ``connected_clients``; ``capital``: tier 1 capital, in the exposures' currency; ``share`` and
    ``single``: the limit of a group of two or more customers, and of one alone.

    Columns: group_id, group_members, group_exposure_amt, capital_ratio, limit_amt, headroom_amt (negative above the
    limit), breach_flag (1 above it). One aggregation. Raises ``GraphError`` unless the capital is above 0 and the
    shares within 0 to 1, ``GraphTypeError`` when one is no number.
    """
    check_columns("groups", groups, "group_id", "group_members", "group_exposure_amt")
    _check_number("capital", capital, None)
    for name, value in (("share", share), ("single", single), ("large", large)):
        _check_number(name, value, 1)
    base = Decimal(str(capital))
    group_limit, single_limit, floor = (F.lit(base * Decimal(str(part))) for part in (share, single, large))
    rows = groups.select("group_id", "group_members", "group_exposure_amt").distinct()
    limit = F.when(F.col("group_members") > 1, group_limit).otherwise(single_limit).cast(MONEY_SUM)
    headroom = (F.col("limit_amt") - F.col("group_exposure_amt")).cast(MONEY_SUM)
    return (
        rows.where(F.col("group_exposure_amt") >= floor)
        .withColumn("capital_ratio", F.col("group_exposure_amt").cast("double") / float(base))
        .withColumn("limit_amt", limit)
        .withColumn("headroom_amt", headroom)
        .withColumn("breach_flag", (F.col("headroom_amt") < 0).cast("int"))
    )


def _check_ties(name: str, ties: DataFrame) -> None:
    check_columns(name, ties, *TIE)
    soft = [row["kind"] for row in ties.where(F.col("kind").isin(*SOFT)).select("kind").distinct().collect()]
    if soft:
        raise GraphError(f"{name}: {', '.join(sorted(soft))} are soft ties, which connect no clients; leave them out")


def _check_number(name: str, value: Decimal | int | float, most: int | None) -> None:
    if isinstance(value, bool) or not isinstance(value, Decimal | int | float):
        raise GraphTypeError(f"{name}: a number is expected, not {value!r}")
    if not isfinite(value) or value <= 0 or (most is not None and value > most):
        raise GraphError(f"{name}: a number above 0{f' and up to {most}' if most else ''} is expected, not {value!r}")


def _ends(ties: DataFrame) -> DataFrame:
    """The ids that stand in ties, once each."""
    both = ties.select(F.explode(F.array("src", "dst")).alias("id"))
    return both.where(F.col("id").isNotNull()).distinct()


def _groups(ties: DataFrame) -> DataFrame:
    return connected_components(_ends(ties), ties)


def _bridges(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """src, dst and ``_SIDES`` (cents) of the bridges in one partition."""
    part = read_part(batches)
    if part is None:
        return
    group = smallest_code(part.n, part.src, part.dst, connection="weak")
    order, parent = _forest(part, np.unique(group))
    one, cents = np.ones(part.n, dtype=np.int64), np.nan_to_num(part.mass).astype(np.int64)
    split = _splits(part, order, parent, _gathered(order, parent, one, add))
    # A tie whose lower end hangs on its upper end by it alone.
    lower = np.where(parent[part.dst] == part.src, part.dst, part.src)
    ties = np.flatnonzero((parent[lower] == part.src + part.dst - lower) & split[lower])
    src, dst, lower = part.src[ties], part.dst[ties], lower[ties]
    below: dict[str, Ints] = {}
    whole: dict[str, Ints] = {}
    for name, own in (("members", one), ("exposure_amt", cents)):
        below[name] = _gathered(order, parent, own, add)[lower]
        whole[name] = totals(part.n, group, own)[group[lower]]
    sides = [np.where(end == lower, below[name], whole[name] - below[name]) for end in (src, dst) for name in below]
    columns = [*(part.ids.take(pa.array(end)) for end in (src, dst)), *(pa.array(side) for side in sides)]
    yield from write(["src", "dst", *_SIDES], columns)


def _forest(part: Part, roots: Ints) -> tuple[list[int], Ints]:
    """A spanning forest by breadth: its vertices, upper before lower, and the parent of each, ``part.n`` for roots."""
    # One vertex above all roots makes the forest one tree, so one search finds it.
    tails, heads = np.concatenate([part.src, roots]), np.concatenate([part.dst, np.full(len(roots), part.n)])
    ties = coo_array((np.ones(len(tails), dtype=np.int8), (tails, heads)), shape=(part.n + 1, part.n + 1)).tocsr()
    ties.data[:] = 1
    order, parent = breadth_first_order(ties, part.n, directed=False)
    return order[1:].tolist(), parent[: part.n].astype(np.int64)


def _gathered(order: list[int], parent: Ints, own: Ints, combine: Callable[[int, int], int]) -> Ints:
    """``own`` of every vertex combined with that of all below it."""
    total, above = [*own.tolist(), 0], parent.tolist()
    for vertex in reversed(order):
        total[above[vertex]] = combine(total[above[vertex]], total[vertex])
    return np.array(total[:-1], dtype=np.int64)


def _splits(part: Part, order: list[int], parent: Ints, size: Ints) -> NDArray[np.bool_]:
    """Of every vertex, whether the tie to its parent is a bridge: no other tie leaves what is below (Tarjan, 1974).

    Vertices are numbered upper before lower, each before all below it and these without gaps; so what is below is a
    span of numbers, and a tie that leaves it reaches a smaller or a larger one.
    """
    number = _numbered(order, parent, size)
    low, high = np.minimum(part.src, part.dst), np.maximum(part.src, part.dst)
    pairs, times = np.unique(low * part.n + high, return_counts=True)
    low, high = pairs // part.n, pairs % part.n
    spare = (times > 1) | ((parent[low] != high) & (parent[high] != low))
    ends, others = np.concatenate([low[spare], high[spare]]), np.concatenate([high[spare], low[spare]])
    least, most = number.copy(), number.copy()
    np.minimum.at(least, ends, number[others])
    np.maximum.at(most, ends, number[others])
    inside = (_gathered(order, parent, least, min) >= number) & (_gathered(order, parent, most, max) < number + size)
    return inside & (parent < part.n)


def _numbered(order: list[int], parent: Ints, size: Ints) -> Ints:
    number, free = np.zeros(len(order), dtype=np.int64), [0] * (len(order) + 1)
    for vertex, above in zip(order, parent[order].tolist()):
        number[vertex] = free[above]
        free[above] += int(size[vertex])
        free[vertex] = int(number[vertex]) + 1
    return number
