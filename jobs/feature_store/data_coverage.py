"""From when on a bank's tables are whole, by what its lake holds; read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyspark.sql import functions as F

from strata.conf.banks import CLOCKS, Bank
from strata.features.store.coverage import Begin, Coverage
from strata.jobs.runtime.tables import Lake

SPANS = "transaction_coverage"
# Who has been with the bank since when.
OPENED = ("account", "customer")


def coverage_of(lake: Lake, bank: Bank) -> Coverage:
    """What the lake says of where the bank's data begin, of where postings are whole, and since when it has whom.

    Spans of postings are by account: views of customers are checked by where the table begins alone.
    """
    spans = {"transaction": (SPANS, ("account_id",))} if SPANS in bank.made else {}
    openings: dict[str, tuple[str, str]] = {name: (name, CLOCKS[0]) for name in OPENED if name in bank.tables}
    return Coverage(TableBegins(lake, bank.tables), spans, openings)


class TableBegins(Mapping[str, Begin]):
    """The first days of silver tables: of the first event, and on which the first row was known.

    A table that stands in no lake yet, or has no row, is not among them. One scan of two columns for each table that is
    asked about, kept from then on.
    """

    def __init__(self, lake: Lake, tables: tuple[str, ...]) -> None:
        """``tables`` are the silver tables that the bank fills."""
        self._lake, self._tables = lake, tables
        self._found: dict[str, Begin | None] = {}

    def __getitem__(self, table: str) -> Begin:
        """The first days of a table; raises ``KeyError`` when nothing is known of it."""
        if table not in self._found:
            self._found[table] = self._read(table) if table in self._tables and self._lake.exists(table) else None
        begin = self._found[table]
        if begin is None:
            raise KeyError(table)
        return begin

    def __iter__(self) -> Iterator[str]:
        """The tables of which something is known."""
        return (table for table in self._tables if table in self)

    def __len__(self) -> int:
        """How many tables something is known of."""
        return sum(1 for _ in self)

    def _read(self, table: str) -> Begin | None:
        happened, known = (F.to_date(F.min(clock)) for clock in CLOCKS)
        first = self._lake.read(table).agg(happened, known).collect()[0]
        return None if first[0] is None or first[1] is None else Begin(first[0], first[1])
