"""Guarantees: which stand at a moment, and the circles and chains that they make (担保圈、担保链).

A guarantee points from the guarantor to the borrower whose loan it backs; a default runs the other way. A circle
is everybody whom guarantees connect, whatever their direction. Guarantees of a borrower for itself are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, LongType, StringType, StructField, StructType

from strata.graph.algorithms.arrays import Ints, Part, codes, distinct_sorted, rows_of, write
from strata.graph.algorithms.components import connected_components, smallest_code
from strata.graph.algorithms.inputs import check_columns
from strata.graph.algorithms.solvers import adjacency, core, spans
from strata.graph.ties.amounts import MONEY, MONEY_SUM, from_cents, in_cents, totals
from strata.graph.ties.dated_edges import instant

JOINT_GUARANTORS = 3
"""From so many guarantors of one loan on, a circle without cycles is joint (联保)."""
CHAIN_DEPTH = 2
"""From so many guarantees in a row on, a circle that is nothing else is a chain."""

GUARANTEE = ("guarantor_id", "borrower_id", "loan_id")
_TIE = (
    "tie_id", "src_customer_id", "dst_customer_id", "kind", "loan_id", "amount", "valid_from", "valid_to", "known_ts",
)  # fmt: skip
FACTS = (
    "members", "guarantees", "amount", "mutual_pairs", "largest_cycle", "guarantors_of_one_loan", "chain_depth", "core",
    "in_cycle_flag", "guaranteed_amt", "backed_amt", "depth",
)  # fmt: skip


def guarantees_as_of(
    declared_ties: DataFrame, loans: DataFrame, balances: DataFrame, as_of: date | datetime | str
) -> DataFrame:
    """The guarantees that stand at ``as_of`` by what was known then: one row a guarantor, borrower and loan.

    ``declared_ties``, ``loans`` and ``balances`` are silver declared_tie, loan and delinquency; of each row the
    latest version known by then counts, and of a loan's month ends the latest. A loan with a balance of 0 has
    ended, and its guarantees with it; one that is written off has not.

    Columns: guarantor_id, borrower_id, loan_id (null: no certain loan), amount (guaranteed, at most what is owed; a
    tie that says no amount backs the whole loan), owed_amt (the balance; before the first month end the principal;
    of a loan that isn't known the guaranteed amount), since (date), known_ts (of the tie's version that counts). The
    amounts are null when neither tie nor loan says any. Several ties of one guarantor for one loan add up. Plan: one
    aggregation of each table, two joins with the ties, one aggregation. Raises ``GraphError`` on missing columns.
    """
    check_columns("declared_ties", declared_ties, *_TIE)
    check_columns("loans", loans, "loan_id", "principal", "known_ts")
    check_columns("balances", balances, "loan_id", "month_end", "balance", "known_ts")
    ties = _standing(_latest(declared_ties, "tie_id", as_of), as_of)
    owed = _latest(loans, "loan_id", as_of).select("loan_id", "principal")
    left = balances.where(F.col("known_ts") <= instant(as_of)).groupBy("loan_id")
    left = left.agg(F.max(F.struct("month_end", "known_ts", "balance"))["balance"].alias("balance"))
    rows = ties.join(owed, on="loan_id", how="left").join(left, on="loan_id", how="left")
    rows = rows.where(F.col("balance").isNull() | (F.col("balance") > 0))
    rows = rows.withColumn("owed", F.coalesce("balance", "principal"))
    found = rows.groupBy(*GUARANTEE).agg(
        F.sum(F.coalesce("amount", "owed")).alias("stated"),
        F.max("owed").alias("owed"),
        F.min("valid_from").alias("since"),
        F.max("known_ts").alias("known_ts"),
    )
    amount, owed_amt = F.least("stated", "owed").cast(MONEY), F.coalesce("owed", "stated").cast(MONEY)
    return found.select(*GUARANTEE, amount.alias("amount"), owed_amt.alias("owed_amt"), "since", "known_ts")


def circle_ties(guarantees: DataFrame) -> DataFrame:
    """The evidence of every circle: circle_id (its smallest customer), then the columns of ``guarantees``.

    A guarantee of a borrower for itself is left out. The check of the ids runs at once (one scan); then the rounds
    of ``connected_components`` and one join. Reads ``guarantees`` several times: pass a table or a persisted frame.
    Raises ``GraphError`` on missing columns and null ids, ``GraphTypeError`` on ids that are neither long nor string.
    """
    check_columns("guarantees", guarantees, *GUARANTEE, "amount")
    ties = guarantees.where(~F.col("guarantor_id").eqNullSafe(F.col("borrower_id")))
    edges = ties.select(F.col("guarantor_id").alias("src"), F.col("borrower_id").alias("dst"))
    members = edges.select(F.explode(F.array("src", "dst")).alias("id")).where(F.col("id").isNotNull()).distinct()
    found = connected_components(members, edges)
    placed = found.select(F.col("id").alias("guarantor_id"), F.col("component").alias("circle_id"))
    return ties.join(placed, on="guarantor_id", how="inner").select("circle_id", *guarantees.columns)


def guarantee_circles(guarantees: DataFrame) -> DataFrame:
    """What each circle is, and each member in it: one row a member.

    ``guarantees``: guarantor_id, borrower_id (long or string), loan_id, amount; one row a guarantor, borrower and
    loan (``guarantees_as_of``). Columns, of the circle: circle_id, its smallest customer; kind, the first that is
    true of cycle (a strong component of 3 or more), mutual (of 2), joint (a loan with ``JOINT_GUARANTORS`` or
    more), chain (``CHAIN_DEPTH`` or deeper) and single; members; guarantees; amount, guaranteed in all;
    mutual_pairs, two who back each other; largest_cycle, members of its largest strong component, 0 without one;
    guarantors_of_one_loan, the most; chain_depth, guarantees on the longest way once strong components are one
    vertex each; core, the largest core number. Of the member: customer_id; in_cycle_flag, 1 in a strong component
    of 2 or more; guaranteed_amt and backed_amt, guarantees given and received; depth, guarantees on the longest
    way from it on, so from how far a default can come to it.

    Null amounts add nothing. Plan: ``circle_ties``, then one exchange by circle. Raises as ``circle_ties`` does.
    """
    cents = in_cents(F.col("amount")).alias("cents")
    ties = circle_ties(guarantees).select("circle_id", *GUARANTEE, cents)
    ids = ties.schema["circle_id"].dataType
    found = ties.repartition("circle_id").mapInArrow(_describe, _answer(ids))
    amounts = {name: from_cents(F.col(name)) for name in ("amount", "guaranteed_amt", "backed_amt")}
    return found.withColumns({**amounts, "in_cycle_flag": F.col("in_cycle_flag").cast("int")})


def over_guaranteed(guarantees: DataFrame, worth: DataFrame) -> DataFrame:
    """Guarantees given against what the guarantor is worth: one row a guarantor.

    ``worth``: customer_id, net_worth_amt, one row a customer. Columns: customer_id, guaranteed_amt, net_worth_amt,
    over_guarantee_ratio (above 1: more guaranteed than owned; null when the worth is unknown, 0 or negative, where
    no ratio tells anything). One aggregation and one join. Raises ``GraphError`` when a column is missing.
    """
    check_columns("guarantees", guarantees, "guarantor_id", "borrower_id", "amount")
    check_columns("worth", worth, "customer_id", "net_worth_amt")
    given = guarantees.where(F.col("guarantor_id") != F.col("borrower_id")).groupBy("guarantor_id")
    total = F.coalesce(F.sum("amount"), F.lit(0)).cast(MONEY_SUM)
    given = given.agg(total.alias("guaranteed_amt")).withColumnRenamed("guarantor_id", "customer_id")
    rows = given.join(worth.select("customer_id", "net_worth_amt"), on="customer_id", how="left")
    ratio = F.col("guaranteed_amt").cast("double") / F.col("net_worth_amt").cast("double")
    return rows.withColumn("over_guarantee_ratio", F.when(F.col("net_worth_amt") > 0, ratio))


def _latest(rows: DataFrame, key: str, as_of: date | datetime | str) -> DataFrame:
    known = rows.where(F.col("known_ts") <= instant(as_of))
    rest = [column for column in rows.columns if column not in (key, "known_ts")]
    latest = known.groupBy(key).agg(F.max(F.struct("known_ts", *rest)).alias("row"))
    return latest.select(key, "row.*")


def _standing(ties: DataFrame, as_of: date | datetime | str) -> DataFrame:
    begun = F.col("valid_from").cast("timestamp") <= instant(as_of)
    lasts = F.col("valid_to").isNull() | (F.col("valid_to").cast("timestamp") > instant(as_of))
    return ties.where((F.col("kind") == "guarantee") & begun & lasts).select(
        F.col("src_customer_id").alias("guarantor_id"),
        F.col("dst_customer_id").alias("borrower_id"),
        "loan_id",
        "amount",
        "valid_from",
        "known_ts",
    )


def _answer(ids: DataType) -> StructType:
    named = [StructField(name, ids, False) for name in ("circle_id", "customer_id")]
    facts = [StructField(name, LongType(), False) for name in FACTS]
    return StructType([*named, StructField("kind", StringType(), False), *facts])


def _describe(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The circles of one partition, all at once: circle_id, customer_id, kind, ``FACTS`` (amounts in cents)."""
    rows = rows_of(batches)
    if rows is None:
        return
    ids = distinct_sorted(rows["guarantor_id"], rows["borrower_id"])
    nothing = np.full(len(ids), np.nan)
    src, dst = codes(rows["guarantor_id"], ids), codes(rows["borrower_id"], ids)
    part = Part(ids, src, dst, nothing, nothing)
    circle = smallest_code(part.n, src, dst, connection="weak")
    facts = _facts(part, circle, _loan_codes(rows["loan_id"]), rows["cents"].to_numpy())
    columns = [ids.take(pa.array(circle)), ids, pa.array(_kinds(facts)), *(pa.array(facts[name]) for name in FACTS)]
    yield from write(["circle_id", "customer_id", "kind", *FACTS], columns)


def _facts(part: Part, circle: Ints, loan: Ints, cents: Ints) -> dict[str, Ints]:
    """Every fact of ``FACTS`` for every vertex; ``circle`` is the vertex's, ``loan`` and ``cents`` the guarantee's."""
    n, src, dst = part.n, part.src, part.dst
    strong = smallest_code(n, src, dst, connection="strong")
    size = np.bincount(strong, minlength=n)[strong]
    cyclic = np.where(size > 1, size, 0)
    depth = _depths(n, strong[src], strong[dst])[strong]
    arrows = np.unique(src * n + dst)
    tail, head = arrows // n, arrows % n
    mutual = (tail < head) & np.isin(head * n + tail, arrows)
    backers = np.bincount(np.unique(loan * n + src) // n)[loan]
    cores = np.asarray(core(part).to_numpy(), dtype=np.int64)
    given, received = totals(n, src, cents), totals(n, dst, cents)
    return {
        "members": np.bincount(circle, minlength=n)[circle],
        "guarantees": np.bincount(circle[src], minlength=n)[circle],
        "amount": totals(n, circle, given)[circle],
        "mutual_pairs": np.bincount(circle[tail[mutual]], minlength=n)[circle],
        "largest_cycle": _largest(n, circle, cyclic)[circle],
        "guarantors_of_one_loan": _largest(n, circle[src], backers)[circle],
        "chain_depth": _largest(n, circle, depth)[circle],
        "core": _largest(n, circle, cores)[circle],
        "in_cycle_flag": (size > 1).astype(np.int64),
        "guaranteed_amt": given,
        "backed_amt": received,
        "depth": depth,
    }


def _kinds(facts: dict[str, Ints]) -> Sequence[str]:
    tests = {
        "cycle": facts["largest_cycle"] > 2,
        "mutual": facts["largest_cycle"] == 2,
        "joint": facts["guarantors_of_one_loan"] >= JOINT_GUARANTORS,
        "chain": facts["chain_depth"] >= CHAIN_DEPTH,
    }
    kinds: list[str] = np.select(list(tests.values()), list(tests), "single").tolist()
    return kinds


def _depths(n: int, src: Ints, dst: Ints) -> Ints:
    """Edges on the longest way out of every vertex of a graph that has no cycle but self-loops.

    Peels who points at nobody, round by round: the round is the answer, and touches only the ties of the peeled.
    """
    pairs = np.unique((src * n + dst)[src != dst])
    tail, head = pairs // n, pairs % n
    start, before = adjacency(n, head, tail)
    left, depth, level = np.bincount(tail, minlength=n), np.zeros(n, dtype=np.int64), 0
    peel = np.flatnonzero(left == 0)
    while len(peel):
        depth[peel] = level
        touched = before[spans(start[peel], start[peel + 1])]
        np.subtract.at(left, touched, 1)
        peel, level = np.unique(touched[left[touched] == 0]), level + 1
    return depth


def _loan_codes(loans: pa.ChunkedArray) -> Ints:
    """A number for every loan; a guarantee without one counts as the only one of a loan of its own."""
    known = distinct_sorted(loans.drop_null())
    code = np.arange(len(known), len(known) + len(loans), dtype=np.int64)
    has = np.asarray(loans.is_valid().to_numpy(), dtype=bool)
    code[has] = codes(loans.drop_null(), known)
    return code


def _largest(n: int, place: Ints, values: Ints) -> Ints:
    largest = np.zeros(n, dtype=np.int64)
    np.maximum.at(largest, place, values)
    return largest
