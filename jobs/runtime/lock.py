"""One run of a job at a time on one lake: a lock file made atomically on the lake's own file system."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from strata.jobs.runtime.errors import LockedError
from strata.jobs.runtime.hadoop import file_system, hadoop_path, read_text

# Between creating a file and writing to it a holder's lock is empty; after this long its holder has been killed.
EMPTY_SECONDS = 60.0


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: the run, its process, and since when (seconds of the epoch)."""

    run_id: str
    host: str
    pid: int
    since: float

    @property
    def described(self) -> str:
        """The holder as an error names it."""
        return f"{self.run_id} on {self.host} since {time.strftime('%H:%M:%S', time.localtime(self.since))}"


@dataclass(frozen=True)
class Lock:
    """A lock that this run has taken. Another run may take it over once it is older than ``hours``."""

    spark: SparkSession
    fs: Any
    path: Any
    name: str
    mine: Holder
    hours: float

    def require(self) -> None:
        """Raise ``LockedError``, saying who has the lock, when this run doesn't hold it any more."""
        holder = _read(self.spark, self.fs, self.path)
        if holder is None:
            raise LockedError(f"{self.name}: the lock of {self.mine.run_id} was removed while it ran; run it again")
        if holder.run_id != self.mine.run_id:
            hours = (time.time() - self.mine.since) / 3600
            raise LockedError(
                f"{self.name}: {self.mine.run_id} has run for {hours:.1f} hours and {holder.described} took over its "
                f"lock; nothing more is written (lock_hours={self.hours:g} is how long a lock is respected)"
            )

    def release(self) -> None:
        """Delete the lock, if it is still this run's own."""
        claim = self._claim(self.mine)
        if not _create(self.fs, claim, self.mine):
            return  # Another run is taking the lock over at this moment.
        try:
            holder = _read(self.spark, self.fs, self.path)
            if holder and holder.run_id == self.mine.run_id:
                self.fs.delete(self.path, False)
        finally:
            self.fs.delete(claim, False)

    def take(self) -> None:
        """Make the lock this run's own; raises ``LockedError`` naming the holder.

        A run's lock file is deleted only by who has made the claim file named after that run, and has then read
        again whose the lock is. So of several runs that find a lock stale one wins, and a lock that was made in the
        meantime is left alone. A claim is itself a lock: one whose maker was killed is taken over likewise.
        """
        if _create(self.fs, self.path, self.mine):
            return
        holder = _read(self.spark, self.fs, self.path)
        if holder is None:
            raise self._just_taken()
        if not _stale(holder, self.hours):
            raise LockedError(f"{self.name} is being run by {holder.described}; wait for it")
        claim = Lock(self.spark, self.fs, self._claim(holder), self.name, self.mine, self.hours)
        claim.take()
        try:
            if _read(self.spark, self.fs, self.path) == holder:
                self.fs.delete(self.path, False)
            if not _create(self.fs, self.path, self.mine):
                raise self._just_taken()
        finally:
            self.fs.delete(claim.path, False)

    def _claim(self, holder: Holder) -> Any:
        return hadoop_path(self.spark, f"{self.path.toString()}.{holder.run_id}")

    def _just_taken(self) -> LockedError:
        return LockedError(f"{self.name} was just taken or ended by another run; try again")


@contextmanager
def job_lock(spark: SparkSession, root: str, name: str, run_id: str, *, hours: float) -> Iterator[Lock]:
    """Hold the lock ``name`` below ``root``; raises ``LockedError`` naming the holder.

    A lock whose process is dead on this machine, or that is older than ``hours``, is taken over. The run that held
    it finds out by ``Lock.require``, and at its end leaves the new holder's lock alone.
    """
    fs, path = file_system(spark, f"{root}/_locks/{name}.lock")
    lock = Lock(spark, fs, path, name, Holder(run_id, socket.gethostname(), os.getpid(), time.time()), hours)
    lock.take()
    try:
        yield lock
    finally:
        lock.release()


def _create(fs: Any, path: Any, content: Holder) -> bool:
    """Create the file, whole, only if it isn't there; False when somebody else has it."""
    fs.mkdirs(path.getParent())
    text = json.dumps(asdict(content))
    if fs.getUri().getScheme() == "file":
        return _link(Path(path.toUri().getPath()), text)
    try:
        stream = fs.create(path, False)
    except Py4JJavaError:
        if fs.exists(path):
            return False
        raise
    stream.write(bytearray(text.encode()))
    stream.close()
    return True


def _link(path: Path, text: str) -> bool:
    """On a local disk: Hadoop checks and creates in two steps there, a hard link does both in one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    draft.write_text(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _read(spark: SparkSession, fs: Any, path: Any) -> Holder | None:
    """The holder as the file names it; ``None`` when there is no file."""
    text = read_text(spark, path.toString())
    if text is None:
        return None
    if text:
        return Holder(**json.loads(text))
    # Nobody's name: held by whoever made it a moment ago, or by a run that was killed before it wrote.
    made = fs.getFileStatus(path).getModificationTime() / 1000
    return Holder("unknown", "unknown", 0, made)


def _stale(holder: Holder, hours: float) -> bool:
    age = time.time() - holder.since
    if age > hours * 3600:
        return True
    if not holder.pid:
        return age > EMPTY_SECONDS
    return holder.host == socket.gethostname() and not _alive(holder.pid)


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
