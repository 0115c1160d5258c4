"""Every table's contract, by name: what a table is called and what may be in it stands here, nowhere else."""

from __future__ import annotations

from strata.conf.contracts import Table
from strata.conf.tables import book, bronze, gold, network, ops, quarantine, silver

ALL: dict[str, Table] = {
    table.name: table
    for room in (bronze, silver, book, quarantine, network, gold, ops)
    for table in vars(room).values()
    if isinstance(table, Table)
}


def protected_columns() -> frozenset[str]:
    """Names of all columns that hold a protected attribute."""
    return frozenset(column.name for table in ALL.values() for column in table.columns if column.protected)


__all__ = ["ALL", "protected_columns"]
