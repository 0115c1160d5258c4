"""Figures of rare finds: average precision, what an alert budget finds, and the bootstrap of a difference."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from tests.bench.kept import Measurement

BUDGETS = (0.01, 0.02, 0.05)
FOLDS, DRAWS, SEED = 5, 500, 20261031

Floats = NDArray[np.float64]


def scores_of(table: pd.DataFrame, bad: Floats, groups: Floats) -> dict[str, Floats]:
    """By kind of model the score of every row; trained ones are scored by models of other folds (``groups`` whole)."""
    x = np.nan_to_num(table.to_numpy(float), nan=-1.0)
    # Sums and counts over accounts spread over decades; trees don't mind.
    logs = np.sign(x) * np.log1p(np.abs(x))
    forest = IsolationForest(n_estimators=200, random_state=SEED).fit(logs)
    logistic = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    trees = XGBClassifier(n_estimators=200, max_depth=4, learning_rate=0.05, subsample=0.8, random_state=SEED, n_jobs=2)
    folds = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED).split(x, bad, groups))
    found = {"isolation forest, no labels": -forest.score_samples(logs)}
    for name, model, values in (("logistic", logistic, logs), ("xgboost", trees, x)):
        found[name] = np.empty(len(bad))
        for train, test in folds:
            found[name][test] = model.fit(values[train], bad[train]).predict_proba(values[test])[:, 1]
    return found


def figures(bad: Floats, score: Floats) -> Measurement:
    """Average precision, and recall and precision of the highest scores within each budget."""
    order = shuffled_order(score)
    found: Measurement = {"average_precision": float(average_precision_score(bad, score)), "budgets": {}}
    for budget in BUDGETS:
        caught = bad[order[: round(budget * len(bad))]]
        found["budgets"][str(budget)] = {"recall": caught.sum() / bad.sum(), "precision": caught.mean()}
    return found


def shuffled_order(score: Floats) -> NDArray[np.int64]:
    """Rows by falling score; equal scores in a random order, so that no order of the file tells."""
    ties = np.random.default_rng(SEED).permutation(len(score))
    return np.lexsort((ties, -score))


def difference(bad: Floats, ours: Floats, theirs: Floats) -> Measurement:
    """Average precision of ours less theirs, with a 95 % bootstrap interval over rows, bads and goods apart."""
    rng, drawn = np.random.default_rng(SEED), []
    sides = [np.flatnonzero(bad == side) for side in (0, 1)]
    for _ in range(DRAWS):
        rows = np.concatenate([rng.choice(side, len(side)) for side in sides])
        drawn.append(average_precision_score(bad[rows], ours[rows]) - average_precision_score(bad[rows], theirs[rows]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    value = average_precision_score(bad, ours) - average_precision_score(bad, theirs)
    return {"value": float(value), "low": float(low), "high": float(high)}
