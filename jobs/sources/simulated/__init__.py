"""The simulated bank: feeds in folders named by the day of their drop, mapped to silver as ``conf/feeds.py`` says."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from strata.jobs.runtime.tables import Lake
from strata.jobs.sources.flow import Source
from strata.jobs.sources.simulated.mappings import MAPPINGS


def coverage(lake: Lake, _: DataFrame, accounts: Sequence[Row]) -> DataFrame:
    """Every account from its opening to the end of the newest drop's day: the bank delivers all postings.

    The newest drop is that of postings: of the days since nobody can say that they are whole.
    """
    newest = max((file._source for file in accounts if file.table_name == "transaction"), default=None)
    dropped = F.to_date(F.substring(F.lit(newest).cast("string"), 1, 10))
    opened = lake.read("account").groupBy("account_id").agg(F.max_by("opened_on", "known_ts").alias("covered_from"))
    spans = opened.withColumn("covered_to", F.date_add(dropped, 1)).withColumn("_source", F.lit(newest).cast("string"))
    return spans.where("covered_to > covered_from")


SOURCE = Source(MAPPINGS, coverage)
