"""A bank as a value: who it is, what its source systems deliver, and the tables that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from strata.conf.banks.feeds import CLOCKS, Feed, Fill
from strata.conf.banks.notation import check_zone
from strata.conf.contracts import Frozen, Table
from strata.conf.tables.bronze import bronze_of
from strata.conf.tables.quarantine import quarantine_of


class Covers(Frozen):
    """A promise that every posting of some accounts between two days is in the file."""

    accounts: Literal["every", "listed"]
    to: date | Literal["grant"]
    since: date | None = Field(None, alias="from")


class Declared(Frozen):
    """What is known about one delivered file, by its name without endings."""

    replaces: tuple[str, ...] = ()
    covers: Covers | None = None


class Bank(Frozen):
    """One bank, as its folder declares it.

    ``feeds`` are in file order; ``ranks`` and ``fills`` are in the order in which their tables refer to each other.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    # What readers of its pages should know first.
    about: str = ""
    zone: str
    folder: Path
    digest: str
    currency: str | None = None
    # Files in one flat folder, or in one folder per drop, named by its day.
    layout: Literal["flat", "dated"] = "dated"
    # A folder of files that come with the bank; the user's own replace or join them.
    embedded: str | None = None
    deliveries: Mapping[str, Declared] = {}
    # Where postings are whole: every account from its opening to the newest drop, or what `deliveries` promise.
    postings: Literal["from_opening", "promised"] = "from_opening"
    # Of whom features are computed.
    entities: tuple[Literal["account", "customer"], ...] = Field(("customer",), min_length=1)
    # Whom the network judges: accounts by their neighbours, or people by all that ties them.
    network: Literal["accounts", "people"] = "people"
    feeds: tuple[Feed, ...] = ()
    # Silver: the standard tables, the bank's own, and standard ones with columns of the bank's own.
    silver: Mapping[str, Table]
    own_tables: tuple[str, ...] = ()
    # Laid over base.yml, under the environment's file.
    settings: Mapping[str, Any] = {}

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        return check_zone(value)

    @cached_property
    def ranks(self) -> tuple[tuple[str, ...], ...]:
        """The silver tables that the feeds fill: first those that refer to none, then those that refer to these."""
        waiting: dict[str, set[str]] = {}
        for feed in self.feeds:
            for fill in feed.fills:
                waiting.setdefault(fill.table, set()).update(one.table for one in fill.references.values())
        ranks: list[tuple[str, ...]] = []
        while waiting:
            ready = tuple(table for table, referred in waiting.items() if not (referred - {table}) & waiting.keys())
            if not ready:
                raise ValueError(f"references: {', '.join(sorted(waiting))} refer to each other in a circle")
            ranks.append(ready)
            waiting = {table: referred for table, referred in waiting.items() if table not in ready}
        return tuple(ranks)

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """The silver tables that the bank's feeds fill, in the order in which they refer to each other."""
        return tuple(table for rank in self.ranks for table in rank)

    @cached_property
    def made(self) -> tuple[str, ...]:
        """The silver tables that ingest makes: those that feeds fill and, of postings, where they are whole."""
        covered = {"transaction", "account"} <= set(self.tables)
        return (*self.tables, *(("transaction_coverage",) if covered else ()))

    @cached_property
    def fills(self) -> tuple[tuple[Feed, Fill], ...]:
        """Every feed with each table that it fills, in the order of ``tables``."""
        pairs = [(feed, fill) for feed in self.feeds for fill in feed.fills]
        return tuple(sorted(pairs, key=lambda pair: self.tables.index(pair[1].table)))

    @cached_property
    def contracts(self) -> dict[str, Table]:
        """The contracts that the bank brings: bronze of its feeds, silver and quarantine of its own tables."""
        own = [self.silver[name] for name in self.own_tables]
        named = [*own, *(quarantine_of(table.name) for table in own)]
        return {table.name: table for table in (*named, *(bronze_of(feed, self.silver) for feed in self.feeds))}

    def feed(self, kind: str) -> Feed:
        """The feed of a kind of files. Raises ``KeyError``."""
        return next(feed for feed in self.feeds if feed.kind == kind)

    def fills_column(self, table: str, column: str) -> bool:
        """Whether a feed says what stands in a silver column; clocks are always there."""
        fills = [fill for _, fill in self.fills if fill.table == table]
        return any(column in fill.sources(self.silver[table]) for fill in fills) or column in CLOCKS
