"""What a credit decision tells: its trace, word by word, and its types."""

from datetime import date
from decimal import Decimal

import pytest

from strata.conf.policies import load_policies
from strata.models.decisioning.decision_table import decide_credit

pytestmark = pytest.mark.golden

ROWS = """
    select 1 loan_id, 96396.00 requested_amount, 12 term_months, 8033.00 instalment_amt,
           25000.00 monthly_income_amt, 0.081D probability, 512 score, 'C' grade, true has_whole_history,
           cast(null as int) component_size, cast(null as double) neighbour_default_ratio
    union all select 2, 900000, 12, 90000, 100000, 0.24, 400, 'E', false, 60, 0
    union all select 3, null, null, null, null, null, null, null, null, null, null
    union all select 4, 80000, 24, 3300, 20000, 0.081, null, 'C', true, 2, 0.6
"""
TRACES = {
    1: [
        "Asked for: 96,396.00 over 12 months, instalment 8,033.00, monthly income 25,000.00.",
        "Probability of default: 8.1 %, score 512, grade C.",
        "No rule fired.",
        "Price band C: 16.74 % a year; needed 16.74: risk 4.27, funding 8.00, operating 2.00, capital 0.96, "
        "margin 1.50; held between 12.00 and 22.00.",
        "Expected loss: 2,108.18 with 45.0 % lost of the 60.0 % still owed at default.",
        "Decision: approve, by policy 1993-1.",
    ],
    2: [
        "Asked for: 900,000.00 over 12 months, instalment 90,000.00, monthly income 100,000.00.",
        "Probability of default: 24.0 %, score 400, grade E.",
        "R02 decline: the amount asked for is 900,000.00, above 600,000.00.",
        "H01 refer: the account's history before the application is not known to be whole.",
        "N01 refer: the number of accounts in the applicant's connected group is 60, at or above 50.",
        "S01 refer: the probability of default is 24.0 %, at or above 12.0 %.",
        "A01 refer: the instalment's share of monthly income is 90.0 %, above 40.0 %.",
        "A02 decline: the instalment's share of monthly income is 90.0 %, above 60.0 %.",
        "P01 refer: the yearly rate that covers the risk is 22.1 %, above 22.0 %.",
        "No price: the application is declined.",
        "Expected loss: 58,320.00 with 45.0 % lost of the 60.0 % still owed at default.",
        "Decision: decline, by policy 1993-1.",
    ],
    3: [
        "Asked for: unknown over unknown, instalment unknown, monthly income unknown.",
        "Probability of default: unknown.",
        "X01 refer: the amount asked for is not known or not positive.",
        "X02 refer: the term is not known or not positive.",
        "X03 refer: the instalment is not known or not positive.",
        "X04 refer: the monthly income is not known or not positive.",
        "X05 refer: the probability of default is not known.",
        "H01 refer: the account's history before the application is not known to be whole.",
        "No price: the risk or the term is not known.",
        "Decision: refer, by policy 1993-1.",
    ],
    4: [
        "Asked for: 80,000.00 over 24 months, instalment 3,300.00, monthly income 20,000.00.",
        "Probability of default: 8.1 %, grade C.",
        "N02 refer: the share of the applicant's neighbours in default is 60.0 %, at or above 50.0 %.",
        "Price band C: 14.65 % a year; needed 14.65: risk 2.19, funding 8.00, operating 2.00, capital 0.96, "
        "margin 1.50; held between 12.00 and 22.00.",
        "Expected loss: 1,749.60 with 45.0 % lost of the 60.0 % still owed at default.",
        "Decision: refer, by policy 1993-1.",
    ],
}


@pytest.fixture(scope="module")
def policy():
    return load_policies().at(date(1997, 6, 1))


def test_decision_trace_reads_as_written(spark, policy):
    decided = decide_credit(spark.sql(ROWS), policy)
    told = {row["loan_id"]: row for row in decided.collect()}
    assert {loan: row["trace"] for loan, row in told.items()} == TRACES
    assert told[1]["annual_rate"] == Decimal("0.1674")
    assert told[4]["rules"] == ["N02"]
    assert (told[2]["annual_rate"], told[2]["price_band"]) == (None, None)


def test_decision_schema(spark, policy):
    applications = spark.sql(ROWS)
    decided = decide_credit(applications, policy)
    assert decided.columns[: len(applications.columns)] == applications.columns
    assert dict(decided.dtypes[len(applications.columns) :]) == {
        "decision": "string",
        "price_band": "string",
        "annual_rate": "decimal(6,4)",
        "expected_loss_amt": "decimal(18,2)",
        "instalment_to_income_ratio": "double",
        "rules": "array<string>",
        "trace": "array<string>",
        "policy_version": "string",
    }


def test_decision_again_is_the_same_decision(spark, policy):
    once = decide_credit(spark.sql(ROWS), policy)
    again = decide_credit(once, policy)
    assert again.columns == once.columns
    assert again.exceptAll(once).count() == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("drop probability", "column 'probability' is missing; every decision needs it"),
        ("drop component_size", "column 'component_size' is missing; rule N01 needs it"),
        ("grade requested_amount", "column 'requested_amount' is not a number; every decision needs that"),
        ("score has_whole_history", "column 'has_whole_history' is not true or false; rule H01 needs that"),
    ],
)
def test_decision_refuses_in_one_sentence(spark, policy, change, words):
    applications = spark.sql(ROWS)
    source, name = change.split()
    wrong = applications.drop(name)
    if source != "drop":
        wrong = wrong.withColumn(name, applications[source])
    with pytest.raises(ValueError, match=f"^applications: {words}$"):
        decide_credit(wrong, policy)
