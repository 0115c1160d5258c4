"""The sections about the models: what they are worth, the scorecard's points and bins, its curves."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame, Row

from strata.jobs.reports import charts
from strata.jobs.reports.binned import binned_figure
from strata.jobs.reports.page import Figure, Section, Sheet
from strata.jobs.runtime.run import Context
from strata.jobs.runtime.tracking import CHALLENGER, CHAMPION, Tracking
from strata.jobs.steps import training
from strata.models.evaluation import calibration_line, calibration_table, roc_points, score_table
from strata.models.scorecard import Scorecard
from strata.models.specs import loan_default as loans

READS = ("model_validation", "application_score")
PUBLISHED = (
    ("logistic on 7 balance and transaction aggregates, 391 loans", 0.908),
    ("getML's notebook, all 682 loans and all transactions", 0.9465),
    ("another published model, all data, low end", 0.882),
    ("logistic on amount, duration and payments, 682 loans", 0.639),
)


def sections(context: Context, rows: Mapping[str, DataFrame], figures: Mapping[str, Row]) -> list[Section]:
    """What the models are worth, then the scorecard itself."""
    return [worth(rows, figures), scorecard(context)]


def worth(rows: Mapping[str, DataFrame], figures: Mapping[str, Row]) -> Section:
    """AUC of every variant with its interval, the differences, and the curves out of fold."""
    aucs = [row for key, row in figures.items() if key.endswith("/auc")]
    differences = [row for key, row in figures.items() if key.endswith("/auc_difference")]
    card, boosted = (figures[f"{name}/auc"] for name in (training.SCORECARD, training.BOOSTED))
    lead = (
        f"The scorecard finds {card.bads} bad loans among {card.rows} with an AUC of {card.estimate:.3f} "
        f"({card.low:.3f} to {card.high:.3f}); the boosted challenger with {boosted.estimate:.3f}. "
        "So few bads leave wide intervals: differences of a few hundredths say nothing."
    )
    notes = [
        "Repeated cross-validation, folds parted by customer; bins, selection and coefficients are learnt inside each "
        "training part; intervals are corrected for overlapping training sets (Nadeau and Bengio).",
        "Most good loans are status C, still running when the data end; without them only finished loans and those in "
        "debt are left, and the task is harder.",
    ]
    pictures = [
        Figure(_intervals(aucs, "AUC", 0.908), "Dashed: a published logistic regression on nearly the same loans.")
    ]
    if differences:
        caption = "AUC gained against the scorecard on the same folds; an interval over zero means nothing is shown."
        pictures.append(Figure(_intervals(differences, "difference in AUC", 0.0), caption))
    scored = {
        name: rows["application_score"].where(f"model = '{name}'") for name in (training.SCORECARD, training.BOOSTED)
    }
    return Section("Models", lead, notes, pictures + _curves(scored), _sheets(figures))


def _intervals(figures: list[Row], label: str, reference: float) -> str:
    names = [row.variant for row in figures]
    return charts.intervals(
        names,
        *([row[part] for row in figures] for part in ("estimate", "low", "high")),
        label=label,
        reference=reference,
    )


def _curves(scored: Mapping[str, DataFrame]) -> list[Figure]:
    tables = {name: score_table(rows, target=loans.TARGET) for name, rows in scored.items()}
    points = {name: roc_points(table) for name, table in tables.items()}
    roc = {name: (list(p["false_positive_rate"]), list(p["true_positive_rate"])) for name, p in points.items()}
    binned = {name: calibration_table(table, parts=5) for name, table in tables.items()}
    line = {name: (list(p["mean_probability"]), list(p["bad_rate"])) for name, p in binned.items()}
    slope = calibration_line(tables[training.SCORECARD])[1]
    return [
        Figure(
            charts.lines(roc, xlabel="share of goods refused", ylabel="share of bads refused", diagonal=True),
            "ROC of scores out of fold, averaged over repeats.",
        ),
        Figure(
            charts.lines(line, xlabel="predicted probability", ylabel="share that went bad", diagonal=True),
            f"Calibration in fifths of the applications; slope of the scorecard {slope:.2f}, 1 is right.",
        ),
    ]


def _sheets(figures: Mapping[str, Row]) -> list[Sheet]:
    columns = ("variant", "metric", "estimate", "low", "high", "rows", "bads", "note")
    measured = [tuple(row[column] for column in columns) for row in figures.values()]
    return [
        Sheet(("variant", "metric", "estimate", "low", "high", "rows", "bads", "how"), measured),
        Sheet(("published elsewhere", "AUC"), PUBLISHED, "On other rows or more data, so for orientation alone"),
    ]


def scorecard(context: Context) -> Section:
    """The points table, what was dropped and why, and the bins of every kept feature."""
    tracking = Tracking(context.settings.tracking_uri)
    found = [tracking.load(loans.NAME, alias) for alias in (CHAMPION, CHALLENGER)]
    registered = next(model for model in found if model.kind == training.SCORECARD)
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
    return Section("Scorecard", lead, figures=pictures, sheets=sheets)
