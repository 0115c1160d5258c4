"""Part referrals: who can introduce whom, on the simulated bank, against how people really came by later.

Candidates are as of the start of each half-year. The ranking learns from the referrals that the bank had been told
of by then, and is judged by the true ones of the half-year that follows, told or not.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial, reduce
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.sparse import csr_array

from strata.graph.referral.referral_pairs import FEATURES, PAIR, referral_candidates, warm_links, with_outcome
from strata.graph.ties.dated_edges import build_edges, extend_ids, hub_register, relation_vertices
from strata.graph.ties.person_ties import person_ties
from strata.graph.ties.tie_evidence import SOURCES, relation_evidence
from strata.graph.ties.warm_ties import persons_as_of, referrals_between, warm_ties
from strata.jobs.runtime.session import open_session
from strata.jobs.runtime.tables import Lake
from strata.jobs.table_catalog import lake_at
from strata.models.referrals.link_ranking import LinkRanking, fit_link_ranking
from tests.bench.bank import prepared, settings_of
from tests.bench.kept import HERE, RESULTS, Measurement, apart, kept, stamp_of, write
from tests.bench.referrals_figures import Split, compared, lists, split_figures
from tests.bench.referrals_table import referrals_table

CUSTOMERS = 10_000
# The first delivery, of all older contacts, came on the first day.
MOMENTS = ("2025-01-02", "2025-07-01", "2026-01-01", "2026-07-01", "2027-01-01")
# Who knows many may bring the more, or the less each.
FREE = ("referrer_degree_cnt",)
KEPT = ("step_cnt", "link_probability", *FEATURES)
STEPS, DAMPING, SOURCES_AT_ONCE = 12, 0.85, 400


@dataclass(frozen=True)
class Graph:
    """The dated graph of people and things of a bank."""

    vertices: DataFrame
    edges: DataFrame
    hubs: DataFrame
    ties: DataFrame


@dataclass(frozen=True)
class Moment:
    """A moment's links and pairs."""

    at: str
    links: DataFrame
    pairs: DataFrame


def run() -> None:
    """Measure what is missing, then print and keep the table."""
    root = HERE.parents[1]
    code = [
        *(
            root / "graph" / "ties" / f"{name}.py"
            for name in ("dated_edges", "person_ties", "tie_evidence", "warm_ties")
        ),
        root / "graph" / "referral" / "referral_pairs.py",
        root / "models" / "referrals" / "link_ranking.py",
        root / "models" / "scorecard" / "logistic.py",
        *(HERE / f"{name}.py" for name in ("referrals", "referrals_figures")),
    ]
    found = kept(RESULTS / "referrals.json", stamp_of(*code), partial(apart, "referrals", CUSTOMERS))
    text = referrals_table(found)
    (RESULTS / "referrals.md").write_text(text)
    print(text)


def measure(customers: int) -> Measurement:
    """All figures."""
    prepared(customers)
    settings = settings_of(customers)
    spark = open_session(settings)
    graph = graph_of(lake_at(spark, settings.lake))
    truth = spark.read.format("delta").load(str(Path(settings.lake).parent / "truth" / "truth_referral"))
    moments = [moment_of(graph, at) for at in MOMENTS[:-1]]
    told = [
        with_outcome(one.pairs, referrals_between(graph.edges, since, until))
        for one, (since, until) in zip(moments, pairwise(MOMENTS))
    ]
    splits, rankings = [], []
    for place in range(1, len(moments)):
        rankings.append(ranking_of(told[:place]))
        splits.append(split_of(graph, moments[place], rankings[-1], truth, MOMENTS[place + 1]))
    return {
        "customers": customers,
        "splits": [split_figures(one) for one in splits],
        "learnt": [[one.pairs, one.links] for one in rankings],
        "hits": compared(splits),
        "lists": lists(splits),
        "coefficients": [[name, *map(float, row)] for name, *row in rankings[-1].table().itertuples()],
    }


def graph_of(lake: Lake) -> Graph:
    """Vertices, dated ties and hubs from silver; without payments, which tell nothing of people outside."""
    tables = {name: lake.read(name) for name in SOURCES if name != "transaction"}
    evidence = relation_evidence(tables)
    seen = relation_vertices(lake.read("customer"), lake.read("account"), evidence)
    vertices = seen.join(extend_ids(seen), on="key", how="inner").localCheckpoint()
    edges = build_edges(evidence, vertices).localCheckpoint()
    hubs = hub_register(edges).localCheckpoint()
    return Graph(vertices, edges, hubs, person_ties(vertices, edges, hubs).localCheckpoint())


def moment_of(graph: Graph, at: str) -> Moment:
    """Who could introduce whom at a moment."""
    ties = warm_ties(graph.ties, graph.vertices, graph.edges, graph.hubs, at).localCheckpoint()
    persons = persons_as_of(ties, graph.vertices, graph.edges, at)
    pairs = referral_candidates(ties, persons).withColumn("since", F.lit(at)).localCheckpoint()
    return Moment(at, warm_links(ties), pairs)


def ranking_of(told: list[DataFrame]) -> LinkRanking:
    """What all half-years before taught."""
    train = reduce(DataFrame.unionByName, told)
    key = ("since", *PAIR)
    return fit_link_ranking(train, target="is_referred", features=FEATURES, key=key, free=FREE, most=1_000_000)


def split_of(graph: Graph, start: Moment, ranking: LinkRanking, truth: DataFrame, until: str) -> Split:
    """The half-year after ``start``: the scored pairs, each with whom it truly brought, and how many came in all."""
    happened = truth.where((F.col("referred_on") > start.at) & (F.col("referred_on") <= until))
    people = graph.vertices.where("entity = 'customer'").selectExpr(
        "id", "CAST(substring_index(key, ':', -1) AS BIGINT) AS customer_id", "known_ts"
    )
    by = people.selectExpr("id AS referrer", "customer_id AS referrer_id", "known_ts")
    came = happened.join(people.select("id", "customer_id"), "customer_id", "inner").join(by, "referrer_id", "inner")
    phones = graph.edges.where("kind = 'phone'").selectExpr("src AS id", "dst AS prospect_id").distinct()
    true_pairs = came.join(phones, "id", "inner").selectExpr("referrer AS referrer_id", "prospect_id", "id AS came_id")
    pairs = ranking.score(start.pairs).select(*PAIR, *KEPT).join(true_pairs, list(PAIR), "left").toPandas()
    near = start.links.select("id", "other", "strength").toPandas()
    pairs["full_rank"] = full_ranks(near, pairs["referrer_id"], pairs["prospect_id"])
    known = came.where(F.col("known_ts") <= F.lit(start.at).cast("timestamp")).count()
    return Split(start.at, until, pairs, came.count(), known)


def full_ranks(near: pd.DataFrame, referrers: pd.Series, prospects: pd.Series) -> NDArray[np.float64]:
    """Personalised PageRank of each pair by as many steps as change anything."""
    ids = pd.Index(np.unique(near["id"]))
    row, column = ids.get_indexer(near["id"]), ids.get_indexer(near["other"])
    shares = near["strength"].to_numpy() / np.bincount(row, near["strength"])[row]
    step = csr_array((shares, (column, row)), shape=(len(ids), len(ids)))
    target = ids.get_indexer(prospects)
    sources, place = np.unique(ids.get_indexer(referrers), return_inverse=True)
    rank = np.zeros(len(target))
    for first in range(0, len(sources), SOURCES_AT_ONCE):
        some = sources[first : first + SOURCES_AT_ONCE]
        mine = (place >= first) & (place < first + len(some))
        rank[mine] = _walked(step, some)[target[mine], place[mine] - first]
    return rank


def _walked(step: csr_array, sources: NDArray[np.int64]) -> NDArray[np.float64]:
    """Ranks of everybody, a column a source."""
    start = np.zeros((step.shape[0], len(sources)))
    start[sources, np.arange(len(sources))] = 1.0
    rank = start
    for _ in range(STEPS):
        rank = (1 - DAMPING) * start + DAMPING * (step @ rank)
    return rank


if __name__ == "__main__":
    write(Path(sys.argv[2]), measure(int(sys.argv[1])))
