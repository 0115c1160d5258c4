"""Models of a loan's life against a slow reading, row for row; nothing known later changes a case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd
import pytest
from dateutil.relativedelta import relativedelta
from pyspark.sql import functions as F

from strata.conf.banks import load_bank
from strata.jobs.modelling.validating import taught_by
from strata.models.model_spec import ModelSpec
from strata.models.samples.loan_panel import FRESH_DAYS, HISTORY_DAYS, LOOK_BACK_DAYS, SETTLE_DAYS
from strata.models.specs import bank_models, behaviour_default, collections_cure, early_warning, unfilled
from tests.conftest import in_zone
from tests.models.life_cycle import AS_OF, TYPES, ZONE, midnight, month_ends, random_tables, slow_panel

pytestmark = pytest.mark.oracle


@dataclass(frozen=True)
class Reading:
    """What a model says, in other words."""

    spec: ModelSpec
    every: int | None
    population: tuple[int, int]
    months: int
    bad: int
    between: int | None = None
    cures: bool = False


READINGS = [
    Reading(behaviour_default.SPEC, None, (0, 29), 6, 60, 30),
    Reading(early_warning.SPEC, 7, (0, 29), 3, 30),
    Reading(collections_cure.SPEC, None, (1, 59), 2, 0, cures=True),
]
each_model = pytest.mark.parametrize("told", READINGS, ids=lambda told: told.spec.name)


@pytest.fixture(autouse=True)
def zone(spark):
    with in_zone(spark, ZONE):
        yield


def frames(spark, tables):
    made = {}
    for name, rows in tables.items():
        columns = [part.split()[0] for part in TYPES[name].split(", ")]
        texts = rows.reindex(columns=columns).astype(object)
        texts = texts.where(texts.notna(), None).map(lambda value: None if value is None else str(value))
        plain = spark.createDataFrame(texts.values.tolist(), ", ".join(f"{column} string" for column in columns))
        kinds = dict(part.split() for part in TYPES[name].split(", "))
        made[name] = plain.select(
            *(F.col(c).cast("double").cast("int").alias(c) if kinds[c] == "int" else F.col(c).cast(kinds[c]).alias(c)
              for c in columns)
        )  # fmt: skip
    return made


def found(spark, told, tables, as_of=AS_OF):
    """The model's cases with outcomes, by loan and date."""
    rows = told.spec.labelled(frames(spark, tables), as_of)
    texts = rows.withColumn("at", F.date_format("at", "yyyy-MM-dd HH:mm")).toPandas()
    assert texts["case_id"].is_unique
    return texts.set_index(["loan_id", "at"]).sort_index()


def state(told, tables, row):
    """The outcome of a case, from all that was known on the day."""
    known = tables["delinquency"][tables["delinquency"]["known_ts"] <= midnight(AS_OF)]
    ends = month_ends(known, row["loan_id"])
    to = row["at"] + relativedelta(months=told.months)
    before = [end["days_past_due"] for end in ends if end["closed"] <= row["at"]]
    inside = [end["days_past_due"] for end in ends if row["at"] < end["closed"] <= to]
    if before and (before[-1] == 0 if told.cures else before[-1] >= told.bad):
        return "excluded"
    if to + timedelta(days=SETTLE_DAYS) > midnight(AS_OF):
        return "immature"
    if not inside:
        return "unknown"
    if told.cures:
        return "good" if min(inside) == 0 else "bad"
    if max(inside) >= told.bad:
        return "bad"
    return "indeterminate" if told.between is not None and max(inside) >= told.between else "good"


@each_model
@pytest.mark.parametrize("seed", [1, 2])
def test_cases_and_outcomes_are_those_of_a_slow_reading(spark, told, seed):
    tables = random_tables(seed)
    panel = slow_panel(
        tables, AS_OF, every=told.every, history=HISTORY_DAYS, back=LOOK_BACK_DAYS, fresh=FRESH_DAYS
    )  # fmt: skip
    expected = panel[panel["dpd_now"].between(*told.population)].copy()
    expected["outcome_state"] = [state(told, tables, row) for _, row in expected.iterrows()]
    expected["at"] = expected["at"].map(lambda at: f"{at:%Y-%m-%d %H:%M}")
    expected = expected.set_index(["loan_id", "at"]).sort_index()
    rows = found(spark, told, tables)
    assert len(expected) > 100 and {"good", "bad", "immature"} <= set(expected["outcome_state"])
    assert rows.index.tolist() == expected.index.tolist()
    for name in expected.columns:
        if expected[name].dtype == object and name in ("product_code", "outcome_state"):
            assert rows[name].tolist() == expected[name].tolist(), name
        else:
            met, asked = (pd.to_numeric(side[name], errors="coerce").astype(float) for side in (rows, expected))
            pd.testing.assert_series_equal(met, asked, check_exact=False, rtol=1e-9, obj=name)
    targets = rows["outcome_state"].map({"bad": 1.0, "good": 0.0})
    assert targets.equals(rows["is_bad"].astype(float))


@each_model
def test_nothing_known_after_the_observation_changes_a_case(spark, told):
    """All that was known after a day is changed, and more is told: cases up to that day keep every column."""
    day = date(2024, 1, 1)  # a first of the month, and a Monday
    tables = random_tables(3)
    changed = {name: rows.copy() for name, rows in tables.items()}
    late = {name: rows["known_ts"] > midnight(day) for name, rows in changed.items()}
    changed["delinquency"].loc[late["delinquency"], ["days_past_due", "balance"]] = (77, 5)
    changed["loan"].loc[late["loan"], ["principal", "account_id"]] = (9, 1)
    changed["account_holder"].loc[late["account_holder"], "customer_id"] = 99
    told_again = tables["delinquency"].assign(days_past_due=88, known_ts=midnight(day) + timedelta(hours=1))
    changed["delinquency"] = pd.concat([changed["delinquency"], told_again], ignore_index=True)
    outcome = ["is_bad", "outcome_state"]
    before, after = (found(spark, told, rows).drop(columns=outcome) for rows in (tables, changed))
    before, after = (rows[rows.index.get_level_values("at") <= f"{day} 00:00"] for rows in (before, after))
    assert len(before) > 20 and f"{day} 00:00" in before.index.get_level_values("at")
    pd.testing.assert_frame_equal(before, after)


@each_model
def test_a_day_sees_the_cases_that_it_saw_then(spark, told):
    """A later day adds cases and outcomes, and takes no case away."""
    tables = random_tables(4)
    then, now = (found(spark, told, tables, day) for day in (date(2023, 12, 1), AS_OF))
    kept = now.loc[then.index].drop(columns=["is_bad", "outcome_state"])
    pd.testing.assert_frame_equal(then.drop(columns=["is_bad", "outcome_state"]), kept)
    mature = then[then["is_bad"].notna()]
    assert set(mature["outcome_state"]) <= {"good", "bad"}


@each_model
def test_what_teaches_was_known_when_the_test_out_of_time_begins(spark, told):
    began, split = date(2024, 3, 1), told.spec.split
    days = [began - timedelta(days=n) for n in range(400)]
    rows = spark.createDataFrame([(str(day),) for day in days], "day string").select(F.to_timestamp("day").alias("at"))
    kept = {row.day for row in rows.where(taught_by(began, split)).select(F.to_date("at").alias("day")).collect()}
    assert split.outcome_months == told.months
    assert kept == {day for day in days if day + relativedelta(months=told.months) <= began}


def test_the_simulated_bank_fills_them_and_the_czech_one_does_not():
    names = {told.spec.name for told in READINGS}
    assert names <= {spec.name for spec in bank_models(load_bank("simulated"))}
    czech = load_bank("berka")
    assert not names & {spec.name for spec in bank_models(czech)}
    assert all("delinquency" in unfilled(told.spec, czech) for told in READINGS)
