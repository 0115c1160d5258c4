"""SDK: what the app's security kit saw of the surroundings it ran in."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import RISK_ALONE, customer_events, share

FLAGS = ("vpn", "proxy", "hook", "screen_share")

sdk = customer_events(
    "sdk",
    "app_event",
    "app_event_id",
    "Flags of the security kit, and devices signed in from.",
    windowed("session_id", label="flagged", by=("sdk_flags", FLAGS), aggs=("distinct",), days=(30, 90)),
    windowed("session_id", label="flagged", where="sdk_flags IS NOT NULL", aggs=("distinct",), days=(30, 90)),
    windowed("session_id", label="seen", aggs=("distinct",), days=(90,), intermediate=True),
    windowed("device_hash", label="devices", aggs=("distinct",), days=(30, 90, 365)),
    windowed("lat", label="lat", aggs=("std",), days=(90,), unit="deg", description="latitude of events"),
    windowed("lon", label="lon", aggs=("std",), days=(90,), unit="deg", description="longitude of events"),
    share("flagged_share_90d", "sdk_flagged_distinct_90d_cnt", "sdk_seen_distinct_90d_cnt", "sessions with any flag"),
    derived("roaming_90d", "111 * sqrt(power(sdk_lat_std_90d_deg, 2) + power(sdk_lon_std_90d_deg, 2))", unit="km",
            description="spread of the places of events, a degree taken as 111 km"),
    purposes=RISK_ALONE,
)  # fmt: skip
