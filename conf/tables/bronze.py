"""Bronze: delivered rows as received, text only, append-only; the only tables that hold account numbers in clear.

The columns without a leading underscore are the header that a file of the kind must have, in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from strata.conf.contracts import Column, Layer, Personal, Table, col

if TYPE_CHECKING:
    from strata.conf.banks.feeds import Feed

TECHNICAL = (
    col("_line", "binary", "the line as received, byte for byte; of Parquet the row as JSON", personal=Personal.DIRECT),
    col("_is_whole", "boolean", "whether the line has as many fields as the header, or is one JSON object of its keys"),
    col("_source", "string", "name of the delivered file, after the day of its folder where it has one"),
    col("_origin", "string", "embedded in the product, or from a landing folder"),
    col("_sha256", "string", "SHA-256 of the file's content, unpacked: a repeated delivery is recognised by it"),
    col("_delivery", "bigint", "number of the file among those of its kind, by day of its folder; the later wins"),
    col("_row", "bigint", "line or row number in the file; the header of a CSV is line 1"),
    col("_ingest_id", "string", "the run that landed the file"),
    col("_ingested_at", "timestamp", "when that run started"),
)


def bronze_of(feed: Feed, tables: Mapping[str, Table]) -> Table:
    """The bronze table of a feed: identifiers in clear stand here alone."""
    return Table(
        name=feed.bronze,
        layer=Layer.BRONZE,
        grain="one row per line of a delivered file",
        description=f"Rows of {feed.kind} files as delivered, for {', '.join(fill.table for fill in feed.fills)}.",
        append_only=True,
        columns=(*(_as_text(feed, name, tables) for name in feed.header), *TECHNICAL),
        freshness="each delivery",
    )


def _as_text(feed: Feed, name: str, tables: Mapping[str, Table]) -> Column:
    """A delivered column: what the feed says of it, else what the silver column says that is read from it."""
    means, personal = feed.columns[name].means, feed.columns[name].personal
    for fill in feed.fills:
        contract = tables[fill.table]
        by_name = {column.name: column for column in contract.columns}
        for target, source in fill.sources(contract).items():
            if name in source.parts(target):
                meant = by_name.get(target)
                means = means or (meant.description if meant else "a time that only the source knows")
                identifies = source.token or source.id is not None
                personal = personal or (Personal.DIRECT if identifies else meant.personal if meant else None)
    return col(name, "string", means or "not used", nullable=True, personal=personal or Personal.NONE)
