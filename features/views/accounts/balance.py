"""Balance: how high, how low, how steady, and how often below zero."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import transaction_view

_DAY = "to_date(event_ts)"

balance = transaction_view(
    "balance",
    "The balance after each posting of the days before. Postings of one day have no order in the source.",
    windowed("balance_after", label="posted", aggs=("mean",), days=(30, 90, 365), unit="amt"),
    windowed("balance_after", label="posted", aggs=("min",), days=(90, 365), unit="amt"),
    windowed("balance_after", label="posted", aggs=("max", "std"), days=(90,), unit="amt"),
    # The day's postings are not ordered, so the largest balance of the last day stands for its end.
    windowed("balance_after", label="posted", aggs=("last",), days=(365,), unit="amt"),
    windowed(_DAY, label="active_days", aggs=("distinct",), days=(90, 365), intermediate=True),
    windowed(
        _DAY, label="negative_days", where="balance_after < 0", aggs=("distinct",), days=(90, 365), intermediate=True
    ),
    windowed("amount", label="penalty_interest", where="purpose = 'penalty_interest'", aggs=("count",), days=(90, 365)),
    windowed("amount", label="interest", where="purpose = 'interest'", aggs=("sum",), days=(90,), unit="amt"),
    derived(
        "negative_share_90d",
        "balance_negative_days_distinct_90d_cnt / nullif(balance_active_days_distinct_90d_cnt, 0)",
        unit="ratio",
        description="share of the days with postings, of the last 90, on which the balance was below zero",
    ),
    derived(
        "negative_share_365d",
        "balance_negative_days_distinct_365d_cnt / nullif(balance_active_days_distinct_365d_cnt, 0)",
        unit="ratio",
        description="share of the days with postings, of the last 365, on which the balance was below zero",
    ),
    derived(
        "mean_trend_30d_to_365d",
        "balance_posted_mean_30d_amt / nullif(balance_posted_mean_365d_amt, 0)",
        unit="ratio",
        description="mean balance of 30 days against 365; 1 is steady",
    ),
)
