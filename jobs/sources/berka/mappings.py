"""The Berka bank's files in silver's words: what each field means, and when the bank could have known it."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from strata.jobs.sources.mapping import (
    Field,
    Reference,
    TableMapping,
    Texts,
    day,
    expected,
    meaning,
    number,
    text,
    twentieth_century_day,
    words,
)

MONEY = "decimal(18,2)"
# The day on which the bank's data were drawn: what has no date of its own was known then, not before.
EXTRACT = "TIMESTAMP'1999-01-01 00:00:00'"
# The district figures are of 1995 and 1996; a year's figures are out when the year is over.
FIGURES = "TIMESTAMP'1997-01-01 00:00:00'"
MATURITY = "CAST(add_months(opened_on, term_months) AS TIMESTAMP)"

# Czech words as the bank wrote them, English ones as a later translation has them, spelling included.
DIRECTIONS = {
    "PRIJEM": "credit",
    "VYDAJ": "debit",
    "VYBER": "debit",
    "credit": "credit",
    "withdrawal": "debit",
    "withdrawal in cash": "debit",
}
CHANNELS = {
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
PURPOSES = {
    "SIPO": "household",
    "DUCHOD": "pension",
    "POJISTNE": "insurance",
    "UVER": "loan_payment",
    "LEASING": "leasing",
    "SLUZBY": "statement_fee",
    "UROK": "interest",
    "SANKC. UROK": "penalty_interest",
    "household": "household",
    "old-age pension": "pension",
    "insurrance payment": "insurance",
    "insurance payment": "insurance",
    "loan payment": "loan_payment",
    "leasing": "leasing",
    "payment for statement": "statement_fee",
    "interest credited": "interest",
    "sanction interest if negative balance": "penalty_interest",
}
STATUSES = {status: status for status in "ABCD"}
# What the bank books itself: the source calls fees and penalties cash withdrawals, and gives interest no way at all.
BOOKED_BY_THE_BANK = ("statement_fee", "interest", "penalty_interest")


def _channel(row: Texts) -> Column:
    own = meaning(row["k_symbol"], PURPOSES).isin(*BOOKED_BY_THE_BANK)
    listed = row["operation"].isNull() | row["operation"].isin(*CHANNELS)
    return F.when(own & listed, F.lit("internal")).otherwise(meaning(row["operation"], CHANNELS))


def _counterparty(bank: str, account: str) -> Field:
    """The keyed token of ``bank/account``: in clear they stay in bronze."""

    def parse(row: Texts) -> Column:
        return row.token(F.concat(F.coalesce(row[bank], F.lit("")), F.lit("/"), row[account]))

    return Field("counterparty_hash", account, parse, "an account")


def _month(row: Texts) -> Column:
    return F.when(row["birth_number"].rlike(r"^\d{6}$"), F.substring(row["birth_number"], 3, 2).cast("int"))


def _birth_date(row: Texts) -> Column:
    """Women's month is 50 higher."""
    month = F.lpad((_month(row) % 50).cast("string"), 2, "0")
    return twentieth_century_day(
        F.concat(F.substring(row["birth_number"], 1, 2), month, F.substring(row["birth_number"], 5, 2))
    )


def _gender(row: Texts) -> Column:
    return F.when(_month(row) > 50, "F").when(_month(row) <= 12, "M")


def _status_flag(name: str, letters: str, kind: str) -> Field:
    """Whether the status is one of ``letters``."""

    def parse(row: Texts) -> Column:
        return F.when(row["status"].isin(*STATUSES), row["status"].isin(*letters).cast(kind))

    return Field(name, "status", parse, expected(STATUSES))


BIRTH_NUMBER = "a day of birth written YYMMDD, the month of women + 50"

DISTRICT = TableMapping(
    "district",
    "district",
    (
        number("district_id", "int", "A1"),
        text("name", "A2"),
        text("region", "A3"),
        number("population", "int", "A4"),
        number("municipalities_to_499", "int", "A5"),
        number("municipalities_to_1999", "int", "A6"),
        number("municipalities_to_9999", "int", "A7"),
        number("municipalities_over_9999", "int", "A8"),
        number("cities", "int", "A9"),
        number("urban_ratio", "decimal(5,1)", "A10"),
        number("average_salary_amt", "int", "A11"),
        number("unemployment_1995_ratio", "decimal(5,2)", "A12"),
        number("unemployment_1996_ratio", "decimal(5,2)", "A13"),
        number("entrepreneurs_per_1000", "int", "A14"),
        number("crimes_1995_cnt", "int", "A15"),
        number("crimes_1996_cnt", "int", "A16"),
    ),
    event=FIGURES,
    known=FIGURES,
    missing={"A12": ("?",), "A15": ("?",)},
)
CUSTOMER = TableMapping(
    "customer",
    "client",
    (
        number("customer_id", "bigint", "client_id"),
        Field("birth_date", "birth_number", _birth_date, BIRTH_NUMBER),
        Field("gender", "birth_number", _gender, BIRTH_NUMBER),
        number("district_id", "int"),
    ),
    event="CAST(NULL AS TIMESTAMP)",
    known=EXTRACT,
    references=(Reference("district_id", "district"),),
    # The source says nothing of periods. The first day of the extract: people were customers before it or came later,
    # but no later day holds for all, and their accounts have opening days of their own.
    constants={"valid_from": "DATE'1993-01-01'"},
)
ACCOUNT = TableMapping(
    "account",
    "account",
    (
        number("account_id", "bigint"),
        number("district_id", "int"),
        words(
            "statement_frequency",
            "frequency",
            {
                "POPLATEK MESICNE": "monthly",
                "POPLATEK TYDNE": "weekly",
                "POPLATEK PO OBRATU": "after_transaction",
            },
        ),
        day("opened_on", "date"),
    ),
    event="opened_on",
    known="event_ts",  # the bank opens the account itself
    references=(Reference("district_id", "district"),),
)
ACCOUNT_HOLDER = TableMapping(
    "account_holder",
    "disp",
    (
        number("holder_id", "bigint", "disp_id"),
        number("customer_id", "bigint", "client_id"),
        number("account_id", "bigint"),
        words("role", "type", {"OWNER": "owner", "DISPONENT": "authorised"}),
    ),
    event="CAST(NULL AS TIMESTAMP)",
    # An account has its owner from its first day; when somebody else was authorised isn't in the source.
    known=f"CASE WHEN role = 'owner' THEN CAST(opened_on AS TIMESTAMP) ELSE {EXTRACT} END",
    references=(Reference("account_id", "account", ("opened_on",)), Reference("customer_id", "customer")),
)
CARD = TableMapping(
    "card",
    "card",
    (
        number("card_id", "bigint"),
        number("holder_id", "bigint", "disp_id"),
        words("card_type", "type", {"junior": "junior", "classic": "classic", "gold": "gold"}),
        day("issued_on", "issued", " 00:00:00"),
    ),
    event="issued_on",
    known="event_ts",  # the bank issues the card itself
    references=(Reference("holder_id", "account_holder"),),
)
STANDING_ORDER = TableMapping(
    "standing_order",
    "order",
    (
        number("order_id", "bigint"),
        number("account_id", "bigint"),
        text("counterparty_bank", "bank_to"),
        _counterparty("bank_to", "account_to"),
        number("amount", MONEY),
        words("purpose", "k_symbol", PURPOSES),
    ),
    event="CAST(NULL AS TIMESTAMP)",
    known=EXTRACT,
    references=(Reference("account_id", "account"),),
    missing={"account_to": ("0",)},
)
LOAN = TableMapping(
    "loan",
    "loan",
    (
        number("loan_id", "bigint"),
        number("account_id", "bigint"),
        day("opened_on", "date"),
        number("principal", MONEY, "amount"),
        number("term_months", "int", "duration"),
        number("instalment_amt", MONEY, "payments"),
    ),
    event="opened_on",
    known="event_ts",  # the bank grants the loan itself
    references=(Reference("account_id", "account"),),
)
LOAN_OUTCOME = TableMapping(
    "loan_outcome",
    "loan",
    (
        number("loan_id", "bigint"),
        words("status", "status", STATUSES),
        _status_flag("is_bad", "BD", "int"),
        _status_flag("is_running", "CD", "boolean"),
    ),
    # Finished loans (A, B) are judged at maturity, running ones (C, D) when the data were drawn.
    event=f"CASE WHEN is_running THEN {EXTRACT} ELSE LEAST({MATURITY}, {EXTRACT}) END",
    known="event_ts",
    references=(Reference("loan_id", "loan", ("opened_on", "term_months")),),
)
TRANSACTION = TableMapping(
    "transaction",
    "trans",
    (
        number("transaction_id", "bigint", "trans_id"),
        number("account_id", "bigint"),
        day("posted_on", "date"),
        number("amount", MONEY),
        words("direction", "type", DIRECTIONS),
        Field("channel", "operation", _channel, expected(CHANNELS)),
        words("purpose", "k_symbol", PURPOSES),
        text("counterparty_bank", "bank"),
        _counterparty("bank", "account"),
        number("balance_after", MONEY, "balance"),
    ),
    event="posted_on",
    known="event_ts + INTERVAL 1 DAY",  # a day's postings are in the books the next morning
    references=(Reference("account_id", "account"),),
    missing={"account": ("0",)},
)
# In the order in which they refer to each other.
MAPPINGS = (DISTRICT, CUSTOMER, ACCOUNT, ACCOUNT_HOLDER, CARD, STANDING_ORDER, LOAN, LOAN_OUTCOME, TRANSACTION)
