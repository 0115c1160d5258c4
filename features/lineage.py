"""What a feature is made of: the columns of its tables, through all that it is derived from."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from strata.conf.contracts import Table
from strata.features.definitions import WORD, Feature, FeatureView
from strata.features.links import Link

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
    of the view's source has, or that a link brings. Of a table without a contract no column is known.
    """
    measures = [part.measure for part in view.needed([feature.name]) if not part.inputs]
    words = frozenset().union(*map(words_of, measures))
    brought = {name: link.table for link in view.links for name in link.brings}
    from_links = [Origin(table, name) for name, table in brought.items() if name in words]
    return (*_of_table(view.source, words, tables), *from_links)


def shared_origins(view: FeatureView, tables: Mapping[str, Table]) -> tuple[Origin, ...]:
    """The columns that every feature of ``view`` depends on: keys, clocks, and how its links find whose a row is.

    A ``prepare`` function is looked through for names of the source's columns.
    """
    event = (view.event_id,) if isinstance(view.event_id, str) else view.event_id or ()
    clocks = (view.event_ts, view.valid_from, view.known_ts, view.valid_to, view.sequence)
    named = {*view.entity.keys, *event, *(name for name in clocks if name)}
    named.update(ours for link in view.links for ours, _ in link.on)
    if view.prepare:
        named.update(WORD.findall(inspect.getsource(view.prepare)))
    linked = [origin for link in view.links for origin in _of_link(link, tables)]
    return tuple(dict.fromkeys([*_of_table(view.source, named, tables), *linked]))


def _of_link(link: Link, tables: Mapping[str, Table]) -> tuple[Origin, ...]:
    named = {*(theirs for _, theirs in link.on), *link.brings, link.known_ts, *words_of(link.where or "")}
    return _of_table(link.table, named, tables)


def _of_table(table: str, words: Iterable[str], tables: Mapping[str, Table]) -> tuple[Origin, ...]:
    wanted = frozenset(words)
    known = tables[table].names if table in tables else ()
    return tuple(Origin(table, name) for name in known if name in wanted)
