"""One clear line a step while a job runs; on a terminal a running clock as well."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


@dataclass
class Step:
    """One named piece of work; ``says`` adds what came of it to the step's line."""

    name: str
    found: list[str] = field(default_factory=list)

    def says(self, text: str) -> None:
        """Add a finding, such as a row count, to the line."""
        self.found.append(text)


@dataclass
class Progress:
    """Prints ``job  step  findings  seconds``; quiet when ``stream`` is ``None``."""

    job: str
    stream: TextIO | None = field(default_factory=lambda: sys.stderr)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Run a piece of work under a name; its line appears when it ends, or when it fails."""
        step, start, done = Step(name), time.monotonic(), threading.Event()
        clock = self._clock(name, start, done)
        outcome = "failed"
        try:
            yield step
            outcome = "; ".join(step.found) or "done"
        finally:
            done.set()
            if clock:
                clock.join()
            took = time.monotonic() - start
            self.seconds[name] = took
            self.line(f"{name:<34.34} {took:6.1f} s  {outcome}")

    def line(self, text: str) -> None:
        """Print one line with the time of day and the job."""
        if self.stream:
            print(f"{time.strftime('%H:%M:%S')} {self.job:<14} {text}", file=self.stream, flush=True)

    def _clock(self, name: str, start: float, done: threading.Event) -> threading.Thread | None:
        """A running second counter, only where a person watches a terminal."""
        if not (self.stream and self.stream.isatty()):
            return None

        def tick() -> None:
            while not done.wait(0.5):
                print(
                    f"\r         {self.job:<14} {name} … {time.monotonic() - start:.0f} s",
                    end="",
                    file=self.stream,
                    flush=True,
                )
            print("\r\033[K", end="", file=self.stream, flush=True)

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        return thread
