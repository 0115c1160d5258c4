"""A synthetic book of any size: rows × features of mixed kinds, 5 % bad, written once as Parquet.

A column has a dictionary where Spark, who writes a bank's tables, would give it one: where values repeat. Of amounts,
which hardly do, PyArrow alone would make large ones, which cost Spark half of its reading.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.kept import SCRATCH

TARGET, SPECIAL, BAD_RATE = "bad", -999.0, 0.05
# Of ten features in turn: seven numbers with 2 % nulls, a small whole number with as many, one with a special
# value in 10 % of rows, a text of 20 levels.
KINDS = ("number",) * 7 + ("count", "special", "text")
LEVELS = np.array([f"level {k:02}" for k in range(20)])
CHUNK = 125_000
SEED = 20261031


def kind(i: int) -> str:
    """The kind of feature ``i``."""
    return KINDS[i % len(KINDS)]


def names(features: int, *kinds: str) -> list[str]:
    """The features of the given kinds."""
    return [f"{kind(i)}_{i:03}" for i in range(features) if kind(i) in kinds]


def job(folder: Path, features: int) -> dict[str, Any]:
    """What a peer must know of the first ``features`` features in ``folder``."""
    numbers, texts = names(features, "number", "count", "special"), names(features, "text")
    return {"data": str(folder), "target": TARGET, "numbers": numbers, "texts": texts, "specials": [SPECIAL]}


def book(rows: int, features: int) -> Path:
    """The folder with the book; written when it isn't there, a file per 125,000 rows, each with a seed of its own."""
    folder = SCRATCH / "speed" / f"{rows}_{features}"
    if not folder.exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for turn, start in enumerate(range(0, rows, CHUNK)):
            frame = _chunk(np.random.default_rng([SEED, turn]), min(CHUNK, rows - start), features)
            repeated = [TARGET, *names(features, "count", "text")]
            written = pa.Table.from_pandas(frame, preserve_index=False)
            pq.write_table(written, part / f"{turn:03}.parquet", use_dictionary=repeated)
        part.rename(folder)
    return folder


def _chunk(rng: np.random.Generator, rows: int, features: int) -> pd.DataFrame:
    bad = (rng.random(rows) < BAD_RATE).astype(np.int64)
    columns = {f"{kind(i)}_{i:03}": _feature(rng, kind(i), bad, i) for i in range(features)}
    return pd.DataFrame({TARGET: bad, **columns})


def _feature(rng: np.random.Generator, of: str, bad: np.ndarray, i: int) -> np.ndarray:
    """Bads lie up to 0.6 standard deviations higher; every eleventh feature has riskier ends instead."""
    x = rng.standard_normal(len(bad))
    x = x * (1 + 0.5 * bad) if i % 11 == 10 else x + (i % 7) * 0.1 * bad
    if of == "text":
        return LEVELS[np.clip(np.floor((x + 3) * 20 / 6), 0, 19).astype(int)].astype(object)
    values = np.clip(np.round(3 + 2 * x), 0, None) if of == "count" else np.round(np.exp(x) * 1000, 2)
    share, blank = (0.10, SPECIAL) if of == "special" else (0.02, np.nan)
    return np.where(rng.random(len(bad)) < share, blank, values)
