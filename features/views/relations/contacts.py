"""Contacts (通讯录核对): how many people somebody knows, by the labels given to them."""

from __future__ import annotations

from pyspark.sql import DataFrame

from strata.features.definitions.items import windowed
from strata.features.definitions.links import Link
from strata.features.views.common import (
    ACCOUNT_OF_LOAN,
    ACCOUNT_OF_MEMBER,
    RISK_ALONE,
    customer_events,
    pace,
    share,
    since,
)

RELATIONS = ("family", "colleague", "friend", "service")


def _owned(book: DataFrame) -> DataFrame:
    return book.withColumn("customer_id", book["owner_id"])


contacts = customer_events(
    "contacts",
    "contact_book",
    ("owner_id", "contact_phone_hash"),
    "The address book as shared, by when each contact was first seen.",
    windowed("contact_phone_hash", label="known", aggs=("distinct",), days=(90, 365, 3650)),
    windowed("contact_phone_hash", label="known", by=("relation_label", RELATIONS),
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

# Whose phone it is, and who has it in a book; a phone that hundreds have is a shop's.
PHONE_OF_MEMBER = Link("customer", (("member_id", "customer_id"),), ("phone_hash",))
HOLDERS_OF_PHONE = Link(
    "contact_book", (("phone_hash", "contact_phone_hash"),), (("owner_id", "customer_id"),), at_most=100
)
OTHERS = "member_id <> customer_id"

contact_arrears = customer_events(
    "contact_arrears",
    "delinquency",
    ("loan_id", "month_end", "customer_id"),
    "Arrears of the customers in somebody's contact book, as known then; one's own never count.",
    windowed("member_id", label="lent", where=OTHERS, aggs=("distinct",), days=(365, 730)),
    windowed("member_id", label="late", where=f"{OTHERS} AND days_past_due >= 30", aggs=("distinct",),
             days=(92, 365, 730)),
    windowed("member_id", label="defaulted", where=f"{OTHERS} AND days_past_due >= 90", aggs=("distinct",),
             days=(365, 730)),
    windowed("overdue_amount", label="overdue", where=OTHERS, aggs=("max",), days=(92,), unit="amt"),
    *since("contact_arrears", "since_default", 730,
           "days since a month end at which a contact was 90 days past due; null when none in two years",
           label="defaulting", where=f"{OTHERS} AND days_past_due >= 90"),
    share("late_share_365d", "contact_arrears_late_distinct_365d_cnt", "contact_arrears_lent_distinct_365d_cnt",
          "contacts 30 days past due, of the contacts with a loan"),
    purposes=RISK_ALONE,
    links=(ACCOUNT_OF_LOAN, ACCOUNT_OF_MEMBER, PHONE_OF_MEMBER, HOLDERS_OF_PHONE),
)  # fmt: skip
