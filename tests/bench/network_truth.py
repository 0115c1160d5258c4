"""Part network_truth: what the network finds of what was planted in the bank of 10,000 customers and 24 months.

Rings by kind, and how soon; circles exactly; results against the caps on hubs. ``results/network_truth.json`` and
``.md``.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import date
from functools import partial
from pathlib import Path

import networkx as nx
import pandas as pd
from pyspark.sql import functions as F

from strata.graph.fraud.rings import SIGNS_OF_ALERT, ring_alerts, ring_members
from strata.graph.risk.guarantees import guarantee_circles, guarantees_as_of
from strata.graph.ties.dated_edges import CAPS, hub_register, links_as_of
from strata.jobs import build_network
from strata.jobs.runtime.session import open_session
from strata.jobs.runtime.tables import Lake
from strata.jobs.simulate.credit import guaranteed
from strata.jobs.table_catalog import lake_at
from tests.bench.bank import prepared, settings_of
from tests.bench.kept import HERE, RESULTS, Measurement, apart, kept, stamp_of, table, write
from tests.bench.meter import run_job
from tests.bench.nightly import AS_OF

CUSTOMERS = 10_000
# Circles had borrowed before the months began, so all their guarantees stand on their first days.
CIRCLES_ON = date(2025, 1, 20)
CAPS_TRIED = ({"phone": 2, "device": 2}, {"phone": 5, "device": 8}, {"phone": 20, "device": 20}, {"phone": 10**6})
# Rings that borrow to run, the ties that show them, and days from the morning of their first application.
OUT_FOR_CREDIT, RING_TIES = ("shared_device", "synthetic_identity"), ("phone", "device", "contact", "call")
AROUND = (0, 1, 3, 8)


def run() -> None:
    """Measure what is missing, then print and keep the table."""
    root = HERE.parents[1]
    stamp = stamp_of(root / "graph", root / "jobs" / "network", Path(__file__))
    found = kept(RESULTS / "network_truth.json", stamp, partial(apart, "network_truth", CUSTOMERS))
    text = truth_table(found)
    (RESULTS / "network_truth.md").write_text(text)
    print(text)


def measure(customers: int) -> Measurement:
    """All figures."""
    prepared(customers)
    settings = settings_of(customers).model_copy(update={"as_of": AS_OF})
    spark = open_session(settings)
    lake = lake_at(spark, settings.lake)
    home = Path(settings.lake).parent
    truth = spark.read.format("delta").load(str(home / "truth" / "truth_group")).toPandas()
    run_job(build_network.JOB, settings, spark)
    return {
        "customers": customers,
        "people": lake.read("customer").select("customer_id").distinct().count(),
        "ties": lake.read("relationship").count(),
        "person_ties": lake.read("person_tie").count(),
        "alerts": alerts(lake, truth),
        "early": early(lake, truth),
        "caps": [caps(lake, truth, tried) for tried in CAPS_TRIED],
        "circles": circles(lake, truth),
    }


def alerts(lake: Lake, truth: pd.DataFrame) -> Measurement:
    """Of each kind of alert: how many of the people told are in a ring, and of each kind of ring who is told."""
    day = F.col("as_of_date") == F.lit(AS_OF)
    told = lake.read("network_evidence").where(day).join(lake.read("fraud_alert").where(day), "case_id", "left_semi")
    keys = told.select(
        F.substring_index("case_id", ":", 1).alias("kind"), F.explode(F.array("src_key", "dst_key")).alias("key")
    )
    owners = lake.read("account_holder").where("role = 'owner'").select(
        F.concat(F.lit("account:"), "account_id").alias("key"), "customer_id"
    )  # fmt: skip
    own = keys.where("key LIKE 'customer:%'").selectExpr(
        "kind", "CAST(substring_index(key, ':', -1) AS long) AS customer_id"
    )
    people = own.unionByName(keys.join(owners, "key", "inner").select("kind", "customer_id")).distinct().toPandas()
    rings = truth[truth["kind"].str.startswith("ring_")]
    known = set(
        lake.read("customer").where(F.col("known_ts") <= F.lit(AS_OF)).select("customer_id").toPandas()["customer_id"]
    )
    kinds = {kind: set(rows["customer_id"]) for kind, rows in people.groupby("kind")}
    kinds["any"] = set(people["customer_id"])
    inside = set(rings["customer_id"])
    found = {}
    for kind, who in kinds.items():
        recalls = {}
        for ring, rows in rings.groupby("kind"):
            members = set(rows["customer_id"]) & known
            touched = rows[rows["customer_id"].isin(who)]["group_id"].nunique()
            recalls[ring] = [len(members & who), len(members), touched, rows["group_id"].nunique()]
        found[kind] = {"told": len(who), "in_rings": len(who & inside), "recall": recalls}
    return found


def early(lake: Lake, truth: pd.DataFrame) -> list[Measurement]:
    """Rings out for credit on days around their first application: rings and members told, with what was known then."""
    rings = truth[truth["kind"].isin([f"ring_{kind}" for kind in OUT_FOR_CREDIT])]
    people = lake.spark.createDataFrame(rings[["kind", "group_id", "customer_id"]])
    edges = lake.read("relationship").where(F.col("kind").isin(*RING_TIES)).persist()
    applications = lake.read("loan_application")
    first = applications.join(people, "customer_id", "inner").groupBy("group_id").agg(F.min("event_ts").alias("at"))
    strikes = first.toPandas().set_index("group_id")["at"].dt.normalize()
    hubs, nobody = lake.read("hub_register").localCheckpoint(), lake.read("customer").select("customer_id").limit(0)
    found: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for (kind, ring), rows in rings.groupby(["kind", "group_id"]):
        for days in AROUND:
            at = (strikes[ring] + pd.Timedelta(days=days)).date()
            known = lake.read("vertex").where(F.col("known_ts") <= F.lit(at))
            ties = links_as_of(edges, hubs, at).localCheckpoint()
            members = ring_members(known, ties, applications, nobody, at)
            told = members.join(ring_alerts(members).select("ring_id"), "ring_id", "left_semi")
            who = set(told.select("customer_id").toPandas()["customer_id"]) & set(rows["customer_id"])
            for place, more in enumerate((1, bool(who), len(rows), len(who))):
                found[kind, days][place] += more
    edges.unpersist()
    return [
        dict(zip(("kind", "days", "rings", "rings_told", "members", "members_told"), (*key, *counts)))
        for key, counts in sorted(found.items())
    ]


def caps(lake: Lake, truth: pd.DataFrame, tried: dict[str, int]) -> Measurement:
    """Rings over phones and devices under other caps: hubs, groups, their largest, who is told and how rightly."""
    edges = lake.read("relationship").where(F.col("kind").isin(*RING_TIES)).persist()
    hubs = hub_register(edges, {**CAPS, **tried}).localCheckpoint()
    ties = links_as_of(edges, hubs, AS_OF).localCheckpoint()
    nobody = lake.read("customer").select("customer_id").limit(0)
    vertices = lake.read("vertex").where(F.col("known_ts") <= F.lit(AS_OF))
    members = ring_members(vertices, ties, lake.read("loan_application"), nobody, AS_OF).localCheckpoint()
    people = members.join(ring_alerts(members).select("ring_id"), "ring_id", "left_semi").toPandas()
    edges.unpersist()
    inside = set(truth[truth["kind"].str.startswith("ring_s")]["customer_id"])
    who = set(people["customer_id"])
    sizes = members.groupBy("ring_id").count().agg(F.count("*"), F.max("count")).collect()[0]
    return {
        "caps": {kind: cap for kind, cap in {**CAPS, **tried}.items() if kind in ("phone", "device")},
        "hubs": hubs.where(F.col("kind").isin("phone", "device")).count(),
        "groups": sizes[0], "largest": sizes[1] or 0, "told": len(who), "rightly": len(who & inside),
        "planted": len(inside),
    }  # fmt: skip


def circles(lake: Lake, truth: pd.DataFrame) -> Measurement:
    """Planted circles against those found, as sets of people and by kind."""
    standing = guarantees_as_of(lake.read("declared_tie"), lake.read("loan"), lake.read("delinquency"), CIRCLES_ON)
    rows = guarantee_circles(standing).toPandas()
    found = {frozenset(group["customer_id"]): group["kind"].iloc[0] for _, group in rows.groupby("circle_id")}
    planted = {}
    for (kind, _), group in truth[truth["kind"].str.startswith("circle_")].groupby(["kind", "group_id"]):
        who = dict(zip(group["place"], group["customer_id"]))
        name = kind.removeprefix("circle_")
        graph = nx.Graph((who[a], who[b]) for a in who for b in guaranteed(name, a, len(who)) if b in who)
        planted.update({frozenset(part): name for part in nx.connected_components(graph)})
    exact = {who: kind for who, kind in found.items() if who in planted}
    by_kind: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for who, kind in planted.items():
        by_kind[kind][0] += 1
        by_kind[kind][1] += who in exact
        by_kind[kind][2] += exact.get(who) == kind
    return {"found": len(found), "kinds": dict(by_kind)}


def _recall(counts: list[int]) -> str:
    """Members told of all, and rings touched of all."""
    return f"{counts[0]} of {counts[1]} ({counts[2]} of {counts[3]} rings)"


def truth_table(found: Measurement) -> str:
    """All of it in words and tables."""
    kinds = sorted(next(iter(found["alerts"].values()))["recall"])
    rows = [
        [
            kind,
            f"{one['told']:,}",
            f"{one['in_rings'] / max(one['told'], 1):.3f}",
            *map(_recall, map(one["recall"].get, kinds)),
        ]
        for kind, one in found["alerts"].items()
    ]
    told = table(["alert", "people told", "precision", *kinds], rows)
    tried = table(
        ["cap of phone", "of device", "hubs", "groups", "largest", "told", "precision", "recall"],
        [[f"{one['caps']['phone']:,}", f"{one['caps']['device']:,}", f"{one['hubs']:,}", f"{one['groups']:,}",
          f"{one['largest']:,}", f"{one['told']:,}", f"{one['rightly'] / max(one['told'], 1):.3f}",
          f"{one['rightly'] / max(one['planted'], 1):.3f}"] for one in found["caps"]],
    )  # fmt: skip
    moments = table(
        ["ring", "morning", "rings told", "members told"],
        [[one["kind"], f"{one['days']} days after the first application" if one["days"] else "of the first application",
          f"{one['rings_told']} of {one['rings']}", f"{one['members_told']} of {one['members']}"]
         for one in found["early"]],
    )  # fmt: skip
    circle = table(
        ["planted circle", "how many", "found exactly", "under the right kind"],
        [[kind, *map(str, counts)] for kind, counts in sorted(found["circles"]["kinds"].items())],
    )
    return f"""# What the network finds of what was planted

{found["people"]:,} people, {found["ties"]:,} dated ties, {found["person_ties"]:,} between people.

## Rings

As of {AS_OF}; an alert takes {SIGNS_OF_ALERT} signs. Of each kind of ring: members told, and rings in which anybody is.

{told}
With what was known on the mornings around a ring's first application (defaults and listings left out):

{moments}
Rings over phones and devices against the caps on hubs (shared_device and synthetic_identity are to be found):

{tried}
## Circles of guarantees

As of {CIRCLES_ON}, {found["circles"]["found"]} found in all.

{circle}
"""


if __name__ == "__main__":
    write(Path(sys.argv[2]), measure(int(sys.argv[1])))
