"""What views share: entities, the clocks of their tables, owner, purposes, and shapes of derived features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.contracts import Personal
from strata.conf.simulation import load_calendar
from strata.features.definitions.feature import Entity
from strata.features.definitions.items import Derived, StateValue, Windowed, derived, windowed
from strata.features.definitions.links import Link
from strata.features.definitions.view import FeatureView
from strata.features.engine.aggregates import EVER, span_name
from strata.features.governance.purposes import PURPOSES

ACCOUNT = Entity("account", ("account_id",), "account_book", "since", until="until")
CUSTOMER = Entity("customer", ("customer_id",), "customer", "event_ts", "known_ts")
# Whose an account is, and which account a loan was granted on.
OWNER_OF_ACCOUNT = Link("account_holder", (("account_id", "account_id"),), ("customer_id",), "role = 'owner'")
# The same, where the owner is not whom the row is to describe.
ACCOUNT_OF_MEMBER = replace(OWNER_OF_ACCOUNT, brings=(("customer_id", "member_id"),))
ACCOUNT_OF_LOAN = Link("loan", (("loan_id", "loan_id"),), ("account_id",))
BORROWER = (ACCOUNT_OF_LOAN, OWNER_OF_ACCOUNT)
# What people do outside of banking is looked at to protect them and the bank, not to sell.
RISK_ALONE = ("credit_risk", "monitoring", "collection", "fraud")
OWNER = "data platform"


def transaction_view(name: str, description: str, *items: Windowed | Derived) -> FeatureView:
    """A view over postings: those before the spine's time that the bank knew by then."""
    return _view(ACCOUNT, name, "transaction", description, items, event_ts="event_ts", event_id="transaction_id")


def account_view(name: str, description: str, *items: StateValue | Derived) -> FeatureView:
    """A view over the account as it was opened."""
    return _view(ACCOUNT, name, "account", description, items, valid_from="event_ts")


def customer_events(
    name: str,
    source: str,
    event_id: str | tuple[str, ...],
    description: str,
    *items: Windowed | Derived,
    purposes: tuple[str, ...] = PURPOSES,
    prepare: Callable[[DataFrame], DataFrame] | None = None,
    links: tuple[Link, ...] = (),
) -> FeatureView:
    """A view over what happened to a customer: of several versions of an event the latest that was known."""
    return _view(
        CUSTOMER, name, source, description, items,
        purposes=purposes, event_ts="event_ts", event_id=event_id, prepare=prepare, links=links,
    )  # fmt: skip


def customer_states(
    name: str, source: str, description: str, *items: StateValue | Derived, purposes: tuple[str, ...] = PURPOSES
) -> FeatureView:
    """A view over how a customer's newest record stands."""
    return _view(CUSTOMER, name, source, description, items, purposes=purposes, valid_from="event_ts")


def _view(
    entity: Entity,
    name: str,
    source: str,
    description: str,
    items: tuple[Windowed | StateValue | Derived, ...],
    *,
    purposes: tuple[str, ...] = PURPOSES,
    known_ts: str | None = "known_ts",
    **more: Any,
) -> FeatureView:
    """What is the same for every view of a person or an account."""
    return FeatureView(
        name=name, version=1, entity=entity, source=source, items=items, description=description, owner=OWNER,
        purposes=purposes, known_ts=known_ts, personal=Personal.QUASI, **more,
    )  # fmt: skip


def customer_ratios(
    name: str, over: tuple[FeatureView, ...], description: str, *items: Derived, purposes: tuple[str, ...]
) -> FeatureView:
    """A view of what other views' features say of each other."""
    return _view(CUSTOMER, name, "", description, items, purposes=purposes, known_ts=None, over=over)


def with_holidays(postings: DataFrame) -> DataFrame:
    """Postings with ``is_holiday``, by the notices of the State Council, which come out before the year begins."""
    days = F.array(*(F.lit(day) for day in sorted(load_calendar().holidays)))
    return postings.withColumn("is_holiday", F.array_contains(days, F.to_date("event_ts")))


def since(
    view: str, name: str, days: int, description: str, *, label: str = "latest", where: str | None = None
) -> tuple[Windowed, Derived]:
    """Days since the last event of ``days`` days that holds ``where``; null without any."""
    last = windowed("event_ts", label=label, where=where, aggs=("last",), days=(days,), intermediate=True)
    passed = f"datediff(:at, {view}_{label}_last_{days}d)"
    return last, derived(name, passed, unit="days", description=description)


def since_first(
    view: str, name: str, description: str, *, label: str = "first", where: str | None = None
) -> tuple[Windowed, Derived]:
    """Days since the first event ever that holds ``where``, of those known by then; null without any."""
    first = windowed("event_ts", label=label, where=where, aggs=("min",), days=(EVER,), intermediate=True)
    passed = f"datediff(:at, {view}_{label}_min_{span_name(EVER)})"
    return first, derived(name, passed, unit="days", description=description)


def streak(
    view: str, name: str, length: int, description: str, *, label: str, where: str | None = None,
    moment: str = "event_ts", late: int = 0,
) -> tuple[Windowed, Derived]:  # fmt: skip
    """Months in a row, up to ``length`` before that of the spine's time, with an event of ``where`` in each.

    ``moment`` says to which month a row counts; the last ``late`` months, of which a source that comes late knows
    nothing yet, are passed over. Months are bits of one whole number, so a window of any length takes one value.
    """
    seen = windowed(
        f"shiftleft(1L, CAST(pmod(12 * year({moment}) + month({moment}), 60) AS int))", label=f"{label}_months",
        where=where, aggs=("bits",), days=(31 * (length + late + 1),), intermediate=True,
    )  # fmt: skip
    bits = f"coalesce({view}_{label}_months_bits_{31 * (length + late + 1)}d, 0)"
    there = f"{bits} & shiftleft(1L, CAST(pmod(12 * year(:at) + month(:at) - {late} - k, 60) AS int)) <> 0"
    counted = f"aggregate(sequence(1, {length}), 0, (n, k) -> IF(n = k - 1 AND {there}, k, n))"
    return seen, derived(name, counted, unit="months", type="int", description=description)


def km_apart(lat: str, lon: str, other_lat: str, other_lon: str) -> str:
    """SQL of the distance of two places in km: a degree of latitude is 111, and a few of them are flat enough."""
    return f"111 * sqrt(power({lat} - {other_lat}, 2) + power(({lon} - {other_lon}) * cos(radians({lat})), 2))"


def share(name: str, part: str, whole: str, description: str) -> Derived:
    """One feature as a share of another; null where there is nothing to share."""
    return derived(name, f"{part} / nullif({whole}, 0)", unit="ratio", description=description)


def pace(name: str, short: str, long: str, times: float, description: str) -> Derived:
    """What came lately against what is usual, both scaled to the same span; 1 is steady."""
    return derived(name, f"{times} * {short} / nullif({long}, 0)", unit="ratio", description=description)


def entropy(name: str, parts: Sequence[str], description: str) -> Derived:
    """How evenly a total spreads over its parts: 0 all in one, 1 all alike; null without any (Shannon 1948)."""
    array = f"array({', '.join(f'CAST({part} AS double)' for part in parts)})"
    whole = " + ".join(parts)
    terms = f"aggregate(filter({array}, x -> x > 0), 0D, (sum, x) -> sum - x / ({whole}) * ln(x / ({whole})))"
    sql = f"CASE WHEN {whole} > 0 THEN {terms} / ln({len(parts)}) END"
    return derived(name, sql, unit="ratio", description=description)
