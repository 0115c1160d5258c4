"""Business (业务结构): the firm of sole traders and owners of small firms."""

from __future__ import annotations

from strata.features.definitions.items import derived, state
from strata.features.views.common import customer_states

business = customer_states(
    "business",
    "business_profile",
    "The newest profile of the person's firm; null for those without one.",
    state("staff", unit="num", type="int", description="people employed"),
    state("CAST(is_specialised_sme AS int)", label="specialised", unit="flag", type="int"),
    state("registered_on", label="registered", intermediate=True),
    state("valid_from", label="told", intermediate=True),
    derived("age", "datediff(:at, business_registered)", unit="days", description="days since registration"),
    derived("profile_age", "datediff(:at, business_told)", unit="days", description="days since the profile changed"),
    derived("owner", "CAST(business_registered IS NOT NULL AS int)", unit="flag", description="1 with a firm"),
)
