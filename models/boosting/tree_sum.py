"""Weighted sums of boosted regressions: one prediction from several sets of trees, as JSON, in Spark and on the driver.

Meta-learners and two-stage models are such sums: a difference of two models, or an average of several.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.models.boosting.challenger import Input
from strata.models.boosting.trees import LARGEST

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
# Cuts of a feature: trees that are regularised as strongly as these need no more.
CUTS = 64


@dataclass(frozen=True)
class Recipe:
    """How many trees of which shape; ``rows`` is the least number in a leaf, ``l2`` counts as so many rows of mean."""

    trees: int
    depth: int
    rows: int
    l2: float
    rate: float = 0.05
    row_share: float = 0.7
    column_share: float = 0.6

    def parameters(self, rows: int, seed: int, objective: str) -> dict[str, object]:
        """The parameters in xgboost's names for a training set of ``rows``; a leaf has at most a twentieth of them."""
        return {
            "objective": objective,
            "max_depth": self.depth,
            "learning_rate": self.rate,
            "min_child_weight": min(self.rows, rows / 20) * (0.25 if objective == "binary:logistic" else 1.0),
            "reg_lambda": self.l2,
            "subsample": self.row_share,
            "colsample_bytree": self.column_share,
            "tree_method": "hist",
            "max_bin": CUTS,
            "seed": seed,
            "nthread": 1,
            "verbosity": 0,
        }


@dataclass(frozen=True)
class TreeSum:
    """``intercept`` plus each set of trees times its weight; the trees are xgboost's own JSON texts."""

    intercept: float
    terms: tuple[tuple[float, str], ...]

    @cached_property
    def _boosters(self) -> list[tuple[float, xgboost.Booster]]:
        return [(weight, _load(text)) for weight, text in self.terms]

    def predict(self, values: Matrix) -> Floats:
        """The sum for each row of ``values`` (rows × inputs, NaN for missing), before any link function."""
        answer = np.full(len(values), self.intercept)
        for weight, booster in self._boosters:
            answer += weight * booster.inplace_predict(values, predict_type="margin").astype(np.float64)
        return answer

    def contributions(self, values: Matrix) -> Floats:
        """What each input adds to the sum (rows × inputs): SHAP values, which add up over the terms."""
        matrix = xgboost.DMatrix(values, nthread=1)
        parts = (weight * booster.predict(matrix, pred_contribs=True)[:, :-1] for weight, booster in self._boosters)
        return np.asarray(sum(parts, np.zeros(values.shape)), np.float64)

    def times(self, factor: float) -> TreeSum:
        """The sum with every part multiplied."""
        return TreeSum(factor * self.intercept, tuple((factor * weight, text) for weight, text in self.terms))

    def plus(self, other: TreeSum) -> TreeSum:
        """Both sums added."""
        return TreeSum(self.intercept + other.intercept, self.terms + other.terms)

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        terms = [{"weight": weight, "trees": json.loads(text)} for weight, text in self.terms]
        return {"intercept": self.intercept, "terms": terms}

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> TreeSum:
        """The sum that ``to_plain`` wrote."""
        terms = tuple((float(term["weight"]), json.dumps(term["trees"])) for term in plain["terms"])
        return TreeSum(float(plain["intercept"]), terms)


def grow_trees(
    values: Matrix,
    outcome: Floats,
    recipe: Recipe,
    *,
    seed: int,
    weight: Floats | None = None,
    objective: str = "reg:squarederror",
) -> TreeSum:
    """Trees of ``recipe`` for ``outcome``, started at its mean; one thread, so the same rows give the same trees."""
    matrix = xgboost.QuantileDMatrix(values, label=outcome, weight=weight, nthread=1, max_bin=CUTS)
    mean = float(np.average(outcome, weights=weight))
    parameters = recipe.parameters(len(outcome), seed, objective) | {"base_score": mean}
    booster = xgboost.train(parameters, matrix, num_boost_round=recipe.trees)
    return TreeSum(0.0, ((1.0, _compact(str(booster.save_raw("json").decode("utf-8")))),))


def matrix_of(rows: pd.DataFrame) -> Matrix:
    """Inputs of some rows as single floats; infinite ones are put at the end of their range, as in scoring."""
    return np.clip(rows.to_numpy(np.float64), -LARGEST, LARGEST).astype(np.float32)


def predicted_column(inputs: Sequence[Input], sums: Mapping[str, TreeSum]) -> Column:
    """A struct with one double per sum: rows go to Python in Arrow batches of ``inputs``, which must be selected."""
    names, schema = list(sums), T.StructType([T.StructField(name, T.DoubleType()) for name in sums])

    def predict(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            values = matrix_of(frame)
            yield pd.DataFrame({name: sums[name].predict(values) for name in names})

    # Spark reads the kind of a pandas UDF from real types; postponed annotations are text inside a function.
    predict.__annotations__ = {"frames": Iterator[pd.DataFrame], "return": Iterator[pd.DataFrame]}
    return F.pandas_udf(predict, schema)(F.struct(*[one.column() for one in inputs]))


def mean_contributions(data: DataFrame, inputs: Sequence[Input], total: TreeSum) -> pd.DataFrame:
    """One row per feature, largest first: ``feature`` and ``mean``, how far it moves the sum of a row of ``data``.

    The mean over all rows of the absolute SHAP value, inputs of one feature added up first. One scan; the
    driver sees one row per task.
    """
    features = list(dict.fromkeys(one.bins.feature for one in inputs))
    places = pd.Index(features).get_indexer(pd.Index([one.bins.feature for one in inputs]))
    adds_up = (places[:, None] == np.arange(len(features))).astype(np.float64)

    def add(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        rows, moved = 0, np.zeros(len(features))
        for frame in frames:
            rows += len(frame)
            moved += np.abs(total.contributions(matrix_of(frame)) @ adds_up).sum(axis=0)
        yield pd.DataFrame({"rows": [rows], "moved": [moved.tolist()]})

    found = data.select(*[one.column() for one in inputs]).mapInPandas(add, "rows long, moved array<double>").toPandas()
    means = np.sum([*found["moved"]], axis=0) / max(found["rows"].sum(), 1)
    table = pd.DataFrame({"feature": features, "mean": means})
    return table.sort_values(["mean", "feature"], ascending=[False, True], ignore_index=True)


def _compact(text: str) -> str:
    """The text as ``from_plain`` writes it, so that a model that was read back equals the one that was written."""
    return json.dumps(json.loads(text))


def _load(text: str) -> xgboost.Booster:
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(text, "utf-8"))
    return booster
