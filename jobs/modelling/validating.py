"""What a model is worth on cases that it has not seen: repeated grouped folds, out of time, and beside its variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.modelling.cases import feature_names
from strata.jobs.modelling.tables import declared_columns
from strata.jobs.runtime.job import Context
from strata.models.evaluation.discrimination import Interval, auc_interval
from strata.models.evaluation.score_table import score_table
from strata.models.model_spec import BOOSTED, SCORECARD, ModelSpec, TimeSplit, Variant
from strata.models.scorecard.scorecard import ScorecardSpec, fit_scorecard
from strata.models.validation.cross_validation import CrossValidation, Learner, cross_validate, paired_difference

FIGURES = (
    "as_of_date date, model string, model_version int, variant string, metric string, estimate double, low double, "
    "high double, rows long, bads long, note string"
)
OUT_OF_TIME = "out of time"


@dataclass(frozen=True)
class Figure:
    """One figure of one variant."""

    variant: str
    metric: str
    interval: Interval
    rows: int
    bads: int
    note: str

    def __str__(self) -> str:
        value = self.interval
        return f"{self.metric.upper()} {value.value:.3f} ({value.low:.3f} to {value.high:.3f}), {self.bads} bads"


@dataclass(frozen=True)
class Validated:
    """All figures, and the predictions out of fold of the scorecard and its challenger."""

    figures: tuple[Figure, ...]
    folds: Mapping[str, CrossValidation]


def validate(
    context: Context, spec: ModelSpec, rows: DataFrame, features: tuple[str, ...], boosted: Learner
) -> Validated:
    """Scorecard, challenger and variants on the same folds, their differences, and the test out of time."""
    figures: list[Figure] = []
    found: dict[str, CrossValidation] = {}

    def measure(name: str, population: DataFrame, learner: ScorecardSpec | Learner, note: str) -> None:
        with context.progress.step(f"{spec.name}: validate {name}") as step:
            found[name] = _on_folds(context, spec, population, learner)
            figures.extend(_of_folds(name, found[name], note))
            step.says(str(figures[-2]))

    measure(SCORECARD, rows, spec.scorecard(features), "the champion's features on all cases with an outcome")
    for variant in spec.variants:
        population = rows.where(variant.where) if variant.where else rows
        if variant.risk:
            figures.append(_by_column(spec, population, variant))
            continue
        tried = feature_names(context, spec, variant.features, rows)
        measure(variant.name, population, spec.scorecard(tried), variant.note)
    measure(BOOSTED, rows, boosted, f"{spec.challenger} trees on the same features")
    with context.progress.step(f"{spec.name}: validate {OUT_OF_TIME}") as step:
        late = _out_of_time(spec, rows, features, boosted)
        figures += late
        step.says(str(late[0]) if late else "no day parts the cases so that both sides have goods and bads")
    compared = [variant.name for variant in spec.variants if variant.is_compared]
    return Validated((*figures, *(_difference(name, found) for name in (*compared, BOOSTED))), found)


def _on_folds(context: Context, spec: ModelSpec, rows: DataFrame, learner: ScorecardSpec | Learner) -> CrossValidation:
    folds = context.settings.validation
    return cross_validate(
        rows, learner, target=spec.target, group=spec.population.person, id=spec.population.key,
        folds=folds.folds, repeats=spec.repeats or folds.repeats, seed=context.settings.seed,
    )  # fmt: skip


def _of_folds(name: str, validation: CrossValidation, note: str) -> list[Figure]:
    """AUC first, KS second."""
    first = validation.folds[validation.folds["repeat"] == 0]
    rows, bads = int(first["test_rows"].sum()), int(first["test_bads"].sum())
    return [Figure(name, metric, validation.interval(metric), rows, bads, note) for metric in ("auc", "ks")]


def _by_column(spec: ModelSpec, rows: DataFrame, variant: Variant) -> Figure:
    """What a column tells by itself, without a model."""
    table = score_table(rows, target=spec.target, risk=str(variant.risk))
    return Figure(variant.name, "auc", auc_interval(table), int(table.rows), int(table.bad.sum()), variant.note)


def _difference(name: str, found: Mapping[str, CrossValidation]) -> Figure:
    """What a variant adds to the champion's scorecard, fold by fold."""
    base = found[SCORECARD]
    rows, bads = (int(base.folds.loc[base.folds["repeat"] == 0, part].sum()) for part in ("test_rows", "test_bads"))
    difference = paired_difference(base, found[name])
    note = f"AUC against the scorecard on the same folds, p = {difference.p_value:.2f}"
    return Figure(name, "auc_difference", difference.interval, rows, bads, note)


def _out_of_time(spec: ModelSpec, rows: DataFrame, features: tuple[str, ...], boosted: Learner) -> list[Figure]:
    """Scorecard and challenger taught on the earlier cases and tested on the later ones."""
    later = test_rows(rows, spec.split)
    late = rows.where(later)
    began = late.agg(F.min(F.to_date("at"))).head()
    if began is None or began[0] is None:
        return []
    early = rows.where(~later & taught_by(began[0], spec.split))
    sides = [dict(side.groupBy(spec.target).count().collect()) for side in (early, late)]
    if any(side.get(outcome, 0) == 0 for side in sides for outcome in (0, 1)):
        return []
    apart = f" by {spec.split.outcome_months} months or more" if spec.split.outcome_months else ""
    note = f"taught on cases before {began[0]:%Y-%m-%d}{apart}, tested on those from then on"
    card = fit_scorecard(early, spec.scorecard(features))
    scored = {SCORECARD: card.score(late), BOOSTED: boosted(early)(late)}
    figures = []
    for name, answers in scored.items():
        table = score_table(answers, target=spec.target)
        size = int(table.rows), int(table.bad.sum())
        figures.append(Figure(f"{name} {OUT_OF_TIME}", "auc", auc_interval(table), *size, note))
    return figures


def test_rows(rows: DataFrame, split: TimeSplit) -> Column:
    """Whether a case is in the test out of time: no day is parted. One scan of the days without a fixed start."""
    if split.start is not None:
        return F.col("at") >= F.lit(split.start.isoformat()).cast("timestamp")
    days = rows.select(F.unix_date(F.to_date("at")).alias("day"))
    border = days.agg(F.percentile_approx("day", 1 - split.share, 10_000)).head()
    return F.unix_date(F.to_date("at")) > F.lit(border[0] if border else None)


def taught_by(began: date, split: TimeSplit) -> Column:
    """Whether the outcome of a case was known when the test begins, so that the case may teach."""
    return F.add_months(F.to_date("at"), split.outcome_months) <= F.lit(began)


def publish(context: Context, spec: ModelSpec, found: Validated, versions: Mapping[str, int]) -> None:
    """Replace the model's figures of the day."""
    with context.progress.step(f"{spec.name}: write validation"):
        rows = [
            (context.as_of, spec.name, versions.get(one.variant), one.variant, one.metric, *one.interval[:3], one.rows,
             one.bads, f"{one.note}; {one.interval.method}" if one.note else one.interval.method)
            for one in found.figures
        ]  # fmt: skip
        figures = declared_columns(context, "model_validation", context.spark.createDataFrame(rows, FIGURES))
        context.lake.replace("model_validation", figures, slice={"as_of_date": context.as_of, "model": spec.name})
