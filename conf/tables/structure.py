"""Silver: the bank's own structure, products and campaigns."""

from __future__ import annotations

from strata.conf.contracts import col, rule
from strata.conf.tables.people import CHANNELS
from strata.conf.tables.shapes import RATE, listed, money, optional, silver

branch = silver(
    "branch",
    "one row a branch",
    "Branches (网点).",
    ("branch_id", "known_ts"),
    [
        col("branch_id", "int", "the branch"),
        col("district_id", "int", "its district"),
        col("name", "string", "its name"),
        col("lat", "double", "latitude", unit="degrees"),
        col("lon", "double", "longitude", unit="degrees"),
        col("system_capacity", "int", "applications that it can handle", unit="a month"),
        col("opened_on", "date", "day of opening"),
    ],
)
manager = silver(
    "manager",
    "one row a customer manager and period",
    "Customer managers (客户经理); periods are [valid_from, valid_to).",
    ("manager_id", "valid_from", "known_ts"),
    [
        col("manager_id", "int", "the manager"),
        col("branch_id", "int", "the branch"),
        col("grade", "int", "1 (junior) to 4 (senior)"),
        col("production_line", "string", "online (model-driven) or offline (visits)"),
        col("monthly_capacity", "int", "invitations that the manager can make", unit="a month"),
        col("valid_from", "date", "first day"),
        optional("valid_to", "date", "first day after; null while it lasts"),
    ],
    [listed("production_line", "online", "offline")],
)
product = silver(
    "product",
    "one row a product and period",
    "Products with price, cost and limits; periods are [valid_from, valid_to).",
    ("product_code", "valid_from", "known_ts"),
    [
        col("product_code", "string", "the product"),
        col("name", "string", "its name"),
        col("kind", "string", "current, loan, card, wealth, insurance"),
        col("role", "string", "traffic, sticky, profit"),
        col("base_rate", RATE, "annual rate before risk", nullable=True),
        col("funding_cost", RATE, "annual cost of its funding", nullable=True),
        optional("capital_weight", "double", "weight of its exposure in regulatory capital"),
        money("limit_min", "smallest amount", nullable=True),
        money("limit_max", "largest amount", nullable=True),
        optional("term_months", "int", "longest term", unit="months"),
        col("valid_from", "date", "first day"),
        optional("valid_to", "date", "first day after; null while it lasts"),
    ],
    [listed("role", "traffic", "sticky", "profit"), listed("kind", "current", "loan", "card", "wealth", "insurance")],
)
campaign = silver(
    "campaign",
    "one row a campaign",
    "Campaigns: what is offered, how, and when.",
    ("campaign_id", "known_ts"),
    [
        col("campaign_id", "int", "the campaign"),
        col("name", "string", "its name"),
        col("product_code", "string", "the product offered"),
        col("channel", "string", ", ".join(CHANNELS)),
        col("started_on", "date", "first day"),
        col("ended_on", "date", "last day"),
        money("unit_cost", "cost of a touch"),
        col("control_share", "double", "share held out", unit="0 to 1"),
    ],
    [listed("channel", *CHANNELS), rule("ended_on >= started_on", "ends before it starts")],
)
