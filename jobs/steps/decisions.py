"""Decisions on the book's applications, each as of its own day: a backtest of the policy on scores out of fold."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.policies import Policy
from strata.jobs.runtime.catalog import contract_of
from strata.jobs.runtime.run import Context
from strata.jobs.steps.scoring import graded
from strata.models.decision import decide_credit
from strata.models.fairness import age_band, fairness_report
from strata.models.specs import loan_default as loans

SOURCES = ("loan", "account", "account_holder", "transaction_coverage", "loan_outcome")
INCOME = "income_monthly_mean_180d_amt"


def applications(context: Context) -> DataFrame:
    """Every granted loan as the application it was: terms, income, score out of fold, neighbours as of its day."""
    read = context.lake.read
    asked = loans.applications(*(read(name) for name in SOURCES))
    scored = (
        read("application_score")
        .where("model = 'scorecard'")
        .select(F.col("application_id").alias("loan_id"), "probability")
    )
    incomes = read(loans.TRAINING_SET).select("loan_id", F.col(INCOME).cast("double").alias("monthly_income_amt"))
    network = read("feature_application_network").selectExpr(
        "loan_id", "network_neighbour_default_ratio AS neighbour_default_ratio"
    )
    rows = asked.join(scored, "loan_id", "left").join(incomes, "loan_id", "left").join(network, "loan_id", "left")
    return graded(rows).withColumns(
        {
            "application_id": F.col("loan_id"),
            "as_of_date": F.col("opened_on"),
            "requested_amount": F.col("principal"),
            # Groups are cut for the day of a run, not for each application's own day; a null fires no rule.
            "component_size": F.lit(None).cast("long"),
        }
    )


def decide(context: Context, rows: DataFrame, policy: Policy) -> None:
    """Replace the decision table, where every application is decided, and how fair the decisions are."""
    with context.progress.step("decide") as step:
        decided = decide_credit(rows, policy).persist()
        written = context.lake.replace("application_decision", _in_contract("application_decision", decided))
        step.says(f"{written.rows:,} applications under policy {policy.version}")
    with context.progress.step("fairness"):
        people = context.lake.read("customer").select("customer_id", "gender", "birth_date")
        context.lake.replace("decision_fairness", _in_contract("decision_fairness", fairness(decided, people)))
    decided.unpersist()


def fairness(decided: DataFrame, people: DataFrame) -> DataFrame:
    """Approvals and bads by gender and age band; of scored applications, since the others are referred unread."""
    known = decided.where("probability IS NOT NULL").join(people, "customer_id", "left")
    grouped = known.withColumns(
        {
            "approved": F.col("decision") == "approve",
            "age_band": age_band(F.col("birth_date"), F.col("as_of_date")),
        }
    )
    return fairness_report(grouped, attributes=("gender", "age_band"), approved="approved", bad=loans.TARGET)


def _in_contract(name: str, rows: DataFrame) -> DataFrame:
    return rows.select(*contract_of(name).names)
