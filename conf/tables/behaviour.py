"""Silver: what people do: app, contacts, calls, places, interests, scenes, and how they answer when approached."""

from __future__ import annotations

from strata.conf.contracts import Personal, col, rule
from strata.conf.tables.credit import SCENES
from strata.conf.tables.people import CHANNELS
from strata.conf.tables.shapes import listed, money, optional, person, silver, token

app_event = silver(
    "app_event",
    "one row an event",
    "What is done in the app, with the signals of the SDK (浏览习惯、SDK、录入速度).",
    ("app_event_id", "known_ts"),
    [
        col("app_event_id", "bigint", "the event"),
        person(),
        col("session_id", "bigint", "the session"),
        token("device_hash", "the device's serial number"),
        col("page", "string", "page"),
        col("action", "string", "view, click, input, submit"),
        col("dwell_ms", "int", "time on the page", unit="ms"),
        optional("typing_ms_per_char", "double", "pace of typing; null without input", unit="ms a character"),
        optional("paste_count", "int", "pastes; null without input"),
        optional("lat", "double", "latitude, coarsened", unit="degrees", personal=Personal.QUASI),
        optional("lon", "double", "longitude, coarsened", unit="degrees", personal=Personal.QUASI),
        optional("sdk_flags", "string", "vpn, proxy, hook, screen_share; null for none"),
    ],
    [listed("action", "view", "click", "input", "submit"), rule("dwell_ms >= 0", "negative time")],
)
contact_book = silver(
    "contact_book",
    "one row an owner and contact",
    "Contacts that an owner has shared (通讯录核对).",
    ("owner_id", "contact_phone_hash", "known_ts"),
    [
        person("owner_id", "the owner"),
        token("contact_phone_hash", "the contact's phone"),
        optional("relation_label", "string", "family, colleague, friend, service; null for none"),
        col("first_seen", "date", "day first seen"),
    ],
)
call_record = silver(
    "call_record",
    "one row a call",
    "Calls of customers who have shared them (通话记录).",
    ("call_id", "known_ts"),
    [
        col("call_id", "bigint", "the call"),
        token("caller_hash", "the caller's phone"),
        token("callee_hash", "the callee's phone"),
        col("seconds", "int", "length", unit="s"),
        col("is_night", "boolean", "between 23:00 and 6:00"),
    ],
    [rule("seconds >= 0", "negative length")],
)
location_ping = silver(
    "location_ping",
    "one row a ping",
    "Places, already coarsened to a geohash of about 150 m (地理定位).",
    ("ping_id", "known_ts"),
    [
        col("ping_id", "bigint", "the ping"),
        person(),
        col("geohash7", "string", "geohash of seven letters", personal=Personal.QUASI),
    ],
    [rule("geohash7 RLIKE '^[0-9b-hjkmnp-z]{7}$'", "is no geohash of seven letters")],
)
browsing_interest = silver(
    "browsing_interest",
    "one row a customer, topic and day",
    "What people read about (兴趣热点).",
    ("customer_id", "topic", "day", "known_ts"),
    [
        person(),
        col("topic", "string", "topic"),
        col("day", "date", "the day"),
        col("visits", "int", "pages read"),
        col("seconds", "int", "time spent", unit="s"),
    ],
    [rule("visits > 0", "no visit")],
)
scene_visit = silver(
    "scene_visit",
    "one row a visit",
    "Visits and orders at partners (场景数据).",
    ("visit_id", "known_ts"),
    [
        col("visit_id", "bigint", "the visit"),
        person(),
        col("scene", "string", ", ".join(SCENES[:-1])),
        col("partner_id", "int", "the partner"),
        money("order_amount", "what was ordered; null for a visit alone", nullable=True),
    ],
    [listed("scene", *SCENES[:-1])],
)
marketing_contact = silver(
    "marketing_contact",
    "one row a touch",
    "Touches of campaigns and held-out people, with the answer when it comes: a later version (触达).",
    ("contact_id", "known_ts"),
    [
        col("contact_id", "bigint", "the touch"),
        col("campaign_id", "int", "the campaign"),
        person(),
        col("channel", "string", ", ".join(CHANNELS)),
        col("treatment", "string", "treated or control: held out and not approached"),
        optional("response", "string", "none, click, visit, take_up; null while unknown"),
        optional("response_ts", "timestamp", "when it came"),
    ],
    [listed("channel", *CHANNELS), listed("treatment", "treated", "control")],
)
