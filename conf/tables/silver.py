"""Silver tables that every bank has; what only some sources deliver may be null.

Typed, validated, de-duplicated rows, one contract a table, two clocks on every row.
"""

from __future__ import annotations

from strata.conf.contracts import Layer, Personal, Table, col, rule
from strata.conf.tables.people import EDUCATION
from strata.conf.tables.shapes import CURRENCY, RATE, listed, money, optional, person, silver, token

customer = silver(
    "customer",
    "one row a customer and period",
    "People the bank serves; periods are [valid_from, valid_to). Age, gender and marital status are protected: "
    "for fairness reports, never a model's input.",
    ("customer_id", "valid_from", "known_ts"),
    [
        person(description="the bank's number of the customer"),
        optional("birth_date", "date", "date of birth", personal=Personal.QUASI, protected=True),
        optional("gender", "string", "F or M", personal=Personal.QUASI, protected=True),
        optional("district_id", "int", "district of residence", personal=Personal.QUASI),
        token("id_hash", "the ID number", nullable=True),
        token("phone_hash", "the phone", nullable=True),
        token("home_address_hash", "the home address", nullable=True),
        optional("marital_status", "string", "single, married, divorced, widowed", protected=True),
        optional("education_level", "string", f"as declared: {', '.join(EDUCATION)}"),
        optional("employer_id", "bigint", "where the customer works"),
        optional("occupation", "string", "occupation"),
        optional("opened_on", "date", "since when a customer"),
        optional("branch_id", "int", "whose customer"),
        optional("manager_id", "int", "who looks after the customer"),
        optional("acquisition_channel", "string", "branch, app, referral, partner, payroll"),
        col("valid_from", "date", "first day of the period"),
        optional("valid_to", "date", "first day after the period; null while it lasts"),
    ],
    [
        rule("gender IN ('F', 'M')", "gender is neither F nor M"),
        listed("marital_status", "single", "married", "divorced", "widowed"),
        listed("education_level", *EDUCATION),
        rule("valid_to > valid_from", "the period ends before it begins"),
    ],
    dated=False,
)
account = silver(
    "account",
    "one row an account",
    "Current accounts; what changes (closing) is a later version.",
    ("account_id", "known_ts"),
    [
        col("account_id", "bigint", "the account"),
        optional("district_id", "int", "district of the branch"),
        optional("statement_frequency", "string", "monthly, weekly or after_transaction"),
        optional("product_code", "string", "the product"),
        col("opened_on", "date", "day of opening"),
        optional("closed_on", "date", "day of closing; null while open"),
        optional("status", "string", "active, dormant, frozen, closed"),
        token("account_hash", "the account number, as counterparties have it", nullable=True),
    ],
    [
        listed("statement_frequency", "monthly", "weekly", "after_transaction"),
        listed("status", "active", "dormant", "frozen", "closed"),
    ],
)
account_holder = silver(
    "account_holder",
    "one row an account and person",
    "Who may use an account. The owner is known from the opening; a source without dates says of others only who.",
    ("holder_id", "known_ts"),
    [
        col("holder_id", "bigint", "the right to use"),
        person(description="the person"),
        col("account_id", "bigint", "the account"),
        col("role", "string", "owner, joint or authorised"),
    ],
    [listed("role", "owner", "joint", "authorised")],
    dated=False,
)
card = silver(
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
    [listed("card_type", "junior", "classic", "gold")],
)
district = silver(
    "district",
    "one row a district",
    "Districts. The figures of the Czech bank are of 1995 and 1996, so of no use as of an earlier date.",
    ("district_id", "known_ts"),
    [
        col("district_id", "int", "the district"),
        col("name", "string", "its name"),
        optional("region", "string", "its region"),
        optional("population", "int", "inhabitants", unit="people"),
        optional("lat", "double", "latitude of its middle", unit="degrees"),
        optional("lon", "double", "longitude of its middle", unit="degrees"),
        optional("average_salary_amt", "int", "average salary", unit=f"{CURRENCY} a month"),
        optional("municipalities_to_499", "int", "municipalities with under 500 inhabitants"),
        optional("municipalities_to_1999", "int", "municipalities with 500 to 1,999 inhabitants"),
        optional("municipalities_to_9999", "int", "municipalities with 2,000 to 9,999 inhabitants"),
        optional("municipalities_over_9999", "int", "municipalities with 10,000 inhabitants or more"),
        optional("cities", "int", "cities"),
        optional("urban_ratio", "decimal(5,1)", "share of urban inhabitants", unit="%"),
        optional("unemployment_1995_ratio", "decimal(5,2)", "unemployment 1995", unit="%"),
        optional("unemployment_1996_ratio", "decimal(5,2)", "unemployment 1996", unit="%"),
        optional("entrepreneurs_per_1000", "int", "entrepreneurs per 1,000 inhabitants"),
        optional("crimes_1995_cnt", "int", "crimes committed 1995"),
        optional("crimes_1996_cnt", "int", "crimes committed 1996"),
    ],
    [rule("population > 0", "no inhabitants")],
    dated=False,
)
standing_order = silver(
    "standing_order",
    "one row an order",
    "Standing orders. The source has no date and every granted loan has its repayment order here: never a feature.",
    "order_id",
    [
        col("order_id", "bigint", "the order"),
        col("account_id", "bigint", "the paying account"),
        col("counterparty_bank", "string", "bank of the payee", nullable=True),
        token("counterparty_hash", "the payee's account", nullable=True),
        money("amount", "amount of each payment"),
        col("purpose", "string", "household, insurance, loan_payment, leasing", nullable=True),
    ],
    [rule("amount >= 0", "negative amount")],
    dated=False,
)
transaction = silver(
    "transaction",
    "one row a posting",
    "Postings on accounts. PARTIAL in the embedded data: transaction_coverage says where they are whole.",
    ("transaction_id", "known_ts"),
    [
        col("transaction_id", "bigint", "the posting"),
        col("account_id", "bigint", "the account"),
        money("amount", "amount, not negative"),
        col("direction", "string", "credit or debit"),
        optional("channel", "string", "cash, transfer, card or internal"),
        optional("merchant_category", "string", "kind of merchant of a card payment"),
        col("purpose", "string", "what it was for, where the source says so", nullable=True),
        col("counterparty_bank", "string", "bank of the other side", nullable=True),
        token("counterparty_hash", "the other side's account", nullable=True),
        money("balance_after", "balance after the posting", nullable=True),
    ],
    [
        rule("amount >= 0", "negative amount"),
        listed("direction", "credit", "debit"),
        listed("channel", "cash", "transfer", "card", "internal"),
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
loan = silver(
    "loan",
    "one row a loan",
    "Loans as granted. What became of them stands in loan_outcome, with its own known time.",
    ("loan_id", "known_ts"),
    [
        col("loan_id", "bigint", "the loan"),
        col("account_id", "bigint", "the account it was granted on"),
        optional("application_id", "bigint", "the application it came from"),
        optional("product_code", "string", "the product"),
        optional("annual_rate", RATE, "annual rate"),
        col("opened_on", "date", "day of the grant"),
        money("principal", "amount granted"),
        col("term_months", "int", "agreed term", unit="months"),
        money("instalment_amt", "monthly instalment"),
    ],
    [
        rule("principal > 0", "principal is not positive"),
        rule("term_months > 0", "term is not positive"),
        rule("instalment_amt > 0", "instalment is not positive"),
    ],
)
loan_outcome = silver(
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
    [listed("status", "A", "B", "C", "D")],
)
