"""Feature views as values: what is computed from which table, under which clocks, for whom and for which purposes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from pyspark.sql import DataFrame

from strata.conf.contracts import Personal
from strata.features.aggregates import AGGREGATES
from strata.features.inputs import FeatureError
from strata.features.links import Link
from strata.features.reach import fingerprint

_NAME = re.compile(r"[a-z][a-z0-9_]*")
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MONEY, MONEY_SUM = "decimal(18,2)", "decimal(28,2)"
_RANK = {Personal.NONE: 0, Personal.QUASI: 1, Personal.DIRECT: 2}


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
class Windowed:
    """Aggregates of one measure over windows; made by ``windowed``."""

    measure: str
    aggs: tuple[str, ...]
    days: tuple[int, ...]
    label: str
    unit: str
    where: str | None
    by: tuple[str, tuple[str, ...]] | None
    intermediate: bool
    personal: Personal | None
    description: str
    type: str | None


@dataclass(frozen=True)
class StateValue:
    """A value of the state row that held as of the spine's time; made by ``state``."""

    measure: str
    label: str
    unit: str
    intermediate: bool
    personal: Personal | None
    description: str
    type: str | None


@dataclass(frozen=True)
class Derived:
    """A SQL expression over other features of the view; made by ``derived``."""

    name: str
    sql: str
    unit: str
    intermediate: bool
    description: str
    type: str | None


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
        if self.agg in ("count", "distinct", "bits"):
            return "bigint"
        if self.unit == "amt" and self.agg == "sum":
            return MONEY_SUM
        if self.unit == "amt" and self.agg in ("min", "max", "last"):
            return MONEY
        return "double"


def windowed(
    measure: str,
    *,
    aggs: Sequence[str],
    days: Sequence[int],
    unit: str = "",
    where: str | None = None,
    by: tuple[str, Sequence[str]] | None = None,
    label: str | None = None,
    intermediate: bool = False,
    personal: Personal | None = None,
    description: str = "",
    type: str | None = None,  # noqa: A002
) -> Windowed:
    """Aggregate ``measure`` (a column, or SQL over columns) over the ``days`` before the spine's time.

    ``where`` is a SQL filter. ``by=("purpose", ("household", "pension"))`` makes one feature for each
    listed value. Names are ``<view>_<label>[_<value>]_<agg>_<d>d[_<unit>]``; counts get ``cnt``.
    ``intermediate`` features can be used by derived ones and are not offered to models. ``type`` is the
    Spark type in published tables, where it is not the usual one (see ``Feature.published_type``).
    Raises ``FeatureError`` on an unknown aggregate, a bad window or a missing label.
    """
    label = label or measure
    _check_name("label", label)
    unknown = [agg for agg in aggs if agg not in AGGREGATES]
    if unknown or not aggs:
        raise FeatureError(f"aggs: {unknown or 'nothing'} is no aggregate; there are: {', '.join(AGGREGATES)}")
    if not days or any(isinstance(d, bool) or not isinstance(d, int) or d < 1 for d in days):
        raise FeatureError(f"days: whole numbers from 1 are expected, not {list(days)}")
    listed = None if by is None else (by[0], tuple(by[1]))
    for value in listed[1] if listed else ():
        _check_name("by", value)
    return Windowed(
        measure, tuple(aggs), tuple(days), label, unit, where, listed, intermediate, personal, description, type
    )


def state(
    measure: str,
    *,
    label: str | None = None,
    unit: str = "",
    intermediate: bool = False,
    personal: Personal | None = None,
    description: str = "",
    type: str | None = None,  # noqa: A002
) -> StateValue:
    """Take ``measure`` (a column, or SQL over columns) of the state row as of the spine's time.

    The name is ``<view>_<label>[_<unit>]``. ``type`` is the Spark type in published tables, double without.
    Raises ``FeatureError`` on a missing label.
    """
    label = label or measure
    _check_name("label", label)
    return StateValue(measure, label, unit, intermediate, personal, description, type)


def derived(
    name: str,
    sql: str,
    *,
    unit: str = "",
    intermediate: bool = False,
    description: str = "",
    type: str | None = None,  # noqa: A002
) -> Derived:
    """Compute SQL over other features of the same view; ``:at`` stands for the spine's time.

    The name is ``<view>_<name>[_<unit>]``. Personal class and purposes are inherited from the inputs.
    """
    _check_name("name", name)
    return Derived(name, sql, unit, intermediate, description, type)


@dataclass(frozen=True)
class FeatureView:
    """A subject's features over one source table.

    An event view gives ``event_ts`` (events before the spine's time, in windows); a state view gives
    ``valid_from`` (the last state as of it). ``known_ts`` is when a row could first be used;
    ``event_id`` (one or more columns) tells versions of one event apart. ``where`` filters rows; ``prepare``
    is at most one small DataFrame to DataFrame function on the source (it may add columns, never
    look at other rows' times). ``links`` are the tables that say, one after the other, whose the rows
    are, when they don't themselves. A view ``over`` other views has no source and no clocks of its own: its
    derived features are made of what those views offer, as published, for the same entity.
    Raises ``FeatureError`` when the definition contradicts itself.
    """

    name: str
    version: int
    entity: Entity
    source: str
    items: tuple[Windowed | StateValue | Derived, ...]
    description: str
    owner: str
    purposes: tuple[str, ...]
    event_ts: str | None = None
    valid_from: str | None = None
    known_ts: str | None = None
    event_id: str | tuple[str, ...] | None = None
    valid_to: str | None = None
    sequence: str | None = None
    where: str | None = None
    prepare: Callable[[DataFrame], DataFrame] | None = None
    links: tuple[Link, ...] = ()
    personal: Personal = Personal.NONE
    over: tuple[FeatureView, ...] = ()
    # The compiled features by name, made from the fields above.
    _compiled: dict[str, Feature] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        _check_name("name", self.name)
        if self.over:
            self._check_over()
        elif (self.event_ts is None) == (self.valid_from is None):
            raise FeatureError(f"view {self.name}: give event_ts for events, or valid_from for states")
        if self.event_id and not self.known_ts:
            raise FeatureError(f"view {self.name}: event_id needs known_ts")
        if self.links and not self.known_ts:
            raise FeatureError(f"view {self.name}: links need known_ts")
        if not self.purposes:
            raise FeatureError(f"view {self.name}: purposes: at least one is expected")
        for item in self.items:
            for feature in self._compile(item):
                if feature.name in self._compiled:
                    raise FeatureError(f"view {self.name}: feature {feature.name} is defined twice")
                self._compiled[feature.name] = feature

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the view offers, in order, without intermediate features."""
        return tuple(feature for feature in self._compiled.values() if not feature.intermediate)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that its values are made of: the source and what links it, or those of the views it is over."""
        if self.over:
            return tuple(dict.fromkeys(name for view in self.over for name in view.tables))
        return (self.source, *(link.table for link in self.links))

    @property
    def all_features(self) -> Mapping[str, Feature]:
        """Every feature by name, intermediate ones included."""
        return self._compiled

    @cached_property
    def definition_hash(self) -> str:
        """A short hash of everything that decides the values: not of descriptions, owner or purposes.

        Of ``prepare`` it takes what ``reach.fingerprint`` sees, which also says what is not seen.
        """
        parts: dict[str, Any] = {name: getattr(self, name) for name in ("name", "version", "source", "where", *_CLOCKS)}
        parts["entity"] = asdict(self.entity)
        parts["prepare"] = None if self.prepare is None else self._hash_of(self.prepare)
        if self.links:
            parts["links"] = [asdict(link) for link in self.links]
        if self.over:
            parts["over"] = [view.definition_hash for view in self.over]
        parts["features"] = [[f.name, f.kind, f.measure, f.agg, f.days] for f in self._compiled.values()]
        if typed := {f.name: f.type for f in self._compiled.values() if f.type}:
            parts["types"] = typed
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def _hash_of(self, prepare: Callable[[DataFrame], DataFrame]) -> str:
        try:
            return fingerprint(prepare)
        except FeatureError as wrong:
            raise FeatureError(f"view {self.name}: prepare: {wrong}") from None

    def needed(self, names: Sequence[str]) -> list[Feature]:
        """The named features and all that they are derived from, inputs first, also those of the views it is over."""
        order: dict[str, Feature] = {}
        reachable = {**self._offered_below(), **self._compiled}

        def visit(name: str) -> None:
            found = reachable[name]
            if found.view != self.name:
                order.update((one.name, one) for one in self.by_name[found.view].needed([name]))
                return
            for source in found.inputs:
                visit(source)
            order[name] = found

        for name in names:
            if name not in self._compiled:
                raise FeatureError(f"features: view {self.name} has no feature {name!r}")
            visit(name)
        return list(order.values())

    @property
    def by_name(self) -> Mapping[str, FeatureView]:
        """The view itself and those it is over, by name."""
        return {view.name: view for view in (*self.over, self)}

    def _offered_below(self) -> dict[str, Feature]:
        """What the views that it is over offer, by name."""
        return {feature.name: feature for view in self.over for feature in view.features}

    def _check_over(self) -> None:
        own = (self.source, self.event_ts, self.valid_from, self.known_ts, self.event_id, self.prepare, self.links)
        if any(own) or not all(isinstance(item, Derived) for item in self.items):
            raise FeatureError(f"view {self.name}: a view over others has derived features alone, no source and clocks")
        for view in self.over:
            if view.entity != self.entity or view.over:
                raise FeatureError(f"view {self.name}: {view.name} is of another entity, or over others itself")
            if more := sorted(set(self.purposes) - set(view.purposes)):
                raise FeatureError(f"view {self.name}: purposes: {view.name} is not for {', '.join(more)}")

    def _compile(self, item: Windowed | StateValue | Derived) -> list[Feature]:
        if isinstance(item, Derived):
            return [self._compile_derived(item)]
        if isinstance(item, StateValue) != (self.valid_from is not None):
            raise FeatureError(f"view {self.name}: windowed features need event_ts, state features valid_from")
        if isinstance(item, StateValue):
            name = "_".join(part for part in (self.name, item.label, item.unit) if part)
            about = item.description or item.measure
            return [self._feature(item, name, "state", _case([self.where], item.measure), item.unit, about)]
        values: Sequence[str | None] = item.by[1] if item.by else [None]
        return [
            self._windowed(item, value, agg, length) for value in values for agg in item.aggs for length in item.days
        ]

    def _windowed(self, item: Windowed, value: str | None, agg: str, length: int) -> Feature:
        unit = "cnt" if agg in ("count", "distinct") else item.unit
        parts = (self.name, item.label, value, agg, f"{length}d", unit)
        equal = None if item.by is None or value is None else f"{item.by[0]} = '{value}'"
        measure = _case([self.where, item.where, equal], item.measure)
        said = " and ".join(part for part in (None if item.description else item.where, equal) if part)
        about = f"{item.description or item.measure}{f' where {said}' if said else ''}"
        name = "_".join(part for part in parts if part)
        return self._feature(item, name, "windowed", measure, unit, about, agg, length)

    def _feature(
        self,
        item: Windowed | StateValue,
        name: str,
        kind: str,
        measure: str,
        unit: str,
        about: str,
        agg: str | None = None,
        days: int | None = None,
    ) -> Feature:
        span = f" over {days} days" if days else ""
        return Feature(
            name=name,
            view=self.name,
            kind=kind,
            measure=measure,
            agg=agg,
            days=days,
            unit=unit,
            description=f"{about}: {agg or 'value'}{span}",
            personal=item.personal or self.personal,
            purposes=frozenset(self.purposes),
            intermediate=item.intermediate,
            type=item.type,
        )

    def _compile_derived(self, item: Derived) -> Feature:
        name = "_".join(part for part in (self.name, item.name, item.unit) if part)
        words = dict.fromkeys(WORD.findall(item.sql))
        below = self._offered_below()
        known = {**below, **self._compiled}
        inputs = tuple(word for word in words if word in known)
        if not inputs:
            raise FeatureError(f"view {self.name}: derived {name} uses no feature that stands before it")
        personal = max((known[source].personal for source in inputs), key=_RANK.__getitem__)

        def as_published(word: re.Match[str]) -> str:
            """What comes from other views has one type, whether it is read from slices or computed at once."""
            found = below.get(word[0])
            return f"CAST({word[0]} AS {found.published_type})" if found else word[0]

        return Feature(
            name=name,
            view=self.name,
            kind="derived",
            measure=WORD.sub(as_published, item.sql),
            written=item.sql,
            agg=None,
            days=None,
            unit=item.unit,
            description=item.description or item.sql,
            personal=personal,
            purposes=frozenset(self.purposes),
            intermediate=item.intermediate,
            inputs=inputs,
            type=item.type,
        )


_CLOCKS = ("event_ts", "valid_from", "known_ts", "event_id", "valid_to", "sequence")


def _case(filters: Sequence[str | None], measure: str) -> str:
    holds = " AND ".join(f"({condition})" for condition in filters if condition)
    return f"CASE WHEN {holds} THEN {measure} END" if holds else measure


def _check_name(argument: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise FeatureError(f"{argument}: {name!r} is no feature name; use small letters, digits and underscores")
