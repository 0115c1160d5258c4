"""Tables as of the day of a run: which rows count, who was known by then, and writing the day's slice."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.graph.risk.contagion import standings
from strata.jobs.runtime.job import Context


def known_customers(context: Context) -> DataFrame:
    """customer_id of who was known by the day."""
    known = context.lake.read("customer").where(F.col("known_ts") <= start_of_day(context))
    return known.select("customer_id").distinct()


def loan_standings(context: Context) -> DataFrame:
    """How each borrower's loans were known to stand, month by month."""
    lake = context.lake
    return standings(
        lake.read_optional("delinquency"), lake.read_optional("loan"), lake.read_optional("account_holder")
    )


def start_of_day(context: Context) -> Column:
    """The first moment of the day: what is known later is not known yet."""
    return F.lit(context.as_of.isoformat()).cast("timestamp")


def is_of_day(context: Context) -> Column:
    """Rows of the day's slice."""
    return F.col("as_of_date") == F.lit(context.as_of)


def write_daily(context: Context, name: str, rows: DataFrame) -> int:
    """Write the day's slice of a table; how many rows it has."""
    day: date = context.as_of
    return context.lake.replace(name, rows.withColumn("as_of_date", F.lit(day)), slice={"as_of_date": day}).rows or 0
