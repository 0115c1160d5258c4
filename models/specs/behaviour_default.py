"""Behaviour score (行为管理): 60 days past due within six months, of open loans month after month."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame

from strata.features.outcomes.performance_labels import LabelSpec
from strata.models.model_spec import ModelSpec, Outcome, Population, Tables, TimeSplit
from strata.models.samples.loan_panel import CASE_COLUMNS, READS, STATE_NAMES, label_cases, loan_panel, month_end_states

LABEL = LabelSpec(name="is_bad", key="loan_id", bad_dpd=60, indeterminate_dpd=30, window_months=6, day="state_at")


def monthly_cases(tables: Tables, as_of: date) -> DataFrame:
    """Open loans less than 30 days past due, on the first of each month: later stages are for collections."""
    return loan_panel(tables, as_of).where("dpd_now < 30")


def with_outcomes(rows: DataFrame, tables: Tables, as_of: date) -> DataFrame:
    """The worst month end of six months."""
    return label_cases(rows, month_end_states(tables["delinquency"]), LABEL, as_of)


SPEC = ModelSpec(
    name="behaviour_default",
    title="Behaviour score",
    entity="customer",
    population=Population(
        description="Open loans less than 30 days past due, on the first of each month.",
        key="case_id",
        columns=CASE_COLUMNS,
        reads=READS,
        cases=monthly_cases,
    ),
    outcome=Outcome(
        description="Bad: 60 days past due or more at a month end within six months. Indeterminate: 30 to 59 days.",
        reads=("delinquency",),
        label=with_outcomes,
    ),
    features=("allowed:*", *STATE_NAMES),
    purpose="credit_risk",
    coverage="flag",
    split=TimeSplit(outcome_months=6),
    card={"max_features": 15, "signs": "right", "reasons": 3},
    repeats=1,
    outputs=("cases",),
    notes=("A loan is a case again each month: intervals that count cases as if they were apart are too narrow.",),
)
