"""Loss given default in two stages: is nothing lost, is all lost, and how much in between.

Losses of defaulted loans pile up at 0 and at 1, so one regression fits nobody well (Loterman, Brown, Martens,
Mues and Baesens, International Journal of Forecasting 28, 2012, 161-170). The expected loss is
P(full) + (1 − P(none) − P(full)) · severity, each part by boosted trees of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.models.binning.woe_binning import read_json
from strata.models.boosting.challenger import Input
from strata.models.boosting.raw_inputs import raw_inputs
from strata.models.boosting.tree_sum import Floats, Matrix, Recipe, TreeSum, grow_trees, matrix_of, predicted_column
from strata.models.readings.raw_values import UNREADABLE, check_columns
from strata.models.samples.table_checks import require_numbers
from strata.models.samples.training_rows import column, require_column

FORMAT = "strata-lgd-1"
STAGES = ("zero", "full", "severity")
# Shallow trees: default data are few, and the expected loss is smooth in most features.
RECIPE = Recipe(trees=100, depth=2, rows=50, l2=5, row_share=0.7, column_share=0.8)
FEWEST_ROWS, FEWEST_OF_STAGE, CELLS_IN_ONE_TASK = 100, 20, 20_000_000


@dataclass(frozen=True)
class LgdSpec:
    """What a model of loss given default is made of: the ``target`` (share of the exposure that is lost), ``features``.

    Losses up to ``edge`` from 0 count as none, up to ``edge`` from 1 as full. Values outside [0, 1] by at most
    ``tolerance`` (fees, recoveries above the exposure) are clipped and counted; farther ones are
    refused. Raises ``ValueError`` for what can't be fitted.
    """

    target: str
    features: Sequence[str]
    edge: float = 0.001
    tolerance: float = 0.1
    seed: int = 20240101

    def __post_init__(self) -> None:
        if isinstance(self.features, str) or not self.features:
            raise ValueError("features: give a list of at least one column name")
        object.__setattr__(self, "features", tuple(self.features))
        if self.target in self.features:
            raise ValueError(f"features: the target {self.target!r} is among the features; remove it")
        if len(set(self.features)) != len(self.features):
            raise ValueError("features: a feature is named twice; name each once")
        if not 0 <= self.edge < 0.5:
            raise ValueError(f"edge: {self.edge} is not at least 0 and under 0.5; give a small share such as 0.001")
        if not 0 <= self.tolerance <= 1:
            raise ValueError(f"tolerance: {self.tolerance} is not from 0 to 1; give a small share such as 0.1")


@dataclass(frozen=True)
class Lgd:
    """A fitted model of loss given default; ``clipped`` counts training rows that were moved into [0, 1].

    ``zero`` and ``full`` are log-odds of no loss and of a full loss among losses, ``severity`` the loss
    in between. ``low`` and ``high`` are the ends of the partial losses of the training set.
    """

    spec: LgdSpec
    inputs: tuple[Input, ...]
    zero: TreeSum
    full: TreeSum
    severity: TreeSum
    low: float
    high: float
    clipped: int = 0

    def score(self, data: DataFrame) -> DataFrame:
        """Add ``lgd`` (expected loss, from 0 to 1), ``p_zero`` (no loss) and ``p_full`` (all is lost).

        One pass, no shuffle; only the inputs go to Python, in Arrow batches. Raises ``ValueError`` or
        ``TypeError`` naming a feature that is absent or of another type.
        """
        for name in self.spec.features:
            require_column(data, "data", name)
        check_columns(data, {one.bins.feature: one.bins for one in self.inputs}.values(), UNREADABLE)
        sums = dict(zip(STAGES, (self.zero, self.full, self.severity), strict=True))
        added = ("lgd", "p_zero", "p_full")
        kept = [column(name) for name in data.columns if name not in added]
        stages = data.select(*kept, predicted_column(self.inputs, sums).alias("__stages"))
        zero, some = (_probability(F.col("__stages")[name]) for name in ("zero", "full"))
        full = (1 - zero) * some
        severity = F.least(F.greatest(F.col("__stages")["severity"], F.lit(self.low)), F.lit(self.high))
        expected = full + (1 - zero - full) * severity
        return stages.select(*kept, expected.alias("lgd"), zero.alias("p_zero"), full.alias("p_full"))

    def to_json(self) -> str:
        """The whole model as JSON text; ``from_json`` gives an equal value back."""
        plain = {
            "format": FORMAT,
            "spec": asdict(self.spec),
            "inputs": [one.to_plain() for one in self.inputs],
            **{name: getattr(self, name).to_plain() for name in STAGES},
            "low": self.low,
            "high": self.high,
            "clipped": self.clipped,
        }
        return json.dumps(plain, allow_nan=False)

    @staticmethod
    def from_json(text: str) -> Lgd:
        """The model that ``to_json`` wrote. Raises ``ValueError`` when the text is something else."""
        plain = read_json(text, FORMAT)
        inputs = tuple(Input.from_plain(one) for one in plain["inputs"])
        zero, full, severity = (TreeSum.from_plain(plain[name]) for name in STAGES)
        ends = float(plain["low"]), float(plain["high"])
        return Lgd(LgdSpec(**plain["spec"]), inputs, zero, full, severity, *ends, int(plain["clipped"]))


def fit_lgd(data: DataFrame, spec: LgdSpec) -> Lgd:
    """Learn from ``data`` (one row per defaulted loan) how likely none or all is lost, and how much in between.

    Missing values of features have a branch of their own, texts a column per common level. The same rows give
    the same model, however they are ordered or partitioned; above 20 million cells (rows × inputs) a
    random sample of that size is learnt from.

    Raises ``ValueError`` when a column is absent, the target is null, not finite or outside [0, 1] by more
    than the tolerance, or under 100 rows or 20 partial losses are there; ``TypeError`` when ``data``
    is no DataFrame or a feature is neither number, boolean nor text.
    Plan: one scan for the checks, one for levels of texts, one shuffle of target and inputs to one task.
    """
    if not isinstance(data, DataFrame):
        raise TypeError(f"data must be a Spark DataFrame, not {type(data).__name__}")
    rows, clipped = _check_target(data, spec)
    inputs = raw_inputs(data, spec.features)
    share = min(1.0, CELLS_IN_ONE_TASK / (rows * len(inputs)))
    some = data.sample(share, seed=spec.seed) if share < 1 else data
    names = [one.name for one in inputs]
    loss = F.least(F.greatest(_loss(spec), F.lit(0.0)), F.lit(1.0))
    training = some.select(F.lit(0).alias("part"), loss.alias("loss"), *[one.column() for one in inputs])

    def fit(frame: pd.DataFrame) -> pd.DataFrame:
        ordered = frame.sort_values(["loss", *names])
        stages = _fit_stages(matrix_of(ordered[names]), ordered["loss"].to_numpy(np.float64), spec)
        return pd.DataFrame({"answer": [json.dumps([stage.to_plain() for stage in stages])]})

    answer = training.groupBy("part").applyInPandas(fit, "answer string").collect()[0]["answer"]
    zero, full, severity = (TreeSum.from_plain(plain) for plain in json.loads(answer))
    return Lgd(spec, inputs, zero, full, severity, spec.edge, 1 - spec.edge, clipped)


def _fit_stages(values: Matrix, loss: Floats, spec: LgdSpec) -> tuple[TreeSum, TreeSum, TreeSum]:
    """Log-odds of no loss, log-odds of a full one among losses, and the severity of partial losses."""
    is_zero, is_full = loss <= spec.edge, loss >= 1 - spec.edge
    is_partial = ~is_zero & ~is_full
    zero = _grow_odds(values, is_zero.astype(np.float64), spec.seed)
    full = _grow_odds(values[~is_zero], is_full[~is_zero].astype(np.float64), spec.seed)
    return zero, full, grow_trees(values[is_partial], loss[is_partial], RECIPE, seed=spec.seed)


def _grow_odds(values: Matrix, happened: Floats, seed: int) -> TreeSum:
    """Log-odds by trees; of what is too rare to learn one constant, a half added to both sides."""
    count = happened.sum()
    if min(count, len(happened) - count) < FEWEST_OF_STAGE:
        return TreeSum(float(np.log((count + 0.5) / (len(happened) - count + 0.5))), ())
    return grow_trees(values, happened, RECIPE, seed=seed, objective="binary:logistic")


def _probability(log_odds: Column) -> Column:
    return 1 / (1 + F.exp(-log_odds))


def _loss(spec: LgdSpec) -> Column:
    return column(spec.target).cast("double")


def _check_target(data: DataFrame, spec: LgdSpec) -> tuple[int, int]:
    """Rows in all, and those a little outside [0, 1]. Raises ``ValueError`` when losses can't be learnt from."""
    require_numbers(data, "target", [spec.target])
    loss, edge, far = _loss(spec), spec.edge, spec.tolerance
    found = data.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_if(loss.isNull() | F.isnan(loss)).alias("missing"),
        F.count_if(~F.isnan(loss) & ((loss < -far) | (loss > 1 + far))).alias("far"),
        F.count_if(~F.isnan(loss) & ((loss < 0) | (loss > 1))).alias("outside"),
        F.count_if((loss > edge) & (loss < 1 - edge)).alias("partial"),
    ).head()
    assert found is not None
    if found["missing"]:
        raise ValueError(f"target: column {spec.target!r} is missing in {found['missing']:,} rows; remove them")
    if found["far"]:
        raise ValueError(
            f"target: column {spec.target!r} is outside 0 to 1 by more than {far:g} in {found['far']:,} rows; give "
            "shares of the exposure, or raise tolerance"
        )
    if found["rows"] < FEWEST_ROWS:
        raise ValueError(f"data: {found['rows']:,} rows are too few for a model of losses; it takes {FEWEST_ROWS}")
    if found["partial"] < FEWEST_OF_STAGE:
        raise ValueError(
            f"target: column {spec.target!r} has {found['partial']:,} losses between {edge:g} and {1 - edge:g}; it "
            f"takes {FEWEST_OF_STAGE} to learn how much is lost"
        )
    return int(found["rows"]), int(found["outside"])
