"""Marketing (触达): how often somebody was approached, by what, how it was answered, and when it was too much."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import customer_events, share, since

CHANNELS = ("app", "sms", "wechat", "branch_visit", "home_visit", "phone")
TOUCHED, ANSWERED = "treatment = 'treated'", "treatment = 'treated' AND response IN ('click', 'visit', 'take_up')"

marketing = customer_events(
    "marketing",
    "marketing_contact",
    "contact_id",
    # The answer is a later version of the touch: before it is known, the touch stands unanswered.
    "Touches and answers, as known: an answer counts from when it came.",
    windowed("contact_id", label="touches", where=TOUCHED, aggs=("count",), days=(30, 90, 365)),
    windowed("contact_id", label="touches", where=TOUCHED, by=("channel", CHANNELS), aggs=("count",), days=(365,)),
    windowed("contact_id", label="answers", where=ANSWERED, aggs=("count",), days=(90, 365)),
    windowed("contact_id", label="answers", where=ANSWERED, by=("channel", CHANNELS), aggs=("count",), days=(365,)),
    windowed("contact_id", label="taken", where=f"{TOUCHED} AND response = 'take_up'", aggs=("count",), days=(365,)),
    windowed("campaign_id", label="campaigns", where=TOUCHED, aggs=("distinct",), days=(365,)),
    windowed("channel", label="channels", where=TOUCHED, aggs=("distinct",), days=(365,)),
    *since("marketing", "since_touch", 365, "days since the last touch; null when none in a year", where=TOUCHED),
    *since("marketing", "since_answer", 365,
           "days since the last touch that was answered; null when none in a year", label="answered", where=ANSWERED),
    share("answer_share_365d", "marketing_answers_count_365d_cnt", "marketing_touches_count_365d_cnt",
          "touches answered in a year"),
    derived("unanswered_90d", "marketing_touches_count_90d_cnt - marketing_answers_count_90d_cnt", unit="cnt",
            description="touches of 90 days without an answer: fatigue"),
    purposes=("marketing", "monitoring"),
)  # fmt: skip
