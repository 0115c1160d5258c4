"""The whole way on the embedded bank: contracts on disk, readers without Spark, no leak, kill and rerun."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.contracts import Layer
from strata.features.store.feature_store import FeatureStore, Manifest
from strata.features.views import account_views
from strata.jobs import build_report, check_run, ingest, promote, run_all, score
from strata.models.scorecard.scorecard import Scorecard
from strata.models.specs import loan_default as loans
from tests.conftest import Bank, bank_at, in_zone
from tests.jobs.whole_bank import CONTRACTS, COUNTS, GOLD, WRITTEN, differing

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def banks_zone(bank: Bank):
    with in_zone(bank.spark, bank.settings.bank_timezone):
        yield


def test_every_table_of_the_run_keeps_its_contract(bank: Bank):
    tables = bank.tables()
    assert {name: tables.read(name).count() for name in COUNTS} == COUNTS
    for name in sorted(name for name in WRITTEN if not name.startswith("quarantine_")):
        contract, rows = CONTRACTS[name], tables.read(name)
        assert rows.columns == list(contract.names), name
        if contract.key:
            assert rows.select(*contract.key).distinct().count() == rows.count(), f"{name}: the key is not one"


def test_rows_are_accounted_for(bank: Bank):
    files = bank.tables().read("ops_ingest").collect()
    assert sum(row.rows_in for row in files if row.table_name != "loan_outcome") == 102_662
    assert all(row.rows_in == row.rows_out + row.rows_quarantined + row.rows_duplicate for row in files)


def test_training_set_has_no_undated_or_later_source(bank: Bank):
    manifest = Manifest.from_json(bank.tables().read("training_manifest").head().manifest)
    assert set(manifest.tables) == {"transaction", "account"}


class Given:
    """A table port over frames in hand."""

    def __init__(self, tables: dict[str, DataFrame]) -> None:
        self._tables = tables

    def read(self, name: str, version: int | None = None) -> DataFrame:
        return self._tables[name]

    def version(self, name: str) -> int | None:
        return 0


def test_rows_from_after_the_grant_change_no_feature(bank: Bank):
    """The 1,072 real rows of 38 loans taken away, and as many planted: the same training set, to the last digit."""
    tables = bank.tables()
    trained, postings = tables.read(loans.TRAINING_SET), tables.read("transaction")
    grants = tables.read("loan").select("account_id", F.col("event_ts").alias("_granted"))
    dated = postings.join(grants, "account_id", "left")
    after = dated.where(F.col("event_ts") >= F.col("_granted"))
    assert (after.count(), after.select("account_id").distinct().count()) == (1072, 38)
    before = dated.where(F.col("_granted").isNull() | (F.col("event_ts") < F.col("_granted"))).drop("_granted")
    planted = dated.where("_granted IS NOT NULL AND event_ts < _granted").withColumns(
        {
            "transaction_id": -F.col("transaction_id"),
            "amount": (F.col("amount") * 7).cast("decimal(18,2)"),
            "event_ts": F.col("_granted"),
            "known_ts": F.col("_granted") + F.expr("INTERVAL 1 DAY"),
        }
    )
    # Known only after the grant though they happened before it: as much of the future as the planted ones.
    late = dated.where("event_ts < _granted").withColumns(
        {
            "transaction_id": -1_000_000_000 - F.col("transaction_id"),
            "known_ts": F.col("_granted") + F.expr("INTERVAL 1 SECOND"),
        }
    )
    names = [feature.name for view in account_views() for feature in view.features]
    spine = trained.select("loan_id", "account_id", "at")
    expected = trained.select("loan_id", *names).persist()
    for other in (before, postings.unionByName(planted.drop("_granted")).unionByName(late.drop("_granted"))):
        store = FeatureStore(
            bank.spark, Given({"transaction": other, "account": tables.read("account")}), views=account_views()
        )
        found = store.training_set(spine, "*", purpose=loans.PURPOSE).select(*expected.columns)
        typed = found.select(*(F.col(f.name).cast(f.dataType) for f in expected.schema))
        assert differing(expected, typed, "loan_id") == []


def test_gold_is_read_without_spark(bank: Bank):
    """delta-rs and DuckDB, in a process that has never heard of Spark."""
    script = """
import json, sys, duckdb
from deltalake import DeltaTable
answers = {}
for name in sys.argv[2:]:
    table = DeltaTable(f"{sys.argv[1]}/gold/{name}")
    rows = duckdb.read_parquet(table.file_uris())
    feed = table.metadata().configuration["delta.enableChangeDataFeed"]
    answers[name] = [rows.count('*').fetchall()[0][0], rows.columns, feed]
print(json.dumps(answers), flush=True)
assert "pyspark" not in sys.modules
import os; os._exit(0)
"""
    tables = bank.tables()
    output = subprocess.run(
        [sys.executable, "-c", script, bank.lake, *GOLD], capture_output=True, text=True, check=False
    )
    assert output.returncode == 0, output.stderr
    for name, (count, columns, feed) in json.loads(output.stdout).items():
        assert count == tables.read(name).count(), name
        assert set(columns) >= set(CONTRACTS[name].names) - {*CONTRACTS[name].slice_by}, name
        assert feed == "true", name


def test_scores_are_the_scorecards(bank: Bank):
    """The champion in the registry gives the scores in the table, by its SQL as well."""
    from strata.jobs.runtime.tracking import CHAMPION, Tracking

    registered = Tracking(bank.settings.tracking_uri).load(loans.NAME, CHAMPION)
    card = Scorecard.from_json(registered.text)
    tables = bank.tables()
    rows = tables.read(loans.TRAINING_SET)
    rows.createOrReplaceTempView("whole_bank_training")
    by_sql = bank.spark.sql(f"SELECT loan_id, {card.to_sql()} FROM whole_bank_training")
    assert differing(card.score(rows).select(*by_sql.columns), by_sql, "loan_id") == []
    scored = tables.read("scores")
    assert {row.model_version for row in scored.select("model_version").distinct().collect()} == {registered.version}


def test_decisions_follow_the_score_and_explain_themselves(bank: Bank):
    rows = bank.tables().read("application_decision").collect()
    assert {row.decision for row in rows} == {"approve", "refer", "decline"}
    assert all(row.trace and row.policy_version for row in rows)
    assert all(row.decision == "refer" for row in rows if not row.has_whole_history)
    approved = [row.probability for row in rows if row.decision == "approve"]
    declined = [row.probability for row in rows if row.decision == "decline" and "S02" in row.rules]
    assert max(approved) < min(declined)


def test_rerun_does_nothing_and_promotion_is_reversible(bank: Bank, capsys):
    versions = {name: bank.tables().version(name) for name in GOLD}
    assert bank.run(run_all.JOB) == 0
    assert capsys.readouterr().err.count("already done") == len(run_all.JOB.steps)
    assert {name: bank.tables().version(name) for name in GOLD} == versions
    before = bank.tables().read("scores").persist()
    assert before.count() == 1229
    assert bank.run(promote.JOB) == 0
    assert bank.run(score.JOB) == 0
    promoted = bank.tables().read("scores")
    assert promoted.select("model_version").distinct().head()[0] != before.select("model_version").distinct().head()[0]
    assert bank.run(promote.JOB) == 0
    assert bank.run(score.JOB) == 0
    assert differing(before, bank.tables().read("scores"), "customer_id") == []
    assert bank.run(check_run.JOB, "--job", "score") == 0


def test_page_stands_alone(bank: Bank):
    assert bank.run(build_report.JOB, "--force") == 0
    page = Path(bank.settings.reports, "index.html").read_text()
    for title in (
        "Data quality",
        "Features",
        "Network",
        "Segments",
        "Decisions",
        "Model loan_default",
        "Scorecard loan_default",
    ):
        assert f"<h2>{title}</h2>" in page
    assert "PARTIAL" in page and "290" in page
    assert "<script" not in page and "src=" not in page and page.count("<svg") >= 12


def test_killed_in_the_middle_and_run_again(bank: Bank, tmp_path: Path):
    """A real kill -9 while silver is being written; the rerun gives the tables of the unbroken run."""
    other = bank_at(bank.spark, tmp_path, Path(bank.settings.token_key_file))
    conf = tmp_path / "own.yml"
    conf.write_text(yaml.safe_dump({"token_key_file": other.settings.token_key_file, "spark": {"memory": "2g"}}))
    command = [sys.executable, "-m", "strata.jobs.ingest", "--env", "test", "--conf", str(conf), "--lake", other.lake]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    first_commit = Path(other.lake, "silver", "account", "_delta_log", f"{1:020d}.json")
    until = time.monotonic() + 240
    while process.poll() is None and not first_commit.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert process.poll() is None and first_commit.exists(), "the job ended before it could be killed"
    subprocess.run(["pkill", "-KILL", "--session", str(process.pid)], check=False)
    assert process.wait() == -signal.SIGKILL
    assert bank.run(check_run.JOB, "--job", "ingest") == 0
    assert other.run(check_run.JOB, "--job", "ingest") == 1
    assert other.run(ingest.JOB) == 0
    for name in (name for name in ingest.JOB.written(bank.settings) if CONTRACTS[name].layer is Layer.SILVER):
        key = CONTRACTS[name].key
        assert differing(bank.tables().read(name), other.tables().read(name), *key) == [], name
