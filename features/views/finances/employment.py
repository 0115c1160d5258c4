"""Employment: for whom somebody works, by the contributions that the employer pays (准入分类)."""

from __future__ import annotations

from strata.conf.tables.people import OWNERSHIP
from strata.features.definitions.items import windowed
from strata.features.definitions.links import Link
from strata.features.views.common import customer_events

# All periods of the employer; that of the month is the one that counts.
EMPLOYER = Link(
    "employer",
    (("employer_id", "employer_id"),),
    ("ownership", "level", "headcount", "is_specialised_sme", ("valid_from", "since"), ("valid_to", "until")),
)
THEN = "month >= since AND (until IS NULL OR month < until)"

employment = customer_events(
    "employment",
    "social_insurance",
    ("customer_id", "month", "since"),
    "The employer of the latest months that social insurance (社保) was paid for.",
    *(windowed(f"CAST(ownership = '{kind}' AS int)", label=kind, where=THEN, aggs=("last",), days=(184,), unit="flag",
               type="int") for kind in OWNERSHIP),
    windowed("level", where=THEN, aggs=("last",), days=(184,), type="int",
             description="1 (national) to 4 (county or small)"),
    windowed("headcount", label="staff", where=THEN, aggs=("last",), days=(184,), unit="num", type="int"),
    windowed("CAST(is_specialised_sme AS int)", label="specialised", where=THEN, aggs=("last",), days=(184,),
             unit="flag", type="int"),
    windowed("ownership", label="kinds", where=THEN, aggs=("distinct",), days=(365, 1095)),
    windowed("employer_id", label="employers", where=THEN, aggs=("distinct",), days=(1095,)),
    links=(EMPLOYER,),
)  # fmt: skip
