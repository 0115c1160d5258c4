"""The sections about the book: data quality, features, network, segments, decisions."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.reports import charts
from strata.jobs.reports.page import Figure, Section, Sheet

READS = (
    "ops_ingest",
    "loan",
    "training_set_loan_default",
    "feature_statistics",
    "network_risk",
    "relationship",
    "hub_register",
    "feature_application_network",
    "customer_segment",
    "segment_profile",
    "segment_trial",
    "customer_tier",
    "scores",
    "application_decision",
    "decision_fairness",
)
TIERS = ("high", "medium", "low")


def sections(rows: dict[str, DataFrame]) -> list[Section]:
    """In the order of the flow."""
    return [quality(rows), features(rows), network(rows), segments(rows), decisions(rows)]


def quality(rows: dict[str, DataFrame]) -> Section:
    """What arrived and where each row went."""
    names = ("source_file", "table_name", "rows_in", "rows_out", "rows_quarantined", "rows_duplicate")
    files = rows["ops_ingest"].orderBy("table_name", "source_file").select(*names).collect()
    loans, whole = rows["loan"].count(), rows["training_set_loan_default"].count()
    lost = sum(row.rows_in - row.rows_out - row.rows_quarantined - row.rows_duplicate for row in files)
    lead = (
        f"{sum(row.rows_in for row in files):,} rows came in {len({row.source_file for row in files})} files; "
        f"{sum(row.rows_quarantined for row in files):,} are in quarantine, {lost:,} are unaccounted for."
    )
    notes = [
        f"{whole:,} of {loans:,} loans have their whole history before the grant; the other {loans - whole:,} are in "
        "no training set and are referred to a person, because the transactions that can be had are partial.",
        "Put the full trans.asc into a folder and name it with --landing: everything uses it.",
    ]
    sheet = Sheet(
        ("file", "silver table", "rows in", "rows out", "quarantined", "duplicate"), [tuple(row) for row in files]
    )
    return Section("Data quality", lead, notes, sheets=[sheet])


def features(rows: dict[str, DataFrame]) -> Section:
    """How the day's features are filled."""
    figures = rows["feature_statistics"].orderBy(F.desc("null_ratio"), "feature").collect()
    empty = [row for row in figures if row.null_ratio > 0.25]
    names = [row.feature for row in figures[:12]]
    chart = charts.bars(
        names, [100 * row.null_ratio for row in figures[:12]], label="% of accounts without a value", text="{:.0f} %"
    )
    lead = (
        f"{len(figures)} features of {figures[0].rows:,} accounts, each from postings that happened and were known "
        f"before the day; {len(empty)} of them are empty for more than a quarter of the accounts."
    )
    columns = ("feature", "null_ratio", "mean", "q05", "q50", "q95")
    sheet = Sheet(
        ("feature", "share null", "mean", "5 %", "median", "95 %"),
        [tuple(row[c] for c in columns) for row in sorted(figures, key=lambda row: row.feature)],
        f"All {len(figures)} features with their spread",
        folded=True,
    )
    caption = "Missing is not zero: an empty window has no mean, so young accounts lack long ones."
    return Section("Features", lead, figures=[Figure(chart, caption)], sheets=[sheet])


def network(rows: dict[str, DataFrame]) -> Section:
    """What the network holds, and what it doesn't."""
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


def segments(rows: dict[str, DataFrame]) -> Section:
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


def decisions(rows: dict[str, DataFrame]) -> Section:
    """What the policy would have decided, why, and for whom."""
    decided = rows["application_decision"]
    outcomes = rows["training_set_loan_default"].select(F.col("loan_id").alias("application_id"), "is_bad")
    named = decided.join(outcomes, "application_id", "left")
    counts = named.groupBy("decision").agg(
        F.count(F.lit(1)).alias("n"), F.count("is_bad").alias("known"), F.avg("is_bad").alias("bad")
    )
    table = counts.orderBy("decision").collect()
    codes = (
        decided.select(F.explode("rules").alias("rule"))
        .groupBy("rule")
        .count()
        .orderBy(F.desc("count"), "rule")
        .collect()
    )
    told = ", ".join(f"{row.n:,} {row.decision}" for row in table)
    lead = f"Each granted loan, decided again as of its own day on a score from models that never saw it: {told}."
    sample = decided.where("probability IS NOT NULL").orderBy(F.desc("probability"), "application_id").head()
    notes = [
        "Every one of these loans was granted by the bank of the time, so nothing is known of those it refused.",
        f"The riskiest one, told in full ({sample.application_id}): {' '.join(sample.trace)}"
        if sample
        else "None has a score.",
    ]
    fair = rows["decision_fairness"].orderBy("attribute", "group").collect()
    columns = ("attribute", "group", "count", "approval_rate", "bad_rate", "adverse_impact_ratio", "verdict")
    sheets = [
        Sheet(("decision", "applications", "outcome known", "of which bad"), [tuple(row) for row in table]),
        Sheet(("attribute", "group", "scored", "approved", "bad", "impact ratio", "verdict"),
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
