"""How every job runs: settings, session, lock, ledger, progress and exit code stand here, once."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from graphlib import TopologicalSorter
from hashlib import sha256
from pathlib import Path

from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession

from strata.conf.banks import Bank, load_bank, shipped_banks
from strata.conf.banks.modules import BankModuleError
from strata.conf.contracts import Table
from strata.conf.settings import Settings, SettingsError, environments, load_settings
from strata.jobs.runtime import ledger
from strata.jobs.runtime.catalog import TABLES, contracts_of
from strata.jobs.runtime.errors import JobError, UsageError
from strata.jobs.runtime.install import SetupError
from strata.jobs.runtime.lock import Lock, job_lock
from strata.jobs.runtime.owner import require_owner
from strata.jobs.runtime.progress import Progress
from strata.jobs.runtime.session import local_session
from strata.jobs.runtime.tables import Lake, Reach

# Bytes of somebody's own files up to which a session may compile little: some hundred thousand rows of text.
SMALL_INPUT = 64 << 20


@dataclass(frozen=True)
class Context:
    """What a job's body is given: the only way it reaches tables, settings and time."""

    spark: SparkSession
    settings: Settings
    lake: Lake
    progress: Progress
    run_id: str
    now: datetime
    options: argparse.Namespace
    held: list[DataFrame] = field(default_factory=list, repr=False)

    def keep(self, frame: DataFrame) -> DataFrame:
        """Keep a frame in memory until the run ends, whatever its end."""
        self.hold(frame)
        return frame.persist()

    def hold(self, frame: DataFrame) -> None:
        """Free a frame, which somebody keeps in memory, when the run ends."""
        self.held.append(frame)

    def free(self) -> None:
        """Let go of all frames: a later run in this session must see files as they are then."""
        while self.held:
            self.held.pop().unpersist()

    @property
    def as_of(self) -> date:
        """The bank day the job is asked for."""
        return self.settings.as_of

    @property
    def bank(self) -> Bank:
        """The bank the job works for."""
        return load_bank(self.settings.bank)


# Table names, or a function of settings and arguments: another bank has other tables, another model too.
Tables = tuple[str, ...] | Callable[[Settings, argparse.Namespace], tuple[str, ...]]


@dataclass(frozen=True)
class Job:
    """A job: its name, what it reads and writes, and its body, or the jobs that it consists of.

    ``options`` adds arguments of its own. ``steps`` run in the order that their tables give (``in_order``).

    ``reads`` must be there, ``may_read`` only where the bank has them; ``refuses`` says why a bank can't run the job,
    if it can't.
    """

    name: str
    help: str
    body: Callable[[Context], None] | None = None
    reads: Tables = ()
    may_read: Tables = ()
    writes: Tables = ()
    options: Callable[[argparse.ArgumentParser], None] | None = None
    refuses: Callable[[Settings, argparse.Namespace], str | None] = lambda settings, options: None
    # What the ledger can't see by table versions: a hash of landed files, of a registry's state.
    fingerprint: Callable[[Settings, argparse.Namespace], str] | None = None
    # Somebody's own files, whose size says whether the session's tables are small.
    inputs: Callable[[argparse.Namespace], Sequence[Path]] | None = None
    # Questions (check-run) neither take the lock nor leave a row in the ledger.
    recorded: bool = True
    steps: tuple[Job, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if (self.body is None) != bool(self.steps):
            raise ValueError(f"job {self.name}: give it either a body or steps")

    def needed(self, settings: Settings, options: argparse.Namespace | None = None) -> tuple[str, ...]:
        """The tables that must be there for the job under these settings and arguments."""
        return self._tables(self.reads, settings, options)

    def welcome(self, settings: Settings, options: argparse.Namespace | None = None) -> tuple[str, ...]:
        """The tables that the job reads where the bank has them."""
        return self._tables(self.may_read, settings, options)

    def written(self, settings: Settings, options: argparse.Namespace | None = None) -> tuple[str, ...]:
        """The tables that the job writes under these settings and arguments."""
        return self._tables(self.writes, settings, options)

    def _tables(self, tables: Tables, settings: Settings, options: argparse.Namespace | None) -> tuple[str, ...]:
        if callable(tables):
            return tables(settings, options or argparse.Namespace())
        return tables

    def reach(self, settings: Settings, options: argparse.Namespace) -> Reach:
        """All tables that the job may touch."""
        read = {*self.needed(settings, options), *self.welcome(settings, options)}
        return Reach(self.name, frozenset(read), frozenset(self.written(settings, options)))

    def refusal(self, settings: Settings, options: argparse.Namespace) -> str | None:
        """Why the settings' bank can't run the job: no feed fills a silver table that it needs, or its own reason."""
        bank = load_bank(settings.bank)
        if reason := self.refuses(settings, options):
            return reason
        needed = self.needed(settings, options)
        lacking = [name for name in needed if name in bank.silver and name not in bank.made]
        if not lacking:
            return None
        return f"no feed fills {', '.join(lacking)}; declare one in its feeds, and strata ingest makes the table"

    def plan(self, settings: Settings, options: argparse.Namespace) -> str:
        """What the job would read and write, without starting Spark, and what the bank lacks for it."""
        lines = [f"{self.name}: {self.help}"]
        bank = load_bank(settings.bank)
        contracts = {**TABLES, **contracts_of(bank)}
        if reason := self.refusal(settings, options):
            lines.append(f"  can't run for bank {bank.name}: {reason}")
        else:
            needed = self.needed(settings, options)
            more = tuple(name for name in self.welcome(settings, options) if name not in needed)
            named = ((needed, ""), (more, ", where it is there"))
            lines += [f"  reads   {contracts[name].layer}.{name}{how}" for names, how in named for name in names]
            lines += [f"  writes  {_written_how(contracts[name])}" for name in self.written(settings, options)]
        return "\n".join([*lines, *(step.plan(settings, options) for step in in_order(self.steps, settings))])


def in_order(jobs: Sequence[Job], settings: Settings) -> tuple[Job, ...]:
    """The jobs so that each comes after those that write what it reads, else as they were given.

    Raises ``graphlib.CycleError`` when jobs wait for each other.
    """
    named = {job.name: job for job in jobs}
    reads = {job.name: {*job.needed(settings), *job.welcome(settings)} - {*job.written(settings)} for job in jobs}
    makers = {job.name: {*job.written(settings)} for job in jobs}
    waits_for = {name: [other for other in named if other != name and makers[other] & reads[name]] for name in named}
    sorter = TopologicalSorter(waits_for)
    sorter.prepare()
    ordered: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=list(named).index)
        ordered += ready
        sorter.done(*ready)
    return tuple(named[name] for name in ordered)


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
            print(job.plan(settings, options))
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


def open_lake(spark: SparkSession, settings: Settings, run_id: str = "adhoc") -> Lake:
    """The lake of the settings, with the contracts that the bank brings."""
    return Lake(spark, settings.lake, run_id, declared=dict(contracts_of(load_bank(settings.bank))))


def open_session(settings: Settings) -> SparkSession:
    """The session that spark-submit has prepared, else one on this machine."""
    if SparkContext._active_spark_context or _submitted():
        spark = SparkSession.builder.getOrCreate()
        spark.conf.set("spark.sql.session.timeZone", settings.bank_timezone)
        return spark
    local = settings.spark
    return local_session(
        cores=local.cores,
        memory=local.memory,
        timezone=settings.bank_timezone,
        shuffle_partitions=local.shuffle_partitions,
        small_data=local.small_data,
        conf={"spark.ui.enabled": str(local.ui).lower()},
    )


def session_settings(job: Job, settings: Settings, options: argparse.Namespace) -> Settings:
    """The settings for the session of a job: large files of somebody's own want compiled plans."""
    if job.inputs is None or sum(map(_bytes_at, job.inputs(options))) <= SMALL_INPUT:
        return settings
    return settings.model_copy(update={"spark": settings.spark.model_copy(update={"small_data": False})})


def _bytes_at(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _submitted() -> bool:
    """Whether spark-submit started this process: it leaves a gateway port behind."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


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
