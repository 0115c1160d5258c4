"""What the views of accounts share: the entity, the clocks of their two dated tables, owner and purposes."""

from __future__ import annotations

from strata.conf.contracts import Personal
from strata.features.definitions import Derived, Entity, FeatureView, StateValue, Windowed

ACCOUNT = Entity("account", ("account_id",), "account_book", "since", until="until")
PURPOSES = ("credit_risk", "monitoring", "collection", "marketing")
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
