"""Flows: money through a customer's own accounts: in, out, in cash, to whom, and what is left."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import OWNER_OF_ACCOUNT, customer_events, entropy, share, since, with_holidays

# What the bank moves to and from the money market by itself is nobody's doing.
OWN = "coalesce(purpose, '') <> 'money_market'"
IN, OUT = f"direction = 'credit' AND {OWN}", f"direction = 'debit' AND {OWN}"
# What people do themselves: not interest, fees and transfers to their own money market.
THEIRS = "channel <> 'internal'"
CHANNELS = ("card", "transfer", "cash")
REPAID = "purpose = 'loan_payment' AND direction = 'debit'"
SENT, GOT = "direction = 'debit' AND channel = 'transfer'", "direction = 'credit' AND channel = 'transfer'"

flows = customer_events(
    "flows",
    "transaction",
    ("transaction_id", "customer_id"),
    "All postings of a customer's own accounts.",
    windowed("amount", label="in", where=IN, aggs=("sum",), days=(30, 90, 365), unit="amt"),
    windowed("amount", label="out", where=OUT, aggs=("sum",), days=(30, 90, 365), unit="amt"),
    windowed("amount", label="cash", where="channel = 'cash'", aggs=("sum",), days=(90,), unit="amt"),
    windowed("amount", label="cash", where="channel = 'cash'", aggs=("count",), days=(30, 90)),
    windowed("amount", label="sent", where=SENT, aggs=("sum", "max"), days=(30, 90), unit="amt"),
    windowed("amount", label="got", where=GOT, aggs=("sum", "max"), days=(30, 90), unit="amt"),
    windowed("counterparty_hash", label="paid_to", where=SENT, aggs=("distinct",), days=(30, 90, 365)),
    windowed("counterparty_hash", label="paid_by", where=GOT, aggs=("distinct",), days=(30, 90, 365)),
    windowed("amount", label="repaid", where=REPAID, aggs=("sum",),
             days=(90, 365), unit="amt", description="instalments paid from the account"),
    windowed("amount", label="by", where=THEIRS, by=("channel", CHANNELS), aggs=("count",), days=(90,)),
    windowed("to_date(event_ts)", label="active_days", where=THEIRS, aggs=("distinct",), days=(30, 90, 365)),
    *since("flows", "since_own", 730, "days since the last posting of one's own doing: how long an account has slept; "
           "null when none in two years", label="own", where=THEIRS),
    entropy("channel_spread_90d", [f"flows_by_{channel}_count_90d_cnt" for channel in CHANNELS],
            "how evenly postings spread over channels"),
    windowed("amount", label="rent", where="purpose = 'rent'", aggs=("sum",), days=(90,), unit="amt"),
    windowed("balance_after", label="balance", aggs=("mean", "min", "max", "std"), days=(90,), unit="amt"),
    windowed("balance_after", label="balance", aggs=("mean", "min"), days=(365,), unit="amt"),
    windowed("transaction_id", label="postings", aggs=("count",), days=(30, 90, 365)),
    share("out_to_in_90d", "flows_out_sum_90d_amt", "flows_in_sum_90d_amt", "what went out, of what came in"),
    share("passed_on_30d", "least(flows_sent_sum_30d_amt, flows_got_sum_30d_amt)",
          "greatest(flows_sent_sum_30d_amt, flows_got_sum_30d_amt)",
          "how nearly as much was transferred on as came by transfer: 1 for a mule"),
    share("cash_share_90d", "flows_cash_sum_90d_amt", "(flows_in_sum_90d_amt + flows_out_sum_90d_amt)",
          "cash, of all that moved"),
    derived("balance_variation_90d", "flows_balance_std_90d_amt / nullif(flows_balance_mean_90d_amt, 0)",
            unit="ratio", description="deviation of balances as a share of their mean"),
    prepare=with_holidays,
    links=(OWNER_OF_ACCOUNT,),
)  # fmt: skip
