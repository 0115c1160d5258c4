"""Links: how rows that name an account, a loan or a phone come to be rows of the person it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from strata.features.engine.inputs import FeatureError, check_column, instant, quoted

_OWN = "_known"


@dataclass(frozen=True)
class Link:
    """A table that says whose a row is: ``on`` pairs a column of the rows with one of it, ``brings`` is taken along.

    What is brought keeps its name, or is given as (name, name among the rows).
    Only rows of it that hold ``where`` count. What it says holds from when it was first known and for good: a row
    belongs to everybody whom its account ever belonged to, and is usable once both are known. Of many owners only the
    first ``at_most`` count, so that a phone that thousands give as theirs doesn't multiply its calls; who was known
    first never depends on who comes later.
    """

    table: str
    on: tuple[tuple[str, str], ...]
    brings: tuple[str | tuple[str, str], ...]
    where: str | None = None
    known_ts: str = "known_ts"
    at_most: int | None = None

    @property
    def renamed(self) -> dict[str, str]:
        """What is brought: the name that it gets, and its name in the table."""
        return {one if isinstance(one, str) else one[1]: one if isinstance(one, str) else one[0] for one in self.brings}


def follow(rows: DataFrame, link: Link, table: DataFrame, known_ts: str) -> DataFrame:
    """``rows`` with the columns that the link brings, once for each owner; ``known_ts`` is when both were known.

    When a row itself was known stands before all other columns: of two versions that both wait for an owner the later
    one still wins, as the first column settles ties. Rows that nobody owns are left out.

    Three shuffles: of the link's table by what it says and by key, of the rows by key; without the last two where the
    table is small enough to be sent round. Raises ``FeatureError`` naming a column that is missing or would stand
    twice.
    """
    for ours, theirs in link.on:
        check_column("link", rows, "the view's table", ours)
        check_column("link", table, link.table, theirs)
    if taken := [name for name in link.renamed if name in rows.columns]:
        raise FeatureError(f"link: the view's table has {', '.join(taken)} already; {link.table} brings it")
    owners = _owners(link, table)
    rows = rows if _OWN in rows.columns else rows.select(quoted(known_ts).alias(_OWN), "*")
    same = [rows[ours] == owners[f"_on{place}"] for place, (ours, _) in enumerate(link.on)]
    both = rows.join(owners, same, "inner")
    # Greatest takes a null for nothing, but a row that was never known stays so.
    known = F.when(quoted(known_ts).isNotNull(), F.greatest(instant(known_ts), F.col("_linked")))
    return both.withColumn(known_ts, known).drop("_linked", *(f"_on{place}" for place in range(len(link.on))))


def _owners(link: Link, table: DataFrame) -> DataFrame:
    """A row a key and owner: ``_on0`` …, what the link brings, and ``_linked``, when that was first known."""
    said = (table if link.where is None else table.where(link.where)).where(quoted(link.known_ts).isNotNull())
    keys = [f"_on{place}" for place in range(len(link.on))]
    pairs = [quoted(theirs).alias(key) for key, (_, theirs) in zip(keys, link.on, strict=True)]
    brought = [quoted(theirs).alias(name) for name, theirs in link.renamed.items()]
    owners = said.groupBy(*pairs, *brought).agg(F.min(instant(link.known_ts)).alias("_linked"))
    if link.at_most is None:
        return owners
    place = F.row_number().over(Window.partitionBy(*keys).orderBy("_linked", *map(quoted, link.renamed)))
    return owners.withColumn("_place", place).where(F.col("_place") <= link.at_most).drop("_place")


def unbounded(link: Link) -> Link:
    """The same link for however many owners: all whom it could ever bring."""
    return replace(link, at_most=None)


def of_same_keys(link: Link, table: DataFrame, some: DataFrame) -> DataFrame:
    """``some`` rows of the link's table, and those of ``table`` with a key of theirs: who is first depends on all."""
    keys = [theirs for _, theirs in link.on]
    others = table.join(some.select(*(quoted(key) for key in keys)).distinct(), keys, "left_semi")
    return some.unionByName(others.select(*(quoted(name) for name in some.columns)))
