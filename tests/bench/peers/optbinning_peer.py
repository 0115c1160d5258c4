"""OptBinning: its ``Scorecard`` on folds, its ``BinningProcess`` for speed.

Missing and special values get their own empirical WOE, as here; OptBinning's default would give them 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from common import answer, binned, by_fold, job
from optbinning import BinningProcess, Scorecard
from sklearn.linear_model import LogisticRegression

GIVEN = job()
EMPIRICAL = {"metric_special": "empirical", "metric_missing": "empirical"}


def process() -> BinningProcess:
    """Default bins, but for the options and a trend asked of every number."""
    trend = GIVEN["options"].get("trend")
    return BinningProcess(
        variable_names=GIVEN["features"],
        categorical_variables=GIVEN["texts"] or None,
        special_codes=GIVEN["specials"] or None,
        binning_fit_params={name: {"monotonic_trend": trend} for name in GIVEN["numbers"]} if trend else None,
        **GIVEN["options"].get("process", {}),
    )


def fit(train: pd.DataFrame, bad: pd.Series) -> Callable[[pd.DataFrame], np.ndarray]:
    """The scorecard, its regression scikit-learn's default."""
    card = Scorecard(binning_process=process(), estimator=LogisticRegression(max_iter=1000))
    card.fit(train, bad.to_numpy(), **EMPIRICAL)
    return lambda test: card.predict_proba(test)[:, 1]


def bin_all(rows: pd.DataFrame, bad: pd.Series) -> dict[str, float]:
    """All bins; information values of its binning tables."""
    fitted = process().fit(rows, bad.to_numpy())
    summary = fitted.summary()
    return dict(zip(summary["name"], summary["iv"].astype(float), strict=True))


if __name__ == "__main__":
    answer(GIVEN, by_fold(GIVEN, fit) if GIVEN["task"] == "folds" else binned(GIVEN, bin_all))
