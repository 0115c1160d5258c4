"""Transfers of money between accounts: one frame of them out of silver, and which money in went out by which.

Frames called ``transfers`` have transfer_id, src, dst, amount, event_ts and known_ts, one row a transfer; ids of
accounts are long or string, and an account of another bank is one too. Rows with a null among these, an amount of 0
or less, or one account at both ends are no transfers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from strata.graph.algorithms.inputs import GraphTypeError, check_columns
from strata.graph.ties.dated_edges import instant
from strata.graph.ties.tie_evidence import postings_with_ends

COLUMNS = ("transfer_id", "src", "dst", "amount", "event_ts", "known_ts")
MONEY = "decimal(18,2)"
HOUR = 3_600_000_000
"""Microseconds."""

Moment = date | datetime | str
Held = tuple[Any, int, int]


def moves(transfers: DataFrame) -> DataFrame:
    """The rows that are transfers, with the columns of one and amounts as decimals of two places.

    Raises ``GraphError`` when a column is missing, ``GraphTypeError`` unless both ends are long or both string.
    """
    check_columns("transfers", transfers, *COLUMNS)
    src, dst = (transfers.schema[end].dataType for end in ("src", "dst"))
    if src != dst or not isinstance(src, LongType | StringType):
        raise GraphTypeError(
            f"transfers: src is {src.simpleString()} and dst is {dst.simpleString()}; cast both to long or to string"
        )
    rows = transfers.select(*COLUMNS).withColumn("amount", F.col("amount").cast(MONEY))
    # Spelt out, as the code that Spark makes of dropna() over these doesn't compile.
    there = " AND ".join(f"{name} IS NOT NULL" for name in COLUMNS)
    return rows.where(f"{there} AND src <> dst AND amount > 0")


def transfers_as_of(transfers: DataFrame, as_of: Moment, *, days: int) -> DataFrame:
    """The transfers known by ``as_of`` that happened in the ``days`` up to it. No shuffle."""
    end = instant(as_of)
    happened = (F.col("event_ts") > days_before(as_of, days)) & (F.col("event_ts") <= end)
    return moves(transfers).where(happened & (F.col("known_ts") <= end))


def days_before(as_of: Moment, days: int) -> Column:
    """The moment so many days of the session's zone earlier."""
    return instant(as_of) - F.expr(f"INTERVAL {days:d} DAYS")


def transfers_of(transactions: DataFrame, accounts: DataFrame, as_of: Moment, *, apart_hours: int = 24) -> DataFrame:
    """Transfers out of silver transaction and account as known by ``as_of``, each payment once, in its last version.

    transfer_id is that of the posting kept; src and dst are ``account:<id>`` or ``counterparty:<bank>:<hash>``. Taken
    are postings of channel transfer with a counterparty; one of the own bank with an account's hash is that account.

    A payment between two own accounts is posted on both sides. Postings of equal ends and amount that follow each
    other within ``apart_hours`` are one lot; of a lot the side with more postings is kept, the debits when equal, so
    equal payments of one day stay apart and a side that is missing is made up for. Two sides of which one is yet to
    be corrected count as two. Three shuffles: by posting, by counterparty, and by payer, payee and amount.
    """
    known = instant(as_of)
    posted = _last_versions(transactions.where(F.col("known_ts") <= known))
    moved = posted.where(F.col("channel") == "transfer")
    posted = postings_with_ends(moved, accounts.where(F.col("known_ts") <= known))
    me, other, paid = F.col("own_key"), F.col("other_key"), F.col("direction") == "debit"
    ends = {"src": F.when(paid, me).otherwise(other), "dst": F.when(paid, other).otherwise(me), "paid": paid}
    return _once(posted.withColumns(ends), apart_hours * HOUR)


def sides(moved: DataFrame) -> DataFrame:
    """Each transfer as its two accounts see it: account, other, into, transfer_id, cents (long), at (microseconds)."""
    came = F.struct(F.col("dst").alias("account"), F.col("src").alias("other"), F.lit(True).alias("into"))
    went = F.struct(F.col("src").alias("account"), F.col("dst").alias("other"), F.lit(False).alias("into"))
    cents, at = (F.col("amount") * 100).cast("long"), F.unix_micros("event_ts")
    seen = moved.withColumn("side", F.explode(F.array(came, went)))
    return seen.select("side.*", "transfer_id", cents.alias("cents"), at.alias("at"))


def money_flows(transfers: DataFrame) -> DataFrame:
    """Which money in went out by which transfer, the newest first: account, in_id, out_id, amount, waited_hours.

    A transfer out takes from what had come in and not gone yet, the latest first; what isn't covered was there
    before. At one moment money comes before it goes, and ties go by transfer_id. An account with n transfers has
    fewer than n rows. One shuffle by account; each task goes once over its sorted rows, a batch at a time: what has
    come and not gone is a stack, which no column expression knows.
    """
    sign = F.when(F.col("into"), 1).otherwise(-1)
    rows = sides(moves(transfers)).select("account", "transfer_id", (F.col("cents") * sign).alias("cents"), "at")
    rows = rows.repartition("account").sortWithinPartitions("account", "at", F.col("cents") < 0, "transfer_id")
    id_type = rows.schema["transfer_id"].dataType
    fields = [rows.schema["account"], StructField("in_id", id_type), StructField("out_id", id_type)]
    schema = StructType([*fields, StructField("cents", LongType()), StructField("waited", LongType())])
    found = rows.mapInArrow(newest_first, schema)
    amount, waited = money(F.col("cents")).alias("amount"), (F.col("waited") / HOUR).alias("waited_hours")
    return found.select("account", "in_id", "out_id", amount, waited)


def money(cents: Column) -> Column:
    """Cents as a decimal of two places."""
    return (cents.cast("decimal(18,0)") / 100).cast(MONEY)


def newest_first(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows (account, transfer_id, cents, at), by account and time, to (account, in_id, out_id, cents, waited)."""
    account: Any = None
    stack: list[Held] = []
    for batch in batches:
        found: list[tuple[Any, ...]] = []
        for who, transfer, cents, at in zip(*(column.to_pylist() for column in batch.columns)):
            if who != account:
                account, stack = who, []
            if cents > 0:
                stack.append((transfer, cents, at))
            else:
                found += [(who, came, transfer, part, at - since) for came, part, since in _taken(stack, -cents)]
        yield _flow_batch(found, batch.schema)


def _taken(stack: list[Held], cents: int) -> Iterator[Held]:
    while cents and stack:
        transfer, held, at = stack.pop()
        part = min(cents, held)
        if held > part:
            stack.append((transfer, held - part, at))
        cents -= part
        yield transfer, part, at


def _flow_batch(found: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    account, transfer, cents, at = schema.types
    kinds = {"account": account, "in_id": transfer, "out_id": transfer, "cents": cents, "waited": at}
    columns = zip(*found) if found else [()] * len(kinds)
    arrays = [pa.array(values, type=kind) for values, kind in zip(columns, kinds.values())]
    return pa.RecordBatch.from_arrays(arrays, names=list(kinds))


def _last_versions(transactions: DataFrame) -> DataFrame:
    columns = ("account_id", "amount", "direction", "channel", "counterparty_bank", "counterparty_hash", "event_ts")
    last = F.max_by(F.struct(*columns, "known_ts"), "known_ts").alias("last")
    return transactions.groupBy("transaction_id").agg(last).select("transaction_id", "last.*")


def _once(posted: DataFrame, apart: int) -> DataFrame:
    """Of postings that may be the two sides of one payment, those of one side."""
    ends = ["src", "dst", "amount"]
    alike = Window.partitionBy(*ends).orderBy("event_ts", "transaction_id")
    at = F.unix_micros("event_ts")
    rows = posted.withColumn("begins", F.coalesce(at - F.lag(at).over(alike) > apart, F.lit(False)).cast("int"))
    rows = rows.withColumn("lot", F.sum("begins").over(alike.rowsBetween(Window.unboundedPreceding, 0)))
    lot = Window.partitionBy(*ends, "lot")
    rows = rows.withColumns({"debits": F.sum(F.col("paid").cast("int")).over(lot), "both": F.count("paid").over(lot)})
    kept = rows.where(F.col("paid") == (2 * F.col("debits") >= F.col("both")))
    return kept.select(F.col("transaction_id").alias("transfer_id"), *ends, "event_ts", "known_ts").select(*COLUMNS)
