"""Applications: what credit was asked for here, when, how, and what came of it."""

from __future__ import annotations

from strata.features.definitions.items import windowed
from strata.features.views.common import customer_events, pace, share, since

applications = customer_events(
    "applications",
    "loan_application",
    "application_id",
    "Loan applications; decisions count from when they were made.",
    windowed("application_id", label="asked", aggs=("count",), days=(30, 90, 365, 730)),
    windowed("application_id", label="asked", by=("channel", ("app", "branch", "partner", "manager")),
             aggs=("count",), days=(365,)),
    windowed("application_id", label="asked", by=("decision", ("approved", "declined", "withdrawn")),
             aggs=("count",), days=(365,)),
    windowed("requested_amount", label="amount", aggs=("last", "mean", "max"), days=(365,), unit="amt"),
    windowed("term_months", label="term", aggs=("last", "mean"), days=(365,), unit="months"),
    windowed("offered_rate", label="rate", aggs=("last", "mean"), days=(365,), unit="ratio"),
    windowed("scene", label="scenes", where="scene <> 'none'", aggs=("distinct",), days=(365,)),
    windowed("product_code", label="products", aggs=("distinct",), days=(730,)),
    *since("applications", "since_application", 730, "days since the last application; null when none in two years"),
    share("declined_share_365d", "applications_asked_declined_count_365d_cnt", "applications_asked_count_365d_cnt",
          "applications declined in a year"),
    pace("amount_pace", "applications_amount_last_365d_amt", "applications_amount_mean_365d_amt", 1,
         "latest amount asked for against the year's mean"),
)  # fmt: skip
