"""Scenes (场景数据): visits and orders at partners."""

from __future__ import annotations

from strata.features.definitions.items import windowed
from strata.features.views.common import customer_events, entropy, pace, share, since

SCENES = ("mall", "auto", "education", "decoration", "medical", "travel", "platform")
_BY = ("scene", SCENES)

scenes = customer_events(
    "scenes",
    "scene_visit",
    "visit_id",
    "Visits and orders by scene.",
    windowed("visit_id", label="visits", by=_BY, aggs=("count",), days=(90, 365)),
    windowed("order_amount", label="orders", by=_BY, aggs=("sum",), days=(365,), unit="amt"),
    windowed("visit_id", label="visits", aggs=("count",), days=(30, 90, 365)),
    windowed("order_amount", label="orders", aggs=("count",), days=(90, 365)),
    windowed("order_amount", label="orders", aggs=("sum", "mean", "max"), days=(90, 365), unit="amt"),
    windowed("partner_id", label="partners", aggs=("distinct",), days=(90, 365)),
    *since("scenes", "since_visit", 365, "days since the last visit; null when none in a year"),
    share("ordered_share_365d", "scenes_orders_count_365d_cnt", "scenes_visits_count_365d_cnt",
          "visits that ended in an order"),
    pace("visits_pace", "scenes_visits_count_30d_cnt", "scenes_visits_count_90d_cnt", 3,
         "visits of 30 days against the monthly mean of 90"),
    entropy("spread_365d", [f"scenes_visits_{scene}_count_365d_cnt" for scene in SCENES],
            "how evenly visits spread over scenes"),
)  # fmt: skip
