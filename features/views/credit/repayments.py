"""Repayments: what was paid back, how, and how late somebody has been (履约)."""

from __future__ import annotations

from strata.features.definitions.items import windowed
from strata.features.views.common import BORROWER, OWNER_OF_ACCOUNT, RISK_ALONE, customer_events, share, since, streak

repayments = customer_events(
    "repayments",
    "repayment",
    ("repayment_id", "customer_id"),
    "Payments on a customer's loans.",
    windowed("paid_amount", label="paid", aggs=("sum",), days=(30, 90, 365), unit="amt"),
    windowed("paid_amount", label="paid", aggs=("count",), days=(90, 365)),
    windowed("repayment_id", label="autopaid", where="is_autopay", aggs=("count",), days=(90, 365)),
    windowed("loan_id", label="loans", aggs=("distinct",), days=(90, 365)),
    *since("repayments", "since_paid", 365, "days since the last repayment; null when none in a year"),
    *streak("repayments", "paid_in_a_row", 24, "months in a row, before this one, with a repayment, up to 24",
            label="paid"),
    share("autopay_share_365d", "repayments_autopaid_count_365d_cnt", "repayments_paid_count_365d_cnt",
          "payments drawn by the bank itself"),
    purposes=RISK_ALONE,
    links=BORROWER,
)  # fmt: skip

arrears = customer_events(
    "arrears",
    "delinquency",
    ("loan_id", "month_end", "customer_id"),
    "Month ends of a customer's loans: days past due (DPD), buckets, balances.",
    windowed("days_past_due", label="dpd", aggs=("max", "last"), days=(92, 184, 365), unit="days", type="int"),
    windowed("days_past_due", label="dpd", aggs=("mean",), days=(365,), unit="days"),
    windowed("month_end", label="months_late", where="days_past_due > 0", aggs=("distinct",), days=(92, 184, 365)),
    *(windowed("month_end", label=f"months_over_{days}", where=f"days_past_due > {days}", aggs=("distinct",),
               days=(365,)) for days in (30, 60, 90)),
    windowed("month_end", label="months_lent", aggs=("distinct",), days=(365,)),
    windowed("overdue_amount", label="overdue", aggs=("last", "max"), days=(92,), unit="amt"),
    windowed("balance", label="owed", aggs=("last", "max"), days=(92,), unit="amt"),
    windowed("loan_id", label="written_off", where="is_written_off", aggs=("distinct",), days=(730,)),
    *streak("arrears", "late_in_a_row", 12, "month ends in a row in arrears, before this month, up to 12",
            label="late", where="days_past_due > 0"),
    *since("arrears", "since_late", 730,
           "days since the last month end in arrears; null when none in two years",
           label="late", where="days_past_due > 0"),
    share("late_share_365d", "arrears_months_late_distinct_365d_cnt", "arrears_months_lent_distinct_365d_cnt",
          "month ends in arrears, of those with a loan"),
    purposes=RISK_ALONE,
    links=BORROWER,
)  # fmt: skip

loans = customer_events(
    "loans",
    "loan",
    ("loan_id", "customer_id"),
    "Loans granted to a customer.",
    windowed("loan_id", label="granted", aggs=("count",), days=(90, 365, 1095)),
    windowed("principal", label="granted", aggs=("sum", "max", "last"), days=(365, 1095), unit="amt"),
    windowed("instalment_amt", label="instalments", aggs=("sum",), days=(365,), unit="amt"),
    windowed("annual_rate", label="rate", aggs=("last", "mean"), days=(1095,), unit="ratio"),
    windowed("term_months", label="term", aggs=("last",), days=(1095,), unit="months"),
    windowed("product_code", label="products", aggs=("distinct",), days=(1095,)),
    *since("loans", "since_granted", 1095, "days since the last grant; null when none in three years"),
    links=(OWNER_OF_ACCOUNT,),
)  # fmt: skip
