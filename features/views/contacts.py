"""Contacts (通讯录核对): how many people somebody knows, by the labels given to them."""

from __future__ import annotations

from pyspark.sql import DataFrame

from strata.features.definitions import windowed
from strata.features.views.common import RISK_ALONE, customer_events, pace, share


def _owned(book: DataFrame) -> DataFrame:
    return book.withColumn("customer_id", book["owner_id"])


contacts = customer_events(
    "contacts",
    "contact_book",
    ("owner_id", "contact_phone_hash"),
    "The address book as shared, by when each contact was first seen.",
    windowed("contact_phone_hash", label="known", aggs=("distinct",), days=(90, 365, 3650)),
    windowed("contact_phone_hash", label="known", by=("relation_label", ("family", "colleague", "friend", "service")),
             aggs=("distinct",), days=(3650,)),
    windowed("contact_phone_hash", label="unlabelled", where="relation_label IS NULL", aggs=("distinct",),
             days=(3650,)),
    share("family_share", "contacts_known_family_distinct_3650d_cnt", "contacts_known_distinct_3650d_cnt",
          "contacts labelled as family"),
    share("unlabelled_share", "contacts_unlabelled_distinct_3650d_cnt", "contacts_known_distinct_3650d_cnt",
          "contacts without a label"),
    pace("new_share", "contacts_known_distinct_90d_cnt", "contacts_known_distinct_3650d_cnt", 1,
         "contacts first seen in the last 90 days, of all"),
    purposes=RISK_ALONE,
    prepare=_owned,
)  # fmt: skip
