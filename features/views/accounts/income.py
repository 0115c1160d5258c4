"""Income: how much comes in, and how regularly, month by month."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import transaction_view

# Interest is the bank's own money, not income.
CREDIT = "direction = 'credit' AND coalesce(purpose, '') <> 'interest'"
MONTHS = (30, 60, 90, 120, 150, 180)


def _month_sums() -> str:
    """The six 30-day slices before the spine's time as an array, newest first: differences of nested windows."""
    names = [f"income_credit_sum_{days}d_amt" for days in MONTHS]
    slices = [names[0]] + [f"{longer} - {shorter}" for shorter, longer in zip(names, names[1:])]
    return f"array({', '.join(f'CAST({part} AS double)' for part in slices)})"


_MEAN = "CAST(income_credit_sum_180d_amt AS double) / 6"
_SQUARES = f"aggregate({_month_sums()}, 0D, (total, x) -> total + power(x - {_MEAN}, 2))"

income = transaction_view(
    "income",
    "Money arriving on the account, without the bank's interest: level, regularity, pensions.",
    windowed("amount", label="credit", where=CREDIT, aggs=("sum",), days=MONTHS, unit="amt", intermediate=True),
    windowed("amount", label="inflow", where=CREDIT, aggs=("sum",), days=(30, 90, 365), unit="amt"),
    windowed("amount", label="inflow", where=CREDIT, aggs=("count", "mean", "max"), days=(90,), unit="amt"),
    windowed("event_ts", label="latest", where=CREDIT, aggs=("last",), days=(365,), intermediate=True),
    windowed("amount", label="pension", where="purpose = 'pension'", aggs=("count", "sum"), days=(90,), unit="amt"),
    derived("monthly_mean_180d", _MEAN, unit="amt", description="mean of the six 30-day sums of credits"),
    derived(
        "monthly_std_180d", f"sqrt({_SQUARES} / 5)", unit="amt", description="sample deviation of the six 30-day sums"
    ),
    derived(
        "monthly_variation_180d",
        "income_monthly_std_180d_amt / nullif(income_monthly_mean_180d_amt, 0)",
        unit="ratio",
        description="deviation of the six 30-day sums as a share of their mean; 0 is as regular as can be",
    ),
    derived(
        "months_with_income_180d",
        f"size(filter({_month_sums()}, x -> x > 0))",
        unit="cnt",
        description="30-day slices, of the last six, with any credit",
    ),
    derived(
        "pension_90d",
        "CAST(income_pension_count_90d_cnt > 0 AS int)",
        unit="flag",
        description="1 when a pension arrived in the last 90 days",
    ),
    derived(
        "since_last_credit",
        "datediff(:at, income_latest_last_365d)",
        unit="days",
        description="days since the last credit; null when none in 365 days",
    ),
    derived(
        "inflow_trend_90d_to_365d",
        "365 * income_inflow_sum_90d_amt / nullif(90 * income_inflow_sum_365d_amt, 0)",
        unit="ratio",
        description="inflow a day over 90 days against 365; 1 is steady",
    ),
)
