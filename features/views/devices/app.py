"""App: how often, when and for what the app is opened."""

from __future__ import annotations

from strata.features.definitions.items import windowed
from strata.features.views.common import customer_events, entropy, pace, share, since

PAGES = ("home", "balance", "transfer", "loan", "wealth", "profile")
NIGHT = "hour(event_ts) < 6"

app = customer_events(
    "app",
    "app_event",
    "app_event_id",
    "Events in the app, by page, hour and day.",
    windowed("session_id", label="sessions", aggs=("distinct",), days=(7, 30, 90)),
    windowed("app_event_id", label="events", aggs=("count",), days=(30, 90)),
    windowed("app_event_id", label="pages", by=("page", PAGES), aggs=("count",), days=(30, 90)),
    windowed("app_event_id", label="night", where=NIGHT, aggs=("count",), days=(90,)),
    windowed("app_event_id", label="weekend", where="weekday(event_ts) >= 5", aggs=("count",), days=(90,)),
    windowed("to_date(event_ts)", label="active_days", aggs=("distinct",), days=(30, 90)),
    windowed("page", label="kinds", aggs=("distinct",), days=(90,)),
    windowed("dwell_ms", label="dwell", aggs=("mean", "max"), days=(90,), unit="ms"),
    *since("app", "since_event", 365, "days since the app was last opened; null when not in a year"),
    share("night_share_90d", "app_night_count_90d_cnt", "app_events_count_90d_cnt", "events between 0:00 and 6:00"),
    share("weekend_share_90d", "app_weekend_count_90d_cnt", "app_events_count_90d_cnt", "events at weekends"),
    share("loan_share_90d", "app_pages_loan_count_90d_cnt", "app_events_count_90d_cnt", "events on loan pages"),
    pace("sessions_pace", "app_sessions_distinct_30d_cnt", "app_sessions_distinct_90d_cnt", 3,
         "sessions of 30 days against the monthly mean of 90; 1 is steady"),
    entropy("page_spread_90d", [f"app_pages_{page}_count_90d_cnt" for page in PAGES],
            "how evenly events spread over pages"),
)  # fmt: skip
