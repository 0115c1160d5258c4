"""Listings (黑名单): whether a person or a phone of theirs is on the industry's list."""

from __future__ import annotations

from strata.features.definitions.items import windowed
from strata.features.definitions.links import Link
from strata.features.definitions.view import FeatureView
from strata.features.views.common import RISK_ALONE, customer_events, since

OF_PERSON = Link("customer", (("subject_hash", "id_hash"),), ("customer_id",))
OF_PHONE = Link("customer", (("subject_hash", "phone_hash"),), ("customer_id",), at_most=5)


def _view(name: str, what: str, link: Link) -> FeatureView:
    return customer_events(
        name,
        "blacklist",
        ("listing_id", "customer_id"),
        f"Listings of {what}, also those taken back.",
        windowed("listing_id", label="listed", aggs=("count",), days=(365, 1095)),
        windowed("reason", label="reasons", aggs=("distinct",), days=(1095,)),
        windowed("listing_id", label="standing", where="removed_on IS NULL", aggs=("count",), days=(1095,)),
        *since(name, "since_listed", 1095, "days since the last listing; null when none in three years"),
        purposes=RISK_ALONE,
        links=(link,),
    )  # fmt: skip


person_listing = _view("person_listing", "the person", OF_PERSON)
phone_listing = _view("phone_listing", "a phone of the person", OF_PHONE)
