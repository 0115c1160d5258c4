"""What a job is, what its body is given, and the order in which jobs follow from the tables they read and write."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from graphlib import TopologicalSorter
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from strata.conf.banks import Bank, load_bank
from strata.conf.settings import Settings
from strata.jobs.runtime.progress import Progress
from strata.jobs.runtime.tables import Lake, Reach


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
    # Jobs that fill what is no table: the models of the registry.
    after: tuple[str, ...] = ()
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


def in_order(jobs: Sequence[Job], settings: Settings) -> tuple[Job, ...]:
    """The jobs so that each comes after those that write what it reads, and those it names; else as they were given.

    Raises ``graphlib.CycleError`` when jobs wait for each other.
    """
    named = {job.name: job for job in jobs}
    reads = {job.name: {*job.needed(settings), *job.welcome(settings)} - {*job.written(settings)} for job in jobs}
    makers = {job.name: {*job.written(settings)} for job in jobs}
    waits_for = {
        name: [other for other in named if other != name and (makers[other] & reads[name] or other in job.after)]
        for name, job in named.items()
    }
    sorter = TopologicalSorter(waits_for)
    sorter.prepare()
    ordered: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=list(named).index)
        ordered += ready
        sorter.done(*ready)
    return tuple(named[name] for name in ordered)
