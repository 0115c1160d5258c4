"""Customer segments of the embedded bank: which behaviour is read, in which words."""

from __future__ import annotations

from strata.models.segmentation.clusters import ClusterSpec

KEY = "account_id"
# The last own posting, how many in 90 days, and how much left the account in them.
RFM = {
    "recency": "activity_since_last_posting_days",
    "frequency": "activity_posting_count_90d_cnt",
    "monetary": "spending_outflow_sum_90d_amt",
}
# What an account is worth to the bank: what it holds.
VALUE = "balance_posted_mean_90d_amt"
WORDS = {
    "income_inflow_sum_90d_amt": "income",
    "balance_posted_mean_90d_amt": "balance",
    "activity_posting_count_90d_cnt": "activity",
    "spending_cash_share_90d_ratio": "cash use",
    "household_committed_sum_90d_amt": "household payments",
    "tenure_account_days": "tenure",
}
LOGS = ("income_inflow_sum_90d_amt", "balance_posted_mean_90d_amt", "activity_posting_count_90d_cnt",
        "household_committed_sum_90d_amt")  # fmt: skip


def cluster_spec() -> ClusterSpec:
    """Clusters of behaviour, numbered by income."""
    return ClusterSpec(
        key=KEY, features=tuple(WORDS), words=WORDS, log_features=LOGS, order_by="income_inflow_sum_90d_amt"
    )
