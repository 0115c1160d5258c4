"""Consumption: what is bought, how steadily, when, and how much of it one can't do without."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import (
    OWNER_OF_ACCOUNT,
    customer_events,
    entropy,
    pace,
    share,
    since,
    streak,
    with_holidays,
)

BOUGHT = "direction = 'debit' AND channel = 'card'"
CATEGORIES = ("food", "transport", "leisure", "health", "clothes", "household", "utilities", "education")
ESSENTIAL = f"{BOUGHT} AND merchant_category IN ('food', 'transport', 'health', 'utilities', 'household')"
NIGHT = f"{BOUGHT} AND (hour(event_ts) >= 22 OR hour(event_ts) < 6)"
HOLIDAY = f"{BOUGHT} AND is_holiday"
WEEKEND = f"{BOUGHT} AND weekday(event_ts) >= 5"

consumption = customer_events(
    "consumption",
    "transaction",
    ("transaction_id", "customer_id"),
    "Card payments of a customer's own accounts.",
    windowed("amount", label="bought", where=BOUGHT, aggs=("sum",), days=(7, 30, 90, 180, 365), unit="amt"),
    windowed("amount", label="bought", where=BOUGHT, aggs=("count",), days=(7, 30, 90, 365)),
    windowed("amount", label="bought", where=BOUGHT, aggs=("mean", "max", "std"), days=(90,), unit="amt"),
    windowed("amount", label="bought", where=BOUGHT, by=("merchant_category", CATEGORIES), aggs=("sum",),
             days=(90, 365), unit="amt"),
    windowed("amount", label="bought", where=BOUGHT, by=("merchant_category", CATEGORIES), aggs=("count",),
             days=(90,), intermediate=True),
    windowed("amount", label="essential", where=ESSENTIAL, aggs=("sum",), days=(90, 365), unit="amt"),
    windowed("amount", label="night", where=NIGHT, aggs=("sum",), days=(90,), unit="amt"),
    windowed("amount", label="weekend", where=WEEKEND, aggs=("sum",), days=(90,), unit="amt"),
    windowed("amount", label="holiday", where=HOLIDAY, aggs=("sum",), days=(365,), unit="amt"),
    windowed("to_date(event_ts)", label="days", where=BOUGHT, aggs=("distinct",), days=(30, 90)),
    windowed("counterparty_hash", label="shops", where=BOUGHT, aggs=("distinct",), days=(30, 90)),
    windowed("merchant_category", label="categories", where=BOUGHT, aggs=("distinct",), days=(90,)),
    *since("consumption", "since_bought", 365,
           "days since the last card payment; null when none in a year", where=BOUGHT),
    share("essential_share_90d", "consumption_essential_sum_90d_amt", "consumption_bought_sum_90d_amt",
          "food, transport, health, utilities and household, of what was bought"),
    share("night_share_90d", "consumption_night_sum_90d_amt", "consumption_bought_sum_90d_amt",
          "bought between 22:00 and 6:00"),
    share("weekend_share_90d", "consumption_weekend_sum_90d_amt", "consumption_bought_sum_90d_amt",
          "bought at weekends"),
    share("holiday_share_365d", "consumption_holiday_sum_365d_amt", "consumption_bought_sum_365d_amt",
          "bought on public holidays"),
    *streak("consumption", "bought_in_a_row", 12, "months in a row, before this one, with card payments, up to 12",
            label="bought", where=BOUGHT),
    derived("variation_90d", "consumption_bought_std_90d_amt / nullif(consumption_bought_mean_90d_amt, 0)",
            unit="ratio", description="deviation of payments as a share of their mean"),
    pace("pace_30d", "consumption_bought_sum_30d_amt", "consumption_bought_sum_90d_amt", 3,
         "30 days against the monthly mean of 90; 1 is steady"),
    pace("pace_90d", "consumption_bought_sum_90d_amt", "consumption_bought_sum_365d_amt", 365 / 90,
         "90 days against the year, both a day; 1 is steady"),
    entropy("spread_90d", [f"consumption_bought_{name}_count_90d_cnt" for name in CATEGORIES],
            "how evenly payments spread over categories"),
    prepare=with_holidays,
    links=(OWNER_OF_ACCOUNT,),
)  # fmt: skip
