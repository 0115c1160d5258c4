"""scorecardpy: ``woebin`` with a logistic regression on its WOE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import scorecardpy
from common import answer, binned, by_fold, job
from sklearn.linear_model import LogisticRegression

GIVEN = job()


def bins(rows: pd.DataFrame, bad: pd.Series) -> dict[str, Any]:
    """Default bins, but for the options."""
    specials = {name: [f"{value:g}" for value in GIVEN["specials"]] for name in GIVEN["numbers"]}
    frame = rows.assign(**{GIVEN["target"]: bad.to_numpy()})
    found: dict[str, Any] = scorecardpy.woebin(
        frame,
        y=GIVEN["target"],
        special_values=specials if GIVEN["specials"] else None,
        check_cate_num=False,
        **GIVEN["options"],
    )
    return found


def fit(train: pd.DataFrame, bad: pd.Series) -> Callable[[pd.DataFrame], np.ndarray]:
    """WOE, then scikit-learn's default regression; a value that training never saw has WOE 0."""
    found = bins(train, bad)

    def woes(rows: pd.DataFrame) -> pd.DataFrame:
        return scorecardpy.woebin_ply(rows, found, no_cores=1)[[f"{name}_woe" for name in found]].fillna(0.0)

    regression = LogisticRegression(max_iter=1000).fit(woes(train), bad)
    return lambda test: regression.predict_proba(woes(test))[:, 1]


def bin_all(rows: pd.DataFrame, bad: pd.Series) -> dict[str, float]:
    """All bins; information values as it tells them."""
    return {name: float(table["total_iv"].iloc[0]) for name, table in bins(rows, bad).items()}


if __name__ == "__main__":
    answer(GIVEN, by_fold(GIVEN, fit) if GIVEN["task"] == "folds" else binned(GIVEN, bin_all))
