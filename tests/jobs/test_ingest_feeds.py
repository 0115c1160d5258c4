"""The real ingest job on drops of a second bank's feeds: some still to come, a correction, a slip. One story.

Nine of its feeds, in all three formats: each table costs seconds, and the simulated bank's own test has all.
"""

from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from strata.conf.banks import load_bank
from strata.conf.settings import load_settings
from strata.jobs.ingest import JOB
from strata.jobs.job_runner import run
from strata.jobs.table_catalog import lake_at
from tests.conftest import in_zone

pytestmark = pytest.mark.integration

JAN, FEB = "2025-01-31", "2025-02-28"
FULL = {"district", "customer", "account", "account_holder", "transaction", "wealth_holding"}
EMPTY = {"branch", "education_record", "app_event"}


def few(folder: Path) -> Path:
    """A bank that delivers what these tables need, declared as the simulated bank declares it."""
    (folder / "feeds").mkdir(parents=True)
    whole = load_bank("simulated")
    shutil.copy(whole.folder / "bank.yml", folder)
    for feed in whole.feeds:
        if feed.fill.table in FULL | EMPTY:
            shutil.copy(whole.folder / "feeds" / f"{feed.kind}.yml", folder / "feeds")
    return folder


class Bank:
    """A lake, a landing folder and a way to run the job on them."""

    def __init__(self, spark, folder: Path) -> None:
        self.folder, self.lake = folder, lake_at(spark, str(folder / "lake"))
        self.bank = few(folder / "bank")
        for table in load_bank(str(self.bank)).contracts.values():
            self.lake.declare(table)
        self.conf = folder / "conf.yml"
        self.conf.write_text(f"token_key_file: {folder / 'token.key'}\nspark:\n  shuffle_partitions: 2\n")
        (folder / "landing").mkdir()

    def drop(self, day: str, name: str, *lines: str) -> None:
        kind = name.split(".")[0].removesuffix("_00001").removesuffix("_00002")
        head = [";".join(load_bank(str(self.bank)).feed(kind).header)] if name.endswith(".csv") else []
        self.place(day, name).write_text("".join(f"{line}\n" for line in (*head, *lines)))

    def place(self, day: str, name: str) -> Path:
        folder = self.folder / "landing" / day
        folder.mkdir(exist_ok=True)
        return folder / name

    def ingest(self, *arguments: str) -> int:
        places = ["--lake", self.lake.root, "--landing", str(self.folder / "landing")]
        return run(JOB, ["--env", "simulated", "--bank", str(self.bank), "--conf", str(self.conf), *places, *arguments])

    def rows(self, table: str):
        return self.lake.read(table, self.lake.version(table))

    def accounts(self) -> dict[str, tuple[int, ...]]:
        rows = self.rows("ops_ingest").collect()
        return {row.source_file: (row.rows_in, row.rows_out, row.rows_quarantined, row.rows_duplicate) for row in rows}


def customer(number: int, employer: str = "", valid_to: str = "", recorded: str = "2020-01-01") -> str:
    return (
        f"{number};1990-01-0{number};F;1;31010{number};+86{number};Street {number};married;master;{employer};clerk;"
        f"2020-01-01;;;app;2020-01-01;{valid_to};{recorded}T10:00:00"
    )


@pytest.fixture(scope="module")
def bank(spark, tmp_path_factory):
    made = Bank(spark, tmp_path_factory.mktemp("feeds"))
    made.drop(JAN, "org_district.csv", f"1;Huangpu;Shanghai;600000;31.2;121.5;{';' * 11}")
    made.drop(JAN, "crm_customer.csv", customer(1), customer(2))
    made.drop(JAN, "core_account.csv", "1;1;;;2020-01-01;;active;62221;2020-01-01T10:00:00")
    made.drop(JAN, "core_account_holder.csv", "1;1;1;owner;2020-01-01T10:00:00")
    posting = "{};1;{};credit;transfer;;;;62222;10.00;2025-01-0{}T10:00:00;2025-01-0{}T10:00:01"
    made.drop(JAN, "core_transaction_00001.csv", posting.format(1, "10.00", 1, 1), posting.format(2, "ten", 2, 2))
    made.drop(JAN, "core_transaction_00002.csv", posting.format(3, "10.00", 3, 3))
    made.drop(JAN, "crm_education.json", '{"record_id": 1, "customer_id": 1, "level": "master", "institution_tier": 1}')
    holding = {
        "customer_id": pa.array([1], pa.int64()),
        "product_type": ["gold"],
        "month_end": [date(2025, 1, 31)],
        "balance": [Decimal("10.00")],
        "risk_level": pa.array([3], pa.int32()),
        "return_ytd": pa.array([None], pa.float64()),
    }
    pq.write_table(pa.table(holding), made.place(JAN, "wealth_holding.parquet"))
    with in_zone(spark, "Asia/Shanghai"):
        yield made


def test_feeds_may_still_be_to_come(bank, capsys):
    assert bank.ingest() == 0
    said = capsys.readouterr().err
    assert "8 new, 0 already landed; no rows yet of app_event, org_branch" in said
    assert bank.accounts() == {
        f"{JAN}/org_district.csv": (1, 1, 0, 0),
        f"{JAN}/crm_customer.csv": (2, 2, 0, 0),
        f"{JAN}/core_account.csv": (1, 1, 0, 0),
        f"{JAN}/core_account_holder.csv": (1, 1, 0, 0),
        f"{JAN}/core_transaction_00001.csv": (2, 1, 1, 0),
        f"{JAN}/core_transaction_00002.csv": (1, 1, 0, 0),
        f"{JAN}/crm_education.json": (1, 0, 1, 0),
        f"{JAN}/wealth_holding.parquet": (1, 1, 0, 0),
    }
    assert {table for table in FULL | EMPTY if not bank.rows(table).count()} == EMPTY
    assert bank.rows("quarantine_transaction").head().reason == (
        f"{JAN}/core_transaction_00001.csv row 3: amount: 'ten' is not decimal(18,2)"
    )
    assert bank.rows("quarantine_education_record").head().reason.endswith("row 1: graduated_on: is missing")
    span = bank.rows("transaction_coverage").collect()
    assert [tuple(row) for row in span] == [
        (1, date(2020, 1, 1), date(2025, 2, 1), f"{JAN}/core_transaction_00002.csv")
    ]


def test_tokens_of_the_same_account_number_join(bank):
    sides = bank.rows("transaction").select("counterparty_hash").distinct()
    mine = bank.rows("account").select(F.col("account_hash").alias("counterparty_hash"))
    assert sides.count() == 1 and sides.join(mine, on="counterparty_hash", how="inner").count() == 0
    assert bank.rows("customer").where("length(id_hash) <> 64 OR phone_hash = id_hash").count() == 0


def test_a_rerun_has_nothing_to_do(bank, capsys):
    assert bank.ingest() == 0
    assert "already done by ingest-20250331" in capsys.readouterr().err


def test_the_next_drop_corrects_and_the_past_stays(bank):
    bank.drop(FEB, "crm_customer.csv", customer(1, employer="7", recorded="2025-02-03"), customer(2))
    bank.drop(FEB, "core_account.csv", "1;1;;;2020-01-01;2025-02-10;closed;62221;2025-02-10T10:00:00")
    assert bank.ingest() == 0
    accounts = bank.accounts()
    assert accounts[f"{FEB}/crm_customer.csv"] == (2, 2, 0, 0)
    assert accounts[f"{JAN}/crm_customer.csv"] == (2, 1, 0, 1)  # the second customer's row, delivered again as it was
    status = bank.rows("account").orderBy("known_ts").select("status").collect()
    assert [row.status for row in status] == ["active", "closed"]
    before = bank.rows("customer").where("customer_id = 1 AND known_ts < TIMESTAMP'2025-02-01'").collect()
    assert [row.employer_id for row in before] == [None]
    # Until the newest drop of postings, and there is none in February.
    assert bank.rows("transaction_coverage").head().covered_to == date(2025, 2, 1)


def test_a_slip_stops_before_anything_is_written(bank, capsys):
    tables = JOB.written(load_settings("simulated", bank=str(bank.bank)))
    versions = {name: bank.lake.version(name) for name in tables}
    (bank.folder / "landing" / "march").mkdir()
    assert bank.ingest() == 3
    assert "march: is no folder named by a day, such as 2025-01-31" in capsys.readouterr().err
    (bank.folder / "landing" / "march").rmdir()
    bank.place("2025-03-31", "core_account.csv").write_text("account_id;status\n1;active\n")
    assert bank.ingest() == 3
    assert "2025-03-31/core_account.csv: row 1: column 'district_id' is missing" in capsys.readouterr().err
    assert {name: bank.lake.version(name) for name in tables} == versions
