"""What views share: entities, the clocks of their tables, owner, purposes, and shapes of derived features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyspark.sql import DataFrame

from strata.conf.contracts import Personal
from strata.features.definitions import Derived, Entity, FeatureView, StateValue, Windowed, derived
from strata.features.links import Link

ACCOUNT = Entity("account", ("account_id",), "account_book", "since", until="until")
CUSTOMER = Entity("customer", ("customer_id",), "customer", "event_ts", "known_ts")
PURPOSES = ("credit_risk", "monitoring", "collection", "marketing")
# Whose an account is, and which account a loan was granted on.
OWNER_OF_ACCOUNT = Link("account_holder", (("account_id", "account_id"),), ("customer_id",), "role = 'owner'")
ACCOUNT_OF_LOAN = Link("loan", (("loan_id", "loan_id"),), ("account_id",))
BORROWER = (ACCOUNT_OF_LOAN, OWNER_OF_ACCOUNT)
# What people do outside of banking is looked at to protect them and the bank, not to sell.
RISK_ALONE = ("credit_risk", "monitoring", "collection", "fraud")
OWNER = "data platform"


def transaction_view(name: str, description: str, *items: Windowed | Derived) -> FeatureView:
    """A view over postings: those before the spine's time that the bank knew by then."""
    return FeatureView(
        name=name,
        version=1,
        entity=ACCOUNT,
        source="transaction",
        items=items,
        description=description,
        owner=OWNER,
        purposes=PURPOSES,
        event_ts="event_ts",
        known_ts="known_ts",
        event_id="transaction_id",
        personal=Personal.QUASI,
    )


def account_view(name: str, description: str, *items: StateValue | Derived) -> FeatureView:
    """A view over the account as it was opened."""
    return FeatureView(
        name=name,
        version=1,
        entity=ACCOUNT,
        source="account",
        items=items,
        description=description,
        owner=OWNER,
        purposes=PURPOSES,
        valid_from="event_ts",
        known_ts="known_ts",
        personal=Personal.QUASI,
    )


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
    return FeatureView(
        name=name,
        version=1,
        entity=CUSTOMER,
        source=source,
        items=items,
        description=description,
        owner=OWNER,
        purposes=purposes,
        event_ts="event_ts",
        known_ts="known_ts",
        event_id=event_id,
        prepare=prepare,
        links=links,
        personal=Personal.QUASI,
    )


def customer_states(
    name: str, source: str, description: str, *items: StateValue | Derived, purposes: tuple[str, ...] = PURPOSES
) -> FeatureView:
    """A view over how a customer's newest record stands."""
    return FeatureView(
        name=name,
        version=1,
        entity=CUSTOMER,
        source=source,
        items=items,
        description=description,
        owner=OWNER,
        purposes=purposes,
        valid_from="event_ts",
        known_ts="known_ts",
        personal=Personal.QUASI,
    )


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
