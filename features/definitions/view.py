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
from strata.features.definitions.code_fingerprint import fingerprint
from strata.features.definitions.feature import Entity, Feature
from strata.features.definitions.items import Derived, StateValue, Windowed, check_name
from strata.features.definitions.links import Link
from strata.features.engine.aggregates import span_name, words_of_span
from strata.features.engine.inputs import FeatureError

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RANK = {Personal.NONE: 0, Personal.QUASI: 1, Personal.DIRECT: 2}


@dataclass(frozen=True)
class FeatureView:
    """A subject's features over one source table.

    An event view gives ``event_ts`` (events before the spine's time, in windows); a state view gives
    ``valid_from`` (the last state as of it). ``known_ts`` is when a row could first be used;
    ``event_id`` (one or more columns) tells versions of one event apart. ``where`` filters rows; ``prepare``
    is at most one small DataFrame to DataFrame function on the source: it may add columns and leave rows out, and
    makes each row of that row alone. One that looks at other rows (a window, a join, an aggregate, ``distinct`` …)
    could let in what was known later. It is refused when the view is computed, unless ``prepare_across_rows`` gives
    the reason why it may; slices are mended as if it didn't. ``links`` are the tables that say, one
    after the other, whose the rows are, when they don't themselves. A view ``over`` other views has no source and no
    clocks of its own: its derived features are made of what those views offer, as published, for the same entity.
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
    prepare_across_rows: str | None = None
    # The compiled features by name, made from the fields above.
    _compiled: dict[str, Feature] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        check_name("name", self.name)
        if self.over:
            self._check_over()
        elif (self.event_ts is None) == (self.valid_from is None):
            raise FeatureError(f"view {self.name}: give event_ts for events, or valid_from for states")
        if self.event_id and not self.known_ts:
            raise FeatureError(f"view {self.name}: event_id needs known_ts")
        if self.links and not self.known_ts:
            raise FeatureError(f"view {self.name}: links need known_ts")
        if self.prepare_across_rows is not None and not (self.prepare and self.prepare_across_rows.strip()):
            raise FeatureError(
                f"view {self.name}: prepare_across_rows is the reason why prepare may look at other rows; "
                "give it in words, with a prepare"
            )
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
        unit = "cnt" if agg in ("count", "distinct", "new") else item.unit
        parts = (self.name, item.label, value, agg, span_name(length), unit)
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
        span = f" over {words_of_span(days)}" if days else ""
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
