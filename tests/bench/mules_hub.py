"""One account with 100,000 transfers in and as many out, beside as many transfers without one: does time explode?"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.graph.fraud.money_cycles import busy_days
from strata.graph.fraud.mules import mule_alerts
from strata.jobs import local_session
from tests.bench.kept import Measurement
from tests.bench.meter import metered

TRANSFERS, ACCOUNTS, HUB = 600_000, 100_000, 200_000
AS_OF = "2026-01-31"


def measure() -> Measurement:
    """Seconds of a month's alerts, without and with the hub. What comes first also warms up."""
    spark = local_session(cores=2, memory="8g", shuffle_partitions=8)
    found: Measurement = {"transfers": TRANSFERS, "accounts": ACCOUNTS, "hub": HUB, "cases": {}}
    for name, hub in (("first run, without", 0), ("without", 0), ("with", HUB)):
        transfers = made(spark, hub).localCheckpoint()
        with metered(spark) as reading:
            alerts = mule_alerts(transfers, AS_OF).count()
        found["cases"][name] = {
            "seconds": reading.seconds, "shuffle_bytes": reading.shuffle_bytes, "peak_bytes": reading.peak_bytes,
            "alerts": alerts, "busy_days": busy_days(transfers).count(),
        }  # fmt: skip
    return found


def made(spark: SparkSession, hub: int) -> DataFrame:
    """Random transfers of January; of the first ``hub``, half go to account 0 and half come from it."""
    draw = [F.pmod(F.xxhash64("id", F.lit(n)), F.lit(ACCOUNTS)) for n in range(2)]
    inside, even = F.col("id") < hub, F.col("id") % 2 == 0
    at = F.timestamp_seconds(
        F.unix_seconds(F.lit("2026-01-01").cast("timestamp")) + F.pmod(F.xxhash64("id"), F.lit(30 * 86_400))
    )
    return spark.range(TRANSFERS).select(
        F.col("id").alias("transfer_id"),
        F.when(inside & ~even, 0).otherwise(draw[0]).alias("src"),
        F.when(inside & even, 0).otherwise(draw[1]).alias("dst"),
        (F.pmod(F.xxhash64("id", F.lit(9)), F.lit(500_000)) / 100 + 1).cast("decimal(18,2)").alias("amount"),
        at.alias("event_ts"), at.alias("known_ts"),
    )  # fmt: skip
