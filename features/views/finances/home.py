"""Home (家庭): what all the people of one address earn and spend together."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.definitions.links import Link
from strata.features.views.common import ACCOUNT_OF_MEMBER, customer_events, share
from strata.features.views.finances.consumption import BOUGHT, ESSENTIAL
from strata.features.views.finances.earnings import EARNED, SALARY
from strata.features.views.finances.flows import REPAID

# Everybody who ever had the address: of a hall of residence the first few.
ADDRESS_OF_MEMBER = Link("customer", (("member_id", "customer_id"),), ("home_address_hash",))
PEOPLE_OF_ADDRESS = Link("customer", (("home_address_hash", "home_address_hash"),), ("customer_id",), at_most=8)

home = customer_events(
    "home",
    "transaction",
    ("transaction_id", "customer_id"),
    "Postings of all the people who share, or shared, an address with the customer, and the customer's own.",
    windowed("amount", label="in", where=EARNED, aggs=("sum",), days=(90, 365), unit="amt"),
    windowed("amount", label="bought", where=BOUGHT, aggs=("sum",), days=(30, 90, 365), unit="amt"),
    windowed("amount", label="essential", where=ESSENTIAL, aggs=("sum",), days=(90,), unit="amt"),
    windowed("amount", label="repaid", where=REPAID, aggs=("sum",),
             days=(90,), unit="amt"),
    windowed("amount", label="rent", where="purpose = 'rent'", aggs=("sum",), days=(90,), unit="amt"),
    windowed("member_id", label="people", aggs=("distinct",), days=(90, 365)),
    windowed("member_id", label="earners", where=SALARY, aggs=("distinct",), days=(90,)),
    derived("bought_a_head_90d", "home_bought_sum_90d_amt / nullif(home_people_distinct_90d_cnt, 0)", unit="amt",
            description="bought by each person"),
    derived("in_a_head_90d", "home_in_sum_90d_amt / nullif(home_people_distinct_90d_cnt, 0)", unit="amt",
            description="income of each person"),
    share("essential_share_90d", "home_essential_sum_90d_amt", "home_bought_sum_90d_amt",
          "what one can't do without, of what was bought"),
    share("burden_90d", "home_repaid_sum_90d_amt", "home_in_sum_90d_amt", "instalments, of the home's income"),
    derived("alone", "CAST(home_people_distinct_365d_cnt <= 1 AS int)", unit="flag",
            description="1 when nobody else of the address has an account here"),
    links=(ACCOUNT_OF_MEMBER, ADDRESS_OF_MEMBER, PEOPLE_OF_ADDRESS),
)  # fmt: skip
