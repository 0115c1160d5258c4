"""Repeated grouped stratified cross-validation: everything that learns, learns inside the training folds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from scipy import stats

from strata.models.binning.bin_counts import Training
from strata.models.binning.woe_binning import bin_rows
from strata.models.evaluation.discrimination import auc, ks
from strata.models.evaluation.intervals import Interval
from strata.models.evaluation.score_table import ScoreTable, score_table
from strata.models.samples.training import LOCAL_ROWS, training
from strata.models.samples.training_local import local_training
from strata.models.samples.training_rows import Source, column, quoted, require_column
from strata.models.scorecard.scorecard import Scorecard, ScorecardSpec, fit_binned

Predict = Callable[[DataFrame], DataFrame]
Learner = Callable[[DataFrame], Predict]
MEASURES = ("auc", "ks")
BAD, GROUP, REPEAT, FOLD = "_cv_bad", "_cv_group", "_cv_repeat", "_cv_fold"


@dataclass(frozen=True)
class CrossValidation:
    """Out-of-fold predictions and what each fold measured.

    ``predictions``: one row per row of the data and repeat: the id column, repeat, fold, bad (0/1), and what the
    learner's prediction adds to a row: ``probability`` and, of a scorecard, score, grade and reasons. ``folds``: one
    row per repeat and fold: repeat, fold, train_rows, test_rows, train_bads, test_bads, auc, ks. Repeats and folds
    count from 0.
    """

    predictions: DataFrame
    folds: pd.DataFrame

    def interval(self, measure: str = "auc", *, level: float = 0.95) -> Interval:
        """The mean over folds with Nadeau and Bengio's corrected resampled t interval.

        The naive t interval is too narrow because training sets overlap; the variance is therefore
        multiplied by 1/J + test/train rows instead of 1/J (J folds in all). Ends beyond what the measure can be
        are cut off.
        """
        return fold_interval(self.folds, measure, level=level)

    def pooled(self) -> ScoreTable:
        """All out-of-fold predictions of all repeats as one table, for curves and calibration."""
        return score_table(self.predictions, target="bad")


class PairedDifference(NamedTuple):
    """Challenger minus champion over the same folds, two-sided p-value of no difference."""

    measure: str
    interval: Interval
    p_value: float
    folds: int


def paired_difference(
    champion: CrossValidation, challenger: CrossValidation, measure: str = "auc", *, level: float = 0.95
) -> PairedDifference:
    """The mean difference over folds with the corrected resampled t interval and test.

    Raises ``ValueError`` when the two were not validated on the same folds (same rows, group, folds, repeats,
    seed).
    """
    return fold_difference(champion.folds, challenger.folds, measure, level=level)


def fold_difference(
    champion: pd.DataFrame, challenger: pd.DataFrame, measure: str = "auc", *, level: float = 0.95
) -> PairedDifference:
    """``paired_difference`` of two frames like ``CrossValidation.folds``, when the predictions are not at hand."""
    if measure not in MEASURES:
        raise ValueError(f"measure: {measure!r} is none of {', '.join(MEASURES)}")
    same = ["repeat", "fold", "train_rows", "test_rows", "train_bads", "test_bads"]
    if len(champion) != len(challenger) or not (champion[same].to_numpy() == challenger[same].to_numpy()).all():
        raise ValueError("champion, challenger: the folds differ; use the same rows, group, folds, repeats and seed")
    interval, p_value = _corrected_t(challenger[measure] - champion[measure], champion, level)
    return PairedDifference(measure, interval, p_value, len(champion))


def fold_interval(folds: pd.DataFrame, measure: str = "auc", *, level: float = 0.95) -> Interval:
    """``CrossValidation.interval`` of a frame like its ``folds``."""
    found = _corrected_t(folds[measure], folds, level)[0]
    return found._replace(low=max(found.low, 0.0), high=min(found.high, 1.0))


def _corrected_t(values: pd.Series, folds: pd.DataFrame, level: float) -> tuple[Interval, float]:
    count, mean = len(values), float(values.mean())
    ratio = float((folds["test_rows"] / folds["train_rows"]).mean())
    error = math.sqrt((1 / count + ratio) * float(values.var(ddof=1)))
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    p_value = float(2 * stats.t.sf(abs(mean) / error, count - 1)) if error > 0 else float(mean == 0)
    method = f"corrected resampled t (Nadeau-Bengio), {level:.0%}, {count} folds"
    return Interval(mean, mean - half, mean + half, method), p_value


def assign_folds(data: DataFrame, *, bad: str, group: str, folds: int, repeats: int, seed: int) -> DataFrame:
    """Which fold tests each group in each repeat: columns group, repeat, fold.

    Groups with a bad row and groups without are dealt out separately, in the order of a hash of seed, repeat
    and group, so folds depend on nothing else and hold bads evenly. One shuffle of rows by group, one of
    groups by repeat and stratum.
    """
    groups = data.groupBy(column(group).cast("string").alias("group")).agg(F.max(column(bad)).alias("stratum"))
    drawn = groups.withColumn("repeat", F.explode(F.sequence(F.lit(0), F.lit(repeats - 1))))
    order = F.xxhash64(F.lit(seed), F.col("repeat"), F.col("group"))
    turn = F.row_number().over(Window.partitionBy("repeat", "stratum").orderBy(order, "group"))
    # Bad groups are dealt from the first fold up, good ones from the last down, so that sizes stay even.
    dealt = F.when(F.col("stratum") > 0, turn - 1).otherwise(folds * turn - turn)
    return drawn.select("group", "repeat", (dealt % folds).cast("int").alias("fold"))


def cross_validate(
    data: DataFrame,
    learner: ScorecardSpec | Learner,
    *,
    target: str | None = None,
    group: str,
    id: str | None = None,
    folds: int = 5,
    repeats: int = 5,
    seed: int = 0,
) -> CrossValidation:
    """Validate ``learner`` on ``folds`` folds, ``repeats`` times over.

    ``learner`` is a ``ScorecardSpec`` (bins, selection and regression are learnt anew in each training part)
    or a function: ``learner(train)`` gives ``predict``, ``predict(test)`` adds ``probability`` and maybe more.
    ``target`` is 0/1; a spec brings its own, with its event and weight. Rows of one ``group`` are never on both sides;
    ``id`` names the rows in the predictions (default: ``group``). Folds depend on group, target and seed
    alone, so two learners on the same rows can be compared pair by pair.

    A spec on up to 50,000 rows: the data are read once and all folds fitted on the driver. Otherwise the
    learner's own plans, folds · repeats times, on persisted rows. Raises ``ValueError`` naming the argument.
    """
    outcome = learner.target if isinstance(learner, ScorecardSpec) else target
    if outcome is None:
        raise ValueError("target: name the 0/1 column, a learner function doesn't bring one")
    if folds < 2 or repeats < 1:
        raise ValueError(f"folds, repeats: {folds} and {repeats} won't do; take at least 2 and 1")
    for role, name in (("target", outcome), ("group", group), ("id", id or group)):
        require_column(data, role, name)
    plan = _Plan(data, outcome, group, id or group, folds, repeats, seed)
    if not isinstance(learner, ScorecardSpec):
        return _by_learner(plan, learner, column(outcome).cast("double"))
    given = learner.source(data)
    rows = given.rows(plan.id, plan.group).withColumn("group", F.col("k1").cast("string"))
    frame = rows.limit(LOCAL_ROWS + 1).toPandas()
    if len(frame) <= LOCAL_ROWS:
        return _by_spec(plan, learner, given, frame)
    return _by_learner(plan, _spec_learner(learner), given.outcome())


class _Plan(NamedTuple):
    data: DataFrame
    target: str
    group: str
    id: str
    folds: int
    repeats: int
    seed: int

    def dealt(self, rows: DataFrame) -> DataFrame:
        """``group``, ``repeat``, ``fold`` from rows with columns group and bad."""
        return assign_folds(rows, bad="bad", group="group", folds=self.folds, repeats=self.repeats, seed=self.seed)

    def sound(self, rows: int, nulls: int, wrong: int) -> None:
        """Raise ``ValueError`` for null groups or outcomes that are not 0 or 1."""
        if rows == 0:
            raise ValueError("data: there are no rows to validate on")
        if nulls:
            raise ValueError(f"group: {self.group!r} is null in {nulls} rows")
        if wrong:
            raise ValueError(f"target: {self.target!r} is null or neither 0 nor 1 in {wrong} rows")

    def sized(self, tests: pd.DataFrame) -> pd.DataFrame:
        """Add the sizes of the training parts; raise unless every fold has goods and bads on both sides."""
        totals = tests.groupby("repeat")[["test_rows", "test_bads"]].transform("sum")
        answer = tests.assign(
            train_rows=totals["test_rows"] - tests["test_rows"], train_bads=totals["test_bads"] - tests["test_bads"]
        )
        goods = answer["test_rows"] - answer["test_bads"]
        if len(answer) < self.folds * self.repeats or ((answer["test_bads"] < 1) | (goods < 1)).any():
            raise ValueError(f"folds: {self.folds} are too many, a fold would lack goods or bads; take fewer")
        return answer.sort_values(["repeat", "fold"], ignore_index=True)


def _by_spec(plan: _Plan, spec: ScorecardSpec, given: Source, frame: pd.DataFrame) -> CrossValidation:
    plan.sound(len(frame), int(frame["group"].isna().sum()), 0)
    local_training(given, frame)
    groups = plan.data.sparkSession.createDataFrame(frame[["group", "bad"]])
    dealt = plan.dealt(groups).toPandas()
    tests = dealt.merge(frame[["group", "bad"]], on="group")
    folds = plan.sized(_test_sizes(tests.groupby(["repeat", "fold"])["bad"].agg(["size", "sum"]).reset_index()))
    parts = [
        _spec_fold(spec, given, frame, repeat, k, frame["group"].map(of_repeat.set_index("group")["fold"]) == k)
        for repeat, of_repeat in dealt.groupby("repeat")
        for k in range(plan.folds)
    ]
    tables = [ScoreTable.of(part["bad"], part["probability"], part["weight"]) for part in parts]
    measured = folds.assign(auc=[auc(table) for table in tables], ks=[ks(table) for table in tables])
    return CrossValidation(_predictions(plan, pd.concat(parts).drop(columns="weight")), measured)


def _test_sizes(counts: pd.DataFrame) -> pd.DataFrame:
    counts.columns = pd.Index(["repeat", "fold", "test_rows", "test_bads"])
    return counts.astype("int64")


def _spec_fold(
    spec: ScorecardSpec, given: Source, frame: pd.DataFrame, repeat: int, k: int, tested: pd.Series
) -> pd.DataFrame:
    """Fit outside the fold, predict inside: id, repeat, fold, bad, weight, and all that the scorecard answers."""
    train, test = frame[~tested].reset_index(drop=True), frame[tested]
    card = _fitted(local_training(given, train), spec)
    named = test.rename(columns={f"f{i}": name for i, name in enumerate(given.features)})
    scored = card.score_pandas(named)
    fixed = test[["k0", "bad"]].assign(repeat=repeat, fold=k, weight=test["weight"])
    return pd.concat([fixed[["k0", "repeat", "fold", "bad", "weight"]], scored], axis=1)


def _predictions(plan: _Plan, rows: pd.DataFrame) -> DataFrame:
    kind = plan.data.schema[plan.id].dataType.simpleString()
    answered = {"score": "int", "probability": "double"}
    answers = [f"{name} {answered.get(name, 'string')}" for name in rows.columns[4:]]
    schema = ", ".join([f"{quoted(plan.id)} {kind}, repeat int, fold int, bad int", *answers])
    plain = rows.astype({"bad": "int32", "repeat": "int32", "fold": "int32"}).astype(object)
    return plan.data.sparkSession.createDataFrame(plain.where(plain.notna(), None), schema)


def _fitted(rows: Training, spec: ScorecardSpec) -> Scorecard:
    return fit_binned(rows, spec, bin_rows(rows, spec.binning_rules))


def _spec_learner(spec: ScorecardSpec) -> Learner:
    def learner(train: DataFrame) -> Predict:
        return _fitted(training(spec.source(train)), spec).score

    return learner


def _by_learner(plan: _Plan, learner: Learner, bad: Column) -> CrossValidation:
    data = plan.data.withColumn(BAD, bad).withColumn(GROUP, column(plan.group).cast("string")).persist()
    try:
        wrong = F.count_if(~F.coalesce(F.col(BAD).isin(0.0, 1.0), F.lit(False)))
        found = data.agg(F.count("*"), F.count_if(F.col(GROUP).isNull()), wrong).head()
        assert found is not None
        plan.sound(*found)
        dealt = plan.dealt(data.select(F.col(GROUP).alias("group"), F.col(BAD).alias("bad"))).persist()
        joined = data.join(dealt.withColumnsRenamed({"group": GROUP, "repeat": REPEAT, "fold": FOLD}), GROUP, "inner")
        counts = joined.groupBy(REPEAT, FOLD).agg(F.count("*"), F.sum(BAD)).toPandas()
        folds = plan.sized(_test_sizes(counts))
        parts = [_learner_fold(plan, learner, joined, int(r), int(k)) for r, k in folds[["repeat", "fold"]].to_numpy()]
        dealt.unpersist()
    finally:
        data.unpersist()
    tables = [score_table(part, target="bad") for part in parts]
    measured = folds.assign(auc=[auc(table) for table in tables], ks=[ks(table) for table in tables])
    return CrossValidation(reduce(DataFrame.unionByName, parts), measured)


def _learner_fold(plan: _Plan, learner: Learner, joined: DataFrame, repeat: int, k: int) -> DataFrame:
    """Fit outside the fold, predict inside; cut off from its plan so that 25 folds stay one small union."""
    of_repeat = joined.where(F.col(REPEAT) == repeat)
    train = of_repeat.where(F.col(FOLD) != k).drop(GROUP, REPEAT, FOLD, BAD)
    test = of_repeat.where(F.col(FOLD) == k).drop(GROUP, REPEAT, FOLD)
    predicted = learner(train)(test)
    require_column(predicted, "learner", "probability")
    answers = [name for name in predicted.columns if name not in test.columns and name != "probability"]
    return predicted.select(
        column(plan.id),
        F.lit(repeat).alias("repeat"),
        F.lit(k).alias("fold"),
        F.col(BAD).cast("int").alias("bad"),
        F.col("probability").cast("double"),
        *map(column, answers),
    ).localCheckpoint()
