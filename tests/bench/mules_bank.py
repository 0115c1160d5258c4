"""The simulated bank: which members of its mule chains and transfer cycles are found, and whether whole rings are."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.graph.fraud.money_cycles import busy_days, transfer_chains, transfer_cycles
from strata.graph.fraud.mules import mule_alerts
from strata.graph.ties.transfers import transfers_of
from strata.jobs.runtime.session import open_session
from strata.jobs.runtime.tables import Lake
from strata.jobs.table_catalog import lake_at
from tests.bench.bank import settings_of
from tests.bench.kept import Measurement
from tests.bench.meter import metered
from tests.bench.mules_figures import figures

CUSTOMERS = 10_000
ZONE = ZoneInfo("Asia/Shanghai")
MOMENTS = tuple(datetime(*day, tzinfo=ZONE) for day in ((2025, 7, 1), (2026, 1, 1), (2026, 7, 1), (2027, 1, 1)))
LEAST = (0.1, 0.3, 0.5, 0.7)
# A ring has so many members; a cycle goes once through them, ten hours a hop.
RING = 8
WEEK, HOPS = 168, (6, RING)


def measure() -> Measurement:
    """All figures."""
    settings = settings_of(CUSTOMERS)
    spark = open_session(settings)
    lake, truth = lake_at(spark, settings.lake), Path(settings.lake).parent / "truth"
    members = members_of(spark, lake, truth)
    found: Measurement = {"customers": CUSTOMERS, "moments": []}
    for moment in MOMENTS:
        print(f"bench: network_mules: bank as of {moment.date()}", flush=True)
        transfers = transfers_of(lake.read("transaction"), lake.read("account"), moment)
        with metered(spark) as reading:
            transfers = transfers.localCheckpoint()
        made = {"seconds_transfers": reading.seconds, "transfers": transfers.count()}
        one = {"moment": str(moment.date()), **made, **moment_figures(spark, transfers, moment, members)}
        found["moments"].append(one)
    walks = {
        "chains of 3 transfers and more within 24 hours a hop": transfer_chains(transfers, within_hours=24).where(
            "hop_cnt > 2"
        )
    }
    for hops in HOPS:
        cycles = transfer_cycles(transfers, hops=hops, within_hours=WEEK)
        walks[f"cycles of 3 to {hops} within a week"] = cycles.where("hop_cnt > 2")
    return {
        **found,
        "walks": {name: walk_figures(spark, name, walk, transfers, members) for name, walk in walks.items()},
    }


def members_of(spark: SparkSession, lake: Lake, truth: Path) -> pd.DataFrame:
    """Members of rings by their account: account, kind, ring, place."""
    groups = spark.read.format("delta").load(str(truth / "truth_group"))
    owned = lake.read("account_holder").where("role = 'owner'").select("customer_id", "account_id").distinct()
    rings = groups.where("kind IN ('ring_mule_chain', 'ring_transfer_cycle')").join(owned, "customer_id", "inner")
    account = F.concat(F.lit("account:"), "account_id").alias("account")
    return rings.select(account, "kind", F.concat_ws(" ", "kind", "group_id").alias("ring"), "place").toPandas()


def dealings(transfers: DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Transfers between two members of one ring: a ring's own, since members send nothing else to each other."""
    accounts = [str(account) for account in members["account"]]
    rows = transfers.where(F.col("src").isin(accounts) & F.col("dst").isin(accounts)).toPandas()
    ring = members.set_index("account")["ring"]
    rows = rows.assign(ring=rows["src"].map(ring), month=rows["event_ts"].dt.strftime("%Y-%m"))
    return rows[rows["ring"] == rows["dst"].map(ring)]


def moment_figures(spark: SparkSession, transfers: DataFrame, moment: datetime, members: pd.DataFrame) -> Measurement:
    """What the alerts of one day find of the members whose ring was at work in the 30 days before."""
    with metered(spark) as reading:
        alerts = mule_alerts(transfers, moment, least=0.0).drop("evidence").toPandas()
    own = alerts[alerts["account"].str.startswith("account:")].merge(members, on="account", how="left")
    known = dealings(transfers, members)
    # What comes from Spark is in the session's zone, the bank's.
    known = known[known["event_ts"] > pd.Timestamp(moment.replace(tzinfo=None)) - pd.Timedelta(days=30)]
    at_work = members[members["account"].isin(set(known["src"]) | set(known["dst"]))]
    bad = own["account"].isin(at_work["account"]).to_numpy(float)
    table = {str(least): threshold_figures(own, at_work, least) for least in LEAST}
    outside = alerts[~alerts["account"].str.startswith("account:")]
    return {
        "seconds": reading.seconds,
        "accounts": len(own),
        "at_work": {kind: int(n) for kind, n in at_work["kind"].value_counts().items()},
        "rings_at_work": int(at_work["ring"].nunique()),
        "average_precision": figures(bad, own["score"].to_numpy())["average_precision"] if bad.any() else None,
        "thresholds": table,
        "outside_from_0.3": int((outside["score"] >= 0.3).sum()),
        "best_of_others": float(own.loc[bad == 0, "score"].max()),
    }


def threshold_figures(own: pd.DataFrame, at_work: pd.DataFrame, least: float) -> Measurement:
    """Alerts from a score on: their number, how many are members, and members found by kind, place and ring."""
    told = own[own["score"] >= least]
    found = at_work.assign(found=at_work["account"].isin(told["account"]))
    rings = found.groupby("ring")["found"]
    places = found.groupby(["kind", "place"])["found"].mean().unstack(0)
    return {
        "alerts": len(told),
        "members": int(found["found"].sum()),
        "once_members": int(told["kind"].notna().sum()),
        "recall": {kind: float(share) for kind, share in found.groupby("kind")["found"].mean().items()},
        "rings_whole": int(rings.all().sum()),
        "rings_touched": int(rings.any().sum()),
        "missed_places": {kind: [int(p) for p in places.index[places[kind] < 1]] for kind in places},
    }


def walk_figures(
    spark: SparkSession, name: str, walks: DataFrame, transfers: DataFrame, members: pd.DataFrame
) -> Measurement:
    """Walks found over all months beside the months in which rings really moved their sum."""
    print(f"bench: network_mules: bank, {name}", flush=True)
    with metered(spark) as reading:
        rows = walks.toPandas()
    kind = "ring_transfer_cycle" if "cycles" in name else "ring_mule_chain"
    ring = members.set_index("account")["ring"]
    own = rows["members"].map(lambda ids: {ring.get(account) for account in ids if account.startswith("account:")})
    one_ring = np.array([len(rings) == 1 and None not in rings for rings in own], dtype=bool)
    done = dealings(transfers, members[members["kind"] == kind]).groupby(["ring", "month"]).size()
    # A chain's last transfer leaves the bank; a month that began before an account was there is no whole one.
    months = set(done.index[done == done.max()])
    # Of no walk, too, the names are texts.
    caught = rows[one_ring].assign(ring=np.array([next(iter(rings)) for rings in own[one_ring]], dtype=object))
    caught = caught[caught["ring"].str.startswith(kind)]
    whole = caught[caught["hop_cnt"] >= RING]
    hit = set(zip(whole["ring"], whole["started"].dt.strftime("%Y-%m")))
    return {
        "seconds": reading.seconds,
        "found": len(rows),
        "of_one_ring": int(one_ring.sum()),
        "by_hops": {str(hops): int(n) for hops, n in rows["hop_cnt"].value_counts().sort_index().items()},
        "ring_months": len(months),
        "ring_months_found_whole": len(hit & months),
        "rings": int(members.loc[members["kind"] == kind, "ring"].nunique()),
        "rings_found": int(caught["ring"].nunique()),
        "busy_days": busy_days(transfers).count(),
    }
