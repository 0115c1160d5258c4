"""What a default does in circles of guarantees: who falls with it, what is lost, and which guarantee to end first.

The model of a cascade, and DebtRank, stand in ``circles``. Each task holds whole circles; answers are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import fsum

import pandas
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from strata.graph.algorithms.inputs import GraphError, check_columns
from strata.graph.risk.guarantee_circle import Circle, Fall, Trial, circle_of
from strata.graph.risk.guarantees import GUARANTEE, circle_ties
from strata.graph.ties.amounts import from_cents, in_cents

EXACT_CALLS = 5_000_000
"""Calls of guarantees that trying each one may take in a circle; above it they are ranked by what they would pay."""

Values = dict[str, tuple[DataFrame, str]]
Answer = Callable[[pandas.DataFrame, pandas.DataFrame], pandas.DataFrame]


def first_losses(guarantees: DataFrame, exposures: DataFrame, capacity: DataFrame) -> DataFrame:
    """The cascade of every possible first default: one row a member of a circle, alone the first to default.

    ``guarantees``: guarantor_id, borrower_id, loan_id, amount, owed_amt (``guarantees_as_of``); ``exposures``:
    customer_id, exposure_amt, all that the customer itself owes the bank (at least its guaranteed loans count);
    ``capacity``: customer_id, capacity_amt, what it can pay when called. One row a customer; without one, or with a
    null or negative amount, it owes or can pay nothing. A guarantee without an amount is called for nothing.

    Columns: circle_id, customer_id, failed_cnt (others that fail), called_amt (called on guarantors), loss_amt (the
    bank's, after what guarantors pay), debt_rank (0 to 1; 0 where nobody owes anything). Plan: ``circle_ties``, two
    joins of the members, and one exchange of ties and members by circle. A circle is in one task, which runs one
    cascade a member: a ring of 1,000 where all fall takes some 5 s, one of 10,000 a hundred times that. Raises
    ``GraphError`` on missing columns, and on ids as ``circle_ties`` does.
    """
    ties = _ties(guarantees)
    schema = f"{_ids(ties, 'circle_id', 'customer_id')}, failed_cnt long, called long, loss long, debt_rank double"
    found = _by_circle(ties, _values(exposures, capacity), _first_losses, schema)
    amounts = [from_cents(F.col(name)).alias(f"{name}_amt") for name in ("called", "loss")]
    return found.select("circle_id", "customer_id", "failed_cnt", *amounts, "debt_rank")


def unwind_first(
    guarantees: DataFrame,
    exposures: DataFrame,
    capacity: DataFrame,
    pd: DataFrame | None = None,
    *,
    trial: Trial = "replace",
) -> DataFrame:
    """The guarantees of every circle, the one whose end helps most first: one row a guarantee.

    Tables as in ``first_losses``. ``pd``: customer_id, pd, the chance to be the first to default (0 without a row);
    without the table every member is as likely, and sums are means. Each guarantee is tried: ``trial="replace"``
    has somebody outside, who can pay, in the guarantor's place; ``"remove"`` just ends it.

    Columns: circle_id, rank (from 1), guarantor_id, borrower_id, loan_id, amount, loss_fall_amt and failures_fall (by
    how much the expected loss and number of failed others fall; negative when they rise), called_amt (expected to be
    called on it), is_exact. Order: loss_fall_amt, failures_fall, called_amt, each largest first, then the ids. Only
    the cascades in which its borrower fails are run again without a guarantee; a circle where that takes more than
    ``EXACT_CALLS`` calls (a ring of 171 where all fall, whoever begins) has is_exact false and null falls, and is
    ordered by called_amt. Plan and errors as of ``first_losses``; one more exchange for the rank.
    """
    if trial not in ("replace", "remove"):
        raise GraphError(f'trial: "replace" or "remove" is expected, not {trial!r}')
    values = _values(exposures, capacity) | ({} if pd is None else {"pd": (pd, "pd")})
    ties = _ties(guarantees)
    schema = f"{_ids(ties, 'circle_id', *GUARANTEE[:2])}, loan_key string, cents long, loss_fall double"
    schema += ", failures_fall double, called double, is_exact boolean"
    found = _by_circle(ties, values, partial(_unwound, trial=trial, likely=pd is not None), schema)
    rows = found.select(
        "circle_id",
        *GUARANTEE[:2],
        F.col("loan_key").cast(guarantees.schema["loan_id"].dataType).alias("loan_id"),
        from_cents(F.col("cents")).alias("amount"),
        from_cents(F.col("loss_fall")).alias("loss_fall_amt"),
        F.round("failures_fall", 9).alias("failures_fall"),
        from_cents(F.col("called")).alias("called_amt"),
        "is_exact",
    )
    # By what is shown: what differs only by rounding is a tie, which the ids decide.
    worth = [F.col(name).desc() for name in ("loss_fall_amt", "failures_fall", "called_amt")]
    order = Window.partitionBy("circle_id").orderBy(*worth, *GUARANTEE)
    return rows.select("circle_id", F.row_number().over(order).alias("rank"), *rows.columns[1:])


def _values(exposures: DataFrame, capacity: DataFrame) -> Values:
    return {"exposures": (exposures, "exposure_amt"), "capacity": (capacity, "capacity_amt")}


def _ties(guarantees: DataFrame) -> DataFrame:
    """Guarantees with their circle and whole cents; one that names no loan is for a loan of its own."""
    check_columns("guarantees", guarantees, "owed_amt")
    most = F.greatest("amount", F.lit(0))
    owed = F.greatest(F.coalesce("owed_amt", "amount"), F.lit(0))
    # As text, for pandas makes doubles of numbers when some are null.
    loan_key = F.col("loan_id").cast("string")
    own = F.concat(F.lit("of "), F.col("guarantor_id").cast("string"))
    return circle_ties(guarantees).select(
        "circle_id",
        *GUARANTEE[:2],
        loan_key.alias("loan_key"),
        F.coalesce(loan_key, own).alias("loan"),
        in_cents(most).alias("cents"),
        in_cents(owed).alias("owed"),
    )


def _ids(ties: DataFrame, *columns: str) -> str:
    return ", ".join(f"{column} {ties.schema['circle_id'].dataType.simpleString()}" for column in columns)


def _by_circle(ties: DataFrame, values: Values, answer: Answer, schema: str) -> DataFrame:
    """``answer(ties, members)`` of every circle; members carry the ``values``, amounts in cents, 0 for null."""
    members = ties.select("circle_id", F.explode(F.array(*GUARANTEE[:2])).alias("customer_id")).distinct()
    for argument, (table, name) in values.items():
        check_columns(argument, table, "customer_id", name)
        known = F.greatest(F.col(name), F.lit(0))
        value = in_cents(known) if name.endswith("_amt") else known.cast("double")
        members = members.join(table.select("customer_id", name), on="customer_id", how="left").withColumn(name, value)
    return ties.groupBy("circle_id").cogroup(members.groupBy("circle_id")).applyInPandas(answer, schema)


def _placed(ties: pandas.DataFrame, members: pandas.DataFrame) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Both in the order of their ids, and each end of a tie as its member's place."""
    members = members.sort_values("customer_id", ignore_index=True)
    ties = ties.sort_values(["guarantor_id", "borrower_id", "loan"], ignore_index=True)
    place = pandas.Series(members.index, index=members["customer_id"])
    ends = {end: ties[f"{end}_id"].map(place) for end in ("guarantor", "borrower")}
    return ties.assign(**ends), members


def _first_losses(ties: pandas.DataFrame, members: pandas.DataFrame) -> pandas.DataFrame:
    ties, members = _placed(ties, members)
    circle = circle_of(ties, members)
    rows = [_row(circle, place) for place in members.index]
    facts = pandas.DataFrame(rows, columns=["failed_cnt", "called", "loss", "debt_rank"])
    return pandas.concat([members[["circle_id", "customer_id"]], facts], axis=1)


def _row(circle: Circle, first: int) -> tuple[int, int, int, float]:
    fall = circle.fall(first)
    return len(fall.failed) - 1, sum(fall.called.values()), fall.loss, circle.debt_rank(first)


def _unwound(ties: pandas.DataFrame, members: pandas.DataFrame, *, trial: Trial, likely: bool) -> pandas.DataFrame:
    ties, members = _placed(ties, members)
    circle = circle_of(ties, members)
    chance = members["pd"].tolist() if likely else [1 / len(members)] * len(members)
    falls, called = _falls(circle, chance, len(ties))
    answer = ties[["circle_id", *GUARANTEE[:2], "loan_key", "cents"]].assign(
        loss_fall=None, failures_fall=None, called=called, is_exact=bool(falls)
    )
    if falls:
        borrowers = ties["borrower"].tolist()
        trials = ((one, circle.without(one, place, trial)) for place, one in enumerate(borrowers))
        answer[["loss_fall", "failures_fall"]] = [_fallen(falls, chance, *one) for one in trials]
    return answer


def _falls(circle: Circle, chance: list[float], guarantees: int) -> tuple[list[Fall], list[float]]:
    """The cascade of every first default, none where trying is too much; and cents expected to be called by place."""
    falls: list[Fall] = []
    called, work = [0.0] * guarantees, 0
    for first, likely in enumerate(chance):
        fall = circle.fall(first)
        for place, share in fall.called.items():
            called[place] += likely * share
        tried = sum(len(loan.backing) for one in fall.failed for loan in circle.loans[one])
        work += tried * (1 + len(fall.called))
        # In a large circle where all fall they wouldn't fit into memory.
        if work <= EXACT_CALLS:
            falls.append(fall)
        else:
            falls.clear()
    return falls, called


def _fallen(falls: list[Fall], chance: list[float], borrower: int, changed: Circle) -> tuple[float, float]:
    """By how much expected loss and failures fall without a guarantee: it matters only if its borrower fails."""
    firsts = [first for first, fall in enumerate(falls) if borrower in fall.failed]
    pairs = [(chance[first], falls[first], changed.fall(first)) for first in firsts]
    loss = fsum(weight * (before.loss - after.loss) for weight, before, after in pairs)
    return loss, fsum(weight * (len(before.failed) - len(after.failed)) for weight, before, after in pairs)
