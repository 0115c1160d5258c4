"""Identity: what the public-security network answered when asked (公安联网核查)."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import RISK_ALONE, customer_events, share, since

identity = customer_events(
    "identity",
    "public_security_check",
    "check_id",
    "Checks of name, number, photo and address against the state's register.",
    windowed("check_id", label="checks", aggs=("count",), days=(30, 90, 365)),
    windowed("check_id", label="no_match", where="NOT id_match", aggs=("count",), days=(90, 365)),
    windowed("check_id", label="other_address", where="NOT address_match", aggs=("count",), days=(90, 365)),
    windowed("check_id", label="flagged", where="risk_flag IS NOT NULL", aggs=("count",), days=(365,)),
    windowed("photo_match", label="photo", aggs=("min", "mean", "last"), days=(365,), unit="score"),
    *since("identity", "since_check", 365, "days since the last check; null when none in a year"),
    share("other_address_share_365d", "identity_other_address_count_365d_cnt", "identity_checks_count_365d_cnt",
          "checks that found another registered address"),
    derived("doubtful",
            "CAST(coalesce(identity_photo_min_365d_score < 0.8, false) OR identity_no_match_count_365d_cnt > 0 "
            "OR identity_flagged_count_365d_cnt > 0 AS int)",
            unit="flag", description="1 when photo, number or a flag speak against the person"),
    purposes=RISK_ALONE,
)  # fmt: skip
