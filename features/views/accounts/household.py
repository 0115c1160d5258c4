"""Household: payments for housing, insurance, leasing and loans, and what part of the outflow they take."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import transaction_view

DEBIT = "direction = 'debit'"
COMMITTED = "direction = 'debit' AND purpose IN ('household', 'insurance', 'leasing', 'loan_payment')"

household = transaction_view(
    "household",
    "Regular commitments as seen in postings: household, insurance, leasing and loan payments.",
    windowed(
        "amount",
        label="paid",
        where=DEBIT,
        by=("purpose", ("household", "insurance", "leasing", "loan_payment")),
        aggs=("sum",),
        days=(90,),
        unit="amt",
    ),
    windowed(
        "amount", label="paid", where=DEBIT, by=("purpose", ("household", "insurance")), aggs=("count",), days=(180,)
    ),
    windowed("amount", label="committed", where=COMMITTED, aggs=("sum",), days=(90, 180), unit="amt"),
    windowed("amount", label="outflow", where=DEBIT, aggs=("sum",), days=(180,), unit="amt", intermediate=True),
    windowed(
        "amount",
        label="inflow",
        where="direction = 'credit'",
        aggs=("sum",),
        days=(180,),
        unit="amt",
        intermediate=True,
    ),
    derived(
        "committed_share_180d",
        "household_committed_sum_180d_amt / nullif(household_outflow_sum_180d_amt, 0)",
        unit="ratio",
        description="commitments as a share of outflow over 180 days",
    ),
    derived(
        "committed_to_inflow_180d",
        "household_committed_sum_180d_amt / nullif(household_inflow_sum_180d_amt, 0)",
        unit="ratio",
        description="commitments as a share of inflow over 180 days",
    ),
)
