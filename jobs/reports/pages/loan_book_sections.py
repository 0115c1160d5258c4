"""The sections about the book: data quality, features, network, segments, decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.reports.charts import charts
from strata.jobs.reports.pages.page import Figure, Section, Sheet

Rows = Mapping[str, DataFrame]
TIERS = ("high", "medium", "low")


def sections(rows: Rows) -> list[Section]:
    """In the order of the flow, those whose tables the run has made."""
    return [section(rows) for needed, section in SECTIONS if rows.keys() >= set(needed)]


def quality(rows: Rows) -> Section:
    """What arrived and where each row went."""
    names = ("source_file", "table_name", "rows_in", "rows_out", "rows_quarantined", "rows_duplicate")
    files = rows["ops_ingest"].orderBy("table_name", "source_file").select(*names).collect()
    lost = sum(row.rows_in - row.rows_out - row.rows_quarantined - row.rows_duplicate for row in files)
    lead = (
        f"{sum(row.rows_in for row in files):,} rows came in {len({row.source_file for row in files})} files; "
        f"{sum(row.rows_quarantined for row in files):,} are in quarantine, {lost:,} are unaccounted for."
    )
    sheet = Sheet(
        ("file", "silver table", "rows in", "rows out", "quarantined", "duplicate"), [tuple(row) for row in files]
    )
    return Section("Data quality", lead, sheets=[sheet])


def features(rows: Rows) -> Section:
    """How the day's features are filled."""
    figures = rows["feature_statistics"].orderBy(F.desc("null_ratio"), "feature").collect()
    empty = [row for row in figures if row.null_ratio > 0.25]
    names = [row.feature for row in figures[:12]]
    chart = charts.bars(
        names, [100 * row.null_ratio for row in figures[:12]], label="% without a value", text="{:.0f} %"
    )
    lead = (
        f"{len(figures)} features of {max(row.rows for row in figures):,} accounts or customers, each from what had "
        f"happened and was known before the day; {len(empty)} of them are empty for more than a quarter."
    )
    columns = ("feature", "null_ratio", "mean", "q05", "q50", "q95")
    sheet = Sheet(
        ("feature", "share null", "mean", "5 %", "median", "95 %"),
        [tuple(row[c] for c in columns) for row in sorted(figures, key=lambda row: row.feature)],
        f"All {len(figures)} features with their spread",
        folded=True,
    )
    caption = "Missing is not zero: an empty window has no mean, so the young lack long ones."
    return Section("Features", lead, figures=[Figure(chart, caption)], sheets=[sheet])


def people(rows: Rows) -> Section:
    """What ties people, and whom the network raises an alert about."""
    kinds = rows["relationship"].groupBy("kind").agg(F.count(F.lit(1)).alias("ties")).orderBy("kind").collect()
    groups = rows["network_group"].groupBy("group_id").count().groupBy("count").count().toDF("size", "groups")
    sizes = groups.orderBy("size").limit(14).collect()
    alerts = rows["fraud_alert"].groupBy("kind").count().orderBy(F.desc("count"), "kind").collect()
    near = rows["network_contagion"].agg(
        F.count(F.lit(1)).alias("all"), F.count_if(F.col("contagion_all_cnt") > 0).alias("tied"),
        F.count_if(F.col("contagion_all_bad_cnt") > 0).alias("near"),
    ).head()  # fmt: skip
    lead = (
        f"People, accounts, phones, devices, addresses and employers are one dated graph. Of {near['all']:,} customers "
        f"{near['tied']:,} have a tie to another one, {near['near']:,} to somebody who was once 90 days past due; "
        f"{sum(row['count'] for row in alerts):,} alerts are raised on the day."
    )
    ties = ", ".join(f"{row.ties:,} {row.kind}" for row in kinds)
    chart = charts.bars([str(r.size) for r in sizes], [r.groups for r in sizes], label="groups of so many people")
    sheet = Sheet(("alert", "cases"), [tuple(row) for row in alerts], "Alerts of the day")
    notes = [f"Dated ties: {ties}. Hubs suppressed: {rows['hub_register'].count():,}."]
    return Section("Network", lead, notes, [Figure(chart, "Groups held together by strong ties.")], [sheet])


def network(rows: Rows) -> Section:
    """What the network of accounts holds, and what it doesn't."""
    nodes = rows["network_risk"]
    sizes = nodes.groupBy("network_component_size_cnt").count().orderBy("network_component_size_cnt").collect()
    kinds = rows["relationship"].groupBy("kind").agg(F.count(F.lit(1)).alias("ties")).orderBy("kind").collect()
    near = (
        rows["feature_application_network"]
        .agg(
            F.count_if(F.col("network_neighbour_cnt") > 0).alias("met"),
            F.count_if(F.col("network_neighbour_outcome_cnt") > 0).alias("told"),
            F.count(F.lit(1)).alias("all"),
        )
        .head()
    )
    chart = charts.bars(
        [str(row.network_component_size_cnt) for row in sizes[:14]], [row["count"] for row in sizes[:14]],
        label="accounts in a group of so many vertices",
    )  # fmt: skip
    lead = (
        "Accounts, people and outside counterparties are one dated graph. In this bank payees hardly overlap: "
        f"of {near['all']:,} applicants {near.met:,} had a neighbour who paid the same payee before the application, "
        f"and {near.told:,} one whose loan's outcome was known by then. So the network can say almost nothing here; "
        "the section on models shows with an interval what it adds."
    )
    ties = ", ".join(f"{row.ties:,} {row.kind}" for row in kinds)
    notes = [f"Dated ties: {ties}. Hubs suppressed: {rows['hub_register'].count():,}."]
    return Section("Network", lead, notes, [Figure(chart, "Most groups are a person, an account and a payee or two.")])


def segments(rows: Rows) -> Section:
    """Who the customers are."""
    profile = rows["segment_profile"].orderBy("cluster").collect()
    trials = rows["segment_trial"].orderBy("k").collect()
    rfm = rows["customer_segment"].groupBy("rfm_segment").count().orderBy(F.desc("count"), "rfm_segment").collect()
    cells = {
        (r.value_tier, r.risk_tier): r["count"]
        for r in rows["customer_tier"].groupBy("value_tier", "risk_tier").count().collect()
    }
    matrix = [[cells.get((value, risk), 0) for risk in reversed(TIERS)] for value in TIERS]
    figures = [
        Figure(
            charts.heat(TIERS, TIERS[::-1], matrix, xlabel="risk tier", ylabel="value tier"),
            "Customers by value and risk.",
        ),
        Figure(
            charts.bars([r.rfm_segment for r in rfm], [r["count"] for r in rfm], label="customers"),
            "By recency, frequency and money.",
        ),
    ]
    chosen = next(row for row in trials if row.chosen)
    lead = (
        f"Behaviour falls into {chosen.k} clusters: drawn again from resampled customers they agree with themselves to "
        f"an adjusted Rand index of {chosen.stability:.2f} on average, {chosen.stability_low:.2f} at worst."
    )
    sheets = [
        Sheet(("cluster", "name", "customers", "share", "description"),
              [(r.cluster, r.name, r.customer_cnt, r.share, r.description) for r in profile]),
        Sheet(("clusters", "silhouette", "stability", "lowest", "smallest share", "chosen"),
              [(r.k, r.silhouette, r.stability, r.stability_low, r.smallest_share, r.chosen) for r in trials],
              "Numbers of clusters tried"),
    ]  # fmt: skip
    return Section("Segments", lead, figures=figures, sheets=sheets)


def decisions(rows: Rows) -> Section:
    """What the policy decides, why, and for whom."""
    decided = rows["application_decision"]
    scored = rows["application_score"].select("model", "model_version", "application_id", "is_bad")
    named = decided.join(scored, ["model", "model_version", "application_id"], "left")
    counts = named.groupBy("model", "decision").agg(
        F.count(F.lit(1)).alias("n"), F.count("is_bad").alias("known"), F.avg("is_bad").alias("bad")
    )
    table = counts.orderBy("model", "decision").collect()
    codes = (
        decided.select(F.explode("rules").alias("rule"))
        .groupBy("rule")
        .count()
        .orderBy(F.desc("count"), "rule")
        .collect()
    )
    unscored = decided.where("probability IS NULL").count()
    backtest = decided.where("scored_by = 'out of fold'").count()
    told = ", ".join(f"{row.n:,} {row.decision}" for row in table)
    lead = (
        f"Each application decided as of its own day: {told}. Of past ones this is a backtest: {backtest:,} were "
        "decided on a score from models that never saw them."
    )
    sample = decided.where("probability IS NOT NULL").orderBy(F.desc("probability"), "application_id").head()
    notes = [
        f"{unscored:,} cannot be scored, because what is known before them is not whole, and are referred to a person.",
        f"The riskiest one in full ({sample.application_id}): {' '.join(sample.trace)}"
        if sample
        else "None is scored.",
    ]
    fair = rows["decision_fairness"].orderBy("model", "attribute", "group").collect()
    columns = ("model", "attribute", "group", "count", "approval_rate", "bad_rate", "adverse_impact_ratio", "verdict")
    sheets = [
        Sheet(("model", "decision", "applications", "outcome known", "of which bad"), [tuple(row) for row in table]),
        Sheet(("model", "attribute", "group", "scored", "approved", "bad", "impact ratio", "verdict"),
              [tuple(row[c] for c in columns) for row in fair], "By protected attribute, which no model reads"),
    ]  # fmt: skip
    chart = charts.bars(
        [row.rule for row in codes], [row["count"] for row in codes], label="applications on which the rule fired"
    )
    return Section(
        "Decisions",
        lead,
        notes,
        [Figure(chart, "X: not known, H: history, S: score, A: affordability, P: price.")],
        sheets,
    )


# What each section reads.
SECTIONS: tuple[tuple[tuple[str, ...], Callable[[Rows], Section]], ...] = (
    (("ops_ingest",), quality),
    (("feature_statistics",), features),
    (("network_risk", "relationship", "hub_register", "feature_application_network"), network),
    (("network_contagion", "network_group", "relationship", "hub_register", "fraud_alert"), people),
    (("customer_segment", "segment_profile", "segment_trial", "customer_tier"), segments),
    (("application_decision", "application_score", "decision_fairness"), decisions),
)
READS = tuple(dict.fromkeys(name for needed, _ in SECTIONS for name in needed))
