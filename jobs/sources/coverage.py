"""Where postings are whole: by what the bank's deliveries promise, less what was refused, or from each opening on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from strata.conf.banks import Bank, Covers
from strata.jobs.runtime.tables import Lake
from strata.jobs.sources.cleaning import QUARANTINED
from strata.jobs.sources.deliveries import stem

SPAN = "account_id long, covered_from date, covered_to date, _source string"


def covered_spans(bank: Bank, lake: Lake, postings: DataFrame, files: Sequence[Row]) -> DataFrame:
    """Spans per account in the shape of ``transaction_coverage``; ``files`` are the counted files of all tables."""
    delivered = [file for file in files if file.table_name == "transaction"]
    if bank.postings == "from_opening":
        return from_opening(lake.read("account"), delivered)
    promises = {
        (file._source, file._sha256): covers
        for file in delivered
        if file.rows_out
        if (said := bank.deliveries.get(stem(file._source))) and (covers := said.covers)
    }
    loans = lake.read("loan") if any(covers.to == "grant" for covers in promises.values()) else None
    return promised(promises, lake.read("account"), loans, postings)


def from_opening(accounts: DataFrame, delivered: Sequence[Row]) -> DataFrame:
    """Every account from its opening to the end of the newest drop's day: the bank delivers all postings.

    The newest drop is that of postings: of the days since nobody can say that they are whole. Without dated folders it
    is the day of the newest posting's file, which is not known, so nothing is covered.
    """
    newest = max((file._source for file in delivered), default=None)
    dropped = F.to_date(F.regexp_extract(F.lit(newest).cast("string"), r"^(\d{4}-\d{2}-\d{2})/", 1))
    opened = accounts.groupBy("account_id").agg(F.max_by("opened_on", "known_ts").alias("covered_from"))
    spans = opened.withColumn("covered_to", F.date_add(dropped, 1)).withColumn("_source", F.lit(newest).cast("string"))
    return spans.where("covered_to > covered_from")


def promised(
    promises: Mapping[tuple[str, str], Covers], accounts: DataFrame, loans: DataFrame | None, postings: DataFrame
) -> DataFrame:
    """Spans per account that files promise, ends exclusive; they may overlap.

    ``promises`` are by (file name, content hash); ``postings`` are the judged transactions: one scan per file and
    shuffles by account. A file with a refused row of an account promises nothing about it. ``loans`` are needed where a
    promise ends with the grant.
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
    name: str, sha: str, covers: Covers, accounts: DataFrame, loans: DataFrame | None, postings: DataFrame
) -> DataFrame:
    in_file = postings.where(F.col("_sha256") == sha)
    covered = accounts
    if covers.accounts == "listed":
        covered = covered.join(in_file.select("account_id").distinct(), on="account_id", how="left_semi")
    torn = in_file.where(F.col("verdict") == QUARANTINED).where("account_id IS NOT NULL").select("account_id")
    covered = covered.join(torn.distinct(), on="account_id", how="left_anti")
    end = F.lit(covers.to)
    if covers.to == "grant" and loans is not None:
        granted = loans.groupBy("account_id").agg(F.min("opened_on").alias("granted_on"))
        covered, end = covered.join(granted, on="account_id", how="inner"), F.col("granted_on")
    start = F.greatest("opened_on", F.lit(covers.since).cast("date"))
    return covered.select(
        "account_id", start.alias("covered_from"), end.cast("date").alias("covered_to"), F.lit(name).alias("_source")
    )
