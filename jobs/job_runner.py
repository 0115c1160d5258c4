"""How every job runs: settings, session, lock, ledger, progress and exit code stand here, once."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

from pyspark.sql import SparkSession

from strata.conf.banks import load_bank, shipped_banks
from strata.conf.banks.modules import BankModuleError
from strata.conf.contracts import Table
from strata.conf.settings import Settings, SettingsError, environments, load_settings
from strata.jobs.runtime import ledger
from strata.jobs.runtime.errors import JobError, UsageError
from strata.jobs.runtime.install import SetupError
from strata.jobs.runtime.job import Context, Job, in_order
from strata.jobs.runtime.lock import Lock, job_lock
from strata.jobs.runtime.owner import require_owner
from strata.jobs.runtime.progress import Progress
from strata.jobs.runtime.session import open_session
from strata.jobs.table_catalog import known_contracts, open_lake

# Bytes of somebody's own files up to which a session may compile little: some hundred thousand rows of text.
SMALL_INPUT = 64 << 20


def plan(job: Job, settings: Settings, options: argparse.Namespace) -> str:
    """What the job would read and write, without starting Spark, and what the bank lacks for it."""
    lines = [f"{job.name}: {job.help}"]
    bank = load_bank(settings.bank)
    if reason := job.refusal(settings, options):
        lines.append(f"  can't run for bank {bank.name}: {reason}")
    else:
        lines += _tables_used(job, settings, options)
    return "\n".join([*lines, *(plan(step, settings, options) for step in in_order(job.steps, settings))])


def _tables_used(job: Job, settings: Settings, options: argparse.Namespace) -> list[str]:
    contracts = known_contracts(load_bank(settings.bank))
    needed = job.needed(settings, options)
    more = tuple(name for name in job.welcome(settings, options) if name not in needed)
    named = ((needed, ""), (more, ", where it is there"))
    reads = [f"  reads   {contracts[name].layer}.{name}{how}" for names, how in named for name in names]
    return reads + [f"  writes  {_written_how(contracts[name])}" for name in job.written(settings, options)]


def _written_how(contract: Table) -> str:
    slices = " and ".join(contract.slice_by)
    how = f"slice by {slices}" if slices else "append" if contract.append_only else "whole"
    return f"{contract.layer}.{contract.name} ({how}): {contract.grain}"


def parser(job: Job) -> argparse.ArgumentParser:
    """The command line of a job: the common arguments and its own."""
    arguments = argparse.ArgumentParser(prog=f"strata {job.name}", description=job.help)
    arguments.add_argument("--env", default="local", help=f"environment: {', '.join(environments())} (default local)")
    arguments.add_argument(
        "--bank",
        metavar="DIR",
        help=f"the folder of a bank, or one that comes with Strata: {', '.join(shipped_banks())}",
    )
    arguments.add_argument("--conf", metavar="FILE", help="a YAML file of settings laid over the environment's")
    arguments.add_argument("--as-of", type=day, metavar="YYYY-MM-DD", help="the bank day to work for")
    arguments.add_argument("--lake", metavar="DIR", help="where the tables are")
    arguments.add_argument("--landing", metavar="DIR", help="a folder of raw files of your own")
    arguments.add_argument("--reports", metavar="DIR", help="where pages are written")
    arguments.add_argument("--force", action="store_true", help="run again though the same was done already")
    arguments.add_argument("--plan", action="store_true", help="print what would be read and written, and stop")
    if job.options:
        job.options(arguments)
    return arguments


def run(job: Job, argv: Sequence[str] | None = None) -> int:
    """Run ``job`` with command-line arguments and return its exit code; errors print one line on stderr."""
    try:
        options = parser(job).parse_args(argv)
        settings = _settings(options)
        if options.plan:
            print(plan(job, settings, options))
            return 0
        return execute(job, settings, options, open_session(session_settings(job, settings, options)))
    except SystemExit as stop:  # argparse ends this way; 2 is its usage code and ours
        return int(stop.code or 0)
    except (SettingsError, SetupError, UsageError, BankModuleError) as wrong:
        print(f"strata {job.name}: {wrong}", file=sys.stderr)
        return UsageError.exit_code


def execute(job: Job, settings: Settings, options: argparse.Namespace, spark: SparkSession) -> int:
    """Run ``job``, or the steps it is made of one after the other, in a session; returns the exit code."""
    if job.steps:
        codes = (_step(step, settings, options, spark) for step in in_order(job.steps, settings))
        return next((code for code in codes if code), 0)
    return _Run(job, settings, options, spark).execute()


def _step(job: Job, settings: Settings, options: argparse.Namespace, spark: SparkSession) -> int:
    """A job of several: one that the bank can't run is passed over, with the reason."""
    if reason := job.refusal(settings, options):
        Progress(job.name).line(f"passed over for bank {load_bank(settings.bank).name}: {reason}")
        return 0
    return execute(job, settings, options, spark)


class _Run:
    """One run of one job, from lock to ledger."""

    def __init__(self, job: Job, settings: Settings, options: argparse.Namespace, spark: SparkSession) -> None:
        run_id = f"{job.name.replace(' ', '-')}-{settings.as_of:%Y%m%d}-{uuid.uuid4().hex[:8]}"
        lake = open_lake(spark, settings, run_id)
        self.job, self.settings, self.clock = job, settings, time.monotonic()
        self.context = Context(spark, settings, lake, Progress(job.name), run_id, datetime.now(UTC), options)
        conf_hash, code = _digest(job, settings, options), ledger.code_version()
        self.entry = ledger.Entry(run_id, job.name, settings.as_of, code, conf_hash, self.context.now)

    def execute(self) -> int:
        """Lock, run, record; returns the exit code and has printed one line when it failed."""
        context, settings = self.context, self.settings
        try:
            if reason := self.job.refusal(settings, context.options):
                raise UsageError(f"bank {context.bank.name} can't run this: {reason}")
            context.lake.reach = self.job.reach(settings, context.options)
            if not self.job.recorded:
                self._body()
                return 0
            root, name, hours = context.lake.root, self.job.name, settings.lock_hours
            with job_lock(context.spark, root, name, context.run_id, hours=hours) as lock:
                # A run whose lock was taken over neither writes nor succeeds.
                context.lake.before_write = lock.require
                require_owner(context.spark, root, context.bank.name)
                return self._locked(lock)
        except JobError as wrong:
            context.progress.line(f"stopped: {wrong}")
            return wrong.exit_code
        finally:
            context.free()

    def _locked(self, lock: Lock) -> int:
        context = self.context
        before = ledger.last(context.lake, self.job.name, self.settings.as_of)
        if before and not context.options.force and ledger.already_done(context.lake, before, self.entry):
            context.progress.line(f"already done by {before.run_id}; --force runs it again")
            return 0
        ledger.record(context.lake, self.entry)
        try:
            self._body()
            lock.require()
        except JobError as wrong:
            self._end("failed", wrong.exit_code, str(wrong))
            raise
        except Exception as bug:  # noqa: BLE001
            # The one place that catches everything: the ledger must know, and the trace must be seen.
            traceback.print_exc()
            self._end("failed", 1, f"{type(bug).__name__}: {str(bug).splitlines()[0] if str(bug) else ''}")
            context.progress.line(f"failed: {type(bug).__name__}; the trace stands above")
            return 1
        self._end("succeeded", 0, None)
        return 0

    def _body(self) -> None:
        if self.job.body:
            self.job.body(self.context)

    def _end(self, status: str, code: int, error: str | None) -> None:
        lake, seconds = self.context.lake, time.monotonic() - self.clock
        ledger.record(
            lake,
            replace(
                self.entry,
                status=status,
                inputs=tuple(lake.inputs.values()),
                outputs=tuple(lake.outputs.values()),
                exit_code=code,
                error=error,
                seconds=seconds,
            ),
        )
        if status == "succeeded":
            rows = ", ".join(f"{w.name} {w.rows:,}" for w in lake.outputs.values() if w.rows is not None)
            self.context.progress.line(f"done in {seconds:.1f} s: {rows or 'nothing new'}")


def session_settings(job: Job, settings: Settings, options: argparse.Namespace) -> Settings:
    """The settings for the session of a job: large files of somebody's own want compiled plans."""
    if job.inputs is None or sum(map(_bytes_at, job.inputs(options))) <= SMALL_INPUT:
        return settings
    return settings.model_copy(update={"spark": settings.spark.model_copy(update={"small_data": False})})


def _bytes_at(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _settings(options: argparse.Namespace) -> Settings:
    return load_settings(
        options.env,
        path=options.conf,
        bank=options.bank,
        as_of=options.as_of,
        lake=options.lake,
        landing=options.landing,
        reports=options.reports,
    )


def _digest(job: Job, settings: Settings, options: argparse.Namespace) -> str:
    """Settings, arguments and outside inputs: what would change the result beside the tables read."""
    outside = job.fingerprint(settings, options) if job.fingerprint else ""
    own = {
        key: str(value) for key, value in sorted(vars(options).items()) if key not in ("force", "plan", "env", "conf")
    }
    return sha256(f"{settings.digest}{own}{outside}".encode()).hexdigest()[:16]


def day(text: str) -> date:
    """A day of the command line."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day like 2026-10-31") from None
