"""Silver: typed, validated, de-duplicated rows, one contract a table, two clocks on every row."""

from __future__ import annotations

from strata.conf.contracts import Check, Column, Layer, Personal, Table, col, rule

EVENT = col("event_ts", "timestamp", "when it happened, midnight of the bank day where the source has no time")
UNDATED = col("event_ts", "timestamp", "null: the source gives no date", nullable=True)
KNOWN = col("known_ts", "timestamp", "when the bank could first have used it")
KNOWN_AFTER = rule("event_ts IS NULL OR known_ts >= event_ts", "known before it happened")
MONEY = "decimal(18,2)"


def _silver(
    name: str,
    grain: str,
    description: str,
    key: str,
    columns: list[Column],
    checks: list[Check],
    dated: bool = True,
) -> Table:
    return Table(
        name=name,
        layer=Layer.SILVER,
        grain=grain,
        description=description,
        key=(key,),
        columns=(*columns, EVENT if dated else UNDATED, KNOWN),
        checks=(*checks, KNOWN_AFTER),
    )


customer = _silver(
    "customer",
    "one row a customer",
    "People the bank serves. Age and gender are protected: for fairness reports, never a model's input.",
    "customer_id",
    [
        col("customer_id", "bigint", "the bank's number of the customer", personal=Personal.QUASI),
        col("birth_date", "date", "date of birth", personal=Personal.QUASI, protected=True),
        col("gender", "string", "F or M", personal=Personal.QUASI, protected=True),
        col("district_id", "int", "district of residence", personal=Personal.QUASI),
    ],
    [rule("gender IN ('F', 'M')", "gender is neither F nor M")],
    dated=False,
)
account = _silver(
    "account",
    "one row an account",
    "Current accounts.",
    "account_id",
    [
        col("account_id", "bigint", "the account"),
        col("district_id", "int", "district of the branch"),
        col("statement_frequency", "string", "monthly, weekly or after_transaction"),
        col("opened_on", "date", "day of opening"),
    ],
    [rule("statement_frequency IN ('monthly', 'weekly', 'after_transaction')", "unknown statement frequency")],
)
account_holder = _silver(
    "account_holder",
    "one row an account and person",
    "Who may use an account. The owner is known from the opening; when others were added is not in the source.",
    "holder_id",
    [
        col("holder_id", "bigint", "the right to use"),
        col("customer_id", "bigint", "the person", personal=Personal.QUASI),
        col("account_id", "bigint", "the account"),
        col("role", "string", "owner or authorised"),
    ],
    [rule("role IN ('owner', 'authorised')", "unknown role")],
    dated=False,
)
card = _silver(
    "card",
    "one row a card",
    "Payment cards issued on a right to use an account.",
    "card_id",
    [
        col("card_id", "bigint", "the card"),
        col("holder_id", "bigint", "whose right to use"),
        col("card_type", "string", "junior, classic or gold"),
        col("issued_on", "date", "day of issue"),
    ],
    [rule("card_type IN ('junior', 'classic', 'gold')", "unknown card type")],
)
district = _silver(
    "district",
    "one row a district",
    "Districts with figures of 1995 and 1996, so of no use as of an earlier date.",
    "district_id",
    [
        col("district_id", "int", "the district"),
        col("name", "string", "its name"),
        col("region", "string", "its region"),
        col("population", "int", "inhabitants", unit="people"),
        col("municipalities_to_499", "int", "municipalities with under 500 inhabitants"),
        col("municipalities_to_1999", "int", "municipalities with 500 to 1,999 inhabitants"),
        col("municipalities_to_9999", "int", "municipalities with 2,000 to 9,999 inhabitants"),
        col("municipalities_over_9999", "int", "municipalities with 10,000 inhabitants or more"),
        col("cities", "int", "cities"),
        col("urban_ratio", "decimal(5,1)", "share of urban inhabitants", unit="%"),
        col("average_salary_amt", "int", "average salary", unit="CZK a month"),
        col("unemployment_1995_ratio", "decimal(5,2)", "unemployment 1995", unit="%", nullable=True),
        col("unemployment_1996_ratio", "decimal(5,2)", "unemployment 1996", unit="%"),
        col("entrepreneurs_per_1000", "int", "entrepreneurs per 1,000 inhabitants"),
        col("crimes_1995_cnt", "int", "crimes committed 1995", nullable=True),
        col("crimes_1996_cnt", "int", "crimes committed 1996"),
    ],
    [rule("population > 0", "no inhabitants")],
)
standing_order = _silver(
    "standing_order",
    "one row an order",
    "Standing orders. The source has no date and every granted loan has its repayment order here: never a feature.",
    "order_id",
    [
        col("order_id", "bigint", "the order"),
        col("account_id", "bigint", "the paying account"),
        col("counterparty_bank", "string", "bank of the payee", nullable=True),
        col(
            "counterparty_hash",
            "string",
            "keyed token of the payee's account",
            personal=Personal.QUASI,
            nullable=True,
        ),
        col("amount", MONEY, "amount of each payment", unit="CZK"),
        col("purpose", "string", "household, insurance, loan_payment, leasing", nullable=True),
    ],
    [rule("amount >= 0", "negative amount")],
    dated=False,
)
transaction = _silver(
    "transaction",
    "one row a posting",
    "Postings on accounts. PARTIAL in the embedded data: transaction_coverage says where they are whole.",
    "transaction_id",
    [
        col("transaction_id", "bigint", "the posting"),
        col("account_id", "bigint", "the account"),
        col("amount", MONEY, "amount, not negative", unit="CZK"),
        col("direction", "string", "credit or debit"),
        col("channel", "string", "cash, transfer, card or internal"),
        col("purpose", "string", "what it was for, where the source says so", nullable=True),
        col("counterparty_bank", "string", "bank of the other side", nullable=True),
        col(
            "counterparty_hash",
            "string",
            "keyed token of the other side's account",
            personal=Personal.QUASI,
            nullable=True,
        ),
        col("balance_after", MONEY, "balance after the posting", unit="CZK"),
    ],
    [
        rule("amount >= 0", "negative amount"),
        rule("direction IN ('credit', 'debit')", "unknown direction"),
        rule("channel IN ('cash', 'transfer', 'card', 'internal')", "unknown channel"),
    ],
)
transaction_coverage = Table(
    name="transaction_coverage",
    layer=Layer.SILVER,
    grain="one row an account and span of days",
    description="Where the partial transactions are whole: every posting in [covered_from, covered_to) is there.",
    key=("account_id", "covered_from"),
    columns=(
        col("account_id", "bigint", "the account"),
        col("covered_from", "date", "first whole day"),
        col("covered_to", "date", "first day that is not whole any more"),
        col("_source", "string", "the delivery that says so"),
    ),
    checks=(rule("covered_to > covered_from", "empty span"),),
)
loan = _silver(
    "loan",
    "one row a loan",
    "Loans as granted. What became of them stands in loan_outcome, with its own known time.",
    "loan_id",
    [
        col("loan_id", "bigint", "the loan"),
        col("account_id", "bigint", "the account it was granted on"),
        col("opened_on", "date", "day of the grant"),
        col("principal", MONEY, "amount granted", unit="CZK"),
        col("term_months", "int", "agreed term", unit="months"),
        col("instalment_amt", MONEY, "monthly instalment", unit="CZK"),
    ],
    [
        rule("principal > 0", "principal is not positive"),
        rule("term_months > 0", "term is not positive"),
        rule("instalment_amt > 0", "instalment is not positive"),
    ],
)
loan_outcome = _silver(
    "loan_outcome",
    "one row a loan",
    "How a loan went: A paid, B finished unpaid, C running well, D running in debt (C and D are censored).",
    "loan_id",
    [
        col("loan_id", "bigint", "the loan"),
        col("status", "string", "A, B, C or D"),
        col("is_bad", "int", "1 for B and D, else 0"),
        col("is_running", "boolean", "whether the loan was still running at the extract"),
    ],
    [rule("status IN ('A', 'B', 'C', 'D')", "unknown status")],
)
