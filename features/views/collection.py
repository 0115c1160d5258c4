"""Collection (催收): what was tried, who was reached, and what was promised."""

from __future__ import annotations

from strata.features.definitions import windowed
from strata.features.views.common import BORROWER, customer_events, share, since

OUTCOMES = ("promise", "contact", "no_contact", "refusal")

collection = customer_events(
    "collection",
    "collection_action",
    ("action_id", "customer_id"),
    "Actions on a customer's loans.",
    windowed("action_id", label="actions", aggs=("count",), days=(30, 90, 365)),
    windowed("action_id", label="actions", by=("outcome", OUTCOMES), aggs=("count",), days=(90, 365)),
    windowed("action_id", label="actions", by=("stage", ("early", "late")), aggs=("count",), days=(365,)),
    windowed("promised_amount", label="promised", aggs=("sum", "last"), days=(90,), unit="amt"),
    windowed("channel", label="channels", aggs=("distinct",), days=(365,)),
    *since("collection", "since_action", 365, "days since the last action; null when none in a year"),
    share("reached_share_365d",
          "(collection_actions_promise_count_365d_cnt + collection_actions_contact_count_365d_cnt "
          "+ collection_actions_refusal_count_365d_cnt)",
          "collection_actions_count_365d_cnt", "actions that reached the person"),
    share("promise_share_365d", "collection_actions_promise_count_365d_cnt", "collection_actions_count_365d_cnt",
          "actions that ended in a promise"),
    purposes=("monitoring", "collection"),
    links=BORROWER,
)  # fmt: skip
