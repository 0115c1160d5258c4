"""Frames brought into the shape of their contracts."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.runtime.job import Context


def declared_columns(context: Context, name: str, rows: DataFrame) -> DataFrame:
    """The columns of the contract of ``name``, in its order; a nullable one that the rows don't have is null."""
    contract = context.lake.contract(name)
    absent = [column for column in contract.columns if column.nullable and column.name not in rows.columns]
    filled = rows.withColumns({column.name: F.lit(None).cast(column.type) for column in absent}) if absent else rows
    return filled.select(*(F.col(f"`{name}`") for name in contract.names))
