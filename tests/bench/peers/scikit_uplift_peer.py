"""scikit-uplift's learners on logistic regression or xgboost, and plain response models, on given folds.

A job is JSON: ``data`` (Parquet with row_id, fold, outcome, treated and features), ``numbers`` and ``texts``
(features), ``options`` (``approach``: two_models, class_transformation or response; ``base``: logistic or
xgboost), ``predictions`` and ``answer`` (paths).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from sklearn.base import ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklift.models import ClassTransformation, TwoModels

GIVEN: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
TREES = {"n_estimators": 100, "max_depth": 3, "learning_rate": 0.05, "n_jobs": 1}


def base() -> ClassifierMixin:
    """The classifier that the job names."""
    if GIVEN["options"]["base"] == "xgboost":
        return xgboost.XGBClassifier(**TREES)
    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=1000))


def predict(train: pd.DataFrame, test: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """What rows of ``test`` are ordered by."""
    approach = GIVEN["options"]["approach"]
    inputs, outcome, treated = train[columns], train["outcome"], train["treated"]
    if approach == "response":
        return base().fit(inputs, outcome).predict_proba(test[columns])[:, 1]
    if approach == "class_transformation":
        return ClassTransformation(base()).fit(inputs, outcome, treated).predict(test[columns])
    return TwoModels(base(), base()).fit(inputs, outcome, treated).predict(test[columns])


def by_fold() -> dict[str, Any]:
    """Fit outside each fold and predict inside: predictions to a file, seconds a fit."""
    rows = pd.read_parquet(GIVEN["data"])
    flags = pd.get_dummies(rows[GIVEN["texts"]], dtype=float) if GIVEN["texts"] else pd.DataFrame(index=rows.index)
    whole = pd.concat([rows[["row_id", "fold", "outcome", "treated", *GIVEN["numbers"]]], flags], axis=1)
    columns = [*GIVEN["numbers"], *flags.columns]
    parts, seconds = [], []
    for fold in sorted(whole["fold"].unique()):
        start = time.monotonic()
        test = whole[whole["fold"] == fold]
        uplift = predict(whole[whole["fold"] != fold], test, columns)
        seconds.append(time.monotonic() - start)
        parts.append(test[["row_id", "fold", "outcome", "treated"]].assign(uplift=np.asarray(uplift, float)))
    pd.concat(parts).to_parquet(GIVEN["predictions"])
    return {"fit_seconds": seconds}


if __name__ == "__main__":
    Path(GIVEN["answer"]).write_text(json.dumps(by_fold()))
