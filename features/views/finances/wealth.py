"""Wealth (投融资行为): what is held beside the account, in what kinds and at what risk."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import customer_events, entropy, pace, share

KINDS = ("money_market", "deposit", "bond_fund", "equity_fund", "insurance", "gold")
_HELD = [f"coalesce(wealth_held_{kind}_last_92d_amt, 0)" for kind in KINDS]

wealth = customer_events(
    "wealth",
    "wealth_holding",
    ("customer_id", "product_type", "month_end"),
    "Holdings at month ends, as known.",
    windowed("balance", label="held", by=("product_type", KINDS), aggs=("last",), days=(92,), unit="amt"),
    windowed("balance", label="held", by=("product_type", KINDS), aggs=("mean",), days=(365,), unit="amt"),
    windowed("product_type", label="kinds", aggs=("distinct",), days=(92, 365)),
    windowed("risk_level", label="risk", aggs=("max", "mean"), days=(92,), unit="level"),
    windowed("return_ytd", label="return", aggs=("mean", "min"), days=(92,), unit="ratio"),
    windowed("month_end", label="months", aggs=("distinct",), days=(365,)),
    derived("total", " + ".join(_HELD), unit="amt", description="latest holdings of all kinds; 0 without any"),
    derived("usual", " + ".join(f"coalesce(wealth_held_{kind}_mean_365d_amt, 0)" for kind in KINDS), unit="amt",
            description="sum of the kinds' mean holdings over a year"),
    pace("growth", "wealth_total_amt", "wealth_usual_amt", 1, "latest holdings against the year's mean; 1 is steady"),
    share("equity_share", "coalesce(wealth_held_equity_fund_last_92d_amt, 0)", "wealth_total_amt", "equities held"),
    share("safe_share", f"({_HELD[0]} + {_HELD[1]})", "wealth_total_amt", "money market and deposits held"),
    entropy("spread", _HELD, "how evenly holdings spread over the six kinds; 0 all in one"),
)  # fmt: skip
