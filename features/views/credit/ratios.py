"""Ratios across subjects: what people owe against what they earn, and what they say against what is seen."""

from __future__ import annotations

from strata.features.definitions.items import derived
from strata.features.views.common import PURPOSES, RISK_ALONE, customer_ratios, pace, share
from strata.features.views.credit.bureau import bureau
from strata.features.views.credit.collection import collection, promises
from strata.features.views.finances.consumption import consumption
from strata.features.views.finances.contributions import fund, social
from strata.features.views.finances.earnings import earnings
from strata.features.views.finances.flows import flows
from strata.features.views.finances.wealth import wealth
from strata.features.views.marketing.interests import interests
from strata.features.views.marketing.scenes import scenes
from strata.features.views.relations.calls import calls, contact_calls
from strata.features.views.relations.contacts import contacts

# A month of income, of the months that had any: a new customer has not had six.
MONTHLY = "(earnings_in_sum_180d_amt / nullif(earnings_months_distinct_184d_cnt, 0))"
_READ = "coalesce(interests_pages_{0}_sum_90d_num, 0)"

burden = customer_ratios(
    "burden",
    (earnings, flows, bureau, wealth, social, fund),
    "Debt, its service and savings against income: what somebody can bear.",
    share("service_90d", "flows_repaid_sum_90d_amt", "earnings_in_sum_90d_amt", "instalments, of income"),
    share("service_365d", "flows_repaid_sum_365d_amt", "earnings_in_sum_365d_amt", "instalments, of a year's income"),
    share("rent_90d", "flows_rent_sum_90d_amt", "earnings_in_sum_90d_amt", "rent, of income"),
    share("debt_to_income", "bureau_exposure_central_bank_last_365d_amt", f"(12 * {MONTHLY})",
          "debt at all lenders, of a year's income"),
    share("wealth_to_income", "wealth_total_amt", MONTHLY, "holdings, in months of income"),
    share("wealth_to_debt", "wealth_total_amt", "bureau_exposure_central_bank_last_365d_amt",
          "holdings, of debt at all lenders"),
    share("balance_to_income", "flows_balance_mean_90d_amt", MONTHLY, "mean balance, in months of income"),
    share("seen_to_social", MONTHLY, "social_base_last_184d_amt",
          "income seen on the account, of the wage declared to social insurance: far below 1, it goes elsewhere"),
    share("fund_to_social", "fund_base_last_184d_amt", "social_base_last_184d_amt",
          "wage declared to the housing fund, of that declared to social insurance"),
    purposes=RISK_ALONE,
)  # fmt: skip

consistency = customer_ratios(
    "consistency",
    (contacts, contact_calls, calls),
    "What somebody declares against what is seen.",
    share("contacts_called_365d", "contact_calls_called_distinct_365d_cnt", "contacts_known_distinct_3650d_cnt",
          "contacts of the book that were really called in a year"),
    share("family_called_365d", "contact_calls_called_family_distinct_365d_cnt",
          "contacts_known_family_distinct_3650d_cnt", "contacts labelled as family that were really called in a year"),
    share("calls_in_book_90d", "contact_calls_made_count_90d_cnt", "calls_made_count_90d_cnt",
          "calls that went to somebody of the book"),
    purposes=RISK_ALONE,
)  # fmt: skip

reliability = customer_ratios(
    "reliability",
    (collection, promises),
    "Whether promises are kept.",
    share("kept_share_365d", "promises_kept_distinct_365d_cnt", "collection_actions_promise_count_365d_cnt",
          "promises of a year that a payment followed within two weeks"),
    purposes=("monitoring", "collection"),
)  # fmt: skip

life_events = customer_ratios(
    "life_events",
    (earnings, consumption, interests, scenes, flows),
    "Signs of something new in a life: work, a child, a car, a home.",
    derived("new_work", "CAST(coalesce(earnings_new_payer_flag = 1 AND earnings_payers_distinct_92d_cnt >= 1, false) "
            "AS int)", unit="flag", description="1 when wages come from another payer than in the year before"),
    derived("child", f"CAST({_READ.format('baby')} >= 3 AS int)", unit="flag",
            description="1 when babies are read about often"),
    derived("car", f"CAST({_READ.format('car')} >= 3 OR scenes_visits_auto_count_90d_cnt > 0 AS int)", unit="flag",
            description="1 when cars are read about often, or a dealer was visited"),
    derived("new_home", f"CAST({_READ.format('home')} >= 3 OR scenes_visits_decoration_count_90d_cnt > 0 AS int)",
            unit="flag", description="1 when homes are read about often, or a decorator was visited"),
    derived("awake", "CAST(coalesce(flows_active_days_distinct_30d_cnt > 0 AND flows_active_days_distinct_90d_cnt = "
            "flows_active_days_distinct_30d_cnt AND flows_active_days_distinct_365d_cnt > 0, false) AS int)",
            unit="flag", description="1 when own postings of the last 90 days all fall into the last 30"),
    pace("leisure_pace", "consumption_bought_leisure_sum_90d_amt", "consumption_bought_leisure_sum_365d_amt", 365 / 90,
         "leisure of 90 days against the year, both a day"),
    purposes=PURPOSES,
)  # fmt: skip
