"""Plain xgboost: trees on numbers as they are and texts one-hot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xgboost
from common import answer, by_fold, job

GIVEN = job()


def fit(train: pd.DataFrame, bad: pd.Series) -> Callable[[pd.DataFrame], np.ndarray]:
    """The classifier with the job's options; levels that training never saw are no column."""
    names = {
        f"{name}={level}": (name, level) for name in GIVEN["texts"] for level in sorted(train[name].dropna().unique())
    }

    def numbers(rows: pd.DataFrame) -> np.ndarray:
        flags = [(rows[name] == level).to_numpy(float) for name, level in names.values()]
        return np.column_stack([rows[GIVEN["numbers"]].to_numpy(float), *flags])

    model = xgboost.XGBClassifier(**GIVEN["options"]).fit(numbers(train), bad.to_numpy())
    return lambda test: model.predict_proba(numbers(test))[:, 1]


if __name__ == "__main__":
    answer(GIVEN, by_fold(GIVEN, fit))
