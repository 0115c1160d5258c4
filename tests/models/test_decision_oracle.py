"""Credit decisions against a plain-Python reading of the policy, on random applications and policies."""

import math
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pytest

from strata.conf.policies import Policy, load_policies
from strata.models.decisioning.decision_table import decide_credit

pytestmark = pytest.mark.oracle

SEVERITY = {"approve": 0, "refer": 1, "decline": 2}
SCHEMA = (
    "id int, requested_amount decimal(18,2), term_months int, instalment_amt decimal(18,2), "
    "monthly_income_amt double, probability double, has_whole_history boolean, component_size long, "
    "neighbour_default_ratio double"
)


def policies():
    ours = load_policies().at(date(1998, 1, 1))
    other = ours.model_dump()
    other["version"] = "other"
    other["credit"]["cut_offs"] = {"refer_from": 0.05, "decline_from": 0.2}
    other["credit"]["price"] |= {"probability_months": 24, "lowest_rate": 0.14, "highest_rate": 0.18}
    other["credit"]["rules"] = other["credit"]["rules"][4:]
    return [ours, Policy.model_validate(other)]


def applications(count=2500):
    rng = np.random.default_rng(17)
    edges = [0.0, 0.03, 0.07, 0.12, 0.18, 0.25, 1.0, 0.05, 0.2, -0.1, 1.1, math.nan]
    rows = []
    for number in range(count):
        amount = Decimal(int(rng.choice([0, 299_999, 300_000, 60_000_000, 60_000_001, rng.integers(1, 70_000_000)])))
        term = int(rng.choice([0, 5, 6, 12, 24, 60, 84, 85]))
        instalment = Decimal(int(rng.integers(-10, 2_000_000))).scaleb(-2)
        income = float(rng.choice([0, -5, math.nan, float(instalment) / 0.4, rng.uniform(1, 40_000)]))
        chance = float(rng.choice([*edges, *rng.beta(1, 8, 12)]))
        row = [amount.scaleb(-2), term, instalment, income, chance, bool(rng.random() < 0.8)]
        row += [int(rng.integers(1, 60)), float(rng.choice([0.0, 0.49, 0.5, 1.0]))]
        rows.append((number, *[None if rng.random() < 0.04 else value for value in row]))
    return rows


def known(value):
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def rounded(value, places):
    return Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def decide(row, credit):
    """What the policy says, read rule by rule."""
    case = dict(zip([part.split()[0] for part in SCHEMA.split(", ")], row))
    for name in ("requested_amount", "term_months", "instalment_amt", "monthly_income_amt"):
        value = case[name]
        case[name] = float(value) if known(value) and value > 0 else None
    chance = case["probability"]
    chance = case["probability"] = chance if known(chance) and 0 <= chance <= 1 else None
    instalment, income, term = case["instalment_amt"], case["monthly_income_amt"], case["term_months"]
    ratio = case["instalment_to_income_ratio"] = instalment / income if instalment and income else None
    band = next((b for b in credit.price.bands if chance is not None and chance < b.below), None)
    months = credit.price.probability_months or term
    needed = None
    if band and months:
        needed = 1 - (1 - band.probability) ** (12 / months)
        needed = needed * credit.price.loss_given_default + credit.price.costs
    case["needed_rate"] = needed
    fired = []
    for rule in credit.table():
        value = case[rule.measure]
        if rule.test == "missing":
            hit = value is None
        elif rule.test == "not_true":
            hit = value is not True
        elif value is None:
            hit = False
        elif rule.test == "above":
            hit = value > rule.limit
        elif rule.test == "at_least":
            hit = value >= rule.limit
        else:
            hit = value < rule.limit
        if hit:
            fired.append(rule)
    decision = max([rule.outcome for rule in fired] or ["approve"], key=SEVERITY.get)
    priced = decision != "decline" and needed is not None
    held = min(max(needed, credit.price.lowest_rate), credit.price.highest_rate) if priced else None
    severity = credit.price.loss_given_default * credit.price.exposure_share
    amount = case["requested_amount"]
    loss = rounded(chance * severity * amount, 2) if chance is not None and amount else None
    return {
        "decision": decision,
        "price_band": band.band if priced else None,
        "annual_rate": rounded(held, 4) if priced else None,
        "expected_loss_amt": loss,
        "instalment_to_income_ratio": ratio,
        "rules": [rule.code for rule in fired],
    }


@pytest.mark.parametrize("policy", policies(), ids=lambda policy: policy.version)
def test_decision_agrees_with_plain_python(spark, policy):
    rows = applications()
    decided = decide_credit(spark.createDataFrame(rows, SCHEMA).repartition(3), policy)
    answers = {row["id"]: row for row in decided.collect()}
    assert len(answers) == len(rows)
    seen = set()
    for row in rows:
        expected = decide(row, policy.credit)
        assert {name: answers[row[0]][name] for name in expected} == expected, row
        seen |= {expected["decision"], *expected["rules"]}
    assert seen >= {"approve", "refer", "decline"} | {rule.code for rule in policy.credit.table()} - {"P01"}


@pytest.mark.parametrize("policy", policies(), ids=lambda policy: policy.version)
def test_decision_never_prices_or_treats_the_better_risk_worse(spark, policy):
    chances = np.round(np.linspace(0, 0.4, 201), 4)
    bases = [row for row in applications(120) if all(known(value) for value in row)]
    rows = [
        (number * 1000 + step, *row[1:5], float(chance), *row[6:])
        for number, row in enumerate(bases)
        for step, chance in enumerate(chances)
    ]
    decided = decide_credit(spark.createDataFrame(rows, SCHEMA), policy)
    told = decided.select("id", "decision", "annual_rate", "expected_loss_amt").toPandas().sort_values("id")
    told["base"] = told["id"] // 1000
    told["severity"] = told["decision"].map(SEVERITY)
    for name in ("severity", "annual_rate", "expected_loss_amt"):
        values = told.assign(value=pd.to_numeric(told[name])).dropna(subset="value")
        assert (values.groupby("base")["value"].diff().dropna() >= 0).all(), name
    assert told.groupby("base")["annual_rate"].nunique().max() >= 3
