"""The sections about the models: what they are worth, the scorecard's points and bins, its curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, Row

from strata.jobs.reports.charts import charts
from strata.jobs.reports.charts.binned_chart import binned_figure
from strata.jobs.reports.pages.page import Figure, Section, Sheet
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.tracking import CHALLENGER, CHAMPION, Registered, Tracking
from strata.models.evaluation.discrimination import calibration_line, calibration_table, roc_points
from strata.models.evaluation.score_table import score_table
from strata.models.model_spec import BOOSTED, SCORECARD, ModelSpec
from strata.models.scorecard.scorecard import Scorecard

READS = ("model_validation", "application_score")
Figures = Sequence[Row]


def sections(context: Context, spec: ModelSpec, rows: Mapping[str, DataFrame], figures: Figures) -> list[Section]:
    """What the model is worth, then its scorecard, if one of its aliases points at one."""
    return [worth(spec, rows, figures), *scorecard(context, spec)]


def worth(spec: ModelSpec, rows: Mapping[str, DataFrame], figures: Figures) -> Section:
    """AUC of every variant with its interval, the differences, and the curves out of fold."""
    aucs = [row for row in figures if row.metric == "auc"]
    differences = [row for row in figures if row.metric == "auc_difference"]
    card, boosted = (next(row for row in aucs if row.variant == kind) for kind in (SCORECARD, BOOSTED))
    lead = (
        f"The scorecard tells {card.bads:,} bad cases among {card.rows:,} with an AUC of {card.estimate:.3f} "
        f"({card.low:.3f} to {card.high:.3f}) out of fold; the boosted challenger with {boosted.estimate:.3f}."
    )
    notes = [
        f"{spec.population.description} {spec.outcome.description}",
        "Repeated cross-validation, folds separated by customer; bins, selection and coefficients are learnt inside "
        "each training part; intervals are corrected for overlapping training sets (Nadeau and Bengio).",
        *spec.notes,
    ]
    reference = spec.published[0][1] if spec.published else 0.5
    drawn = f"Dashed: {spec.published[0][0]}." if spec.published else "Dashed: chance."
    pictures = [Figure(_intervals(aucs, "AUC", reference), drawn)]
    if differences:
        caption = "AUC gained against the scorecard on the same folds; an interval over zero means nothing is shown."
        pictures.append(Figure(_intervals(differences, "difference in AUC", 0.0), caption))
    versions = {row.variant: row.model_version for row in aucs if row.variant in (SCORECARD, BOOSTED)}
    own = rows["application_score"].where(f"model = '{spec.name}' AND scored_by = 'out of fold' AND is_bad IS NOT NULL")
    scored = {kind: own.where(f"model_version = {version}") for kind, version in versions.items()}
    return Section(f"Model {spec.name}", lead, notes, pictures + _curves(scored), _sheets(spec, figures))


def _intervals(figures: Figures, label: str, reference: float) -> str:
    names = [row.variant for row in figures]
    return charts.intervals(
        names,
        *([row[part] for row in figures] for part in ("estimate", "low", "high")),
        label=label,
        reference=reference,
    )


def _curves(scored: Mapping[str, DataFrame]) -> list[Figure]:
    tables = {name: score_table(rows, target="is_bad") for name, rows in scored.items()}
    points = {name: roc_points(table) for name, table in tables.items()}
    roc = {name: (list(p["false_positive_rate"]), list(p["true_positive_rate"])) for name, p in points.items()}
    binned = {name: calibration_table(table, parts=5) for name, table in tables.items()}
    line = {name: (list(p["mean_probability"]), list(p["bad_rate"])) for name, p in binned.items()}
    slope = calibration_line(tables[SCORECARD])[1]
    return [
        Figure(
            charts.lines(roc, xlabel="share of goods refused", ylabel="share of bads refused", diagonal=True),
            "ROC of scores out of fold.",
        ),
        Figure(
            charts.lines(line, xlabel="predicted probability", ylabel="share that went bad", diagonal=True),
            f"Calibration in fifths of the applications; slope of the scorecard {slope:.2f}, 1 is right.",
        ),
    ]


def _sheets(spec: ModelSpec, figures: Figures) -> list[Sheet]:
    columns = ("variant", "metric", "estimate", "low", "high", "rows", "bads", "note")
    measured = [tuple(row[column] for column in columns) for row in figures]
    sheets = [Sheet(("variant", "metric", "estimate", "low", "high", "rows", "bads", "how"), measured)]
    if spec.published:
        told = "On other rows or more data, so for orientation alone"
        sheets.append(Sheet(("published elsewhere", "AUC"), spec.published, told))
    return sheets


def scorecard(context: Context, spec: ModelSpec) -> list[Section]:
    """The points table, what was dropped and why, and the bins of every kept feature."""
    tracking = Tracking(context.settings.tracking_uri)
    serving = [alias for alias in (CHAMPION, CHALLENGER) if tracking.version(spec.name, alias)]
    found = [tracking.load(spec.name, alias) for alias in serving]
    registered = next((model for model in found if model.kind == SCORECARD), None)
    return [_card(spec, registered)] if registered else []


def _card(spec: ModelSpec, registered: Registered) -> Section:
    card = Scorecard.from_json(registered.text)
    points, dropped = card.points_table(), card.selection_table()
    dropped = dropped[~dropped["kept"]]
    counted = dropped.groupby("stage").size()
    lead = (
        f"Version {registered.version}: {len(card.features)} features, higher is safer, "
        f"{card.scale.base_score:.0f} points for odds of {card.scale.base_odds:.0f} to 1, "
        f"{card.scale.pdo:.0f} points double them. "
        "Dropped: " + ", ".join(f"{count} by {stage}" for stage, count in counted.items()) + "."
    )
    pictures = [binned_figure(binned) for binned in card.kept.values()]
    sheets = [
        Sheet(tuple(points.columns), points.to_numpy().tolist(), "Points"),
        Sheet(
            ("feature", "dropped by", "reason"),
            dropped[["feature", "stage", "reason"]].to_numpy().tolist(),
            f"The {len(dropped)} features that were dropped, each with its reason",
            folded=True,
        ),
    ]
    return Section(f"Scorecard {spec.name}", lead, figures=pictures, sheets=sheets)
