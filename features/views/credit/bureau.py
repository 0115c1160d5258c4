"""Bureau: debt, inquiries and arrears at all lenders, by the kind of bureau (央行、民营、民间征信)."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.views.common import RISK_ALONE, customer_events, pace, since

PROVIDERS = ("central_bank", "private", "civil")
_BY = ("provider", PROVIDERS)

bureau = customer_events(
    "bureau",
    "bureau_report",
    "report_id",
    "Reports as received: each is a snapshot of its day, and grows old.",
    windowed("open_loans", by=_BY, aggs=("last",), days=(365,), unit="num", type="int"),
    windowed("overdue_months_24m", label="overdue_months", by=_BY, aggs=("last",), days=(365,), unit="num", type="int"),
    windowed("inquiries_6m", label="inquiries", by=_BY, aggs=("last",), days=(365,), unit="num", type="int"),
    windowed("total_exposure", label="exposure", by=_BY, aggs=("last",), days=(365,), unit="amt"),
    windowed("card_utilisation", label="utilisation", by=_BY, aggs=("last",), days=(365,), unit="ratio"),
    windowed("inquiries_6m", label="inquiries", aggs=("max", "mean"), days=(365,), unit="num"),
    windowed("overdue_months_24m", label="overdue_months", aggs=("max",), days=(365,), unit="num"),
    windowed("total_exposure", label="exposure", aggs=("max", "mean"), days=(365,), unit="amt"),
    windowed("report_id", label="reports", aggs=("count",), days=(30, 90, 365)),
    windowed("provider", label="bureaus", aggs=("distinct",), days=(365,)),
    *since("bureau", "since_report", 365,
           "days since the newest report: how old the picture is; null when none in a year"),
    derived("ever_overdue", "CAST(bureau_overdue_months_max_365d_num > 0 AS int)", unit="flag",
            description="1 when any report of the year shows arrears"),
    pace("exposure_growth", "bureau_exposure_central_bank_last_365d_amt", "bureau_exposure_mean_365d_amt", 1,
         "latest debt by the central bank's bureau against the mean of the year's reports"),
    purposes=RISK_ALONE,
)  # fmt: skip
