"""What a feature is made of: the columns of its tables, through all that it is derived from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from strata.conf.contracts import Table
from strata.features.definitions.code_fingerprint import reached_texts
from strata.features.definitions.feature import Feature
from strata.features.definitions.links import Link
from strata.features.definitions.view import WORD, FeatureView

_LITERAL = re.compile(r"'(?:[^'\\]|\\.|'')*'")
# A word that opens a bracket is a function's name, though a column may be called the same (day, month).
_COLUMN = re.compile(r"\b[A-Za-z_][A-Za-z0-9_]*\b(?!\s*\()")


@dataclass(frozen=True, order=True)
class Origin:
    """A column of a table that values come from."""

    table: str
    column: str


def words_of(sql: str) -> frozenset[str]:
    """The words of SQL that can be columns: not those of texts in quotes, and no functions."""
    return frozenset(_COLUMN.findall(_LITERAL.sub(" ", sql)))


def origins(feature: Feature, view: FeatureView, tables: Mapping[str, Table]) -> tuple[Origin, ...]:
    """The columns that the values of ``feature`` are computed from, in the order of the tables and their contracts.

    A column is a word of the SQL of the feature's measure, or of those that it is derived from, that the contract
    of the view's source has, or that a link brings; a view over others has those of what it takes. Of a table
    without a contract no column is known.
    """
    parts = [part for part in view.needed([feature.name]) if not part.inputs]
    found: list[Origin] = []
    for owner in view.by_name.values():
        words = frozenset().union(*(words_of(part.measure) for part in parts if part.view == owner.name))
        brought = {name: Origin(link.table, theirs) for link in owner.links for name, theirs in link.renamed.items()}
        found += [*_of_table(owner.source, words, tables), *(one for name, one in brought.items() if name in words)]
    return tuple(dict.fromkeys(found))


def shared_origins(view: FeatureView, tables: Mapping[str, Table]) -> tuple[Origin, ...]:
    """The columns that every feature of ``view`` depends on: keys, clocks, and how its links find whose a row is.

    A ``prepare`` function, with the helpers that it calls, is looked through for names of the source's columns.
    """
    if view.over:
        return tuple(dict.fromkeys(origin for below in view.over for origin in shared_origins(below, tables)))
    event = (view.event_id,) if isinstance(view.event_id, str) else view.event_id or ()
    clocks = (view.event_ts, view.valid_from, view.known_ts, view.valid_to, view.sequence)
    named = {*view.entity.keys, *event, *(name for name in clocks if name)}
    named.update(ours for link in view.links for ours, _ in link.on)
    if view.prepare:
        named.update(word for text in reached_texts(view.prepare) for word in WORD.findall(text))
    linked = [origin for link in view.links for origin in _of_link(link, tables)]
    return tuple(dict.fromkeys([*_of_table(view.source, named, tables), *linked]))


def _of_link(link: Link, tables: Mapping[str, Table]) -> tuple[Origin, ...]:
    named = {*(theirs for _, theirs in link.on), *link.renamed.values(), link.known_ts, *words_of(link.where or "")}
    return _of_table(link.table, named, tables)


def _of_table(table: str, words: Iterable[str], tables: Mapping[str, Table]) -> tuple[Origin, ...]:
    wanted = frozenset(words)
    known = tables[table].names if table in tables else ()
    return tuple(Origin(table, name) for name in known if name in wanted)
