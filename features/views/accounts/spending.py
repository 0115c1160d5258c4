"""Spending: what leaves the account, how often, in what sizes and through which channel."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import transaction_view

DEBIT = "direction = 'debit'"

spending = transaction_view(
    "spending",
    "Money leaving the account in the days before, by channel and destination.",
    windowed("amount", label="outflow", where=DEBIT, aggs=("sum",), days=(30, 90, 365), unit="amt"),
    windowed("amount", label="outflow", where=DEBIT, aggs=("count",), days=(30, 90)),
    windowed("amount", label="outflow", where=DEBIT, aggs=("mean", "max"), days=(90,), unit="amt"),
    windowed(
        "amount",
        label="outflow",
        where=DEBIT,
        by=("channel", ("cash", "transfer")),
        aggs=("sum",),
        days=(90,),
        unit="amt",
    ),
    windowed("counterparty_hash", label="payees", where=DEBIT, aggs=("distinct",), days=(90, 365)),
    windowed(
        "amount", label="statement_fee", where="purpose = 'statement_fee'", aggs=("sum",), days=(180,), unit="amt"
    ),
    windowed(
        "amount",
        label="inflow",
        where="direction = 'credit'",
        aggs=("sum",),
        days=(30, 90, 365),
        unit="amt",
        intermediate=True,
    ),
    derived(
        "outflow_to_inflow_90d",
        "spending_outflow_sum_90d_amt / nullif(spending_inflow_sum_90d_amt, 0)",
        unit="ratio",
        description="outflow as a share of inflow over 90 days; null without inflow",
    ),
    derived(
        "outflow_to_inflow_365d",
        "spending_outflow_sum_365d_amt / nullif(spending_inflow_sum_365d_amt, 0)",
        unit="ratio",
        description="outflow as a share of inflow over 365 days; null without inflow",
    ),
    derived(
        "cash_share_90d",
        "spending_outflow_cash_sum_90d_amt / nullif(spending_outflow_sum_90d_amt, 0)",
        unit="ratio",
        description="cash withdrawals as a share of outflow over 90 days",
    ),
    derived(
        "outflow_trend_30d_to_90d",
        "3 * spending_outflow_sum_30d_amt / nullif(spending_outflow_sum_90d_amt, 0)",
        unit="ratio",
        description="outflow of the last 30 days against the monthly mean of the last 90; 1 is steady",
    ),
)
