"""Collection (催收): what was tried, who was reached, and what was promised."""

from __future__ import annotations

from strata.features.definitions.items import windowed
from strata.features.definitions.links import Link
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

# A payment may keep any promise of its loan that was given before it; two weeks are how long one is waited for.
PROMISE_OF_LOAN = Link(
    "collection_action", (("loan_id", "loan_id"),), ("action_id", ("event_ts", "promised_ts")), "outcome = 'promise'"
)
KEPT = "event_ts >= promised_ts AND event_ts < promised_ts + INTERVAL 14 DAYS"

promises = customer_events(
    "promises",
    "repayment",
    ("repayment_id", "action_id", "customer_id"),
    "Promises to pay that a payment followed within two weeks.",
    windowed("action_id", label="kept", where=KEPT, aggs=("distinct",), days=(90, 365)),
    *since("promises", "since_kept", 730, "days since a promise was last kept; null when none in two years",
           label="keeping", where=KEPT),
    purposes=("monitoring", "collection"),
    links=(PROMISE_OF_LOAN, *BORROWER),
)  # fmt: skip
