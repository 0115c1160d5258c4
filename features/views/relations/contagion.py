"""Contagion (风险传染): what those around a customer were known to be when the network was last looked at."""

from __future__ import annotations

from strata.conf.contracts import Column
from strata.conf.tables.network import CONTAGION
from strata.features.definitions.items import StateValue, derived, state
from strata.features.views.common import RISK_ALONE, customer_states


def _value(column: Column) -> StateValue:
    label, _, unit = column.name.removeprefix("contagion_").rpartition("_")
    if unit == "steps":
        return state(column.name, label="listed_steps", type="int", description=column.description)
    whole = "bigint" if unit == "cnt" else None
    return state(column.name, label=label, unit=unit, type=whole, description=column.description)


contagion = customer_states(
    "contagion",
    "network_contagion",
    "The network of the newest day on which it was looked at before the spine's time.",
    *(_value(column) for column in CONTAGION),
    state("event_ts", label="looked_at", intermediate=True, type="timestamp"),
    derived("age", "datediff(:at, contagion_looked_at)", unit="days",
            description="days since the network was looked at: how old the picture is"),
    purposes=RISK_ALONE,
)  # fmt: skip
