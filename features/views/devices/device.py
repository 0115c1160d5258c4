"""Device (手机品牌、硬件): the newest device, and how often it changes."""

from __future__ import annotations

from strata.features.definitions.items import derived, state, windowed
from strata.features.views.common import RISK_ALONE, customer_events, customer_states

BRANDS = ("apple", "huawei", "xiaomi", "oppo", "vivo")

device = customer_states(
    "device",
    "device",
    "The newest device.",
    state("price_tier", label="price", unit="tier", type="int", description="1 (cheap) to 4 (dear)"),
    state("CAST(is_rooted AS int)", label="rooted", unit="flag", type="int"),
    state("CAST(is_emulator AS int)", label="emulator", unit="flag", type="int"),
    state("sim_count", label="sims", unit="num", type="int"),
    *(state(f"CAST(brand = '{brand}' AS int)", label=brand, unit="flag", type="int") for brand in BRANDS),
    state("CAST(os = 'ios' AS int)", label="ios", unit="flag", type="int"),
    state("valid_from", label="begun", intermediate=True),
    derived("age", "datediff(:at, device_begun)", unit="days", description="days since the device was first seen"),
    derived(
        "tampered",
        "CAST(device_rooted_flag + device_emulator_flag > 0 AS int)",
        unit="flag",
        description="1 for a rooted device or an emulator",
    ),
    purposes=RISK_ALONE,
)

device_history = customer_events(
    "device_history",
    "device",
    ("device_hash", "customer_id", "valid_from"),
    "Devices over the years.",
    windowed("device_hash", label="devices", aggs=("distinct",), days=(90, 365, 1095)),
    windowed("brand", label="brands", aggs=("distinct",), days=(1095,)),
    windowed("price_tier", label="price", aggs=("mean", "max"), days=(1095,), unit="tier"),
    windowed("device_hash", label="tampered", where="is_rooted OR is_emulator", aggs=("distinct",), days=(1095,)),
    purposes=RISK_ALONE,
)
