"""Location (地理定位): how widely somebody moves, by day and by night. Places are geohashes of about 150 m."""

from __future__ import annotations

from strata.features.definitions.items import windowed
from strata.features.views.common import RISK_ALONE, customer_events, pace, share, since

NIGHT = "hour(event_ts) < 6 OR hour(event_ts) >= 22"
OFFICE = "hour(event_ts) BETWEEN 9 AND 17 AND weekday(event_ts) < 5"
# Five letters are a cell of some five kilometres.
AREA = "substr(geohash7, 1, 5)"

location = customer_events(
    "location",
    "location_ping",
    "ping_id",
    "Places by hour and day.",
    windowed("ping_id", label="pings", aggs=("count",), days=(30, 90)),
    windowed("geohash7", label="places", aggs=("distinct",), days=(30, 90, 365)),
    windowed(AREA, label="areas", aggs=("distinct",), days=(30, 90, 365)),
    windowed("geohash7", label="night_places", where=NIGHT, aggs=("distinct",), days=(30, 90)),
    windowed(AREA, label="night_areas", where=NIGHT, aggs=("distinct",), days=(90, 365)),
    windowed("geohash7", label="office_places", where=OFFICE, aggs=("distinct",), days=(90,)),
    windowed("ping_id", label="night_pings", where=NIGHT, aggs=("count",), days=(90,)),
    windowed("to_date(event_ts)", label="days_seen", aggs=("distinct",), days=(90,)),
    *since("location", "since_ping", 365, "days since the last ping; null when none in a year"),
    share("night_share_90d", "location_night_pings_count_90d_cnt", "location_pings_count_90d_cnt",
          "pings between 22:00 and 6:00"),
    share("places_a_ping_90d", "location_places_distinct_90d_cnt", "location_pings_count_90d_cnt",
          "different places, of all pings: near 1 for who never stays"),
    pace("area_pace", "location_areas_distinct_30d_cnt", "location_areas_distinct_365d_cnt", 1,
         "areas of 30 days against those of a year"),
    purposes=RISK_ALONE,
)  # fmt: skip
