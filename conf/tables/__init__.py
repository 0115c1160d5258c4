"""Contracts of all tables that every bank shares, by name; bronze tables and a bank's own follow from its folder."""

from __future__ import annotations

from types import ModuleType

from strata.conf.contracts import Table
from strata.conf.tables import behaviour, book, credit, gold, network, ops, people, relations, silver, structure
from strata.conf.tables.quarantine import quarantine_of


def _declared(*rooms: ModuleType) -> dict[str, Table]:
    return {table.name: table for room in rooms for table in vars(room).values() if isinstance(table, Table)}


SILVER = _declared(silver, people, credit, behaviour, structure)
ALL: dict[str, Table] = {
    **SILVER,
    **_declared(book, network, relations, gold, ops),
    **{table.name: table for table in map(quarantine_of, SILVER)},
}


def protected_columns() -> frozenset[str]:
    """Names of all columns that hold a protected attribute."""
    return frozenset(column.name for table in ALL.values() for column in table.columns if column.protected)


__all__ = ["ALL", "SILVER", "protected_columns"]
