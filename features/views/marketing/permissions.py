"""Permissions: how open somebody is to being approached. Whether one may approach is asked of consent itself."""

from __future__ import annotations

from strata.features.definitions.items import windowed
from strata.features.views.common import customer_events, share

CHANNELS = ("app", "sms", "wechat", "branch_visit", "home_visit", "phone")
GIVEN, TAKEN = "granted AND purpose = 'marketing'", "NOT granted AND purpose = 'marketing'"

permissions = customer_events(
    "permissions",
    "consent",
    ("customer_id", "channel", "purpose", "valid_from"),
    "Consents given and taken back.",
    windowed("channel", label="given", where=GIVEN, aggs=("distinct",), days=(365, 3650)),
    windowed("channel", label="taken_back", where=TAKEN, aggs=("distinct",), days=(90, 365, 3650)),
    windowed("CAST(granted AS int)", label="allows", where="purpose = 'marketing'", by=("channel", CHANNELS),
             aggs=("last",), days=(3650,), unit="flag", type="int"),
    share("taken_share", "permissions_taken_back_distinct_3650d_cnt",
          "(permissions_given_distinct_3650d_cnt + permissions_taken_back_distinct_3650d_cnt)",
          "channels taken back, of all channels answered"),
    purposes=("marketing",),
)  # fmt: skip
