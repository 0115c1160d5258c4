"""The relationship network: who is who, the dated ties, the hubs, and what they say of an account."""

from __future__ import annotations

from strata.conf.contracts import Column, Layer, Personal, Table, col, rule
from strata.conf.tables.shapes import CURRENCY, EVENT, KNOWN, listed, person

MONEY_SUM = "decimal(28,2)"
ENTITIES = ("customer", "account", "counterparty", "phone", "device", "address", "employer")
PERSON_TIES = (
    "co_account", "shared_phone", "shared_device", "shared_address", "colleague", "contact", "call", "transfer",
    "guarantee", "guaranteed", "family", "referral",
)  # fmt: skip
NEIGHBOURS: tuple[Column, ...] = (
    col("network_neighbour_cnt", "bigint", "accounts that pay a payee of this account"),
    col("network_shared_payee_cnt", "bigint", "payees in common with them"),
    col("network_neighbour_loan_cnt", "bigint", "their loans granted by then"),
    col("network_neighbour_outcome_cnt", "bigint", "their loans whose outcome was known by then"),
    col("network_neighbour_default_ratio", "double", "bad among those; null when there is none", nullable=True),
    col("network_neighbour_exposure_amt", MONEY_SUM, "granted amount of their unfinished loans", unit=CURRENCY),
)

_KIND_WORDS = {kind: kind.replace("_", " ") for kind in PERSON_TIES} | {
    "guarantee": "backed borrower", "guaranteed": "guarantor", "family": "relative", "referral": "referral partner",
    "call": "call partner", "transfer": "transfer partner", "co_account": "co-holder of an account",
}  # fmt: skip
CONTAGION: tuple[Column, ...] = (
    *(
        column
        for kind, words in _KIND_WORDS.items()
        for column in (
            col(f"contagion_{kind}_cnt", "bigint", f"neighbours by the tie {words}"),
            col(f"contagion_{kind}_bad_cnt", "bigint", f"of them once 90 days past due ({words})"),
            col(
                f"contagion_{kind}_bad_ratio", "double", f"share of bad ones; null without any ({words})", nullable=True
            ),
        )
    ),
    col("contagion_weighted_bad_ratio", "double", "share of bad ones by strength of tie; null alone", nullable=True),
    col("contagion_all_cnt", "bigint", "neighbours by any tie"),
    col("contagion_all_bad_cnt", "bigint", "of them once 90 days past due"),
    col("contagion_all_bad_ratio", "double", "share of bad ones; null without any", nullable=True),
    col("contagion_exposure_amt", MONEY_SUM, "what the neighbours' loans owe", unit=CURRENCY),
    col("contagion_bad_exposure_amt", MONEY_SUM, "of it by those once 90 days past due", unit=CURRENCY),
    col("contagion_far_cnt", "bigint", "people exactly two steps away, colleagues' colleagues left out"),
    col("contagion_far_bad_cnt", "bigint", "of them once 90 days past due"),
    col("contagion_far_bad_ratio", "double", "share of bad ones; null without any", nullable=True),
    col("contagion_listed_steps", "int", "steps to the nearest other customer on the blacklist, 1 to 3", nullable=True),
)

vertex = Table(
    name="vertex",
    layer=Layer.SILVER,
    grain="one row a customer, account, outside counterparty, phone, device, address or employer",
    description="The stable id map: a key keeps its id for ever.",
    key=("id",),
    columns=(
        col("id", "bigint", "the vertex"),
        col("key", "string", "entity and natural key; what identifies by its token", personal=Personal.QUASI),
        col("entity", "string", ", ".join(ENTITIES)),
        col("known_ts", "timestamp", "when the bank first knew of it"),
    ),
    checks=(listed("entity", *ENTITIES),),
)

relationship = Table(
    name="relationship",
    layer=Layer.SILVER,
    grain="one row a tie and moment at which evidence for it became known",
    description="Typed, directed, dated ties: any earlier day's graph can be cut out of them.",
    key=("src", "dst", "kind", "known_ts"),
    columns=(
        col("src", "bigint", "from this vertex"),
        col("dst", "bigint", "to this vertex"),
        col("kind", "string", "co_account, transfer, receipt, phone, device, address, employer, contact, call, "
            "guarantee, family or referral"),
        col("known_ts", "timestamp", "when this evidence was known"),
        col("evidence_count", "bigint", "pieces of evidence; below 0 where a correction takes some back"),
        col("amount", MONEY_SUM, "money moved or guaranteed, null without", unit=CURRENCY, nullable=True),
        col("first_seen", "timestamp", "first of them, null when undated", nullable=True),
        col("last_seen", "timestamp", "last of them, null when undated", nullable=True),
        col("weight", "double", "ln(1 + evidence), 0 for what is taken back"),
    ),
)  # fmt: skip

person_tie = Table(
    name="person_tie",
    layer=Layer.SILVER,
    grain="one row two customers in an order, kind of tie and span in which its evidence counts",
    description="Ties between people, made from the graph of people and things, hubs left out.",
    key=("customer_id", "neighbour_id", "kind", "known_ts", "until_ts"),
    columns=(
        person(),
        person("neighbour_id", "who is tied to the customer"),
        col("kind", "string", ", ".join(PERSON_TIES)),
        col("known_ts", "timestamp", "when this evidence was known"),
        col("until_ts", "timestamp", "from when what ties them is a hub; in the year 9999: never"),
        col("evidence_count", "bigint", "pieces of evidence; below 0 where a correction takes some back"),
        col("amount", MONEY_SUM, "money moved or guaranteed, null without", unit=CURRENCY, nullable=True),
    ),
    checks=(listed("kind", *PERSON_TIES), rule("customer_id <> neighbour_id", "a tie to oneself")),
)

hub_register = Table(
    name="hub_register",
    layer=Layer.SILVER,
    grain="one row a vertex and kind of tie",
    description="Vertices with more neighbours of a kind than the policy's cap: their ties are no links.",
    key=("id", "kind"),
    columns=(
        col("id", "bigint", "the vertex"),
        col("kind", "string", "kind of tie"),
        col("degree_cnt", "bigint", "its neighbours of that kind"),
        col("cap", "int", "most that a vertex may have"),
        col("hub_from_ts", "timestamp", "when the first neighbour above the cap became known"),
        col("reason", "string", "in words"),
    ),
)

network_contagion = Table(
    name="network_contagion",
    layer=Layer.GOLD,
    grain="one row a customer and day",
    description="What those around a customer were known to be on that morning; the own outcome never counts.",
    key=("as_of_date", "customer_id"),
    columns=(
        col("as_of_date", "date", "the bank day; only ties and outcomes known by its first moment"),
        person(),
        EVENT,
        KNOWN,
        *CONTAGION,
    ),
    slice_by=("as_of_date",),
    owner="risk",
)

feature_application_network = Table(
    name="feature_application_network",
    layer=Layer.FEATURES,
    grain="one row an application",
    description="An applicant's neighbours as known at the application's own moment; the own outcome never counts.",
    key=("loan_id",),
    columns=(col("loan_id", "bigint", "the application"), *NEIGHBOURS),
)

feature_application_contagion = Table(
    name="feature_application_contagion",
    layer=Layer.FEATURES,
    grain="one row per application",
    description="What those around an applicant were known to be at the moment of applying.",
    key=("application_id",),
    columns=(col("application_id", "bigint", "the application"), *CONTAGION),
)

network_risk = Table(
    name="network_risk",
    layer=Layer.GOLD,
    grain="one row an account and day",
    description="Where an account stands in the network of that morning, and what its neighbours were known to be.",
    key=("as_of_date", "account_id"),
    columns=(
        col("as_of_date", "date", "the bank day; only ties and outcomes known by its first moment"),
        col("account_id", "bigint", "the account"),
        col("network_component", "bigint", "smallest vertex of its connected group"),
        col("network_component_size_cnt", "bigint", "vertices in that group"),
        col("network_co_account_cnt", "bigint", "people who may use it"),
        col("network_transfer_cnt", "bigint", "counterparties paid"),
        col("network_receipt_cnt", "bigint", "counterparties that paid in"),
        col("network_pagerank", "double", "weighted rank in the graph; ranks sum to 1"),
        col("network_hub_flag", "int", "1 when it is a hub of some kind"),
        *NEIGHBOURS,
    ),
    slice_by=("as_of_date",),
    owner="risk",
)
