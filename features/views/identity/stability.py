"""Stability: how often employer, phone, home and occupation have changed, and for how long a person is known."""

from __future__ import annotations

from strata.features.definitions.items import derived, state, windowed
from strata.features.views.common import customer_events, customer_states, since

CHANNELS = ("branch", "app", "referral", "partner", "payroll")

stability = customer_events(
    "stability",
    "customer",
    ("customer_id", "valid_from"),
    "Periods of the customer's record: each begins with a change.",
    windowed("employer_id", label="employers", aggs=("distinct",), days=(365, 1095, 3650)),
    windowed("phone_hash", label="phones", aggs=("distinct",), days=(365, 1095, 3650)),
    windowed("home_address_hash", label="homes", aggs=("distinct",), days=(365, 1095, 3650)),
    windowed("occupation", label="occupations", aggs=("distinct",), days=(1095,)),
    windowed("district_id", label="districts", aggs=("distinct",), days=(1095,)),
    windowed("manager_id", label="managers", aggs=("distinct",), days=(1095,)),
    windowed("valid_from", label="changes", aggs=("count",), days=(365, 1095)),
    *since("stability", "since_change", 3650, "days since the record last changed; null when not in ten years"),
)

standing = customer_states(
    "standing",
    "customer",
    "The customer's record as it stands.",
    state("opened_on", label="opened", intermediate=True),
    state("CAST(employer_id IS NOT NULL AS int)", label="employed", unit="flag", type="int"),
    state("CAST(manager_id IS NOT NULL AS int)", label="managed", unit="flag", type="int"),
    *(state(f"CAST(acquisition_channel = '{name}' AS int)", label=f"by_{name}", unit="flag", type="int")
      for name in CHANNELS),
    derived("tenure", "datediff(:at, standing_opened)", unit="days", description="days as a customer"),
)  # fmt: skip
