"""Feature views, one file a business subject."""

from strata.features.definitions import FeatureView
from strata.features.views.balance import balance
from strata.features.views.common import ACCOUNT
from strata.features.views.household import household
from strata.features.views.income import income
from strata.features.views.spending import spending
from strata.features.views.tenure import activity, tenure

__all__ = [
    "ACCOUNT",
    "account_views",
    "activity",
    "balance",
    "berka_views",
    "household",
    "income",
    "spending",
    "tenure",
]


def account_views() -> tuple[FeatureView, ...]:
    """Every view of accounts: over postings and the account itself, the tables with dates."""
    return (spending, income, balance, tenure, activity, household)


def berka_views() -> tuple[FeatureView, ...]:
    """The views that the Berka bank can fill. Its undated tables and the loans' outcomes are in none of them."""
    return account_views()
