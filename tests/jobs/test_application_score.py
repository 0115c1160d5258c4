"""A second model, the application score, on a simulated lender: from files to decisions, against the truth."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.conf.banks.reading import bank_folder
from strata.conf.settings import load_settings
from strata.jobs import build_cases, build_network, decide, ingest, score, simulate_bank, train
from strata.jobs.network import network_tables as network
from strata.jobs.network import people_tables as people
from strata.jobs.runtime.job import Context, Job, in_order
from strata.jobs.runtime.tables import UndeclaredTableError
from strata.models.evaluation.discrimination import auc
from strata.models.evaluation.score_table import ScoreTable
from strata.models.specs import application_default, bank_models
from tests.conftest import Bank, in_zone

# What a lender without an app has: incomes, debts, bureau reports, ties and consents.
FEEDS = (
    "org_district", "crm_customer", "crm_consent", "crm_tie", "core_account", "core_account_holder", "core_transaction",
    "credit_application", "credit_loan", "credit_delinquency", "bureau_report",
)  # fmt: skip
BANK = """
name: simulated
title: A simulated lender
zone: Asia/Shanghai
currency: CNY
entities: [customer]
network: people
settings:
  as_of: 2025-03-31
  simulation:
    customers: 1200
    start: 2023-10-01
    months: 18
    drop: quarter
    numbers:
      credit:
        applies_monthly: 0.25
        history_months: 2
        refused: 0.25
        products:
          consumer: {share: 0.52, rate: 0.078, incomes: 5.0, terms: [12, 24, 36], pd: 0.28}
          scene: {share: 0.30, rate: 0.092, incomes: 2.0, terms: [12, 18], pd: 0.32}
          business: {share: 0.18, rate: 0.062, incomes: 8.0, terms: [12, 24, 36], pd: 0.30}
        drivers: {willingness: -1.5, ability: -0.7, stability: -0.5, price_sensitivity: 0.3,
                  debt_to_income: 0.9, unemployed: 1.5}
      spending: {payments_monthly: 2, transfers_monthly: 0.5, cash_monthly: 0.5}
  gates: {quarantine_rows: 20}
"""


def around_applicants(context: Context) -> None:
    """Of the network what this model reads: ties, and what those around an applicant were known to be."""
    network.build(context)
    people.tie(context)
    people.spread_to_applicants(context)


# All that the network says besides is tested on the simulated bank.
TIES = replace(build_network.JOB, body=around_applicants)
# Another bank's whole way takes minutes; the third bank shows in small that any model goes it.
pytestmark = [pytest.mark.integration, pytest.mark.slow]
WAY = (simulate_bank.JOB, ingest.JOB, TIES, build_cases.JOB, train.JOB, score.JOB, decide.JOB)
MODELLING = (build_cases.JOB, train.JOB, score.JOB, decide.JOB)
SPEC = application_default.SPEC
# The lender fills the models of a loan's life as well; their cases are many, and tested apart.
ONLY = ("--model", SPEC.name)
OTHERS = ("behaviour_default", "early_warning", "collections_cure")


@pytest.fixture(scope="module")
def lender(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    root = tmp_path_factory.mktemp("lender")
    folder = root / "lender"
    (folder / "feeds").mkdir(parents=True)
    (folder / "bank.yml").write_text(BANK)
    for kind in FEEDS:
        shutil.copy(bank_folder("simulated") / "feeds" / f"{kind}.yml", folder / "feeds")
    settings = load_settings(
        "test",
        bank=str(folder),
        lake=str(root / "lake"),
        landing=str(root / "landing"),
        reports=str(root / "reports"),
        tracking_uri=f"sqlite:///{root}/mlflow.db",
        token_key_file=str(root / "token.key"),
        validation={"folds": 5, "repeats": 1},
    )
    made = Bank(root, settings, spark)
    for job in WAY:
        assert made.run(job, *(ONLY if job in MODELLING else ())) == 0, job.name
    with in_zone(spark, settings.bank_timezone):
        yield made


def truth(bank: Bank) -> DataFrame:
    path = Path(str(bank.settings.landing)).parent / "truth" / "truth_credit"
    return bank.spark.read.format("delta").load(str(path)).select("application_id", "true_pd", "would_default")


def test_a_lender_fills_the_models_of_its_tables(lender: Bank):
    tables = lender.tables()
    assert [spec.name for spec in bank_models(lender.bank)] == [SPEC.name, *OTHERS]
    states = dict(tables.read(SPEC.training_set).groupBy("outcome_state").count().collect())
    assert {"good", "bad", "refused", "not taken", "immature"} <= set(states)
    assert states["bad"] >= 30


def test_cases_are_as_of_the_application_and_mature(lender: Bank):
    rows = lender.tables().read(SPEC.training_set)
    known = rows.where("is_bad IS NOT NULL")
    assert known.where("decision <> 'approved' OR add_months(granted_on, 12) > DATE '2025-03-31'").count() == 0
    first = lender.tables().read("transaction").agg(F.min("event_ts")).head()[0]
    assert rows.where(F.datediff(F.col("at"), F.lit(first)) < application_default.HISTORY_DAYS).count() == 0
    # What was applied for, before anybody corrected it.
    versions = lender.tables().read("loan_application").groupBy("application_id")
    amounts = versions.agg(F.min_by("requested_amount", "known_ts").alias("a"), F.count("*").alias("n"))
    met = rows.select("application_id", "requested_amount").join(amounts, "application_id")
    assert met.where("n > 1").count() > 0 and met.where("a <> requested_amount").count() == 0
    # Nobody's own application, nor anything later, is in its features.
    earlier = lender.tables().read("loan_application").where("known_ts < TIMESTAMP '2025-03-31'")
    newest = earlier.groupBy("application_id").agg(F.min("known_ts").alias("known_ts")).alias("n")
    others = earlier.select("application_id", "customer_id", "known_ts", "event_ts").distinct()
    pairs = rows.select("application_id", "customer_id", "at", "applications_asked_count_730d_cnt").alias("r").join(
        others.alias("o"), "customer_id", "left"
    )  # fmt: skip
    since = F.expr("r.at - make_interval(0, 0, 0, 730)")
    counted = pairs.where((F.col("o.known_ts") <= F.col("r.at")) & (F.col("o.event_ts") < F.col("r.at"))
                          & (F.col("o.event_ts") >= since))  # fmt: skip
    expected = counted.groupBy("r.application_id").agg(F.countDistinct("o.application_id").alias("expected"))
    wrong = rows.join(expected, "application_id", "left").where(
        "coalesce(expected, 0) <> applications_asked_count_730d_cnt"
    )
    assert newest.count() > 0 and wrong.count() == 0


def test_who_has_withdrawn_consent_is_no_case(lender: Bank):
    tables = lender.tables()
    said = tables.read("consent").where("purpose = 'credit_assessment' AND known_ts < TIMESTAMP '2025-03-31'")
    last = said.groupBy("customer_id").agg(
        F.max(F.struct("valid_from", "known_ts", (~F.col("granted")).alias("no"))).alias("s")
    )
    refused = last.where("s.no").select("customer_id")
    assert refused.count() > 0
    assert tables.read(SPEC.training_set).join(refused, "customer_id", "left_semi").count() == 0


def test_it_ranks_nearly_as_the_truth_could(lender: Bank):
    """Out of fold, against the chance that the simulation drew the very same outcomes from."""
    scored = lender.tables().read("application_score").where("scored_by = 'out of fold' AND model_version = 1")
    rows = scored.join(truth(lender), "application_id").toPandas()
    assert len(rows) == scored.count() > 200
    found, ceiling = (auc(ScoreTable.of(rows["is_bad"], rows[risk])) for risk in ("probability", "true_pd"))
    assert 0.5 < found < ceiling
    figures = lender.tables().read("model_validation").toPandas().set_index(["variant", "metric"])
    assert {("scorecard", "auc"), ("boosted", "auc"), ("scorecard out of time", "auc")} <= set(figures.index)
    kept = figures.loc[("scorecard", "auc"), "estimate"]
    assert kept == pytest.approx(found, abs=0.08)


def test_every_case_is_scored_once_and_every_application_decided(lender: Bank):
    tables = lender.tables()
    cases = tables.read(SPEC.training_set).count()
    champion = tables.read("application_score").where("model_version = 1")
    assert champion.count() == champion.select("application_id").distinct().count() == cases
    ways = dict(champion.groupBy("scored_by").count().collect())
    assert ways["out of fold"] == tables.read(SPEC.training_set).where("is_bad IS NOT NULL").count()
    assert ways["model"] == cases - ways["out of fold"]
    decided = tables.read("application_decision")
    assert decided.count() == tables.read("loan_application").where("known_ts < TIMESTAMP '2025-03-31'").select(
        "application_id"
    ).distinct().count()  # fmt: skip
    scored = decided.where("score IS NOT NULL").join(
        champion.select("application_id", F.col("score").alias("s"), F.col("reason_1").alias("r")), "application_id"
    )
    assert scored.count() == cases
    assert scored.where("score <> s OR NOT (reason_1 <=> r)").count() == 0
    assert decided.where("scored_by IS NULL AND decision = 'approve'").count() == 0


def test_a_second_models_run_leaves_the_first_ones_rows(lender: Bank):
    """The rows of another model, of the same day, stay to the last byte when this one runs again."""
    tables = lender.tables()
    written = {}
    for name in ("application_score", "model_validation", "application_decision"):
        other = tables.read(name).withColumn("model", F.lit("another"))
        contract = tables.contract(name)
        values = [other.select(key).distinct().collect() for key in contract.slice_by]
        where = {key: [row[0] for row in found] for key, found in zip(contract.slice_by, values, strict=True)}
        tables.replace(name, other, slice=where)
        written[name] = other.count()
    for job in (train.JOB, score.JOB, decide.JOB):
        assert lender.run(job, "--force", *ONLY) == 0, job.name
    for name, rows in written.items():
        newest = lender.tables().read(name)
        assert newest.where("model = 'another'").count() == rows, name
        assert newest.where(f"model = '{SPEC.name}'").count() >= rows, name
    assert (
        lender.tables().read("model_validation").where(f"model = '{SPEC.name}'").count() == written["model_validation"]
    )


def test_a_rerun_does_nothing(lender: Bank, capsys: pytest.CaptureFixture[str]):
    for job in MODELLING:
        lender.run(job, *ONLY)
    capsys.readouterr()
    for job in MODELLING:
        assert lender.run(job, *ONLY) == 0
        assert "already done" in capsys.readouterr().err, job.name


def test_jobs_come_in_the_order_of_their_tables_and_reach_no_other(lender: Bank):
    shuffled = (decide.JOB, score.JOB, train.JOB, build_cases.JOB, build_network.JOB, ingest.JOB)
    assert [job.name for job in in_order(shuffled, lender.settings)] == [
        "ingest", "network", "cases", "train", "score", "decide",
    ]  # fmt: skip
    reaching = Job("reaching", "", lambda context: context.lake.read("customer").count(), reads=("account",))
    assert lender.run(reaching) == 1
    tables = lender.tables()
    tables.reach = reaching.reach(lender.settings, None)
    with pytest.raises(UndeclaredTableError, match="job reaching reads table customer and does not declare it"):
        tables.read("customer")
    with pytest.raises(UndeclaredTableError, match="job reaching writes table account"):
        tables.replace("account", tables.read("account"))


def test_a_day_without_mature_cases_says_what_there_is(lender: Bank, capsys: pytest.CaptureFixture[str]):
    early = Bank(lender.root, lender.settings.model_copy(update={"as_of": date(2024, 6, 30)}), lender.spark)
    rows = lender.tables().read(SPEC.training_set).where("outcome_state = 'immature'")
    early.tables().replace(SPEC.training_set, rows)
    for name in OTHERS:
        contract = early.tables().contract(f"training_set_{name}")
        early.tables().replace(contract.name, early.spark.createDataFrame([], contract.schema_ddl))
    assert early.run(train.JOB, *ONLY) == 3
    assert "at least 10 good and 10 bad cases are needed by 2024-06-30" in capsys.readouterr().err
    assert early.run(train.JOB) == 0
    said = capsys.readouterr().err
    assert "passed over: model application_default: at least 10 good" in said
    for name in OTHERS:
        assert f"passed over: model {name}: at least 10 good and 10 bad cases are needed" in said
    assert early.run(build_cases.JOB, *ONLY) == 0
