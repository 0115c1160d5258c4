"""What source systems deliver: one feed a silver table, with its format, its clear identifiers and its clocks.

A feed's columns are those of its silver table, identifiers in clear where silver holds their tokens, and the
times that only the source knows. Bronze tables and mappings follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from strata.conf.contracts import Column, Frozen, Table

Format = Literal["csv", "json", "parquet"]
CLOCKS = ("event_ts", "known_ts")
# The day of the folder in which a file was dropped: its rows can be used the next morning.
DROPPED = "CAST(date_add(dropped_on, 1) AS TIMESTAMP)"


class Feed(Frozen):
    """Files named ``<kind>`` or ``<kind>_…`` in dated folders, for one silver table.

    ``clear`` maps a token's silver column to the delivered identifier; ``times`` are delivered timestamps that silver
    needs for its clocks alone; ``event`` and ``known`` are Spark SQL over silver columns, ``times`` and
    ``dropped_on``; ``references`` say in which table a column's value must be known.
    """

    kind: str
    table: str
    format: Format
    event: str
    known: str = DROPPED
    clear: Mapping[str, str] = {}
    times: tuple[str, ...] = ()
    references: Mapping[str, str] = {}

    @property
    def bronze(self) -> str:
        """The bronze table."""
        return f"bronze_{self.kind}"

    def delivered(self, contract: Table) -> tuple[str, ...]:
        """The columns of a file, in order."""
        return tuple(self.types(contract))

    def meant(self, contract: Table) -> dict[str, Column]:
        """The silver columns by what they are called in a file, in order."""
        return {
            self.clear.get(column.name, column.name): column for column in contract.columns if column.name not in CLOCKS
        }

    def types(self, contract: Table) -> dict[str, str]:
        """The SQL types of a file's columns, in order."""
        return {name: column.type for name, column in self.meant(contract).items()} | dict.fromkeys(
            self.times, "timestamp"
        )


def _feed(kind: str, table: str, format: Format, event: str, **more: object) -> Feed:  # noqa: A002
    return Feed(kind=kind, table=table, format=format, event=event, **more)


# In the order in which they refer to each other. The first word of a kind is the system that delivers it.
FEEDS: tuple[Feed, ...] = (
    _feed("org_district", "district", "csv", "CAST(NULL AS TIMESTAMP)"),
    _feed("org_branch", "branch", "csv", "opened_on", references={"district_id": "district"}),
    _feed("org_manager", "manager", "csv", "valid_from", references={"branch_id": "branch"}),
    _feed("org_product", "product", "csv", "valid_from"),
    _feed(
        "org_campaign",
        "campaign",
        "csv",
        "started_on",
        known="GREATEST(CAST(started_on AS TIMESTAMP), " + DROPPED + ")",
        references={"product_code": "product"},
    ),
    _feed("crm_employer", "employer", "csv", "valid_from"),
    _feed(
        "crm_customer",
        "customer",
        "csv",
        "valid_from",
        known="recorded_at",
        clear={"id_hash": "id_number", "phone_hash": "phone", "home_address_hash": "home_address"},
        times=("recorded_at",),
        references={"district_id": "district"},
    ),
    _feed("crm_education", "education_record", "json", "graduated_on", references={"customer_id": "customer"}),
    _feed(
        "gov_security_check",
        "public_security_check",
        "json",
        "checked_at",
        known="checked_at",
        times=("checked_at",),
        references={"customer_id": "customer"},
    ),
    _feed("gov_social_insurance", "social_insurance", "csv", "month", references={"customer_id": "customer"}),
    _feed("gov_housing_fund", "housing_fund", "csv", "month", references={"customer_id": "customer"}),
    _feed("crm_business", "business_profile", "csv", "valid_from", references={"customer_id": "customer"}),
    _feed("tax_business_sales", "business_sales", "csv", "month", references={"business_id": "business_profile"}),
    _feed("crm_consent", "consent", "json", "valid_from", known="valid_from", references={"customer_id": "customer"}),
    _feed(
        "core_account",
        "account",
        "csv",
        "opened_on",
        known="booked_at",
        clear={"account_hash": "account_number"},
        times=("booked_at",),
        references={"district_id": "district"},
    ),
    _feed(
        "core_account_holder",
        "account_holder",
        "csv",
        "booked_at",
        known="booked_at",
        times=("booked_at",),
        references={"account_id": "account", "customer_id": "customer"},
    ),
    _feed(
        "core_transaction",
        "transaction",
        "csv",
        "occurred_at",
        known="posted_at",
        clear={"counterparty_hash": "counterparty_account"},
        times=("occurred_at", "posted_at"),
        references={"account_id": "account"},
    ),
    _feed("wealth_holding", "wealth_holding", "parquet", "month_end", references={"customer_id": "customer"}),
    _feed(
        "credit_application",
        "loan_application",
        "json",
        "applied_at",
        known="decided_at",
        times=("applied_at", "decided_at"),
        references={"customer_id": "customer"},
    ),
    _feed(
        "credit_loan",
        "loan",
        "csv",
        "opened_on",
        known="booked_at",
        times=("booked_at",),
        references={"account_id": "account"},
    ),
    _feed(
        "credit_schedule",
        "repayment_schedule",
        "parquet",
        "due_on",
        known="booked_at",
        times=("booked_at",),
        references={"loan_id": "loan"},
    ),
    _feed(
        "credit_repayment",
        "repayment",
        "csv",
        "paid_on",
        known="posted_at",
        times=("posted_at",),
        references={"loan_id": "loan"},
    ),
    _feed("credit_delinquency", "delinquency", "parquet", "month_end", references={"loan_id": "loan"}),
    _feed(
        "collect_action",
        "collection_action",
        "json",
        "acted_at",
        known="recorded_at",
        times=("acted_at", "recorded_at"),
        references={"loan_id": "loan"},
    ),
    _feed("crm_tie", "declared_tie", "csv", "valid_from", references={"src_customer_id": "customer"}),
    _feed(
        "bureau_report",
        "bureau_report",
        "json",
        "reported_at",
        known="received_at",
        times=("reported_at", "received_at"),
        references={"customer_id": "customer"},
    ),
    _feed("bureau_blacklist", "blacklist", "csv", "listed_on", clear={"subject_hash": "subject"}),
    _feed(
        "app_device",
        "device",
        "json",
        "valid_from",
        clear={"device_hash": "device_serial"},
        references={"customer_id": "customer"},
    ),
    _feed(
        "app_event",
        "app_event",
        "json",
        "occurred_at",
        known="received_at",
        clear={"device_hash": "device_serial"},
        times=("occurred_at", "received_at"),
        references={"customer_id": "customer"},
    ),
    _feed(
        "app_contact",
        "contact_book",
        "json",
        "first_seen",
        clear={"contact_phone_hash": "contact_phone"},
        references={"owner_id": "customer"},
    ),
    _feed(
        "app_call",
        "call_record",
        "parquet",
        "started_at",
        known="received_at",
        clear={"caller_hash": "caller_phone", "callee_hash": "callee_phone"},
        times=("started_at", "received_at"),
    ),
    _feed(
        "crm_address",
        "address_use",
        "csv",
        "valid_from",
        clear={"address_hash": "address"},
        references={"customer_id": "customer", "district_id": "district"},
    ),
    _feed(
        "app_location",
        "location_ping",
        "parquet",
        "occurred_at",
        known="received_at",
        times=("occurred_at", "received_at"),
        references={"customer_id": "customer"},
    ),
    _feed("web_interest", "browsing_interest", "parquet", "day", references={"customer_id": "customer"}),
    _feed(
        "partner_visit",
        "scene_visit",
        "json",
        "visited_at",
        times=("visited_at",),
        references={"customer_id": "customer"},
    ),
    _feed(
        "crm_marketing",
        "marketing_contact",
        "csv",
        "touched_at",
        # An answer without a time of its own, such as none, is known by the drop: at the touch nobody knew it.
        known=f"COALESCE(response_ts, CASE WHEN response IS NULL THEN touched_at ELSE {DROPPED} END)",
        times=("touched_at",),
        references={"customer_id": "customer", "campaign_id": "campaign"},
    ),
)
