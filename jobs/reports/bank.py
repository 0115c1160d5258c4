"""The page of a run over the embedded bank, section by section, from its tables alone."""

from __future__ import annotations

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from strata.jobs.reports import book, model
from strata.jobs.reports.page import Page, Tile
from strata.jobs.runtime.run import Context
from strata.jobs.steps import training

READS = (*book.READS, *model.READS)
INTRO = (
    "A real Czech bank of the 1990s (Berka and Sochorova, PKDD 1999), from raw files to decisions. "
    "Its transactions are PARTIAL: 79,302 of about a million postings can be had, so only loans whose whole "
    "history before the grant is there teach the models."
)


def page(context: Context) -> Page:
    """Everything a reader of the run needs, and the facts to find it again."""
    rows = {name: _of_day(context, name) for name in READS}
    figures = {
        row["variant"] + "/" + row["metric"]: row
        for row in rows["model_validation"].orderBy("metric", "variant").collect()
    }
    sections = [*book.sections(rows), *model.sections(context, rows, figures)]
    return Page(f"The bank on the morning of {context.as_of}", INTRO, _tiles(rows, figures), sections, _facts(context))


def _of_day(context: Context, name: str) -> DataFrame:
    """The table; of one that is kept by day, the day's slice."""
    rows = context.lake.read(name)
    by_day = "as_of_date" in rows.columns and name != "application_decision"
    return rows.where(F.col("as_of_date") == F.lit(context.as_of)) if by_day else rows


def _tiles(rows: dict[str, DataFrame], figures: dict[str, Row]) -> list[Tile]:
    card = figures[f"{training.SCORECARD}/auc"]
    decided = rows["application_decision"].groupBy("decision").count().collect()
    approved = next((row["count"] for row in decided if row["decision"] == "approve"), 0)
    return [
        Tile(f"{rows['ops_ingest'].agg(F.sum('rows_in')).head()[0]:,}", "rows ingested, every one accounted for"),
        Tile(f"{rows['scores'].count():,}", "customers scored and placed"),
        Tile(f"{rows['training_set_loan_default'].count():,}", "loans with whole history"),
        Tile(f"{card['estimate']:.3f}", f"AUC of the scorecard, {card['low']:.2f} to {card['high']:.2f}"),
        Tile(f"{approved:,} of {sum(row['count'] for row in decided):,}", "applications approved in the backtest"),
    ]


def _facts(context: Context) -> dict[str, str]:
    versions = ", ".join(f"{table.name} {table.version}" for table in context.lake.inputs.values())
    return {
        "Run": context.run_id,
        "Made": f"{context.now:%Y-%m-%d %H:%M} UTC",
        "Lake": context.lake.root,
        "Tables and Delta versions": versions,
        "Data": "Berka and Sochorova, PKDD 1999 Discovery Challenge; provenance lies beside the raw files",
    }
