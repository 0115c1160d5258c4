"""The job ledger ``ops_run``: who ran what, when, on which table versions, with what result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from pyspark.sql import functions as F

from strata.jobs.runtime.tables import Lake, Written

VERSION = "0.1.0"
ROOMS = ("conf", "features", "graph", "models", "jobs")


@cache
def code_version() -> str:
    """The version and a hash of all of Strata's code and configuration as installed."""
    digest = hashlib.sha256()
    for room in ROOMS:
        for name, content in sorted(_sources(files(f"strata.{room}"), room)):
            digest.update(name.encode() + b"\0" + content)
    return f"{VERSION}+{digest.hexdigest()[:12]}"


def _sources(folder: Traversable, prefix: str) -> Iterable[tuple[str, bytes]]:
    for entry in folder.iterdir():
        name = f"{prefix}/{entry.name}"
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _sources(entry, name)
        elif entry.name.endswith((".py", ".yml", ".html", ".css", ".js")):
            yield name, entry.read_bytes()


@dataclass(frozen=True)
class Entry:
    """One run as the ledger tells it."""

    run_id: str
    job: str
    as_of_date: date
    code_version: str
    conf_hash: str
    started_at: datetime
    status: str = "started"
    inputs: tuple[Written, ...] = ()
    outputs: tuple[Written, ...] = ()
    exit_code: int | None = None
    error: str | None = None
    seconds: float | None = None


def record(lake: Lake, entry: Entry) -> None:
    """Append the entry to the ledger."""
    row = {
        **{key: value for key, value in vars(entry).items() if key not in ("inputs", "outputs")},
        "inputs": [(w.name, w.version, w.rows) for w in entry.inputs],
        "outputs": [(w.name, w.version, w.rows) for w in entry.outputs],
        "recorded_at": datetime.now(UTC),
    }
    contract = lake.ensure("ops_run")
    rows = lake.spark.createDataFrame([tuple(row[name] for name in contract.names)], contract.schema_ddl)
    rows.coalesce(1).write.format("delta").mode("append").save(lake.path("ops_run"))


def last(lake: Lake, job: str, as_of: date) -> Entry | None:
    """The newest entry of the run of ``job`` for ``as_of`` that started last; ``None`` when it has never run.

    Not the newest of all: a run that lost its lock may end after the one that took it over.
    """
    if not lake.exists("ops_run"):
        return None
    runs = lake.spark.read.format("delta").load(lake.path("ops_run"))
    newest = (
        runs.where((F.col("job") == job) & (F.col("as_of_date") == F.lit(as_of)))
        .orderBy(F.desc("started_at"), F.desc("recorded_at"))
        .head()
    )
    if newest is None:
        return None
    values = {key: newest[key] for key in Entry.__dataclass_fields__ if key not in ("inputs", "outputs")}
    return Entry(**values, inputs=_written(newest.inputs), outputs=_written(newest.outputs))


def already_done(lake: Lake, before: Entry, now: Entry) -> bool:
    """Whether ``before`` did exactly this: same code, settings and inputs, and its outputs still stand."""
    if before.status != "succeeded" or (before.code_version, before.conf_hash) != (
        now.code_version,
        now.conf_hash,
    ):
        return False
    same = all(lake.version(table.name) == table.version for table in before.inputs)
    return same and all(lake.stands(table) for table in before.outputs)


def _written(rows: Iterable[tuple[str, int, int | None]]) -> tuple[Written, ...]:
    return tuple(Written(*row) for row in rows)
