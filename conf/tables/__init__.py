"""Every table's contract, by name: what a table is called and what may be in it stands here, nowhere else."""

from __future__ import annotations

from strata.conf.contracts import Table
from strata.conf.tables import bronze, gold, network, ops, quarantine, silver

ALL: dict[str, Table] = {
    table.name: table
    for room in (bronze, silver, quarantine, network, gold, ops)
    for table in vars(room).values()
    if isinstance(table, Table)
}


__all__ = ["ALL"]
