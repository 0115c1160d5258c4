"""Bronze: delivered rows as received, text only, append-only; the only tables that hold account numbers in clear.

The columns without a leading underscore are the header that a file of the kind must have, in order.
"""

from __future__ import annotations

from strata.conf.contracts import Column, Layer, Personal, Table, col
from strata.conf.feeds import Feed

TECHNICAL = (
    col("_line", "binary", "the line as received, byte for byte; of Parquet the row as JSON", personal=Personal.DIRECT),
    col("_is_whole", "boolean", "whether the line has as many fields as the header, or is one JSON object of its keys"),
    col("_source", "string", "name of the delivered file, after the day of its folder where it has one"),
    col("_origin", "string", "embedded in the product, or from a landing folder"),
    col("_sha256", "string", "SHA-256 of the file's content, unpacked: a repeated delivery is recognised by it"),
    col("_delivery", "bigint", "number of the file among those of its kind, by day of its folder; the later wins"),
    col("_row", "bigint", "line or row number in the file; the header of a CSV is line 1"),
    col("_ingest_id", "string", "the run that landed the file"),
    col("_ingested_at", "timestamp", "when that run started"),
)


def _raw(name: str, description: str, personal: Personal = Personal.NONE) -> Column:
    return col(name, "string", description, nullable=True, personal=personal)


def _bronze(kind: str, description: str, *columns: Column) -> Table:
    return Table(
        name=f"bronze_{kind}",
        layer=Layer.BRONZE,
        grain="one row a line of a delivered file",
        description=description,
        append_only=True,
        columns=(*columns, *TECHNICAL),
        freshness="each delivery",
    )


def bronze_of(feed: Feed, silver: Table) -> Table:
    """The bronze table of a feed: identifiers in clear stand here alone."""
    meant = feed.meant(silver)
    columns = (_delivered(name, meant.get(name), name in feed.clear.values()) for name in feed.delivered(silver))
    return _bronze(feed.kind, f"{silver.name.replace('_', ' ').capitalize()} rows as delivered.", *columns)


def _delivered(name: str, meant: Column | None, clear: bool) -> Column:
    if meant is None:
        return _raw(name, "a time that only the source knows")
    return _raw(name, meant.description, Personal.DIRECT if clear else meant.personal)


bronze_district = _bronze(
    "district",
    "Districts as delivered.",
    _raw("A1", "district"),
    _raw("A2", "name"),
    _raw("A3", "region"),
    _raw("A4", "inhabitants"),
    _raw("A5", "municipalities with under 500 inhabitants"),
    _raw("A6", "municipalities with 500 to 1,999 inhabitants"),
    _raw("A7", "municipalities with 2,000 to 9,999 inhabitants"),
    _raw("A8", "municipalities with 10,000 inhabitants or more"),
    _raw("A9", "cities"),
    _raw("A10", "share of urban inhabitants"),
    _raw("A11", "average salary"),
    _raw("A12", "unemployment 1995; ? when missing"),
    _raw("A13", "unemployment 1996"),
    _raw("A14", "entrepreneurs per 1,000 inhabitants"),
    _raw("A15", "crimes 1995; ? when missing"),
    _raw("A16", "crimes 1996"),
)
bronze_client = _bronze(
    "client",
    "Customers as delivered.",
    _raw("client_id", "customer", Personal.QUASI),
    _raw("birth_number", "YYMMDD of birth, the month of women + 50", Personal.DIRECT),
    _raw("district_id", "district of residence", Personal.QUASI),
)
bronze_account = _bronze(
    "account",
    "Accounts as delivered.",
    _raw("account_id", "account"),
    _raw("district_id", "district of the branch"),
    _raw("frequency", "how often statements are issued, in Czech words"),
    _raw("date", "YYMMDD of opening"),
)
bronze_disp = _bronze(
    "disp",
    "Rights to use accounts as delivered.",
    _raw("disp_id", "right to use"),
    _raw("client_id", "customer", Personal.QUASI),
    _raw("account_id", "account"),
    _raw("type", "OWNER or DISPONENT"),
)
bronze_card = _bronze(
    "card",
    "Cards as delivered.",
    _raw("card_id", "card"),
    _raw("disp_id", "right to use"),
    _raw("type", "kind of card"),
    _raw("issued", "YYMMDD 00:00:00"),
)
bronze_loan = _bronze(
    "loan",
    "Loans with their outcome as delivered.",
    _raw("loan_id", "loan"),
    _raw("account_id", "account"),
    _raw("date", "YYMMDD of the grant"),
    _raw("amount", "amount granted"),
    _raw("duration", "term in months"),
    _raw("payments", "monthly instalment"),
    _raw("status", "A, B, C or D"),
)
bronze_order = _bronze(
    "order",
    "Standing orders as delivered.",
    _raw("order_id", "order"),
    _raw("account_id", "paying account"),
    _raw("bank_to", "bank of the payee"),
    _raw("account_to", "account of the payee", Personal.DIRECT),
    _raw("amount", "amount"),
    _raw("k_symbol", "purpose, in Czech words"),
)
bronze_trans = _bronze(
    "trans",
    "Postings as delivered, in Czech or in English words.",
    _raw("trans_id", "posting"),
    _raw("account_id", "account"),
    _raw("date", "YYMMDD of the posting"),
    _raw("type", "direction"),
    _raw("operation", "way of payment; empty for interest"),
    _raw("amount", "amount"),
    _raw("balance", "balance after the posting"),
    _raw("k_symbol", "purpose"),
    _raw("bank", "bank of the other side"),
    _raw("account", "account of the other side; empty or 0 for none", Personal.DIRECT),
)
