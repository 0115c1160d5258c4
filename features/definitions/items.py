"""The items of a view as its author writes them: windowed aggregates, values of a state, derived SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from strata.conf.contracts import Personal
from strata.features.engine.aggregates import AGGREGATES, EVER
from strata.features.engine.inputs import FeatureError

_NAME = re.compile(r"[a-z][a-z0-9_]*")


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

    ``new`` counts the different values of a window that the entity never had before it; ``days=(EVER,)`` is a window
    of all time. Both see only what was known by the spine's time: a row that becomes known later never changes an
    earlier answer. Example: A was paid on day 1, which became known on day 50, and A and B on day 40, known at once.

    ======  =====================  ==================
    as of   ``new`` in 30 days     first payment ever
    ======  =====================  ==================
    day 45  2: A and B             day 40
    day 55  1: B, as A was before  day 1
    day 75  0: nobody was paid     day 1
    ======  =====================  ==================

    ``where`` is a SQL filter. ``by=("purpose", ("household", "pension"))`` makes one feature for each
    listed value. Names are ``<view>_<label>[_<value>]_<agg>_<d>d[_<unit>]``; counts get ``cnt``.
    ``intermediate`` features can be used by derived ones and are not offered to models. ``type`` is the
    Spark type in published tables, where it is not the usual one (see ``Feature.published_type``).
    Raises ``FeatureError`` on an unknown aggregate, a bad window or a missing label.
    """
    label = label or measure
    check_name("label", label)
    unknown = [agg for agg in aggs if agg not in AGGREGATES]
    if unknown or not aggs:
        raise FeatureError(f"aggs: {unknown or 'nothing'} is no aggregate; there are: {', '.join(AGGREGATES)}")
    if not days or any(isinstance(d, bool) or not isinstance(d, int) or not 1 <= d <= EVER for d in days):
        raise FeatureError(f"days: whole numbers from 1 to {EVER} (EVER) are expected, not {list(days)}")
    listed = None if by is None else (by[0], tuple(by[1]))
    for value in listed[1] if listed else ():
        check_name("by", value)
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
    check_name("label", label)
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
    check_name("name", name)
    return Derived(name, sql, unit, intermediate, description, type)


def check_name(argument: str, name: str) -> None:
    """Raises ``FeatureError`` unless ``name`` can be part of a feature's name."""
    if not _NAME.fullmatch(name):
        raise FeatureError(f"{argument}: {name!r} is no feature name; use small letters, digits and underscores")
