"""Evidence for ties, from silver: who is tied to whom, to which account and to which thing that others may share.

People, accounts, outside counterparties, phones, devices, addresses and employers are vertices. Who shares a thing
is tied to it, as the points of a star are to its centre, and not to everybody who shares it too. Kinds of ties, by
direction:

- ``co_account``: customer -> account, owner or authorised holder;
- ``transfer``, ``receipt``: money sent by an account, and money that came to one from outside;
- ``phone``, ``device``, ``address``, ``employer``: customer -> what is theirs; of addresses where they live, are
  billed and have things sent to, for where they work is said by the employer;
- ``contact``: customer -> phone in the address book; ``call``: phone -> phone;
- ``guarantee``: guarantor -> borrower; ``family``; ``referral``: who brought -> who came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from strata.graph.algorithms.inputs import GraphError

MONEY = "decimal(18,2)"
Tables = Mapping[str, DataFrame]


def relation_evidence(tables: Tables) -> DataFrame:
    """Every piece of evidence for a tie: src_key, dst_key, kind, event_ts, known_ts, pieces, amount.

    ``tables``: silver tables by name, those of ``SOURCES`` that the bank has. ``pieces`` is 1, or -1 for what a later
    version of a posting or call takes back from the moment at which that is known, so sums up to any moment are what
    the bank then believed. What is stated again and again (a phone, a contact) is one piece, from when it was first
    known. Money between two accounts of the bank is one ``transfer``, told by the side that pays. Ties that the source
    doesn't date are known when the bank says so (``known_ts``), not before.
    One scan of each table, one shuffle each, one join of the postings with the accounts' numbers.
    Raises ``GraphError`` when none of the tables is there.
    """
    found = [rows for name, make in SOURCES.items() if name in tables for rows in make(tables)]
    if not found:
        raise GraphError(f"tables: none of {', '.join(SOURCES)} is there; give at least one")
    return reduce(DataFrame.unionByName, found)


def vertex_key(entity: str, natural_id: Column) -> Column:
    """The natural key of a vertex, ``<entity>:<id>``."""
    return F.concat(F.lit(f"{entity}:"), natural_id.cast("string"))


def postings_with_ends(transactions: DataFrame, accounts: DataFrame | None = None) -> DataFrame:
    """The postings with another side: their columns plus own_key, other_key (vertex keys).

    The other side is an account when it is of the own bank and its number one of ``accounts`` (silver account), else
    an outside counterparty. One broadcast or one shuffle join.
    """
    outside = vertex_key("counterparty", F.concat_ws(":", "counterparty_bank", "counterparty_hash"))
    rows = transactions.where(F.col("counterparty_hash").isNotNull())
    rows = rows.withColumn("own_key", vertex_key("account", F.col("account_id")))
    if accounts is None:
        return rows.withColumn("other_key", outside)
    numbers = accounts.where("account_hash IS NOT NULL").groupBy(F.col("account_hash").alias("counterparty_hash"))
    own = numbers.agg(F.max("account_id").alias("_other")).withColumn("counterparty_bank", F.lit("own"))
    met = rows.join(own, on=["counterparty_bank", "counterparty_hash"], how="left")
    other = F.coalesce(vertex_key("account", F.col("_other")), outside)
    return met.withColumn("other_key", other).drop("_other")


def _held(tables: Tables) -> list[DataFrame]:
    holders = tables["account_holder"]
    return [_stated(holders, "co_account", _customer(), vertex_key("account", F.col("account_id")))]


def _moved(tables: Tables) -> list[DataFrame]:
    rows = postings_with_ends(_versions(tables["transaction"], "transaction_id"), tables.get("account"))
    sent = F.col("direction") == "debit"
    # The paying side of a payment within the bank tells of it; the other side would tell it again.
    told = rows.where(sent | ~F.col("other_key").startswith("account:"))
    kind = F.when(sent, "transfer").otherwise("receipt")
    src, dst = F.when(sent, F.col("own_key")).otherwise(F.col("other_key")), F.col("other_key")
    return [_pieces(told, kind, src, F.when(sent, dst).otherwise(F.col("own_key")), F.col("amount"))]


def _identified(tables: Tables) -> list[DataFrame]:
    rows = tables["customer"]
    things = {"phone": "phone_hash", "address": "home_address_hash", "employer": "employer_id"}
    return [_stated(rows, kind, _customer(), vertex_key(kind, F.col(name))) for kind, name in things.items()]


def _devices(tables: Tables) -> list[DataFrame]:
    return [_stated(tables["device"], "device", _customer(), vertex_key("device", F.col("device_hash")))]


def _addresses(tables: Tables) -> list[DataFrame]:
    rows = tables["address_use"].where(F.col("kind") != "work")
    return [_stated(rows, "address", _customer(), vertex_key("address", F.col("address_hash")))]


def _contacts(tables: Tables) -> list[DataFrame]:
    phone = vertex_key("phone", F.col("contact_phone_hash"))
    return [_stated(tables["contact_book"], "contact", vertex_key("customer", F.col("owner_id")), phone)]


def _called(tables: Tables) -> list[DataFrame]:
    caller, callee = (vertex_key("phone", F.col(name)) for name in ("caller_hash", "callee_hash"))
    return [_pieces(_versions(tables["call_record"], "call_id"), F.lit("call"), caller, callee)]


def _declared(tables: Tables) -> list[DataFrame]:
    src, dst = (vertex_key("customer", F.col(f"{end}_customer_id")) for end in ("src", "dst"))
    return [_pieces(_versions(tables["declared_tie"], "tie_id"), F.col("kind"), src, dst, F.col("amount"))]


SOURCES: Mapping[str, Callable[[Tables], list[DataFrame]]] = {
    "account_holder": _held,
    "transaction": _moved,
    "customer": _identified,
    "device": _devices,
    "address_use": _addresses,
    "contact_book": _contacts,
    "call_record": _called,
    "declared_tie": _declared,
}
"""The silver tables that say of ties, each with what makes evidence of its rows."""


def _customer() -> Column:
    return vertex_key("customer", F.col("customer_id"))


def _stated(rows: DataFrame, kind: str, src: Column, dst: Column) -> DataFrame:
    """One piece for each pair, however often it was said; rows with an end missing say nothing."""
    named = rows.select(src.alias("src_key"), dst.alias("dst_key"), F.col("event_ts").cast("timestamp"), "known_ts")
    first = named.dropna(subset=["src_key", "dst_key"]).groupBy("src_key", "dst_key")
    return first.agg(F.min("event_ts").alias("event_ts"), F.min("known_ts").alias("known_ts")).select(
        "src_key", "dst_key", F.lit(kind).alias("kind"), "event_ts", "known_ts",
        F.lit(1).alias("pieces"), F.lit(None).cast(MONEY).alias("amount"),
    )  # fmt: skip


def _versions(rows: DataFrame, key: str) -> DataFrame:
    """Each version with 1, and its forerunner again with -1 from when it was replaced. One shuffle by the key."""
    order = Window.partitionBy(key).orderBy("known_ts")
    replaced = F.lead("known_ts").over(order)
    signed = F.array(
        F.struct(F.lit(1).alias("pieces"), F.col("known_ts").alias("at")),
        F.struct(F.lit(-1).alias("pieces"), replaced.alias("at")),
    )
    twice = rows.withColumn("_signed", signed).withColumn("_one", F.explode("_signed"))
    counted = twice.where(F.col("_one.at").isNotNull())
    return counted.withColumns({"pieces": F.col("_one.pieces"), "known_ts": F.col("_one.at")}).drop("_signed", "_one")


def _pieces(rows: DataFrame, kind: Column, src: Column, dst: Column, amount: Column | None = None) -> DataFrame:
    money = F.lit(None) if amount is None else amount * F.col("pieces")
    return rows.select(
        src.alias("src_key"), dst.alias("dst_key"), kind.alias("kind"), F.col("event_ts").cast("timestamp"),
        "known_ts", "pieces", money.cast(MONEY).alias("amount"),
    )  # fmt: skip
