"""Application score (信用评分): 90 days past due within twelve months of the grant, as of the application."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.contracts import Personal, col
from strata.conf.tables.network import CONTAGION
from strata.features.outcomes.performance_labels import LabelSpec, label
from strata.models.model_spec import STATE, Beside, ModelSpec, Outcome, Population, Tables

# Days of postings before an application: the shortest window that says anything of incomes.
HISTORY_DAYS = 90
# The yearly rate at which an instalment is worked out where none was offered.
USUAL_RATE = 0.12
RATE = f"coalesce(CAST(offered_rate AS DOUBLE), {USUAL_RATE})"
LABEL = LabelSpec(
    name="is_bad",
    key="loan_id",
    bad_dpd=90,
    indeterminate_dpd=60,
    window_months=12,
    day="month_end",
)
APPLICATION = ("requested_amount", "term_months", "product_code", "channel", "scene")


def applications(tables: Tables, as_of: date) -> DataFrame:
    """One row per application that was known by the morning of ``as_of``, with the loan that it became.

    What was applied for is that of the first version, as corrections came after the application; what was decided is
    that of the last. ``at`` is the moment of the application. ``has_whole_history`` says whether postings had been
    delivered for 90 days before it. One shuffle by application, one join with the loans, one scan of the postings for
    their first day.
    """
    morning = F.lit(as_of.isoformat()).cast("timestamp")
    known = tables["loan_application"].where(F.col("known_ts") <= morning)
    applied = {name: F.min_by(name, "known_ts") for name in ("customer_id", "event_ts", *APPLICATION)}
    decided = {name: F.max_by(name, "known_ts") for name in ("offered_rate", "decision")}
    values = [value.alias(name) for name, value in {**applied, **decided}.items()]
    versions = known.groupBy("application_id").agg(*values)
    first = tables["transaction"].agg(F.min("event_ts").alias("_first"))
    granted = (
        tables["loan"]
        .where((F.col("known_ts") <= morning) & F.col("application_id").isNotNull())
        .groupBy("application_id")
        .agg(F.max(F.struct("known_ts", "loan_id", "opened_on")).alias("_loan"))
    )
    return versions.join(granted, "application_id", "left").crossJoin(F.broadcast(first)).select(
        "application_id",
        "customer_id",
        F.col("event_ts").alias("at"),
        F.col("event_ts").cast("date").alias("opened_on"),
        *APPLICATION,
        "offered_rate",
        "decision",
        F.col("_loan.loan_id").alias("loan_id"),
        F.col("_loan.opened_on").alias("granted_on"),
        F.coalesce(F.col("event_ts") >= F.date_add("_first", HISTORY_DAYS), F.lit(False)).alias("has_whole_history"),
    )  # fmt: skip


def outcomes(cases: DataFrame, tables: Tables, as_of: date) -> DataFrame:
    """The outcome of each case by ``LABEL``, from the grant on; ``outcome_state`` also says who got no loan."""
    labelled = label(cases, tables["delinquency"], LABEL, at="granted_on", known_until=as_of)
    state = F.when(F.col("decision") == "declined", "refused").when(F.col("loan_id").isNull(), "not taken")
    return labelled.withColumn(STATE, state.otherwise(F.col("is_bad_state"))).drop(
        "is_bad_state", "is_bad_from", "is_bad_to"
    )


SPEC = ModelSpec(
    name="application_default",
    title="Application score",
    entity="customer",
    population=Population(
        description="Applications for credit with 90 days of postings before them, as of the moment of applying.",
        key="application_id",
        columns=(
            col("application_id", "bigint", "the application"),
            col(
                "customer_id", "bigint", "the applicant; folds never separate the cases of one", personal=Personal.QUASI
            ),
            col("at", "timestamp", "the moment of the application"),
            col("opened_on", "date", "day of the application"),
            col("requested_amount", "decimal(18,2)", "amount applied for", nullable=True),
            col("term_months", "int", "term applied for", unit="months", nullable=True),
            col("product_code", "string", "the product", nullable=True),
            col("channel", "string", "app, branch, partner or manager", nullable=True),
            col("scene", "string", "what the purchase is at a partner", nullable=True),
            col("offered_rate", "decimal(9,6)", "annual rate offered; null where refused", nullable=True),
            col("decision", "string", "what was decided then: approved, declined, withdrawn", nullable=True),
            col("loan_id", "bigint", "the loan that it became", nullable=True),
            col("granted_on", "date", "day of the grant", nullable=True),
            col("has_whole_history", "boolean", "whether postings are there for 90 days before"),
        ),
        reads=("loan_application", "loan", "transaction"),
        needs=("loan.application_id",),
        cases=applications,
        eligible="has_whole_history",
    ),
    outcome=Outcome(
        description="Bad: 90 days past due or more within twelve months of the grant. Indeterminate: 60 to 89 days.",
        reads=("delinquency",),
        label=outcomes,
    ),
    features=("allowed:*", "contagion_*", *APPLICATION),
    purpose="credit_risk",
    # A young bank's long windows are cut short: they are taken as they are, and said to be.
    coverage="flag",
    beside=(Beside("feature_application_contagion", CONTAGION),),
    # Hundreds of features: only signs that agree with their WOE, so that nothing is fitted twice to compare.
    card={"max_features": 15, "signs": "right", "reasons": 3},
    repeats=1,
    outputs=("cases",),
    decision={
        "requested_amount": "requested_amount",
        "term_months": "term_months",
        "instalment_amt": f"CAST(requested_amount AS DOUBLE) * {RATE} / 12 / (1 - pow(1 + {RATE} / 12, -term_months))",
        "monthly_income_amt": "CAST(earnings_in_sum_90d_amt AS DOUBLE) / 3",
        "has_whole_history": "has_whole_history",
        "neighbour_default_ratio": "contagion_all_bad_ratio",
        "component_size": "CAST(NULL AS BIGINT)",
    },
)
