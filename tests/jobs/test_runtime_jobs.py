"""The job runtime: contracts on disk, ledger, lock, exit codes, idempotence."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from strata.conf.settings import load_settings
from strata.jobs import check_run
from strata.jobs.job_runner import execute, parser
from strata.jobs.runtime import ledger
from strata.jobs.runtime import lock as lock_module
from strata.jobs.runtime.errors import GateError, InputError, LockedError
from strata.jobs.runtime.job import Context, Job
from strata.jobs.runtime.lock import job_lock
from strata.jobs.runtime.tokens import load_key, tokeniser
from strata.jobs.table_catalog import contract_of, lake_at

pytestmark = pytest.mark.integration


def customers(spark, count=3):
    rows = spark.range(count).selectExpr(
        "id AS customer_id",
        "DATE'1970-01-01' AS birth_date",
        "'F' AS gender",
        "1 AS district_id",
        "DATE'1993-01-01' AS valid_from",
        "TIMESTAMP'1999-01-01' AS known_ts",
    )
    others = (column for column in contract_of("customer").columns if column.name not in rows.columns)
    return rows.withColumns({column.name: F.lit(None).cast(column.type) for column in others})


def write_customers(context: Context) -> None:
    context.lake.replace("customer", customers(context.spark))


WRITER = Job("writer", "writes customers", write_customers, writes=("customer",))


def run_job(spark, job, lake, *arguments):
    options = parser(job).parse_args([*arguments])
    return execute(job, load_settings("test", lake=str(lake), as_of=date(2000, 1, 1)), options, spark)


def test_contract_is_on_disk(spark, tmp_path):
    lake = lake_at(spark, str(tmp_path))
    lake.replace("customer", customers(spark))
    fields = {field.name: field for field in lake.read("customer").schema}
    assert fields["customer_id"].metadata["comment"] == "the bank's number of the customer"
    detail = spark.sql(f"DESCRIBE DETAIL delta.`{lake.path('customer')}`").head()
    assert "gender IN ('F', 'M')" in detail.properties["delta.constraints.contract"]
    assert detail.properties["delta.enableDeletionVectors"] == "false"
    with pytest.raises(Exception, match="contract"):
        lake.replace("customer", customers(spark).withColumn("gender", F.lit("X")))
    with pytest.raises(Exception, match="(?i)null"):
        lake.replace("customer", customers(spark).withColumn("valid_from", F.lit(None).cast("date")))
    assert lake.read("customer").count() == 3


def test_replace_names_wrong_columns(spark, tmp_path):
    rows = customers(spark).withColumnRenamed("gender", "sex")
    with pytest.raises(InputError, match=r"customer: columns missing \['gender'\], not in the contract \['sex'\]"):
        lake_at(spark, str(tmp_path)).replace("customer", rows)


def test_reads_are_pinned_for_the_run(spark, tmp_path):
    writer, reader = lake_at(spark, str(tmp_path)), lake_at(spark, str(tmp_path))
    writer.replace("customer", customers(spark, 2))
    assert reader.read("customer").count() == 2
    writer.replace("customer", customers(spark, 5))
    assert reader.read("customer").count() == 2
    assert lake_at(spark, str(tmp_path)).read("customer").count() == 5


def test_missing_table_is_an_input_error(spark, tmp_path):
    with pytest.raises(InputError, match="table customer is missing in .*run the job that writes it first"):
        lake_at(spark, str(tmp_path)).read("customer")


def test_rerun_does_nothing_until_something_changes(spark, tmp_path, capsys):
    assert run_job(spark, WRITER, tmp_path) == 0
    version = lake_at(spark, str(tmp_path)).version("customer")
    assert run_job(spark, WRITER, tmp_path) == 0
    assert "already done by writer-20000101-" in capsys.readouterr().err
    assert lake_at(spark, str(tmp_path)).version("customer") == version
    assert run_job(spark, WRITER, tmp_path, "--force") == 0
    assert lake_at(spark, str(tmp_path)).version("customer") == version + 1
    outside = replace(WRITER, fingerprint=lambda settings, options: "another delivery")
    assert run_job(spark, outside, tmp_path) == 0
    assert lake_at(spark, str(tmp_path)).version("customer") == version + 2


def test_ledger_tells_failures_and_check_run_repeats_them(spark, tmp_path, capsys):
    def stopped(context: Context) -> None:
        raise GateError("3 of 5 rows in quarantine")

    def broken(context: Context) -> None:
        raise KeyError("oops")

    assert run_job(spark, Job("gated", "", stopped), tmp_path) == 4
    assert run_job(spark, Job("broken", "", broken), tmp_path) == 1
    assert "3 of 5 rows in quarantine" in capsys.readouterr().err
    lake = lake_at(spark, str(tmp_path))
    entry = ledger.last(lake, "gated", date(2000, 1, 1))
    assert (entry.status, entry.exit_code, entry.error) == ("failed", 4, "3 of 5 rows in quarantine")
    assert ledger.last(lake, "broken", date(2000, 1, 1)).error.startswith("KeyError")
    assert run_job(spark, check_run.JOB, tmp_path, "--job", "gated") == 4
    assert run_job(spark, check_run.JOB, tmp_path, "--job", "never") == 3


def test_ledger_holds_versions_and_rows(spark, tmp_path):
    run_job(spark, WRITER, tmp_path)
    entry = ledger.last(lake_at(spark, str(tmp_path)), "writer", date(2000, 1, 1))
    assert entry.status == "succeeded" and entry.exit_code == 0
    assert [(w.name, w.rows) for w in entry.outputs] == [("customer", 3)]
    assert entry.outputs[0].version == lake_at(spark, str(tmp_path)).version("customer")


def holder(run_id: str, pid: int, hours_ago: float = 0.0) -> str:
    since = time.time() - 3600 * hours_ago
    return json.dumps({"run_id": run_id, "host": socket.gethostname(), "pid": pid, "since": since})


def hold_lock(root: Path, pid: int, hours_ago: float = 0.0) -> Path:
    lock = root / "_locks" / "writer.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(holder("other", pid, hours_ago))
    return lock


def test_a_held_lock_refuses(spark, tmp_path, capsys):
    hold_lock(tmp_path, os.getpid())
    assert run_job(spark, WRITER, tmp_path) == 5
    assert "writer is being run by other" in capsys.readouterr().err
    assert not lake_at(spark, str(tmp_path)).exists("customer")


def test_a_dead_holder_is_taken_over(spark, tmp_path):
    lock = hold_lock(tmp_path, 2**22 + 1)
    assert run_job(spark, WRITER, tmp_path) == 0
    assert not lock.exists()


def taken_by_another(root: Path) -> Path:
    """The writer's lock, given to another run of a live process."""
    lock = root / "_locks" / "writer.lock"
    lock.write_text(holder("another", os.getpid()))
    return lock


def test_a_run_that_lost_its_lock_leaves_the_new_holders_alone_and_writes_no_more(spark, tmp_path, capsys):
    def slow(context: Context) -> None:
        context.lake.replace("customer", customers(spark, 2))
        taken_by_another(tmp_path)
        context.lake.replace("customer", customers(spark, 3))

    assert run_job(spark, replace(WRITER, body=slow), tmp_path) == 5
    lake = lake_at(spark, str(tmp_path))
    assert lake.read("customer").count() == 2
    assert json.loads((tmp_path / "_locks" / "writer.lock").read_text())["run_id"] == "another"
    said = capsys.readouterr().err
    assert "and another on " in said and "took over its lock; nothing more is written" in said
    entry = ledger.last(lake, "writer", date(2000, 1, 1))
    assert (entry.status, entry.exit_code) == ("failed", 5) and "took over its lock" in entry.error


def test_a_run_whose_lock_is_lost_after_its_last_write_does_not_succeed(spark, tmp_path, capsys):
    def slow(context: Context) -> None:
        (tmp_path / "_locks" / "writer.lock").unlink()

    assert run_job(spark, replace(WRITER, body=slow), tmp_path) == 5
    assert "was removed while it ran" in capsys.readouterr().err


def test_a_late_failure_does_not_hide_the_run_that_started_after_it(spark, tmp_path):
    lake, day = lake_at(spark, str(tmp_path)), date(2000, 1, 1)
    first = ledger.Entry("first", "writer", day, "1", "1", datetime(2000, 1, 2, tzinfo=UTC))
    second = replace(first, run_id="second", started_at=datetime(2000, 1, 3, tzinfo=UTC))
    for entry in (first, second, replace(second, status="succeeded"), replace(first, status="failed")):
        ledger.record(lake, entry)
    found = ledger.last(lake, "writer", day)
    assert (found.run_id, found.status) == ("second", "succeeded")


def test_an_old_lock_is_taken_over_by_one_run_alone(spark, tmp_path):
    lock = hold_lock(tmp_path, os.getpid(), hours_ago=7)
    # Another run found the same lock stale, has made its claim and is at work.
    claim = lock.with_name("writer.lock.other")
    claim.write_text(holder("another", os.getpid()))
    with (
        pytest.raises(LockedError, match="writer is being run by another"),
        job_lock(spark, str(tmp_path), "writer", "mine", hours=6),
    ):
        pass
    assert lock.exists()
    # One that was killed at it holds nobody up.
    claim.write_text(holder("another", 2**22 + 1))
    with job_lock(spark, str(tmp_path), "writer", "mine", hours=6) as held:
        held.require()
        assert json.loads(lock.read_text())["run_id"] == "mine"
    assert list(lock.parent.glob("[!.]*")) == []


def test_a_lock_made_after_the_look_at_a_stale_one_stays(spark, tmp_path, monkeypatch):
    lock = hold_lock(tmp_path, os.getpid(), hours_ago=7)
    stale = lock_module._stale

    def late(holding: lock_module.Holder, hours: float) -> bool:
        found = stale(holding, hours)
        taken_by_another(tmp_path)
        return found

    monkeypatch.setattr(lock_module, "_stale", late)
    with pytest.raises(LockedError, match="just taken"), job_lock(spark, str(tmp_path), "writer", "mine", hours=6):
        pass
    assert json.loads(lock.read_text())["run_id"] == "another"
    assert [path.name for path in lock.parent.glob("[!.]*")] == ["writer.lock"]


def test_a_lock_without_a_name_is_respected_for_a_minute(spark, tmp_path):
    lock = hold_lock(tmp_path, os.getpid())
    lock.write_text("")
    with pytest.raises(LockedError, match="run by unknown"), job_lock(spark, str(tmp_path), "writer", "mine", hours=6):
        pass
    os.utime(lock, (time.time() - 70, time.time() - 70))
    with job_lock(spark, str(tmp_path), "writer", "mine", hours=6):
        assert json.loads(lock.read_text())["run_id"] == "mine"
    assert not lock.exists()


def test_of_many_runs_that_find_a_stale_lock_one_wins(spark, tmp_path):
    hold_lock(tmp_path, os.getpid(), hours_ago=7)
    start, done = threading.Barrier(8), threading.Barrier(8)

    def contend(number: int) -> str | None:
        start.wait()
        try:
            with job_lock(spark, str(tmp_path), "writer", f"run {number}", hours=6):
                done.wait()
                return f"run {number}"
        except LockedError:
            done.wait()
            return None

    with ThreadPoolExecutor(8) as threads:
        assert len([name for name in threads.map(contend, range(8)) if name]) == 1


def test_steps_stop_at_the_first_failure(spark, tmp_path):
    def stopped(context: Context) -> None:
        raise GateError("no")

    assert run_job(spark, Job("all", "", steps=(Job("gate", "", stopped), WRITER)), tmp_path) == 4
    assert not lake_at(spark, str(tmp_path)).exists("customer")


def test_a_lake_is_one_banks(spark, tmp_path, capsys):
    assert run_job(spark, WRITER, tmp_path) == 0
    other = load_settings("simulated", lake=str(tmp_path), as_of=date(2000, 1, 1))
    assert execute(WRITER, other, parser(WRITER).parse_args([]), spark) == 2
    said = capsys.readouterr().err
    assert f"lake {tmp_path} is that of bank berka; name another with --lake, or that bank with --bank" in said
    assert run_job(spark, WRITER, tmp_path) == 0


def test_tokens_join_and_hide(spark, tmp_path):
    key_file = tmp_path / "token.key"
    key = load_key(str(key_file), make=True)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert load_key(str(key_file), make=True) == key
    token = tokeniser(spark, key)
    rows = spark.createDataFrame([("a",), ("a",), ("b",), (None,)], "text string").select(token("text").alias("t"))
    values = [row.t for row in rows.collect()]
    assert values[0] == values[1] != values[2] and values[3] is None and len(values[0]) == 64
    plan = rows._jdf.queryExecution().toString()
    assert key.hex() not in plan and str(list(key)) not in plan
    with pytest.raises(RuntimeError, match="no such file"):
        load_key(str(tmp_path / "none"), make=False)
    key_file.write_text("short")
    with pytest.raises(RuntimeError, match="64 hex characters"):
        load_key(str(key_file), make=False)
