"""The relationship network: who is who, the dated ties, the hubs, and what they say of an account."""

from __future__ import annotations

from strata.conf.contracts import Column, Layer, Personal, Table, col, rule

MONEY_SUM = "decimal(28,2)"
NEIGHBOURS: tuple[Column, ...] = (
    col("network_neighbour_cnt", "bigint", "accounts that pay a payee of this account"),
    col("network_shared_payee_cnt", "bigint", "payees in common with them"),
    col("network_neighbour_loan_cnt", "bigint", "their loans granted by then"),
    col("network_neighbour_outcome_cnt", "bigint", "their loans whose outcome was known by then"),
    col("network_neighbour_default_ratio", "double", "bad among those; null when there is none", nullable=True),
    col("network_neighbour_exposure_amt", MONEY_SUM, "granted amount of their unfinished loans", unit="CZK"),
)

vertex = Table(
    name="vertex",
    layer=Layer.SILVER,
    grain="one row a customer, account or outside counterparty",
    description="The stable id map: a key keeps its id for ever.",
    key=("id",),
    columns=(
        col("id", "bigint", "the vertex"),
        col("key", "string", "entity and natural key; outside accounts by their token", personal=Personal.QUASI),
        col("entity", "string", "customer, account or counterparty"),
        col("known_ts", "timestamp", "when the bank first knew of it"),
    ),
    checks=(rule("entity IN ('customer', 'account', 'counterparty')", "unknown entity"),),
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
        col("kind", "string", "co_account, transfer or receipt"),
        col("known_ts", "timestamp", "when this evidence was known"),
        col("evidence_count", "bigint", "pieces of evidence"),
        col("amount", MONEY_SUM, "money moved, null without", unit="CZK", nullable=True),
        col("first_seen", "timestamp", "first of them, null when undated", nullable=True),
        col("last_seen", "timestamp", "last of them, null when undated", nullable=True),
        col("weight", "double", "ln(1 + evidence)"),
    ),
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

feature_application_network = Table(
    name="feature_application_network",
    layer=Layer.FEATURES,
    grain="one row an application",
    description="An applicant's neighbours as known at the application's own moment; the own outcome never counts.",
    key=("loan_id",),
    columns=(col("loan_id", "bigint", "the application"), *NEIGHBOURS),
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
    snapshot_by="as_of_date",
    owner="risk",
)
