"""Every table's contract, by name: what a table is called and what may be in it stands here, nowhere else."""

from __future__ import annotations

from strata.conf.contracts import Table
from strata.conf.tables import bronze, features, gold, ops, quarantine, silver

ALL: dict[str, Table] = {
    table.name: table
    for room in (bronze, silver, quarantine, features, gold, ops)
    for table in vars(room).values()
    if isinstance(table, Table)
}


def table(name: str) -> Table:
    """The contract called ``name``; raises ``KeyError`` listing what there is."""
    if name not in ALL:
        raise KeyError(f"no table contract called {name!r}; there are: {', '.join(sorted(ALL))}")
    return ALL[name]


__all__ = ["ALL", "table"]
