"""The Berka bank (PKDD 1999): raw files, parsing and mapping to the silver tables."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from pyspark.sql import DataFrame, Row

from strata.jobs.runtime.tables import Lake
from strata.jobs.sources.berka.coverage import coverage, declared
from strata.jobs.sources.berka.mappings import MAPPINGS
from strata.jobs.sources.deliveries import stem
from strata.jobs.sources.flow import Source


def promised(lake: Lake, postings: DataFrame, accounts: Sequence[Row]) -> DataFrame:
    """Where postings are whole by what is known of the files that count."""
    known = declared()
    promises = {
        (file._source, file._sha256): covers
        for file in accounts
        if file.table_name == "transaction" and file.rows_out
        if (covers := known[stem(file._source)].covers if stem(file._source) in known else None)
    }
    return coverage(promises, lake.read("account"), lake.read("loan"), postings)


SOURCE = Source(
    MAPPINGS,
    promised,
    folder=Path(str(files(__name__).joinpath("data"))),
    replaces={name: file.replaces for name, file in declared().items()},
)
