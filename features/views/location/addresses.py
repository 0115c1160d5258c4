"""Addresses (居住地、收货地): how many, and how often they change."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import customer_events, km_apart

_BY = ("kind", ("home", "work", "shipping"))
_HOME, _WORK = (
    tuple(f"addresses_{axis}_{kind}_last_3650d_deg" for axis in ("lat", "lon")) for kind in ("home", "work")
)
_APART = km_apart(*_HOME, *_WORK)

addresses = customer_events(
    "addresses",
    "address_use",
    ("customer_id", "kind", "address_hash", "valid_from"),
    "Addresses by use, over ten years.",
    windowed("address_hash", label="used", by=_BY, aggs=("distinct",), days=(365, 1095, 3650)),
    windowed("address_hash", label="used", aggs=("distinct",), days=(1095,)),
    windowed("district_id", label="districts", aggs=("distinct",), days=(1095, 3650)),
    windowed("event_ts", label="begun", by=_BY, aggs=("last",), days=(3650,), intermediate=True),
    windowed("lat", label="lat", by=_BY, aggs=("last",), days=(3650,), unit="deg", intermediate=True),
    windowed("lon", label="lon", by=_BY, aggs=("last",), days=(3650,), unit="deg", intermediate=True),
    derived("at_home", "datediff(:at, addresses_begun_home_last_3650d)", unit="days",
            description="days at the present home, as known; null without one in ten years"),
    derived("at_work", "datediff(:at, addresses_begun_work_last_3650d)", unit="days",
            description="days at the present place of work, as known"),
    derived("home_to_work", _APART, unit="km", description="from home to work, a degree of latitude taken as 111 km"),
    derived("moved_365d", "CAST(addresses_used_home_distinct_365d_cnt > 0 AS int)", unit="flag",
            description="1 when a home began in the last year"),
)  # fmt: skip
