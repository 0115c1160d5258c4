"""Where the partial transactions are whole: what the deliveries promise, less what was refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import reduce
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.contracts import Frozen
from strata.jobs.sources.cleaning import QUARANTINED

SPAN = "account_id long, covered_from date, covered_to date, _source string"


class Covers(Frozen):
    """A promise that every posting of some accounts between two days is in the file."""

    accounts: Literal["every", "listed"]
    to: date | Literal["grant"]
    since: date | None = Field(None, alias="from")


class Declared(Frozen):
    """What is known about a file, by its name without endings."""

    replaces: tuple[str, ...] = ()
    covers: Covers | None = None


def declared() -> dict[str, Declared]:
    """All declarations, from ``deliveries.yml`` beside the data."""
    text = files("strata.jobs.sources.berka").joinpath("data/deliveries.yml").read_text()
    return {name: Declared.model_validate(values) for name, values in yaml.safe_load(text).items()}


def coverage(
    promises: Mapping[tuple[str, str], Covers], accounts: DataFrame, loans: DataFrame, postings: DataFrame
) -> DataFrame:
    """Spans per account in the shape of ``transaction_coverage``, ends exclusive; they may overlap.

    ``promises`` are by (file name, content hash); ``postings`` are the judged transactions: one scan a
    file and shuffles by account. A file with a refused row of an account promises nothing about it.
    """
    spans = [_spans(name, sha, covers, accounts, loans, postings) for (name, sha), covers in promises.items()]
    empty = accounts.sparkSession.createDataFrame([], SPAN)
    rows = reduce(DataFrame.unionByName, spans, empty)
    return (
        rows.where("covered_to > covered_from")
        .groupBy("account_id", "covered_from")
        .agg(F.max("covered_to").alias("covered_to"), F.max_by("_source", "covered_to").alias("_source"))
    )


def _spans(
    name: str, sha: str, covers: Covers, accounts: DataFrame, loans: DataFrame, postings: DataFrame
) -> DataFrame:
    in_file = postings.where(F.col("_sha256") == sha)
    covered = accounts
    if covers.accounts == "listed":
        covered = covered.join(in_file.select("account_id").distinct(), on="account_id", how="left_semi")
    torn = in_file.where(F.col("verdict") == QUARANTINED).where("account_id IS NOT NULL").select("account_id")
    covered = covered.join(torn.distinct(), on="account_id", how="left_anti")
    end = F.lit(covers.to)
    if covers.to == "grant":
        granted = loans.groupBy("account_id").agg(F.min("opened_on").alias("granted_on"))
        covered, end = covered.join(granted, on="account_id", how="inner"), F.col("granted_on")
    start = F.greatest("opened_on", F.lit(covers.since).cast("date"))
    return covered.select(
        "account_id", start.alias("covered_from"), end.cast("date").alias("covered_to"), F.lit(name).alias("_source")
    )
