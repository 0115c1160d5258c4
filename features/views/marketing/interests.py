"""Interests (兴趣热点): what is read about, how much, and whether that has changed."""

from __future__ import annotations

from strata.features.definitions.items import windowed
from strata.features.views.common import customer_events, entropy, pace, share, since

TOPICS = ("loan", "wealth", "travel", "car", "baby", "home", "education", "game", "food")
_BY = ("topic", TOPICS)

interests = customer_events(
    "interests",
    "browsing_interest",
    ("customer_id", "topic", "day"),
    "Pages and time by topic. Some topics stand in for gender (see proxy_report).",
    windowed("visits", label="pages", by=_BY, aggs=("sum",), days=(30, 90), unit="num"),
    windowed("seconds", label="time", by=_BY, aggs=("sum",), days=(90,), unit="s"),
    windowed("visits", label="pages", aggs=("sum",), days=(30, 90), unit="num"),
    windowed("topic", label="topics", aggs=("distinct",), days=(30, 90)),
    windowed("day", label="days_read", aggs=("distinct",), days=(30, 90)),
    *since("interests", "since_loan", 90,
           "days since loans were read about; null when not in 90", label="loan", where="topic = 'loan'"),
    share("loan_share_30d", "interests_pages_loan_sum_30d_num", "interests_pages_sum_30d_num", "pages about loans"),
    pace("loan_pace", "interests_pages_loan_sum_30d_num", "interests_pages_loan_sum_90d_num", 3,
         "pages about loans in 30 days against the monthly mean of 90"),
    entropy("spread_90d", [f"interests_pages_{topic}_sum_90d_num" for topic in TOPICS],
            "how evenly reading spreads over topics"),
)  # fmt: skip
