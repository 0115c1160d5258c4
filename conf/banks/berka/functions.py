"""What the declarations of the Czech bank can't say: values that one number hides, and one that two columns decide."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

WAYS = {
    "VKLAD": "cash",
    "VYBER": "cash",
    "PREVOD Z UCTU": "transfer",
    "PREVOD NA UCET": "transfer",
    "VYBER KARTOU": "card",
    "credit in cash": "cash",
    "withdrawal in cash": "cash",
    "collection from another bank": "transfer",
    "remittance to another bank": "transfer",
    "credit card withdrawal": "card",
}
# What the bank books itself (fees, interest, penalties): the source calls fees and penalties cash withdrawals, and
# gives interest no way at all.
BOOKED_BY_THE_BANK = (
    "SLUZBY",
    "UROK",
    "SANKC. UROK",
    "payment for statement",
    "interest credited",
    "sanction interest if negative balance",
)


def channel(row: Mapping[str, Column]) -> Column:
    """The way of payment; ``internal`` for what the bank books itself."""
    way = row["operation"]
    listed = way.isNull() | way.isin(*WAYS)
    table = F.create_map(*(F.lit(part) for pair in WAYS.items() for part in pair))
    named = F.when(way.isNotNull(), F.try_element_at(table, way))
    return F.when(row["k_symbol"].isin(*BOOKED_BY_THE_BANK) & listed, F.lit("internal")).otherwise(named)


def birth_date(row: Mapping[str, Column]) -> Column:
    """The day of birth in 19YY; the month of women is 50 higher."""
    number = row["birth_number"]
    month = F.lpad((_month(row) % 50).cast("string"), 2, "0")
    return F.to_date(F.concat(F.lit("19"), F.substring(number, 1, 2), month, F.substring(number, 5, 2)), "yyyyMMdd")


def gender(row: Mapping[str, Column]) -> Column:
    """F where 50 was added to the month, else M."""
    return F.when(_month(row) > 50, "F").when(_month(row) <= 12, "M")


def _month(row: Mapping[str, Column]) -> Column:
    return F.when(row["birth_number"].rlike(r"^\d{6}$"), F.substring(row["birth_number"], 3, 2).cast("int"))
