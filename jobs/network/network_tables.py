"""The relationship network's tables: vertices with stable ids, dated ties, hubs, and what they say of accounts."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.graph.algorithms.components import connected_components
from strata.graph.algorithms.graphframes_calls import USED, require_trusted, self_test
from strata.graph.risk.neighbour_risk import account_graph, assert_components, neighbour_features, network_table
from strata.graph.ties.dated_edges import build_edges, extend_ids, hub_register, links_as_of, relation_vertices
from strata.graph.ties.tie_evidence import SOURCES, relation_evidence
from strata.jobs.network.graph_verdicts import keep_verdicts, kept_verdicts
from strata.jobs.runtime.job import Context

# GraphFrames walks the whole graph again to check ours; beyond this many ties it would cost more than the job.
CROSS_CHECK_TIES = 200_000


def trust_graphframes(context: Context) -> None:
    """GraphFrames answers known graphs rightly on this installation, or the job stops.

    The lake keeps what passed, so that one installation is tried once and not in every run.
    """
    with context.progress.step("self-test of GraphFrames") as step:
        passed = kept_verdicts(context.spark, context.lake.root)
        verdicts = passed or self_test(context.spark, USED)
        require_trusted(verdicts)
        if not passed:
            keep_verdicts(context.spark, context.lake.root, verdicts)
        step.says(", ".join(verdict.call for verdict in verdicts) + (", passed before" if passed else ""))


def build(context: Context) -> None:
    """Vertices keep the ids they have; ties and hubs are cut anew from silver."""
    lake = context.lake
    sources = {name: lake.read(name) for name in (*SOURCES, "account") if lake.exists(name)}
    # Read for the vertices, their ids and the ties.
    evidence = relation_evidence(sources).persist()
    with context.progress.step("vertices") as step:
        seen = relation_vertices(lake.read("customer"), lake.read("account"), evidence)
        # The map of the newest run, not the pinned one: ids are for ever.
        known = lake.read("vertex", lake.version("vertex")).select("key", "id") if lake.exists("vertex") else None
        ids = extend_ids(seen, known).localCheckpoint()
        written = lake.replace("vertex", seen.join(ids, "key", "inner"))
        step.says(f"{written.rows:,} people, accounts and things")
    with context.progress.step("ties") as step:
        written = lake.replace("relationship", build_edges(evidence, ids))
        step.says(f"{written.rows:,}")
    evidence.unpersist()
    with context.progress.step("hubs") as step:
        step.says(f"{lake.replace('hub_register', hub_register(lake.read('relationship'))).rows:,} suppressed")


def judge(context: Context) -> None:
    """The day's network of every account, cross-checked, and each applicant's neighbours as of the application."""
    lake, as_of = context.lake, context.as_of
    vertices, edges = lake.read("vertex"), lake.read("relationship").persist()
    outcomes = (lake.read("loan"), lake.read("loan_outcome"))
    with context.progress.step("components, both ways") as step:
        own, ties = account_graph(vertices, edges)
        step.says(_check(own, links_as_of(ties, lake.read("hub_register"), as_of), context))
    with context.progress.step("network of the day") as step:
        rows = network_table(vertices, edges, *outcomes, as_of).drop("id", "as_of_ts")
        written = lake.replace("network_risk", rows.withColumn("as_of_date", F.lit(as_of)), slice={"as_of_date": as_of})
        step.says(f"{written.rows:,} accounts")
    with context.progress.step("applicants' neighbours") as step:
        spine = lake.read("loan").select("loan_id", "account_id", F.to_timestamp("opened_on").alias("at"))
        rows = neighbour_features(spine, vertices, edges, *outcomes, at="at").drop("account_id", "at")
        written = lake.replace("feature_application_network", rows)
        step.says(f"{written.rows:,} applications")
    edges.unpersist()


def _check(vertices: DataFrame, links: DataFrame, context: Context) -> str:
    """Components hold together, and on a graph that it can walk GraphFrames finds the same."""
    day = F.lit(context.as_of.isoformat()).cast("timestamp")
    known, links = vertices.where(F.col("known_ts") <= day).localCheckpoint(), links.localCheckpoint()
    components = connected_components(known, links)
    small = links.count() <= CROSS_CHECK_TIES
    assert_components(known, links, components, cross_check=small)
    groups = components.select("component").distinct().count()
    return f"{groups:,} groups of {known.count():,} vertices" + (", as by GraphFrames" if small else "")
