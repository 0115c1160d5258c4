"""What every peer's script shares: the job it is given, the folds it is asked for, the answer it writes.

It runs in the peer's own environment, so it needs pandas only. A job is JSON: ``task`` (folds or binning),
``data`` (Parquet), ``target``, ``numbers`` and ``texts`` (features), ``specials``, ``options`` (the peer's own) and
``answer`` (a path); for folds also ``folds`` (Parquet), ``repeat`` and ``predictions`` (a path).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Job = dict[str, Any]
Fit = Callable[[pd.DataFrame, pd.Series], Callable[[pd.DataFrame], np.ndarray]]
Bin = Callable[[pd.DataFrame, pd.Series], dict[str, float]]


def job() -> Job:
    """The job whose path is the only argument."""
    given: Job = json.loads(Path(sys.argv[1]).read_text())
    return {**given, "features": [*given["numbers"], *given["texts"]]}


def answer(given: Job, found: dict[str, Any]) -> None:
    """Write what was found."""
    Path(given["answer"]).write_text(json.dumps(found))


def by_fold(given: Job, fit: Fit) -> dict[str, Any]:
    """Fit outside each fold of the job's ``repeat`` and predict inside: predictions to a file, seconds a fit."""
    rows, folds = pd.read_parquet(given["data"]), pd.read_parquet(given["folds"])
    fold = folds[folds["repeat"] == given["repeat"]].set_index("row_id")["fold"].reindex(rows["row_id"]).to_numpy()
    risk, seconds = np.full(len(rows), np.nan), []
    for k in range(int(fold.max()) + 1):
        train, test = rows[fold != k], rows[fold == k]
        start = time.monotonic()
        predict = fit(train[given["features"]].reset_index(drop=True), train[given["target"]].reset_index(drop=True))
        risk[fold == k] = predict(test[given["features"]].reset_index(drop=True))
        seconds.append(time.monotonic() - start)
    predicted = pd.DataFrame(
        {"row_id": rows["row_id"], "fold": fold, "bad": rows[given["target"]], "probability": risk}
    )
    predicted.to_parquet(given["predictions"])
    return {"fit_seconds": seconds}


def binned(given: Job, bin_all: Bin) -> dict[str, Any]:
    """Read the features and bin them: seconds of either, information value by feature."""
    start = time.monotonic()
    rows = pd.read_parquet(given["data"], columns=[given["target"], *given["features"]])
    read = time.monotonic()
    ivs = bin_all(rows[given["features"]], rows[given["target"]])
    done = time.monotonic()
    return {
        "read_seconds": read - start,
        "fit_seconds": done - read,
        "seconds": done - start,
        "iv": {name: float(iv) for name, iv in ivs.items()},
    }
