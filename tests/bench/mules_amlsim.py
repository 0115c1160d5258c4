"""AMLSim's 20,000 accounts with 200 fan-in patterns: features of the network beside an account's own ones.

What gives the answer away here and is no feature: ``isFraud``; ``fraudStep``, the day of a member's own planted
transfer; ``nodeid``, since numbers follow degrees; and ``init_balance``, which all transfers of a sender equal but
planted ones. Three more giveaways lie in the transfers themselves: planted amounts are some 2.5 to 5 where others are
100 to 600, a sender's other amounts never vary, and only planted transfers repeat between two accounts. So each
question is asked three times: as simulated, with all amounts made equal, and with repeats dropped as well.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from strata.graph import core_number, pagerank, triangles
from strata.graph.fraud.mules import MuleRules, mule_alerts, mule_features
from strata.jobs import local_session
from tests.bench.kept import HERE, Measurement
from tests.bench.meter import metered
from tests.bench.mules_figures import Floats, difference, figures, scores_of

FILE = HERE.parents[1].parent / "shared" / "data" / "amlsim" / "20K_fanin200.tgz"
BEGIN = pd.Timestamp("2026-01-01", tz="UTC")
DAYS = 150
PLANTED_BELOW = 10
# Days are all that the data tells of time.
RULES = MuleRules(days=DAYS, hours=(24, 72), round_to=100, limits=(500, 600))
SCHEMA = "transfer_id long, src long, dst long, amount double, event_ts timestamp, known_ts timestamp"


def measure() -> Measurement:
    """All figures."""
    accounts, transfers = read()
    bad = accounts["isFraud"].to_numpy(float)
    planted = transfers["amount"] < PLANTED_BELOW
    groups = patterns(transfers[planted], len(accounts))
    spark = local_session(cores=2, memory="8g", shuffle_partitions=4)
    seen = np.isin(accounts.index, transfers.loc[planted, ["src", "dst"]])
    found: Measurement = {
        "accounts": len(accounts), "transfers": len(transfers), "bad": int(bad.sum()), "planted": int(planted.sum()),
        "bad_without_planted": int(bad.sum() - bad[seen].sum()), "patterns": int(len(np.unique(groups[seen]))),
        "views": {},
    }  # fmt: skip
    for name, view in views_of(transfers):
        print(f"bench: network_mules: amlsim, {name}", flush=True)
        found["views"][name] = view_figures(spark, view, bad, groups)
    return found


def read() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accounts by number, and transfers; the day of the simulation as midnight."""
    with tarfile.open(FILE) as archive:
        nodes, rows = (
            pd.read_csv(archive.extractfile(f"20K_fanin200/{name}.csv")) for name in ("nodes", "transactions")
        )
    rows = rows.set_axis(["src", "dst", "amount", "day"], axis=1)
    return nodes.set_index("nodeid"), rows.assign(transfer_id=np.arange(len(rows)))


def patterns(planted: pd.DataFrame, accounts: int) -> Floats:
    """The pattern of each account, to keep it in one fold: accounts tied by planted transfers; others alone."""
    ties = coo_array((np.ones(len(planted)), (planted["src"], planted["dst"])), shape=(accounts, accounts))
    return connected_components(ties, directed=False)[1]


def views_of(transfers: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The transfers with fewer and fewer of the simulator's giveaways."""
    yield "as simulated", transfers
    yield "amounts made equal", transfers.assign(amount=100.0)
    once = transfers.drop_duplicates(["src", "dst"])
    yield "amounts made equal, repeats dropped", once.assign(amount=100.0)


def view_figures(spark: SparkSession, view: pd.DataFrame, bad: Floats, groups: Floats) -> Measurement:
    """Each set of features with each model, and network less own with intervals."""
    own = own_features(view, len(bad))
    with metered(spark) as reading:
        network, mule = network_features(spark, view, len(bad))
    sets = {"own": own, "network": network, "own and network": pd.concat([own, network], axis=1)}
    scores = {name: scores_of(table, bad, groups) for name, table in sets.items()}
    return {
        "features": {name: table.shape[1] for name, table in sets.items()},
        "figures": {name: {kind: figures(bad, one) for kind, one in kinds.items()} for name, kinds in scores.items()},
        "mule_score": {**figures(bad, mule), "above_0": int((mule > 0).sum())},
        "differences": {
            name: {kind: difference(bad, scores[name][kind], scores["own"][kind]) for kind in scores["own"]}
            for name in ("network", "own and network")
        },
        "strongest": {"own": strongest(own, bad), "network": strongest(network, bad)},
        "seconds": reading.seconds,
    }


def own_features(rows: pd.DataFrame, accounts: int) -> pd.DataFrame:
    """What an account's own statement tells with counterparties cut out: amounts, counts and days."""
    parts = []
    for way, end in (("in", "dst"), ("out", "src")):
        some = rows.groupby(end)
        amounts = some["amount"].agg(["count", "sum", "mean", "std", "min", "max", "nunique"])
        days = some["day"].agg(["min", "max", "nunique"]).add_prefix("day_")
        daily = rows.groupby([end, "day"]).size().groupby(level=0).max().rename("most_a_day")
        parts.append(pd.concat([amounts, days, daily], axis=1).add_prefix(f"{way}_"))
    return pd.concat(parts, axis=1).reindex(range(accounts)).fillna({"in_count": 0, "out_count": 0})


def network_features(spark: SparkSession, rows: pd.DataFrame, accounts: int) -> tuple[pd.DataFrame, Floats]:
    """The features of mules and some of the graph's, and the score of mules: no label goes in."""
    transfers = frame_of(spark, rows).persist()
    as_of = (BEGIN + pd.Timedelta(days=DAYS)).to_pydatetime()
    parts = [mule_features(transfers, as_of, rules=RULES).withColumnRenamed("account", "id")]
    vertices = spark.range(accounts)
    back = transfers.select(F.col("dst").alias("src"), F.col("src").alias("dst"))
    parts += [
        core_number(vertices, transfers),
        triangles(vertices, transfers),
        pagerank(vertices, transfers),
        pagerank(vertices, back).withColumnRenamed("rank", "rank_back"),
    ]
    table = pd.concat([part.toPandas().set_index("id").astype(float) for part in parts], axis=1)
    table = table.reindex(range(accounts))
    alerts = mule_alerts(transfers, as_of, rules=RULES, least=0.0).select("account", "score").toPandas()
    transfers.unpersist()
    score = alerts.set_index("account")["score"].reindex(range(accounts)).fillna(0).to_numpy()
    return table.loc[:, table.nunique() > 1], score


def frame_of(spark: SparkSession, rows: pd.DataFrame) -> DataFrame:
    """Transfers as Spark has them, known as they happen."""
    at = BEGIN + pd.to_timedelta(rows["day"], unit="D")
    return spark.createDataFrame(
        rows.assign(event_ts=at, known_ts=at)[["transfer_id", "src", "dst", "amount", "event_ts", "known_ts"]], SCHEMA
    )


def strongest(table: pd.DataFrame, bad: Floats) -> list[list[object]]:
    """The features that alone have the highest average precision, either way up."""
    single = {
        name: max(figures(bad, side * table[name].fillna(-1).to_numpy())["average_precision"] for side in (1, -1))
        for name in table
    }
    return [[name, single[name]] for name in sorted(single, key=lambda name: -single[name])[:5]]
