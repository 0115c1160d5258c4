"""One run of a job at a time on one lake: a lock file made atomically on the lake's own file system."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from strata.jobs.runtime.errors import LockedError
from strata.jobs.runtime.hadoop import file_system, hadoop_path


@contextmanager
def job_lock(spark: SparkSession, root: str, name: str, run_id: str, *, hours: float) -> Iterator[None]:
    """Hold the lock ``name`` below ``root``; raises ``LockedError`` naming the holder.

    A lock whose process is dead on this machine, or that is older than ``hours``, is taken over:
    it is renamed first, so that of two runs that find it stale only one wins.
    """
    fs, path = file_system(spark, f"{root}/_locks/{name}.lock")
    mine = {"run_id": run_id, "host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}
    if not _create(fs, path, mine):
        holder = _read(spark, fs, path)
        if not _stale(holder, hours):
            since = time.strftime("%H:%M:%S", time.localtime(holder["since"]))
            raise LockedError(
                f"{name} is being run by {holder['run_id']} on {holder['host']} since {since}; wait for it"
            )
        _retire(spark, fs, path, holder)
        if not _create(fs, path, mine):
            raise LockedError(f"{name} was just taken by another run; wait for it")
    try:
        yield
    finally:
        fs.delete(path, False)


def _create(fs: Any, path: Any, content: dict[str, Any]) -> bool:
    """Create the file, whole, only if it isn't there; False when somebody else has it."""
    fs.mkdirs(path.getParent())
    text = json.dumps(content)
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


def _read(spark: SparkSession, fs: Any, path: Any) -> dict[str, Any]:
    stream = fs.open(path)
    try:
        text = spark.sparkContext._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
    finally:
        stream.close()
    # A holder killed between creating and writing leaves an empty file: nobody's, so stale.
    return json.loads(text) if text else {"run_id": "unknown", "host": socket.gethostname(), "pid": -1, "since": 0.0}


def _stale(holder: dict[str, Any], hours: float) -> bool:
    if time.time() - holder["since"] > hours * 3600:
        return True
    return holder["host"] == socket.gethostname() and not _alive(holder["pid"])


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


def _retire(spark: SparkSession, fs: Any, path: Any, holder: dict[str, Any]) -> None:
    aside = hadoop_path(spark, f"{path.toString()}.{holder['run_id']}")
    if fs.rename(path, aside):
        fs.delete(aside, False)
