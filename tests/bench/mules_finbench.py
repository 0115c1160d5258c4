"""The LDBC FinBench sample: how many chains, cycles and alerts its transfers hold, and in what time; no labels."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.graph.fraud.money_cycles import busy_days, money_steps, transfer_chains, transfer_cycles
from strata.graph.fraud.mules import MuleRules, mule_alerts
from strata.jobs import local_session
from tests.bench.kept import HERE, Measurement
from tests.bench.meter import metered

FILE = HERE.parents[1].parent / "shared" / "data" / "ldbc_finbench_sample" / "snapshot" / "AccountTransferAccount.csv"
HOURS = (24, 168)


def measure() -> Measurement:
    """All figures."""
    spark = local_session(cores=2, memory="8g", shuffle_partitions=4)
    transfers = read(spark).persist()
    last = transfers.agg(F.max("event_ts").alias("last")).first()
    assert last is not None
    ends = transfers.select(F.explode(F.array("src", "dst"))).distinct()
    found: Measurement = {
        "transfers": transfers.count(), "accounts": ends.count(), "last": str(last["last"]),
        "busy_days": busy_days(transfers).count(), "within": {},
    }  # fmt: skip
    for hours in HOURS:
        print(f"bench: network_mules: finbench, {hours} hours", flush=True)
        found["within"][str(hours)] = within(spark, transfers, hours)
    year = MuleRules(days=366, hours=(24, 168))
    with metered(spark) as reading:
        alerts = mule_alerts(transfers, str(last["last"]), rules=year).count()
    return {**found, "alerts": alerts, "seconds_alerts": reading.seconds}


def read(spark: SparkSession) -> DataFrame:
    """Transfers between accounts, known as they happen; rows have no number of their own."""
    rows = spark.read.option("sep", "|").option("header", True).csv(str(FILE))
    rows = rows.select(
        F.col("fromId").cast("long").alias("src"), F.col("toId").cast("long").alias("dst"),
        F.col("amount").cast("double").alias("amount"), F.col("createTime").cast("timestamp").alias("event_ts"),
    )  # fmt: skip
    return rows.withColumns({"transfer_id": F.monotonically_increasing_id(), "known_ts": F.col("event_ts")})


def within(spark: SparkSession, transfers: DataFrame, hours: int) -> Measurement:
    """Walks within so many hours, by their number of transfers."""
    found: Measurement = {"steps": money_steps(transfers, within_hours=hours).count()}
    for name, walks in (("chains", transfer_chains), ("cycles", transfer_cycles)):
        with metered(spark) as reading:
            rows = walks(transfers, within_hours=hours).groupBy("hop_cnt").count().collect()
        counts = {str(row["hop_cnt"]): row["count"] for row in sorted(rows)}
        found |= {name: counts, f"seconds_{name}": reading.seconds}
    return found
