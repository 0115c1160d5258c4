"""The simulated bank's feeds as mappings: silver types decide on the parsers, the feeds on clocks and references."""

from __future__ import annotations

from strata.conf.contracts import Column
from strata.conf.feeds import CLOCKS, FEEDS, Feed
from strata.conf.tables import SILVER
from strata.jobs.sources.mapping import Field, Reference, TableMapping, iso_time, token, typed


def mapping_of(feed: Feed) -> TableMapping:
    """From a feed's files to its silver table."""
    delivered = [column for column in SILVER[feed.table].columns if column.name not in CLOCKS]
    return TableMapping(
        feed.table,
        feed.kind,
        (*(_field(column, feed) for column in delivered), *(iso_time(name) for name in feed.times)),
        event=feed.event,
        known=feed.known,
        references=tuple(Reference(column, table) for column, table in feed.references.items()),
        format=feed.format,
        keeps_versions=True,
    )


def _field(column: Column, feed: Feed) -> Field:
    if column.name in feed.clear:
        return token(column.name, feed.clear[column.name])
    return typed(column.name, column.type)


# In the order in which they refer to each other.
MAPPINGS = tuple(mapping_of(feed) for feed in FEEDS)
