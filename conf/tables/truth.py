"""The simulated bank's truth: apart from the lake, known to no job but its maker and evaluation.

These contracts are not in ``ALL``: a lake refuses to read them by name.
"""

from __future__ import annotations

from strata.conf.contracts import Column, Layer, Table, col
from strata.conf.tables.shapes import optional, person

TRAITS = ("ability", "willingness", "stability", "sociability", "digital", "price_sensitivity")


def _truth(name: str, grain: str, description: str, key: tuple[str, ...], *columns: Column) -> Table:
    return Table(name=name, layer=Layer.TRUTH, grain=grain, description=description, key=key, columns=columns)


truth_person = _truth(
    "truth_person",
    "one row a customer",
    "Latent traits, and the PD of a standard consumer loan granted at the start with what drives it.",
    ("customer_id",),
    person(),
    *(col(name, "double", f"latent {name.replace('_', ' ')}, about standard normal") for name in TRAITS),
    col("income", "double", "monthly income in a month of work", unit="CNY"),
    col("standard_pd", "double", "chance of 90+ DPD in twelve months"),
    col("pd_willingness", "double", "what willingness adds to the logarithm of the hazard"),
    col("pd_ability", "double", "what ability adds"),
    col("pd_stability", "double", "what stability adds"),
    col("pd_price_sensitivity", "double", "what price sensitivity adds"),
    col("is_dormant", "boolean", "whether the account sleeps at the start"),
    optional("wakes_on", "date", "first month of being awake again; null: never"),
    optional("loses_work_on", "date", "first month without work"),
    optional("moves_on", "date", "first month at the new address"),
)
truth_credit = _truth(
    "truth_credit",
    "one row an application",
    "What decided an application, what a loan would do, and what it did: also of the refused.",
    ("application_id",),
    col("application_id", "bigint", "the application"),
    person(),
    col("decision", "string", "what the old policy and the customer decided"),
    col("policy_view", "double", "what the old policy thought; higher is better"),
    col("true_pd", "double", "chance of 90+ DPD in twelve months if granted, without contagion"),
    col("would_default", "boolean", "whether it would reach 90+ DPD in twelve months if granted, without contagion"),
    col("acceptance", "double", "chance of accepting the rate offered"),
    col("acceptance_a_point_dearer", "double", "chance at a rate one point higher"),
    optional("loan_id", "bigint", "the loan, if granted"),
    optional("stops_on", "date", "first instalment not paid; null: all are paid"),
    optional("cured_on", "date", "when it was made good"),
    optional("infected_by", "bigint", "the customer whose default it would not have happened without"),
    optional("recovered_share", "double", "share of the balance that a loan not made good brings back"),
    col("cure_untreated", "double", "chance of making good unless reached"),
    col("cure_reached", "double", "chance of making good if reached"),
)
truth_response = _truth(
    "truth_response",
    "one row a customer, product and channel",
    "True chances of taking a product up, approached or not: their difference is the uplift.",
    ("customer_id", "product_code", "channel"),
    person(),
    col("product_code", "string", "the product"),
    col("channel", "string", "the channel"),
    col("untreated", "double", "chance with nobody saying anything"),
    col("treated", "double", "chance once approached"),
)
truth_group = _truth(
    "truth_group",
    "one row a group and member",
    "Households, rings of four kinds, guarantee circles of four kinds, and the giant employer.",
    ("kind", "group_id", "customer_id"),
    col("kind", "string", "household, ring_…, circle_…, giant_employer, hub_phone"),
    col("group_id", "bigint", "the group, within its kind"),
    person(),
    col("place", "int", "place in the group: heads are 0"),
)
truth_referral = _truth(
    "truth_referral",
    "one row a customer who came by a referral",
    "Who really referred whom, declared or not.",
    ("customer_id",),
    person(description="who came"),
    person("referrer_id", "who referred"),
    col("referred_on", "date", "when"),
)
truth_trap = _truth(
    "truth_trap",
    "one row a trap",
    "What is planted to mislead, and the date of the drift.",
    ("name",),
    col("name", "string", "the trap"),
    col("kind", "string", "leak, proxy, hub, giant, drift"),
    optional("table_name", "string", "the silver table"),
    optional("column_name", "string", "its column"),
    optional("since", "date", "from when on"),
    col("description", "string", "what it does"),
)
truth_delivery = _truth(
    "truth_delivery",
    "one row a feed, drop, variant and fault",
    "How many rows were sent in which form: what the ingest must account for, row by row.",
    ("kind", "drop_on", "variant", "fault"),
    col("kind", "string", "the feed"),
    col("drop_on", "date", "the folder"),
    col("variant", "string", "own, late, again, wrong, right, broken"),
    col("fault", "string", "how a broken row is broken; none for the others"),
    col("rows", "bigint", "how many"),
)
TRUTH: dict[str, Table] = {name: table for name, table in vars().items() if isinstance(table, Table)}
