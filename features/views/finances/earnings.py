"""Earnings: wages and other income of a customer's own accounts: how much, from whom, how regularly."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import OWNER_OF_ACCOUNT, customer_events, pace, share, since, streak, with_holidays

SOURCES = ("salary", "pension", "business")
EARNED = "direction = 'credit' AND purpose IN ('salary', 'pension', 'business')"
SALARY = "direction = 'credit' AND purpose = 'salary'"

earnings = customer_events(
    "earnings",
    "transaction",
    ("transaction_id", "customer_id"),
    "What comes in for work, for having worked, and from one's business.",
    windowed("amount", label="in", where="direction = 'credit'", by=("purpose", SOURCES), aggs=("sum",),
             days=(90, 365), unit="amt"),
    windowed("amount", label="in", where=EARNED, aggs=("sum",), days=(30, 90, 180, 365), unit="amt"),
    windowed("amount", label="in", where=EARNED, aggs=("mean", "std", "max", "last"), days=(180,), unit="amt"),
    windowed("trunc(event_ts, 'month')", label="months", where=EARNED, aggs=("distinct",), days=(184, 365)),
    windowed("counterparty_hash", label="payers", where=SALARY, aggs=("distinct",), days=(92, 365)),
    windowed("day(event_ts)", label="payday", where=SALARY, aggs=("mean", "std"), days=(184,), unit="day"),
    *since("earnings", "since_earned", 365, "days since the last income; null when none in a year", where=EARNED),
    *streak("earnings", "earned_in_a_row", 12, "months in a row, before this one, with income, up to 12",
            label="earned", where=EARNED),
    derived("variation_180d", "earnings_in_std_180d_amt / nullif(earnings_in_mean_180d_amt, 0)", unit="ratio",
            description="deviation of single incomes as a share of their mean; 0 is as regular as can be"),
    derived("new_payer", "CAST(earnings_payers_distinct_365d_cnt > 1 AS int)", unit="flag",
            description="1 with more than one payer of wages in a year: a new job, or two"),
    share("salary_share_365d", "earnings_in_salary_sum_365d_amt", "earnings_in_sum_365d_amt", "wages"),
    pace("pace_90d", "earnings_in_sum_90d_amt", "earnings_in_sum_365d_amt", 365 / 90,
         "90 days against the year, both a day; 1 is steady"),
    prepare=with_holidays,
    links=(OWNER_OF_ACCOUNT,),
)  # fmt: skip
