"""Every table's contract, by name: what a table is called and what may be in it stands here, nowhere else."""

from __future__ import annotations

from types import ModuleType

from strata.conf.contracts import Table
from strata.conf.feeds import FEEDS
from strata.conf.tables import behaviour, book, bronze, credit, gold, network, ops, people, relations, silver, structure
from strata.conf.tables.bronze import bronze_of
from strata.conf.tables.quarantine import quarantine_of


def _declared(*rooms: ModuleType) -> dict[str, Table]:
    return {table.name: table for room in rooms for table in vars(room).values() if isinstance(table, Table)}


SILVER = _declared(silver, people, credit, behaviour, structure)
DERIVED = (
    *(quarantine_of(name) for name in SILVER),
    *(bronze_of(feed, SILVER[feed.table]) for feed in FEEDS),
)
ALL: dict[str, Table] = {
    **SILVER,
    **_declared(bronze, book, network, relations, gold, ops),
    **{table.name: table for table in DERIVED},
}


def protected_columns() -> frozenset[str]:
    """Names of all columns that hold a protected attribute."""
    return frozenset(column.name for table in ALL.values() for column in table.columns if column.protected)


__all__ = ["ALL", "SILVER", "protected_columns"]
