"""The simulated bank: every row landed is accounted for, it is the same however made, and its truth is kept apart."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.conf.banks import load_bank
from strata.conf.simulation import load_simulation
from strata.conf.tables import ALL, SILVER
from strata.conf.tables.truth import TRUTH
from strata.jobs import simulate_bank
from strata.jobs.cli import jobs
from strata.jobs.simulate.bank import Bank as Simulated
from strata.jobs.simulate.delivery import DROP, delivered
from strata.jobs.simulate.world import World
from strata.jobs.table_catalog import lake_at
from tests.conftest import Bank, bank_at, having

pytestmark = pytest.mark.integration

FEEDS = load_bank("simulated").feeds
SENT = {"own", "late", "wrong", "right"}


def truth(bank: Bank, name: str) -> DataFrame:
    lake = lake_at(bank.spark, str(bank.root))
    lake.declare(TRUTH[name])
    return lake.read(name)


def test_files_lie_in_dated_folders_in_the_forms_of_their_sources(landed: Bank):
    folder = Path(str(landed.settings.landing))
    assert sorted(path.name for path in folder.iterdir()) == ["2024-12-31", "2025-01-31", "2025-02-28", "2025-03-31"]
    found = {path.name for path in folder.rglob("*.*")}
    assert found == {f"{feed.kind}.{feed.format}" for feed in FEEDS}
    header = (folder / "2025-01-31" / "core_transaction.csv").read_bytes().split(b"\n", 1)[0].decode()
    assert header.split(";")[:3] == ["transaction_id", "account_id", "amount"]
    line = (folder / "2024-12-31" / "crm_education.json").read_text(errors="replace").splitlines()[0]
    assert set(json.loads(line)) >= {"record_id", "customer_id", "level", "graduated_on"}


def test_every_row_is_accounted_for_and_every_kind_of_fault_is_caught_and_counted(ingested: Bank):
    sent = truth(ingested, "truth_delivery").toPandas()
    feeds = {feed.kind: feed for feed in FEEDS}
    sent["table_name"] = [feeds[kind].fill.table for kind in sent["kind"]]
    sent["file"] = [
        f"{day}/{kind}.{feeds[kind].format}" for day, kind in zip(sent["drop_on"], sent["kind"], strict=True)
    ]
    wanted = pd.DataFrame(
        {
            "rows_in": sent.groupby("file")["rows"].sum(),
            "rows_quarantined": sent[sent["variant"] == "broken"].groupby("file")["rows"].sum(),
        }
    ).fillna(0)
    files = ingested.tables().read("ops_ingest").toPandas().set_index("source_file")
    counted = files[["rows_in", "rows_quarantined"]].astype(float)
    pd.testing.assert_frame_equal(counted.sort_index(), wanted.astype(float).sort_index(), check_names=False)
    by_table = files.groupby("table_name")[["rows_out", "rows_duplicate"]].sum()
    again = sent[sent["variant"] == "again"].groupby("table_name")["rows"].sum().reindex(by_table.index).fillna(0)
    kept = sent[sent["variant"].isin(SENT)].groupby("table_name")["rows"].sum()
    assert by_table["rows_duplicate"].to_dict() == again.to_dict()
    assert by_table["rows_out"].to_dict() == kept.to_dict()
    faults = set(sent.loc[sent["variant"] == "broken", "fault"])
    assert faults >= {"missing", "orphan", "rule", "word", "not date", "fields", "cut", "encoding"}


def test_every_silver_table_keeps_its_contract(ingested: Bank):
    for name in sorted({feed.fill.table for feed in FEEDS}):
        rows, contract = ingested.tables().read(name), SILVER[name]
        assert rows.columns == list(contract.names)
        assert rows.count() > 0, name
        assert rows.select(*contract.key).distinct().count() == rows.count(), f"{name}: the key is not one"


def test_nothing_that_identifies_passes_bronze_in_clear(ingested: Bank):
    customers = ingested.tables().read("customer")
    assert customers.where(~F.col("phone_hash").rlike("^[0-9a-f]{64}$")).count() == 0
    owners = ingested.tables().read("contact_book").select(F.col("contact_phone_hash").alias("phone_hash"))
    assert owners.join(customers, "phone_hash", "left_semi").count() > 100, "equal phones no longer join"


def test_a_correction_leaves_what_was_known_before(ingested: Bank):
    postings = ingested.tables().read("transaction")
    twice = postings.groupBy("transaction_id").agg(F.count("*").alias("n"), F.countDistinct("amount").alias("amounts"))
    assert twice.where("n = 2 AND amounts = 2").count() > 10
    assert twice.where("n > 2").count() == 0


def test_the_truth_is_out_of_reach(landed: Bank):
    assert not set(TRUTH) & set(ALL)
    with pytest.raises(KeyError, match="no table contract called 'truth_person'"):
        landed.tables().read("truth_person")
    assert not [job.name for job in jobs().values() for name in job.needed(landed.settings) if name.startswith("truth")]
    assert truth(landed, "truth_person").count() == 800


def test_balances_go_on_from_posting_to_posting(ingested: Bank):
    rows = ingested.tables().read("transaction").orderBy("known_ts").toPandas()
    rows = rows.drop_duplicates("transaction_id", keep="last")
    signed = rows["amount"].where(rows["direction"] == "credit", -rows["amount"])
    rows = rows.assign(signed=signed).sort_values(["account_id", "event_ts", "transaction_id"])
    before = rows.groupby("account_id")["balance_after"].shift()
    steps = (rows["balance_after"] - rows["signed"] - before).dropna()
    # What came late or was put right after the last drop isn't there yet.
    assert (steps[rows.loc[steps.index, "event_ts"] < "2025-02-15"] != 0).sum() == 0
    assert (rows["balance_after"] >= 0).all()


def test_arrears_follow_from_what_was_due_and_paid(ingested: Bank):
    read = ingested.tables().read
    latest = {
        name: read(name).orderBy("known_ts").toPandas() for name in ("repayment_schedule", "repayment", "delinquency")
    }
    due = latest["repayment_schedule"].drop_duplicates(["loan_id", "instalment"], keep="last")
    paid = latest["repayment"].drop_duplicates("repayment_id", keep="last")
    paid = paid[paid["repayment_id"] % 100 <= 60]
    told = latest["delinquency"].drop_duplicates(["loan_id", "month_end"], keep="last")
    both = due.merge(paid[["loan_id", "instalment", "paid_on"]], on=["loan_id", "instalment"], how="left")
    rows = told.merge(both, on="loan_id")
    open_then = (rows["due_on"] < rows["month_end"]) & ~(rows["paid_on"] <= rows["month_end"])
    oldest = rows[open_then].groupby(["loan_id", "month_end"])["due_on"].min().rename("oldest").reset_index()
    found = told.merge(oldest, on=["loan_id", "month_end"], how="left")
    days = (pd.to_datetime(found["month_end"]) - pd.to_datetime(found["oldest"])).dt.days.fillna(0)
    assert len(told) > 100
    assert (days == found["days_past_due"]).all()


@pytest.fixture(scope="module")
def tiny(spark: SparkSession) -> Simulated:
    sim = load_simulation(seed=3, customers=500, start=date(2024, 12, 1), months=2, drop="day")
    return Simulated(World(spark, sim, 0, 1))


# One of each kind of generator.
SOME = (
    "crm_customer",
    "gov_social_insurance",
    "core_transaction",
    "credit_repayment",
    "credit_delinquency",
    "web_interest",
)


def fingerprints(bank: Simulated, days: list[date]) -> dict[str, tuple[int, int]]:
    """Rows and a hash of the sorted rows, by feed: the sum of the rows' hashes says nothing of their order."""
    made = bank.feeds()
    found = {}
    for feed in (feed for feed in FEEDS if feed.kind in SOME):
        rows = delivered(bank.world, feed, made[feed.kind]()).where(F.col(DROP).isin(*days))
        hashed = rows.select(F.xxhash64(*rows.columns).cast("decimal(38,0)").alias("hash"))
        total = hashed.agg(F.count("*").alias("rows"), F.sum("hash").alias("sum")).first()
        found[feed.kind] = (total.rows, total.sum)
    return found


@pytest.fixture(scope="module")
def of_a_day(tiny: Simulated) -> dict[str, tuple[int, int]]:
    return fingerprints(tiny, [date(2025, 1, 10)])


def test_partitions_change_nothing(spark: SparkSession, tiny: Simulated, of_a_day: dict[str, tuple[int, int]]):
    with having(spark, {"spark.sql.shuffle.partitions": "5"}):
        other = Simulated(tiny.world)
        other.__dict__["people"] = tiny.people.repartition(7)
        assert fingerprints(other, [date(2025, 1, 10)]) == of_a_day


def test_a_day_alone_is_the_day_of_the_whole(tiny: Simulated, of_a_day: dict[str, tuple[int, int]]):
    """The months before are looked at for what comes late, and the one month after isn't needed."""
    alone = Simulated(replace(tiny.world, first=-2, last=1))
    assert fingerprints(alone, [date(2025, 1, 10)]) == of_a_day


def test_another_seed_is_another_bank(spark: SparkSession, tiny: Simulated):
    sim = tiny.world.sim.model_copy(update={"seed": 4})
    other = Simulated(World(spark, sim, 0, 1))
    mine, theirs = (bank.people.agg(F.sum("income")).first()[0] for bank in (tiny, other))
    assert mine != theirs


def test_a_bank_that_is_not_simulated_is_not_overwritten(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert bank_at(spark, tmp_path, tmp_path / "token.key").run(simulate_bank.JOB) == 2
    assert "use --env simulated" in capsys.readouterr().err


def test_a_day_within_the_months_is_refused(landed: Bank, capsys: pytest.CaptureFixture[str]):
    assert landed.run(simulate_bank.JOB, "--day", "2025-02-10") == 2
    assert "lies within the 3 months" in capsys.readouterr().err
