"""Boosted trees by xgboost, of given size and trends: what challengers are made of.

Training runs through xgboost's Spark estimator. Rows are first put in an order of their own (by
content), so one training set gives one model, however it is partitioned. A model travels as xgboost's
JSON text and is never unpickled. Reasons are SHAP contributions: what each feature adds to the log-odds
of bad against the average of the training set (Lundberg et al. 2018, "Consistent Individualized Feature
Attribution for Tree Ensembles").
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xgboost
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from xgboost.spark import SparkXGBClassifier

from strata.models.samples.table_checks import require_numbers
from strata.models.samples.training_rows import column

Predict = Callable[[DataFrame], DataFrame]
Learner = Callable[[DataFrame], Predict]

_KIND = "strata-boosting-2"


class BoostingSpec(BaseModel):
    """What a challenger is made of.

    ``trends`` gives a feature's direction: +1 when a larger value can only raise the probability of bad,
    -1 when it can only lower it, 0 or absent when it may do either; take it from the trends of the
    scorecard's bins. The defaults suit training sets of a few hundred rows: 60 trees with at most four
    leaves, none of them on less than ``min_child_weight`` of Hessian (25 rows or so at 9 % bad).
    ``workers`` is the number of Spark tasks that train together. ``sources`` names what each feature is made of, where
    several are made of one column (the levels of a text): reasons and importance are added up by source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    features: tuple[str, ...] = Field(min_length=1)
    trends: Mapping[str, Literal[-1, 0, 1]] = Field(default_factory=dict)
    trees: int = Field(default=60, ge=1)
    max_depth: int = Field(default=2, ge=1, le=12)
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    min_child_weight: float = Field(default=2.0, ge=0)
    l2: float = Field(default=5.0, ge=0)
    row_share: float = Field(default=1.0, gt=0, le=1)
    column_share: float = Field(default=1.0, gt=0, le=1)
    reasons: int = Field(default=3, ge=0)
    weight: str | None = None
    seed: int = 20240101
    workers: int = Field(default=1, ge=1)
    sources: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _coherent(self) -> BoostingSpec:
        if used := [name for name in (self.target, self.weight) if name in self.features]:
            raise ValueError(f"features: the target or weight {used[0]!r} is among the features; remove it")
        if len(set(self.features)) != len(self.features):
            raise ValueError("features: a feature is named twice; name each once")
        if strangers := sorted(set(self.trends) - set(self.features)):
            raise ValueError(f"trends: {strangers[0]!r} is not a feature; name features only")
        if self.sources and len(self.sources) != len(self.features):
            raise ValueError("sources: name one for each feature")
        return self

    @property
    def inner_names(self) -> list[str]:
        """What the trees call the features: xgboost refuses names with brackets or ``<``."""
        return [f"f{i}" for i in range(len(self.features))]

    @property
    def subjects(self) -> tuple[str, ...]:
        """What reasons speak of: the sources, each once, in the order of the features."""
        return tuple(dict.fromkeys(self.sources or self.features))

    def by_subject(self, parts: np.ndarray) -> np.ndarray:
        """Contributions (rows × features) added up by subject (rows × subjects)."""
        places = pd.Index(self.subjects).get_indexer(pd.Index(self.sources or self.features))
        return np.asarray(parts @ (places[:, None] == np.arange(len(self.subjects))).astype(parts.dtype))

    def shaped_like(self, other: BoostingSpec) -> BoostingSpec:
        """The same spec with the number and shape of another's trees."""
        return self.model_copy(update={name: getattr(other, name) for name in SHAPE})

    def parameters(self) -> dict[str, object]:
        """The parameters in xgboost's own names, one direction for each feature."""
        trends = (int(self.trends.get(name, 0)) for name in self.features)
        return {
            "max_depth": self.max_depth,
            "learning_rate": self.learning_rate,
            "min_child_weight": self.min_child_weight,
            "reg_lambda": self.l2,
            "subsample": self.row_share,
            "colsample_bytree": self.column_share,
            "monotone_constraints": dict(zip(self.inner_names, trends, strict=True)),
            "tree_method": "hist",
            "random_state": self.seed,
            "verbosity": 0,
        }


LABEL, WEIGHT = "label", "weight"
SHAPE = ("trees", "max_depth", "learning_rate", "min_child_weight", "l2", "row_share", "column_share")
LARGEST = float(np.finfo(np.float32).max)
_Explain = Callable[[xgboost.Booster, BoostingSpec, pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Boosting:
    """A fitted challenger: its spec and xgboost's own JSON text."""

    spec: BoostingSpec
    booster_json: str

    @property
    def features(self) -> tuple[str, ...]:
        """The features that it reads."""
        return self.spec.features

    @property
    def reason_columns(self) -> tuple[str, ...]:
        """Names of the reason columns that ``score`` adds."""
        return tuple(f"reason_{rank}" for rank in range(1, self.spec.reasons + 1))

    def score(self, data: DataFrame) -> DataFrame:
        """Add ``probability`` (of bad) and ``reason_1..n``: the features that raise the risk most.

        A reason is null when no further feature raises the risk. Nulls in a feature count as missing,
        as they did in training. One pass, no shuffle; only the features go to Python, in batches.
        Raises ``ValueError`` naming a feature that ``data`` lacks or that is not a number.
        """
        schema = T.StructType(
            [T.StructField("probability", T.DoubleType())]
            + [T.StructField(name, T.StringType()) for name in self.reason_columns]
        )
        scored = data.withColumn("__boosting", self._apply(data, _scores, schema))
        kept = [name for name in data.columns if name not in schema.names]
        return scored.select(*map(column, kept), *[F.col("__boosting")[name].alias(name) for name in schema.names])

    def score_pandas(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The columns that ``score`` adds, of rows on the driver. Raises ``ValueError`` when a feature is absent."""
        if absent := [name for name in self.spec.features if name not in rows.columns]:
            raise ValueError(f"rows: there is no column {absent[0]!r}")
        return _scores(_load(self.booster_json), self.spec, rows).set_axis(rows.index)

    def contributions(self, data: DataFrame) -> DataFrame:
        """Add ``margin`` (log-odds of bad), ``baseline`` and ``contribution_<feature>``.

        Baseline and contributions add up to the margin, row by row (float precision). One pass, no shuffle.
        """
        names = ["margin", "baseline", *[f"contribution_{name}" for name in self.spec.features]]
        schema = T.StructType([T.StructField(name, T.DoubleType()) for name in names])
        explained = data.withColumn("__boosting", self._apply(data, _contributions, schema))
        return explained.select(*map(column, data.columns), *[F.col("__boosting")[name].alias(name) for name in names])

    def importance(self) -> pd.DataFrame:
        """One row per subject, largest first: ``feature``, ``gain_share`` (of all gain), ``splits``."""
        booster = _load(self.booster_json)
        gain = booster.get_score(importance_type="total_gain")
        splits = booster.get_score(importance_type="weight")
        total = sum(gain.values()) or 1.0
        table = pd.DataFrame(
            {
                "feature": list(self.spec.sources or self.spec.features),
                "gain_share": [gain.get(name, 0.0) / total for name in self.spec.inner_names],
                "splits": [int(splits.get(name, 0)) for name in self.spec.inner_names],
            }
        )
        table = table.groupby("feature", as_index=False).sum()
        return table.sort_values(["gain_share", "feature"], ascending=[False, True], ignore_index=True)

    def to_json(self) -> str:
        """The whole model as one JSON text; ``from_json`` reads it back."""
        return json.dumps({"kind": _KIND, "spec": self.spec.model_dump(), "booster": self.booster_json})

    @classmethod
    def from_json(cls, text: str) -> Boosting:
        """Read what ``to_json`` wrote. Raises ``ValueError`` when the text is something else."""
        try:
            parts = json.loads(text)
            kind, spec, booster = parts["kind"], BoostingSpec(**parts["spec"]), parts["booster"]
            named = _load(booster).attr("features")
        except (json.JSONDecodeError, KeyError, TypeError, ValidationError, xgboost.core.XGBoostError) as error:
            raise ValueError("text: this is not a boosted model; pass what Boosting.to_json wrote") from error
        if kind != _KIND or named != json.dumps(spec.features):
            raise ValueError(f"text: this is not a {_KIND} model whose trees use the features of its spec")
        return cls(spec, booster)

    def _apply(self, data: DataFrame, explain: _Explain, schema: T.StructType) -> Column:
        columns = _numbers(data, self.spec.features)
        text, spec = self.booster_json, self.spec

        def batches(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            booster = _load(text)
            for frame in frames:
                yield explain(booster, spec, frame)[schema.names]

        return F.pandas_udf(_typed(batches), schema)(F.struct(*columns))


def fit_boosting(data: DataFrame, spec: BoostingSpec) -> Boosting:
    """Train the challenger on ``data`` (one row per case) by xgboost's Spark estimator.

    The target is 1 for bad and 0 for good. Nulls in features are missing values with a branch of their
    own. Plan: one scan for the checks, then one shuffle of target and features to ``spec.workers`` tasks,
    sorted by content, and one barrier stage. Each of the estimator's three barriers waits a full second,
    so a fit takes about 3 s however small the data; ``boosting_learner`` is for many fits of small sets.
    Raises ``ValueError`` for a missing or non-numeric column, a target other than 0/1 or with one class.
    """
    rows = training_rows(data, spec)
    _quiet_estimator()
    estimator = SparkXGBClassifier(
        features_col=spec.inner_names,
        label_col=LABEL,
        weight_col=WEIGHT,
        num_workers=spec.workers,
        n_estimators=spec.trees,
        verbose=False,
        **spec.parameters(),
    )
    return Boosting(spec, _text(estimator.fit(rows).get_booster(), spec))


def boosting_learner(spec: BoostingSpec) -> Learner:
    """A learner for cross-validation: ``learner(train)`` gives ``predict(rows)``, which adds ``probability``.

    The trees equal those of ``fit_boosting`` with one worker, without its three seconds of barriers:
    the training part goes to one task that must hold it. Raises as ``fit_boosting`` does.
    """

    def learner(train: DataFrame) -> Predict:
        return fit_in_one_task(train, spec.model_copy(update={"reasons": 0})).score

    return learner


def fit_in_one_task(data: DataFrame, spec: BoostingSpec) -> Boosting:
    """``fit_boosting`` with one worker, without its three seconds of barriers: one task holds all rows."""

    def train(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        yield pd.DataFrame({"booster": [train_rows(pd.concat(list(frames), ignore_index=True), spec)]})

    rows = training_rows(data, spec.model_copy(update={"workers": 1}))
    return Boosting(spec, str(rows.mapInPandas(train, "booster string").collect()[0]["booster"]))


def train_rows(rows: pd.DataFrame, spec: BoostingSpec) -> str:
    """The trees of rows of ``training_rows`` that are all here, as text, by one thread."""
    return _text(xgboost.train(train_parameters(spec), training_matrix(rows, spec), num_boost_round=spec.trees), spec)


def training_matrix(
    rows: pd.DataFrame, spec: BoostingSpec, *, ref: xgboost.DMatrix | None = None
) -> xgboost.QuantileDMatrix:
    """Rows of ``training_rows`` as xgboost takes them, cut at the quantiles of ``ref`` when there is one."""
    values = _finite(rows[spec.inner_names])
    return xgboost.QuantileDMatrix(values, label=rows[LABEL], weight=rows[WEIGHT], nthread=1, ref=ref)


def train_parameters(spec: BoostingSpec) -> dict[str, object]:
    """What ``xgboost.train`` is given."""
    return {"objective": "binary:logistic", "nthread": 1, **spec.parameters()}


def training_rows(data: DataFrame, spec: BoostingSpec, *keep: Column) -> DataFrame:
    """Label, weight (1 on average), the features under their inner names, and ``keep``; rows of weight 0 are left out.

    In ``spec.workers`` partitions, sorted by content. Raises as ``fit_boosting`` does.
    """
    require_numbers(data, "data", (spec.target, *([spec.weight] if spec.weight else [])))
    features = _numbers(data, spec.features)
    target = column(spec.target).cast("double").alias(LABEL)
    weight = column(spec.weight).cast("double") if spec.weight else F.lit(1.0)
    counted = data.select(target, weight.alias(WEIGHT)).where(F.col(WEIGHT) > 0)
    unit = _check_target(counted, spec.target)
    inner = [value.alias(name) for value, name in zip(features, spec.inner_names, strict=True)]
    rows = data.where(weight > 0).select(target, (weight / F.lit(unit)).alias(WEIGHT), *inner, *keep)
    return rows.repartition(spec.workers, *rows.columns).sortWithinPartitions(*rows.columns)


def _check_target(rows: DataFrame, name: str) -> float:
    """Raise ``ValueError`` unless every row is 0 or 1 and both occur; the mean weight of a row."""
    found = rows.agg(
        F.sum(F.when(F.col(LABEL) == 1, 1).otherwise(0)).alias("bad"),
        F.sum(F.when(F.col(LABEL) == 0, 1).otherwise(0)).alias("good"),
        F.count(F.lit(1)).alias("rows"),
        F.avg(WEIGHT).alias("unit"),
    ).collect()[0]
    bad, good = found["bad"] or 0, found["good"] or 0
    if bad + good != found["rows"]:
        strange = found["rows"] - bad - good
        raise ValueError(f"target: column {name!r} has {strange} rows that are neither 0 nor 1; remove them")
    if not (bad and good):
        raise ValueError(f"target: column {name!r} has {good} goods and {bad} bads; both are needed to train")
    return float(found["unit"])


def _numbers(data: DataFrame, features: tuple[str, ...]) -> list[Column]:
    require_numbers(data, "data", features)
    return [column(name).cast("double").alias(name) for name in features]


def _scores(booster: xgboost.Booster, spec: BoostingSpec, frame: pd.DataFrame) -> pd.DataFrame:
    matrix = _matrix(spec, frame)
    scores = {"probability": booster.predict(matrix).astype("float64")}
    if spec.reasons:
        parts = spec.by_subject(booster.predict(matrix, pred_contribs=True)[:, :-1])
        order = np.argsort(-parts, axis=1, kind="stable")
        names = np.array(spec.subjects, dtype=object)
        for rank in range(spec.reasons):
            scores[f"reason_{rank + 1}"] = _reason(parts, order, names, rank)
    return pd.DataFrame(scores)


def _reason(parts: np.ndarray, order: np.ndarray, names: np.ndarray, rank: int) -> np.ndarray:
    if rank >= len(names):
        return np.full(len(parts), None, dtype=object)
    best = order[:, rank]
    raises_risk = parts[np.arange(len(parts)), best] > 0
    return np.array(np.where(raises_risk, names[best], None), dtype=object)


def _contributions(booster: xgboost.Booster, spec: BoostingSpec, frame: pd.DataFrame) -> pd.DataFrame:
    matrix = _matrix(spec, frame)
    parts = booster.predict(matrix, pred_contribs=True).astype("float64")
    explained = pd.DataFrame(parts[:, :-1], columns=[f"contribution_{name}" for name in spec.features])
    explained["baseline"] = parts[:, -1]
    explained["margin"] = booster.predict(matrix, output_margin=True).astype("float64")
    return explained


def _matrix(spec: BoostingSpec, frame: pd.DataFrame) -> xgboost.DMatrix:
    values = _finite(frame[list(spec.features)].astype("float64")).to_numpy()
    return xgboost.DMatrix(values, feature_names=spec.inner_names, nthread=1)


def _finite(numbers: pd.DataFrame) -> pd.DataFrame:
    """Single floats, infinite and larger ones at the end of their range: xgboost takes no infinite numbers."""
    return numbers.clip(-LARGEST, LARGEST).astype("float32")


def _text(booster: xgboost.Booster, spec: BoostingSpec) -> str:
    """The trees as xgboost's JSON; what their features are called outside goes with them."""
    booster.set_attr(features=json.dumps(spec.features))
    return str(booster.save_raw("json").decode("utf-8"))


def _load(text: str) -> xgboost.Booster:
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(text, "utf-8"))
    return booster


def _typed(batches: Callable[..., Iterator[pd.DataFrame]]) -> Callable[..., Iterator[pd.DataFrame]]:
    # Spark reads the kind of a pandas UDF from real types; postponed annotations are text inside a function.
    batches.__annotations__ = {"frames": Iterator[pd.DataFrame], "return": Iterator[pd.DataFrame]}
    return batches


def _quiet_estimator() -> None:
    for name in ("XGBoost-PySpark", "SparkXGBClassifier"):
        logging.getLogger(name).setLevel(logging.WARNING)
