"""Delivered files before they are tables: where they lie, of which kind they are, and what their content's hash is.

Files lie in one flat folder, or in one folder a drop named by its day. In a flat folder the same content under
whatever name is the same delivery. In dated folders it is one only within a day: what was corrected and then put
back is a third delivery, with the content of the first.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import IO

from strata.conf.banks import Feed, Format
from strata.conf.banks.feeds import ENDINGS
from strata.jobs.runtime.errors import InputError
from strata.jobs.runtime.parallel import at_once

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
CHUNK = 1 << 20


@dataclass(frozen=True)
class Delivery:
    """One delivered file: where it lies, its feed, whether it came with the product, its content's hash.

    ``day`` is that of its drop, ``None`` in a flat folder.
    """

    path: Path
    feed: Feed = field(hash=False)
    origin: str
    sha256: str
    day: date | None = None

    @property
    def kind(self) -> str:
        """The kind of file."""
        return self.feed.kind

    @property
    def format(self) -> Format:
        """CSV, JSON lines or Parquet."""
        return self.feed.format

    @property
    def name(self) -> str:
        """The file's name, after the folder of its day."""
        return _name(self.path, self.day)

    @property
    def stem(self) -> str:
        """The file's name without its endings."""
        return stem(self.name)

    @property
    def place(self) -> str:
        """What tells it from other deliveries."""
        return place(self.sha256, self.name)


def stem(name: str) -> str:
    """A file name without its endings: ``trans.asc.gz`` and ``trans.csv`` are both ``trans``."""
    return name.split(".", 1)[0]


def place(sha256: str, name: str) -> str:
    """What tells a delivery from others: its content's hash, in dated folders with the day."""
    return "/".join((sha256, *name.split("/")[:-1]))


def deliveries(folder: Path, origin: str, feeds: Sequence[Feed]) -> list[Delivery]:
    """The delivered files in a flat folder in name order; files with endings that no feed has are passed over.

    Raises ``InputError`` when there is no such folder, or a file in it belongs to no feed.
    """
    if not folder.is_dir():
        raise InputError(f"landing {folder}: no such folder; name the folder of the delivered files")
    seen = _seen(folder)
    files = [path for path in seen if path.is_file() and any(_may_be(path.name, feed) for feed in feeds)]
    return at_once(lambda path: _delivery(path, origin, feeds), files)


def drops(folder: Path, origin: str, feeds: Sequence[Feed]) -> list[Delivery]:
    """The files in the dated folders in ``folder``, by day, then name; hidden files are none.

    Raises ``InputError`` for whatever else lies there: a drop with a slip in its name must not be passed over.
    """
    if not folder.is_dir():
        raise InputError(
            f"landing {folder}: no such folder; name a folder with one folder per drop, such as 2025-01-31"
        )
    days = [(_day(place), place) for place in _seen(folder)]
    files = [(day, path) for day, place in days for path in _seen(place)]
    return at_once(lambda found: _delivery(found[1], origin, feeds, found[0]), files)


def _seen(folder: Path) -> list[Path]:
    """What lies in a folder in name order, without checksums and half copies that tools hide behind a dot."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _may_be(name: str, feed: Feed) -> bool:
    """Whether a file in a folder of anything can be meant for a feed: it matches, or has an ending of the format."""
    return _matches(name, feed) or name.endswith(ENDINGS[feed.format])


def _matches(name: str, feed: Feed) -> bool:
    """Whether a file's name is one of the feed's: its patterns, else its kind, alone or before an underscore."""
    if feed.files:
        return any(fnmatchcase(name, pattern) for pattern in feed.files)
    return stem(name) == feed.kind or stem(name).startswith(f"{feed.kind}_")


def _day(folder: Path) -> date:
    try:
        day = date.fromisoformat(folder.name) if DAY.fullmatch(folder.name) else None
    except ValueError:
        day = None
    if day is None or not folder.is_dir():
        raise InputError(f"landing {folder}: is no folder named by a day, such as 2025-01-31: each drop has one")
    return day


def _delivery(path: Path, origin: str, feeds: Sequence[Feed], day: date | None = None) -> Delivery:
    name = _name(path, day)
    feed = _feed_of(path, name, feeds)
    endings = ENDINGS[feed.format]
    if not path.is_file() or not (feed.files or path.name.endswith(endings)):
        raise InputError(
            f"{name}: {feed.kind} comes as {feed.format}: its name must end in one of {', '.join(endings)}"
        )
    return Delivery(path, feed, origin, content_hash(path), day)


def _name(path: Path, day: date | None) -> str:
    return f"{day}/{path.name}" if day else path.name


def _feed_of(path: Path, name: str, feeds: Sequence[Feed]) -> Feed:
    """The feed with the longest pattern or kind that fits the name: an account's holders are no accounts."""
    fitting = [feed for feed in feeds if _matches(path.name, feed)]
    if not fitting:
        begun = ", ".join(pattern for feed in feeds for pattern in (feed.files or (feed.kind,)))
        raise InputError(f"{name}: of no known kind; its name must begin with, or match, one of: {begun}")
    return max(fitting, key=lambda feed: max(map(len, feed.files or (feed.kind,))))


def content_hash(path: Path) -> str:
    """SHA-256 of the file's unpacked content. Raises ``InputError`` when it can't be unpacked."""
    digest = hashlib.sha256()
    try:
        with opened(path) as content:
            for chunk in iter(partial(content.read, CHUNK), b""):
                digest.update(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error) as wrong:
        raise InputError(f"{path}: can't be unpacked: {wrong}; deliver it again") from None
    return digest.hexdigest()


def opened(path: Path) -> IO[bytes]:
    """The file's unpacked content."""
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
