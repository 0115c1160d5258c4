"""Early warning (贷后监测): 30 days past due within three months, of open loans week after week."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame

from strata.features.outcomes.performance_labels import LabelSpec
from strata.models.model_spec import ModelSpec, Outcome, Population, Tables, TimeSplit
from strata.models.samples.loan_panel import CASE_COLUMNS, READS, STATE_NAMES, label_cases, loan_panel, month_end_states

# Days between observations. A book of many loans makes many cases: 28 asks for a quarter of the work.
EVERY_DAYS = 7
LABEL = LabelSpec(name="is_bad", key="loan_id", bad_dpd=30, window_months=3, day="state_at")


def weekly_cases(tables: Tables, as_of: date) -> DataFrame:
    """Open loans less than 30 days past due, every Monday."""
    return loan_panel(tables, as_of, every=EVERY_DAYS).where("dpd_now < 30")


def with_outcomes(rows: DataFrame, tables: Tables, as_of: date) -> DataFrame:
    """The worst month end of three months."""
    return label_cases(rows, month_end_states(tables["delinquency"]), LABEL, as_of)


SPEC = ModelSpec(
    name="early_warning",
    title="Early warning",
    entity="customer",
    population=Population(
        description="Open loans less than 30 days past due, every Monday.",
        key="case_id",
        columns=CASE_COLUMNS,
        reads=READS,
        cases=weekly_cases,
    ),
    outcome=Outcome(
        description="Bad: 30 days past due or more at a month end within three months.",
        reads=("delinquency",),
        label=with_outcomes,
    ),
    features=("allowed:*", *STATE_NAMES),
    purpose="monitoring",
    coverage="flag",
    split=TimeSplit(outcome_months=3),
    card={"max_features": 15, "signs": "right", "reasons": 3},
    repeats=1,
    outputs=("cases",),
    notes=(
        "A loan is a case again each week: intervals that count cases as if they were apart are far too narrow.",
        "Days past due are known at month ends, so what changes from week to week are the features of the customer.",
    ),
)
