"""The Berka bank (PKDD 1999): raw files, parsing and mapping to the silver tables."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from pyspark.sql import DataFrame, Row

from strata.jobs.runtime.run import Context
from strata.jobs.sources.berka.coverage import coverage, declared
from strata.jobs.sources.berka.mappings import KINDS, MAPPINGS
from strata.jobs.sources.flow import Source
from strata.jobs.sources.landing import stem

SOURCE = Source(
    kinds=KINDS,
    mappings=MAPPINGS,
    folder=Path(str(files(__name__).joinpath("data"))),
    replaces={name: file.replaces for name, file in declared().items()},
)


def write_coverage(context: Context, postings: DataFrame, accounts: Sequence[Row]) -> None:
    """Replace ``transaction_coverage`` by what the files that count promise."""
    with context.progress.step("silver transaction_coverage") as step:
        known = declared()
        promises = {
            (file._source, file._sha256): covers
            for file in accounts
            if file.table_name == "transaction" and file.rows_out
            if (covers := known[stem(file._source)].covers if stem(file._source) in known else None)
        }
        spans = coverage(promises, context.lake.read("account"), context.lake.read("loan"), postings)
        written = context.lake.replace("transaction_coverage", spans)
        step.says(f"{written.rows:,} spans")
