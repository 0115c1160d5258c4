"""The page of a run over any bank, section by section, from the tables that the run has made."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from strata.jobs.reports.pages import loan_book_sections, model_sections
from strata.jobs.reports.pages.page import Page, Tile
from strata.jobs.runtime.job import Context
from strata.models.model_spec import SCORECARD
from strata.models.specs import bank_models

READS = tuple(dict.fromkeys((*loan_book_sections.READS, *model_sections.READS, "scores")))
# Kept by application and model, whatever the day of the run.
OF_ALL_DAYS = ("application_decision", "application_score")


def page(context: Context) -> Page:
    """Everything a reader of the run needs, and the facts to find it again."""
    rows = {name: _of_day(context, name) for name in READS if context.lake.exists(name)}
    figures: dict[str, list[Row]] = {}
    if "model_validation" in rows:
        for row in rows["model_validation"].orderBy("model", "metric", "variant").collect():
            figures.setdefault(row.model, []).append(row)
    trained = [spec for spec in bank_models(context.bank) if spec.name in figures]
    models = [part for spec in trained for part in model_sections.sections(context, spec, rows, figures[spec.name])]
    title = f"{context.bank.title} on the morning of {context.as_of}"
    about = context.bank.about or "From delivered files to decisions."
    return Page(title, about, _tiles(rows, figures), [*loan_book_sections.sections(rows), *models], _facts(context))


def _of_day(context: Context, name: str) -> DataFrame:
    """The table; of one that is kept by day, the day's slice."""
    rows = context.lake.read(name)
    by_day = "as_of_date" in rows.columns and name not in OF_ALL_DAYS
    return rows.where(F.col("as_of_date") == F.lit(context.as_of)) if by_day else rows


def _tiles(rows: Mapping[str, DataFrame], figures: Mapping[str, list[Row]]) -> list[Tile]:
    tiles = []
    if "ops_ingest" in rows:
        counted = rows["ops_ingest"].agg(F.sum("rows_in")).collect()[0][0]
        tiles.append(Tile(f"{counted or 0:,}", "rows ingested, every one accounted for"))
    if "scores" in rows:
        tiles.append(Tile(f"{rows['scores'].count():,}", "scores of the day"))
    for name, found in figures.items():
        card = next(row for row in found if (row.variant, row.metric) == (SCORECARD, "auc"))
        tiles.append(Tile(f"{card.rows:,}", f"cases with an outcome, {name}"))
        tiles.append(Tile(f"{card.estimate:.3f}", f"AUC of its scorecard, {card.low:.2f} to {card.high:.2f}"))
    if "application_decision" in rows:
        decided = dict(rows["application_decision"].groupBy("decision").count().collect())
        tiles.append(Tile(f"{decided.get('approve', 0):,} of {sum(decided.values()):,}", "applications approved"))
    return tiles


def _facts(context: Context) -> dict[str, str]:
    versions = ", ".join(f"{table.name} {table.version}" for table in context.lake.inputs.values())
    return {
        "Run": context.run_id,
        "Made": f"{context.now:%Y-%m-%d %H:%M} UTC",
        "Lake": context.lake.root,
        "Tables and Delta versions": versions,
        "Bank": f"{context.bank.name}: {context.bank.title}",
    }
