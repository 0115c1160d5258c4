"""Entities, and the named features that the items of a view compile to."""

from __future__ import annotations

from dataclasses import dataclass

from strata.conf.contracts import Personal
from strata.features.engine.aggregates import reach_of

MONEY, MONEY_SUM = "decimal(18,2)", "decimal(28,2)"


@dataclass(frozen=True)
class Entity:
    """Whom features describe: its key columns and the table, with clocks, that says who exists when.

    An entity exists from the later of ``event_ts`` and ``known_ts`` to ``until`` (exclusive; null or no
    column: for good). ``key_type`` is the Spark type of its keys in published tables.
    """

    name: str
    keys: tuple[str, ...]
    source: str
    event_ts: str
    known_ts: str | None = None
    until: str | None = None
    key_type: str = "bigint"


@dataclass(frozen=True)
class Feature:
    """One named feature of a view, as compiled from its items.

    ``measure`` is SQL over the source's columns (null where the feature's filter does not hold), or,
    for a derived feature, SQL over ``inputs``. ``agg`` and ``days`` are set for windowed ones alone.
    """

    name: str
    view: str
    kind: str
    measure: str
    agg: str | None
    days: int | None
    unit: str
    description: str
    personal: Personal
    purposes: frozenset[str]
    intermediate: bool
    inputs: tuple[str, ...] = ()
    type: str | None = None
    # A derived feature's SQL as its author wrote it, where ``measure`` casts what comes from other views.
    written: str | None = None

    @property
    def reach(self) -> int:
        """How many days before the spine's time rows matter, 0 for states and derived features."""
        return reach_of(self.agg, self.days or 0)

    @property
    def formula(self) -> str:
        """Its SQL as people read it."""
        return self.written or self.measure

    @property
    def published_type(self) -> str:
        """The Spark type in published tables, and of what other views take from here.

        As its definition says; else counts and bits are whole, money summed or picked is decimal, the rest double.
        """
        if self.type:
            return self.type
        if self.agg in ("count", "distinct", "new", "bits"):
            return "bigint"
        if self.unit == "amt" and self.agg == "sum":
            return MONEY_SUM
        if self.unit == "amt" and self.agg in ("min", "max", "last"):
            return MONEY
        return "double"
