"""Calls (通话记录): whom somebody calls, for how long, by night, and whether those are the contacts declared."""

from __future__ import annotations

from strata.features.definitions.items import windowed
from strata.features.definitions.links import Link
from strata.features.views.common import RISK_ALONE, customer_events, pace, share, since
from strata.features.views.relations.contacts import RELATIONS

# A phone that many give as theirs tells nothing of one of them: the first few count.
OWNER_OF_PHONE = Link("customer", (("caller_hash", "phone_hash"),), ("customer_id",), at_most=5)

calls = customer_events(
    "calls",
    "call_record",
    ("call_id", "customer_id"),
    "Calls from a customer's phones.",
    windowed("call_id", label="made", aggs=("count",), days=(30, 90)),
    windowed("call_id", label="night", where="is_night", aggs=("count",), days=(30, 90)),
    windowed("callee_hash", label="called", aggs=("distinct",), days=(30, 90)),
    windowed("seconds", label="talked", aggs=("sum", "mean", "max"), days=(90,), unit="s"),
    windowed("call_id", label="short", where="seconds < 15", aggs=("count",), days=(90,)),
    windowed("to_date(event_ts)", label="days", aggs=("distinct",), days=(90,)),
    *since("calls", "since_call", 365, "days since the last call; null when none in a year"),
    share("night_share_90d", "calls_night_count_90d_cnt", "calls_made_count_90d_cnt", "calls by night"),
    share("callee_share_90d", "calls_called_distinct_90d_cnt", "calls_made_count_90d_cnt",
          "different people, of all calls: 1 for who never calls twice"),
    pace("pace_30d", "calls_made_count_30d_cnt", "calls_made_count_90d_cnt", 3,
         "30 days against the monthly mean of 90"),
    purposes=RISK_ALONE,
    links=(OWNER_OF_PHONE,),
)  # fmt: skip

# Rows of the owner's book alone: who is called and stands in it.
IN_BOOK = Link(
    "contact_book", (("customer_id", "owner_id"), ("callee_hash", "contact_phone_hash")), ("relation_label",)
)

contact_calls = customer_events(
    "contact_calls",
    "call_record",
    ("call_id", "customer_id"),
    "Calls to people who stand in the caller's own contact book.",
    windowed("callee_hash", label="called", aggs=("distinct",), days=(90, 365)),
    windowed("callee_hash", label="called", by=("relation_label", RELATIONS),
             aggs=("distinct",), days=(365,)),
    windowed("call_id", label="made", aggs=("count",), days=(90,)),
    windowed("seconds", label="talked", aggs=("sum",), days=(90,), unit="s"),
    purposes=RISK_ALONE,
    links=(OWNER_OF_PHONE, IN_BOOK),
)  # fmt: skip
