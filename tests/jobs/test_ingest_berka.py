"""The real ingest job on the embedded bank, then on what may happen to it later. One lake, in order of the story."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from strata.conf.banks import load_bank
from strata.conf.settings import load_settings
from strata.jobs import compare_banks
from strata.jobs.ingest import JOB
from strata.jobs.job_runner import run
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.progress import Progress
from strata.jobs.runtime.tables import Lake
from strata.jobs.sources.flow import found
from strata.jobs.sources.landing import land
from strata.jobs.table_catalog import lake_at

pytestmark = pytest.mark.integration

BERKA = load_bank("berka")
SILVER = {
    "district": 77,
    "customer": 5_369,
    "account": 4_500,
    "account_holder": 5_369,
    "card": 892,
    "standing_order": 6_471,
    "loan": 682,
    "loan_outcome": 682,
    "transaction": 79_302,
}
TRANS = '"trans_id";"account_id";"date";"type";"operation";"amount";"balance";"k_symbol";"bank";"account"\r\n'


class Bank:
    """A lake and a way to run the job on it."""

    def __init__(self, spark, folder: Path) -> None:
        self.spark, self.folder = spark, folder
        self.conf = folder / "conf.yml"
        self.conf.write_text(f"token_key_file: {folder / 'token.key'}\n")

    @property
    def lake(self) -> Lake:
        lake = lake_at(self.spark, str(self.folder / "lake"))
        for table in BERKA.contracts.values():
            lake.declare(table)
        return lake

    def ingest(self, *arguments: str) -> int:
        common = ["--env", "test", "--conf", str(self.conf), "--lake", str(self.folder / "lake")]
        return run(JOB, [*common, *arguments])

    def accounts(self) -> dict[tuple[str, str], tuple[int, ...]]:
        rows = self.lake.read("ops_ingest").collect()
        return {
            (row.source_file.split(".")[0], row.table_name): (row.rows_out, row.rows_quarantined, row.rows_duplicate)
            for row in rows
            if row.rows_in == row.rows_out + row.rows_quarantined + row.rows_duplicate
        }


@pytest.fixture(scope="module")
def bank(spark, tmp_path_factory):
    """The embedded bank, ingested by a run that finds the remains of one killed between two bronze appends."""
    zone = spark.conf.get("spark.sql.session.timeZone")
    made = Bank(spark, tmp_path_factory.mktemp("bank"))
    settings = load_settings("test", lake=made.lake.root)
    killed = Context(spark, settings, made.lake, Progress("killed", None), "killed", datetime.now(UTC), None)
    for kind in ("district", "card"):
        land(killed, BERKA.feed(kind), [file for file in found(BERKA, settings) if file.kind == kind])
    assert made.ingest() == 0
    yield made
    spark.conf.set("spark.sql.session.timeZone", zone)


def test_embedded_counts_are_exact(bank):
    assert {name: bank.lake.read(name).count() for name in SILVER} == SILVER
    status = {row.status: row["count"] for row in bank.lake.read("loan_outcome").groupBy("status").count().collect()}
    assert status == {"A": 203, "B": 31, "C": 403, "D": 45}
    accounts = bank.accounts()
    assert len(accounts) == 10 and all(row[1:] == (0, 0) for row in accounts.values())
    assert accounts["trans_930101_940331_prefix", "transaction"][0] == 49_102
    assert accounts["trans_preloan_354accounts_feup", "transaction"][0] == 30_200
    assert not any(bank.lake.exists(f"quarantine_{name}") for name in SILVER)
    landed = bank.lake.read("bronze_card").agg(F.count("*"), F.countDistinct("_row"), F.min("_ingest_id")).head()
    assert tuple(landed) == (892, 892, "killed")


def test_the_page_lays_the_simulated_bank_beside_this_one(ingested, bank):
    assert ingested.run(compare_banks.JOB, "--real", bank.lake.root) == 0
    page = Path(ingested.settings.reports, "likeness.html").read_text()
    titles = ("First digits", "Days of the week", "Default by vintage", "Default by grade", "Roll rates", "Contacts")
    assert all(f">{title}</h2>" in page for title in titles)
    assert page.count("<svg") >= 9


def test_whole_histories_before_the_grant(bank):
    spans = bank.lake.read("transaction_coverage")
    accounts = bank.lake.read("account").select("account_id", F.col("opened_on").alias("covered_from"))
    from_the_start = spans.join(accounts, on=["account_id", "covered_from"], how="left_semi")
    loans = bank.lake.read("loan").join(from_the_start, on="account_id", how="inner")
    whole = loans.where("covered_to >= opened_on").select("loan_id").distinct()
    assert whole.count() == 392
    assert whole.join(bank.lake.read("loan_outcome").where("is_bad = 1"), on="loan_id", how="left_semi").count() == 35
    morning = spans.where("covered_from <= DATE'1994-03-30' AND covered_to >= DATE'1994-03-31'")
    assert morning.select("account_id").distinct().count() >= 1_229
    before = bank.lake.read("account").where("opened_on < DATE'1994-03-31'")
    assert before.join(morning, on="account_id", how="left_anti").count() == 0


def test_known_times_follow_the_publication_rules(bank):
    def first(table, where="true"):
        rows = bank.lake.read(table).where(where)
        return rows.agg(F.min("known_ts").cast("string"), F.max("known_ts").cast("string")).head()

    extract = "1999-01-01 00:00:00"
    assert tuple(first("customer")) == tuple(first("standing_order")) == (extract, extract)
    assert tuple(first("account_holder", "role = 'authorised'")) == (extract, extract)
    assert tuple(first("district")) == ("1997-01-01 00:00:00", "1997-01-01 00:00:00")
    assert first("account_holder", "role = 'owner'")[0] == "1993-01-01 00:00:00"
    assert tuple(first("loan_outcome", "is_running")) == (extract, extract)
    assert first("loan_outcome", "NOT is_running")[0] == "1994-07-05 00:00:00"
    late = bank.lake.read("transaction").where("known_ts <> event_ts + INTERVAL 1 DAY OR hour(event_ts) <> 0")
    assert late.count() == 0
    tokens = bank.lake.read("transaction").where("counterparty_hash IS NOT NULL AND length(counterparty_hash) <> 64")
    assert tokens.count() == 0


def test_a_rerun_has_nothing_to_do(bank, capsys):
    assert bank.ingest() == 0
    assert "already done by ingest-" in capsys.readouterr().err


def test_missing_folder_and_wrong_header_stop_before_anything_is_written(bank, tmp_path, capsys):
    tables = JOB.written(load_settings("test"))
    versions = {name: bank.lake.version(name) for name in tables}
    assert bank.ingest("--landing", str(tmp_path / "nowhere")) == 3
    assert "nowhere: no such folder" in capsys.readouterr().err
    (tmp_path / "disp.asc").write_text('"disp_id";"client_id";"type"\n1;1;OWNER\n')
    assert bank.ingest("--landing", str(tmp_path)) == 3
    assert "disp.asc: row 1: column 'account_id' is missing" in capsys.readouterr().err
    assert {name: bank.lake.version(name) for name in tables} == versions


def test_too_many_broken_rows_leave_silver_as_it_was(bank, tmp_path, capsys):
    (tmp_path / "loan_new.csv").write_text(
        "loan_id;account_id;date;amount;duration;payments;status\n1;1;990101;many;12;1.00;A\n"
    )
    versions = {name: bank.lake.version(name) for name in (*SILVER, "transaction_coverage", "ops_ingest")}
    assert bank.ingest("--landing", str(tmp_path)) == 4
    said = capsys.readouterr().err
    assert "loan_new.csv: 1 of 1 rows break the contract of loan (gate 1.0%)" in said
    assert "first: loan_new.csv row 2: amount: 'many' is not decimal(18,2)" in said
    assert {name: bank.lake.version(name) for name in (*SILVER, "transaction_coverage", "ops_ingest")} == versions
    kept = bank.lake.read("quarantine_loan").head()
    assert (kept.source_file, kept.row, kept.column_name) == ("loan_new.csv", 2, "amount")


def test_the_full_transactions_replace_the_partial_ones(bank, tmp_path):
    """The broken loan of the test before stays in bronze, so it is let through a wider gate and counted."""
    with gzip.open(tmp_path / "trans.asc.gz", "wb") as full:
        full.write(TRANS.encode() + b'1;1;950324;"PRIJEM";"VKLAD";1000.00;1000.00;"";;\r\n')
        full.write(b'5;1;950413;"PRIJEM";"PREVOD Z UCTU";3679.00;4679.00;"";"AB";"41403269"\r\n')
    # The same loans again under another name: recognised by content, so nothing is counted twice.
    (tmp_path / "loan_again.asc.gz").write_bytes((BERKA.folder / "data" / "loan.asc.gz").read_bytes())
    bank.conf.write_text(bank.conf.read_text() + "gates:\n  quarantine_share: 1\n")
    assert bank.ingest("--landing", str(tmp_path)) == 0
    accounts = bank.accounts()
    assert accounts["trans", "transaction"] == (2, 0, 0)
    assert accounts["trans_930101_940331_prefix", "transaction"] == (0, 0, 49_102)
    assert accounts["trans_preloan_354accounts_feup", "transaction"] == (0, 0, 30_200)
    assert accounts["loan", "loan"] == (682, 0, 0) and accounts["loan_new", "loan"] == (0, 1, 0)
    assert ("loan_again", "loan") not in accounts
    spans = bank.lake.read("transaction_coverage")
    assert spans.count() == spans.where("covered_to = DATE'1999-01-01' AND _source = 'trans.asc.gz'").count() == 4_500
    assert bank.lake.read("transaction").count() == 2
    assert bank.lake.read("transaction").agg(F.min("event_ts").cast("date")).head()[0] == date(1995, 3, 24)
