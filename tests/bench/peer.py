"""Peers: each in a virtual environment of its own, run as a process with a cap on time and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.kept import HERE, SCRATCH, Measurement, engine_stamp, read, stamp_of, write
from tests.bench.meter import family, resident

CAP_SECONDS = 600
# Resident memory of a peer and its children; a watcher ends what goes above.
CAP_BYTES = 16 << 30
WATCH_SECONDS = 0.2
PEERS, VENVS = HERE / "peers", HERE / ".venvs"


@dataclass(frozen=True)
class Peer:
    """A script ``peers/<name>_peer.py`` and the environment that ``peers/<name>.txt`` pins; ours is Strata's own.

    ``room`` holds the engine that a script of ours measures, ``common`` is what the scripts of a part share.
    """

    name: str
    room: str = "models"
    common: str = "common.py"

    @property
    def script(self) -> Path:
        """What runs a job."""
        return PEERS / f"{self.name}_peer.py"

    @property
    def requirements(self) -> Path:
        """What its environment holds."""
        return PEERS / f"{self.name}.txt"

    def stamp(self) -> str:
        """A hash of all that its measurements depend on, but for the data."""
        pinned = self.requirements if self.requirements.exists() else engine_stamp(self.room)
        return stamp_of(self.script, PEERS / self.common, pinned)

    def python(self) -> Path:
        """Its interpreter; the environment is made when it is missing or its requirements have changed."""
        if not self.requirements.exists():
            return Path(sys.executable)
        home, wanted = VENVS / self.name, stamp_of(self.requirements)
        made = home / ".made"
        if not made.exists() or made.read_text() != wanted:
            print(f"bench: environment of {self.name}", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
            pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "-r", str(self.requirements)], check=True)
            made.write_text(wanted)
        return home / "bin" / "python"

    def run(self, job: dict[str, Any]) -> Measurement:
        """What the script answers, with ``status``, ``wall_seconds`` and ``peak_bytes`` (it and its children).

        ``status`` is done, timed out, out of memory or failed; then ``error`` is the last line it wrote, and of the
        answer there is what it had written.
        """
        python, folder = self.python(), SCRATCH / "jobs" / str(os.getpid())
        given, answer, log = (folder / f"{self.name}_{kind}" for kind in ("job.json", "answer.json", "log.txt"))
        write(given, {**job, "answer": str(answer)})
        answer.unlink(missing_ok=True)
        with log.open("w") as lines:
            process = subprocess.Popen(
                [str(python), str(self.script), str(given)],
                stdout=lines, stderr=lines, stdin=subprocess.DEVNULL, start_new_session=True, env=self._environment(),
            )  # fmt: skip
            watched = _watch(process)
        answered = read(answer) if answer.exists() else {}
        if watched["status"] == "done":
            return {**watched, **answered}
        written = log.read_text().strip().splitlines()
        return {**watched, **answered, "error": written[-1] if written else ""}

    def _environment(self) -> dict[str, str]:
        """This process's own, but that its import path doesn't reach into an environment of a peer's own."""
        return {
            key: value for key, value in os.environ.items() if key != "PYTHONPATH" or not self.requirements.exists()
        }


def _watch(process: subprocess.Popen[bytes]) -> Measurement:
    start, peak, status = time.monotonic(), 0, ""
    while process.poll() is None:
        members = family(process.pid)
        peak = max(peak, resident(members))
        if time.monotonic() - start > CAP_SECONDS:
            status = "timed out"
        elif peak > CAP_BYTES:
            status = "out of memory"
        if status:
            _end(process, members)
        time.sleep(WATCH_SECONDS)
    ended = "done" if process.returncode == 0 else "failed"
    return {"status": status or ended, "wall_seconds": time.monotonic() - start, "peak_bytes": peak}


def _end(process: subprocess.Popen[bytes], members: set[int]) -> None:
    for pid in members:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
