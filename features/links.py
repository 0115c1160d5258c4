"""Links: how rows that name an account, a loan or a phone come to be rows of the person it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.features.inputs import FeatureError, check_column, instant, quoted


@dataclass(frozen=True)
class Link:
    """A table that says whose a row is: ``on`` pairs a column of the rows with one of it, ``brings`` is taken along.

    Only rows of it that hold ``where`` count. What it says holds from when it was first known and for good: a row
    belongs to everybody whom its account ever belonged to, and is usable once both are known.
    """

    table: str
    on: tuple[tuple[str, str], ...]
    brings: tuple[str, ...]
    where: str | None = None
    known_ts: str = "known_ts"


def follow(rows: DataFrame, link: Link, table: DataFrame, known_ts: str) -> DataFrame:
    """``rows`` with the columns that the link brings, once for each owner; ``known_ts`` is when both were known.

    Rows that nobody owns are left out. A shuffle of the link's table by what it says, and a join (a shuffle of
    both, unless the table is small enough to be sent round). Raises ``FeatureError`` naming a column that is missing
    or would stand twice.
    """
    for ours, theirs in link.on:
        check_column("link", rows, "the view's table", ours)
        check_column("link", table, link.table, theirs)
    if taken := [name for name in link.brings if name in rows.columns]:
        raise FeatureError(f"link: the view's table has {', '.join(taken)} already; {link.table} brings it")
    said = table if link.where is None else table.where(link.where)
    pairs = [quoted(theirs).alias(f"_on{place}") for place, (_, theirs) in enumerate(link.on)]
    owners = said.groupBy(*pairs, *(quoted(name) for name in link.brings)).agg(
        F.min(instant(link.known_ts)).alias("_linked")
    )
    same = [rows[ours] == owners[f"_on{place}"] for place, (ours, _) in enumerate(link.on)]
    known = F.greatest(instant(known_ts), F.col("_linked"))
    both = rows.join(owners, same, "inner").where("_linked IS NOT NULL")
    # Greatest takes a null for nothing, but a row that was never known stays so.
    both = both.withColumn(known_ts, F.when(quoted(known_ts).isNotNull(), known))
    return both.drop("_linked", *(f"_on{place}" for place in range(len(link.on))))
