"""Entry (录入速度): how forms are filled in. Who forges many types fast and pastes."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import RISK_ALONE, customer_events, pace, share

entry = customer_events(
    "entry",
    "app_event",
    "app_event_id",
    "Pace of typing and pastes in forms.",
    windowed("typing_ms_per_char", label="typing", aggs=("mean", "min", "std"), days=(30, 90), unit="ms"),
    windowed("typing_ms_per_char", label="loan_typing", where="page = 'loan'", aggs=("mean",), days=(90,), unit="ms"),
    windowed("typing_ms_per_char", label="inputs", aggs=("count",), days=(30, 90)),
    windowed("paste_count", label="pastes", aggs=("sum", "mean", "max"), days=(30, 90), unit="num"),
    windowed("paste_count", label="pasted", where="paste_count > 0", aggs=("count",), days=(90,)),
    share("pasted_share_90d", "entry_pasted_count_90d_cnt", "entry_inputs_count_90d_cnt", "inputs with any paste"),
    derived("typing_variation_90d", "entry_typing_std_90d_ms / nullif(entry_typing_mean_90d_ms, 0)", unit="ratio",
            description="deviation of the pace as a share of its mean: machines are even"),
    pace("typing_change", "entry_typing_mean_30d_ms", "entry_typing_mean_90d_ms", 1,
         "pace of 30 days against 90: another hand, when far from 1"),
    purposes=RISK_ALONE,
)  # fmt: skip
