"""Early collections (催收): who of those 1 to 59 days past due is not back to 0 within two months."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.features.outcomes.performance_labels import LabelSpec
from strata.models.model_spec import ModelSpec, Outcome, Population, Tables, TimeSplit
from strata.models.samples.loan_panel import CASE_COLUMNS, READS, STATE_NAMES, label_cases, loan_panel, month_end_states

# The worst of "nothing past due" is the cure: one such month end is enough.
CURE = LabelSpec(name="is_cured", key="loan_id", bad_dpd=1, window_months=2, day="state_at", dpd="is_current")


def overdue_loans(tables: Tables, as_of: date) -> DataFrame:
    """Open loans 1 to 59 days past due (M1 and M2), on the first of each month."""
    return loan_panel(tables, as_of).where("dpd_now BETWEEN 1 AND 59")


def with_outcomes(rows: DataFrame, tables: Tables, as_of: date) -> DataFrame:
    """Bad (1) is not cured. Excluded: a later report says that nothing was past due on the observation date."""
    current = F.when(F.col("days_past_due").isNotNull(), (F.col("days_past_due") == 0).cast("int"))
    states = month_end_states(tables["delinquency"]).withColumn("is_current", current)
    cured = label_cases(rows, states, CURE, as_of)
    state = F.when(F.col("is_cured") == 1, "good").when(F.col("is_cured") == 0, "bad")
    return cured.select(
        *rows.columns,
        (1 - F.col("is_cured")).alias("is_bad"),
        state.otherwise(F.col("outcome_state")).alias("outcome_state"),
    )


SPEC = ModelSpec(
    name="collections_cure",
    title="Early collections",
    entity="customer",
    population=Population(
        description="Open loans 1 to 59 days past due (M1 and M2), on the first of each month.",
        key="case_id",
        columns=CASE_COLUMNS,
        reads=READS,
        cases=overdue_loans,
    ),
    outcome=Outcome(
        description="Bad: past due at each month end within two months. Good: cured, nothing past due at one of them.",
        reads=("delinquency",),
        label=with_outcomes,
    ),
    features=("allowed:*", *STATE_NAMES),
    purpose="collection",
    coverage="flag",
    split=TimeSplit(outcome_months=2),
    card={"max_features": 15, "signs": "right", "reasons": 3},
    repeats=1,
    outputs=("cases",),
    notes=(
        "Cures are counted whatever was done to collect: the model does not say who cures without help.",
        "Who falls back after one month end without arrears has cured.",
    ),
)
