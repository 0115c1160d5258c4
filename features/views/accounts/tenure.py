"""Tenure: how long the account has been open, and since when and how lately it is used."""

from __future__ import annotations

from strata.features.definitions.items import derived, state, windowed
from strata.features.views.common import account_view, transaction_view

tenure = account_view(
    "tenure",
    "The age of the account.",
    state("opened_on", label="opened", intermediate=True),
    derived("account", "datediff(:at, tenure_opened)", unit="days", description="days since the account was opened"),
)

activity = transaction_view(
    "activity",
    "Since when and how lately the account is used.",
    windowed("event_ts", label="posting", aggs=("min", "last"), days=(365,), intermediate=True),
    windowed("amount", label="posting", aggs=("count",), days=(30, 90, 365)),
    derived(
        "since_first_posting_365d",
        "datediff(:at, activity_posting_min_365d)",
        unit="days",
        description="days since the first posting within 365 days; null without any",
    ),
    derived(
        "since_last_posting",
        "datediff(:at, activity_posting_last_365d)",
        unit="days",
        description="days since the last posting; null when none in 365 days",
    ),
)
