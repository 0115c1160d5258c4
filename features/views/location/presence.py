"""Presence (居住地核对): whether somebody is where they say they live and work."""

from __future__ import annotations

from pyspark.sql import DataFrame

from strata.features.definitions.items import windowed
from strata.features.definitions.links import Link
from strata.features.engine.geohash import with_place
from strata.features.views.common import RISK_ALONE, customer_events, km_apart, share
from strata.features.views.location.location import NIGHT, OFFICE

DECLARED = Link(
    "address_use",
    (("customer_id", "customer_id"),),
    ("kind", "valid_from", ("lat", "there_lat"), ("lon", "there_lon")),
    "kind IN ('home', 'work')",
)
_KM = km_apart("there_lat", "there_lon", "lat", "lon")
BEGUN = "to_date(event_ts) >= valid_from"
AT_HOME = f"kind = 'home' AND {BEGUN} AND {_KM} < 1"
AT_WORK = f"kind = 'work' AND {BEGUN} AND {_KM} < 1"


def _placed(pings: DataFrame) -> DataFrame:
    return with_place(pings, "geohash7")


presence = customer_events(
    "presence",
    "location_ping",
    ("ping_id", "kind", "valid_from", "there_lat", "there_lon"),
    "Pings against every home and place of work declared by then; null coordinates never match.",
    windowed("ping_id", label="seen", aggs=("distinct",), days=(90, 365)),
    windowed("ping_id", label="at_home", where=AT_HOME, aggs=("distinct",), days=(90, 365)),
    windowed("ping_id", label="night", where=f"({NIGHT})", aggs=("distinct",), days=(90,)),
    windowed("ping_id", label="night_at_home", where=f"({NIGHT}) AND {AT_HOME}", aggs=("distinct",), days=(90,)),
    windowed("ping_id", label="office", where=OFFICE, aggs=("distinct",), days=(90,)),
    windowed("ping_id", label="office_at_work", where=f"{OFFICE} AND {AT_WORK}", aggs=("distinct",), days=(90,)),
    windowed(_KM, label="from_home", where=f"kind = 'home' AND {BEGUN}", aggs=("mean", "max"), days=(90,), unit="km"),
    share("home_share_90d", "presence_at_home_distinct_90d_cnt", "presence_seen_distinct_90d_cnt",
          "pings within a kilometre of a declared home"),
    share("night_home_share_90d", "presence_night_at_home_distinct_90d_cnt", "presence_night_distinct_90d_cnt",
          "pings by night within a kilometre of a declared home"),
    share("office_work_share_90d", "presence_office_at_work_distinct_90d_cnt", "presence_office_distinct_90d_cnt",
          "pings of office hours within a kilometre of the declared place of work"),
    purposes=RISK_ALONE,
    prepare=_placed,
    links=(DECLARED,),
)  # fmt: skip
