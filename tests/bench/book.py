"""The embedded book, copied under new keys: raw files that ingest takes like any other delivery."""

from __future__ import annotations

import csv
import gzip
from importlib.resources import files
from pathlib import Path

STRIDE = 10_000_000
# The columns that hold a key, by kind of file; districts are the country's, so they stay.
KEYS = {
    "account": ("account_id",),
    "client": ("client_id",),
    "disp": ("disp_id", "client_id", "account_id"),
    "card": ("card_id", "disp_id"),
    "loan": ("loan_id", "account_id"),
    "order": ("order_id", "account_id"),
    "trans": ("trans_id", "account_id"),
}


def copy_book(target: Path, copies: int) -> int:
    """Write every file of the embedded bank ``copies`` times over into ``target``; returns the postings written."""
    target.mkdir(parents=True, exist_ok=True)
    postings = 0
    for source in sorted(Path(str(files("strata.conf"))).joinpath("banks/berka/data").glob("*.gz")):
        kind = source.name.split(".")[0].split("_")[0]
        keys = KEYS.get(kind)
        written = _copy(source, target / source.name, keys, copies if keys else 1)
        postings += written if kind == "trans" else 0
    return postings


def _copy(source: Path, target: Path, keys: tuple[str, ...] | None, copies: int) -> int:
    with gzip.open(source, "rt", encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter=";"))
    header, body = rows[0], rows[1:]
    places = [header.index(key) for key in keys or ()]
    with gzip.open(target, "wt", encoding="utf-8", newline="", compresslevel=1) as output:
        writer = csv.writer(output, delimiter=";", quoting=csv.QUOTE_MINIMAL)
        writer.writerow(header)
        for copy in range(copies):
            for row in body:
                fresh = list(row)
                for place in places:
                    fresh[place] = str(int(row[place]) + copy * STRIDE)
                writer.writerow(fresh)
    return len(body) * copies
