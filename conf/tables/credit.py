"""Silver: the life of credit, from application to collection, and what bureaus report."""

from __future__ import annotations

from strata.conf.contracts import col, rule
from strata.conf.tables.shapes import MONEY, RATE, listed, money, optional, person, silver

STAGES = ("early", "late")
OUTCOMES = ("promise", "contact", "no_contact", "refusal")
SCENES = ("mall", "auto", "education", "decoration", "medical", "travel", "platform", "none")

loan_application = silver(
    "loan_application",
    "one row an application",
    "Applications and what was decided (预授信/审批); undecided ones are decided by a later version.",
    ("application_id", "known_ts"),
    [
        col("application_id", "bigint", "the application"),
        person(),
        col("product_code", "string", "the product"),
        col("channel", "string", "app, branch, partner, manager"),
        col("scene", "string", ", ".join(SCENES)),
        money("requested_amount", "amount asked for"),
        col("term_months", "int", "term asked for", unit="months"),
        col("purpose", "string", "what the money is for"),
        col("decision", "string", "approved, declined, withdrawn"),
        col("decided_by", "string", "policy, model, person"),
        col("offered_rate", RATE, "annual rate offered", nullable=True),
    ],
    [
        rule("requested_amount > 0", "amount is not positive"),
        listed("decision", "approved", "declined", "withdrawn"),
        listed("channel", "app", "branch", "partner", "manager"),
        listed("scene", *SCENES),
    ],
)
repayment_schedule = silver(
    "repayment_schedule",
    "one row an instalment",
    "What is due when: known from the grant on, before it happens.",
    ("loan_id", "instalment", "known_ts"),
    [
        col("loan_id", "bigint", "the loan"),
        col("instalment", "int", "number of the instalment, from 1"),
        col("due_on", "date", "day due"),
        money("due_amount", "amount due"),
        money("due_principal", "principal in it"),
    ],
    [rule("due_amount > 0", "nothing is due")],
    foreseen=True,
)
repayment = silver(
    "repayment",
    "one row a payment",
    "What was paid back.",
    ("repayment_id", "known_ts"),
    [
        col("repayment_id", "bigint", "the payment"),
        col("loan_id", "bigint", "the loan"),
        col("instalment", "int", "oldest instalment that it pays"),
        col("paid_on", "date", "day of payment"),
        money("paid_amount", "amount paid"),
        col("is_autopay", "boolean", "whether it was drawn from the account by itself"),
    ],
    [rule("paid_amount > 0", "nothing was paid")],
)
delinquency = silver(
    "delinquency",
    "one row a loan and month end",
    "Days past due (DPD) and bucket (M0 to M7) at the end of each month.",
    ("loan_id", "month_end", "known_ts"),
    [
        col("loan_id", "bigint", "the loan"),
        col("month_end", "date", "last day of the month"),
        col("days_past_due", "int", "days since the oldest unpaid due date", unit="days"),
        col("bucket", "string", "M0 to M7, of 30 days each"),
        money("balance", "principal outstanding"),
        money("overdue_amount", "due and unpaid"),
        col("is_written_off", "boolean", "whether it is written off"),
    ],
    [rule("bucket RLIKE '^M[0-7]$'", "unknown bucket"), rule("days_past_due >= 0", "negative days past due")],
)
collection_action = silver(
    "collection_action",
    "one row an action",
    "What was done to collect a debt (催收), and what came of it.",
    ("action_id", "known_ts"),
    [
        col("action_id", "bigint", "the action"),
        col("loan_id", "bigint", "the loan"),
        col("stage", "string", "early (M1, M2) or late (M3 and more)"),
        col("channel", "string", "sms, phone, visit, letter, legal"),
        col("outcome", "string", ", ".join(OUTCOMES)),
        money("promised_amount", "what was promised", nullable=True),
    ],
    [
        listed("stage", *STAGES),
        listed("channel", "sms", "phone", "visit", "letter", "legal"),
        listed("outcome", *OUTCOMES),
    ],
)
bureau_report = silver(
    "bureau_report",
    "one row a report",
    "Reports of the central bank's, private and civil credit bureaus (央行、民营、民间征信): snapshots.",
    ("report_id", "known_ts"),
    [
        col("report_id", "bigint", "the report"),
        person(),
        col("provider", "string", "central_bank, private, civil"),
        col("open_loans", "int", "loans open, at all lenders"),
        col("overdue_months_24m", "int", "months overdue of the last 24"),
        col("inquiries_6m", "int", "inquiries of lenders in six months"),
        money("total_exposure", "debt at all lenders"),
        col("card_utilisation", "double", "card balance by limit", nullable=True),
    ],
    [
        listed("provider", "central_bank", "private", "civil"),
        rule("open_loans >= 0 AND inquiries_6m >= 0", "negative count"),
        rule("overdue_months_24m BETWEEN 0 AND 24", "months are not 0 to 24"),
    ],
)
wealth_holding = silver(
    "wealth_holding",
    "one row a customer, product type and month end",
    "What customers hold beside their accounts (投融资行为).",
    ("customer_id", "product_type", "month_end", "known_ts"),
    [
        person(),
        col("product_type", "string", "money_market, deposit, bond_fund, equity_fund, insurance, gold"),
        col("month_end", "date", "last day of the month"),
        col("balance", MONEY, "value"),
        col("risk_level", "int", "R1 (cautious) to R5 (aggressive)"),
        optional("return_ytd", "double", "return of the year so far", unit="share"),
    ],
    [
        listed("product_type", "money_market", "deposit", "bond_fund", "equity_fund", "insurance", "gold"),
        rule("balance >= 0", "negative balance"),
        rule("risk_level BETWEEN 1 AND 5", "risk level is not 1 to 5"),
    ],
)
