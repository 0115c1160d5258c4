"""Schooling: what the ministry's register (学信网) confirms."""

from __future__ import annotations

from strata.features.definitions.items import derived, state
from strata.features.views.common import customer_states

LEVELS = ("primary", "secondary", "college", "bachelor", "master")
_RANK = f"array_position(array({', '.join(repr(level) for level in LEVELS)}), level)"

schooling = customer_states(
    "schooling",
    "education_record",
    "The latest degree in the ministry's register.",
    state(_RANK, label="level", type="int", description="1 (primary) to 5 (master)"),
    state("institution_tier", label="tier", type="int", description="1 (985/211) to 4 (other)"),
    state("graduated_on", label="graduated", intermediate=True),
    derived("since_graduation", "datediff(:at, schooling_graduated)", unit="days", description="days since the degree"),
    derived("confirmed", "CAST(schooling_level IS NOT NULL AS int)", unit="flag", description="1 with any record"),
    derived(
        "top",
        "CAST(coalesce(schooling_level >= 4 AND schooling_tier = 1, false) AS int)",
        unit="flag",
        description="1 for a bachelor or master of a leading school",
    ),
)
