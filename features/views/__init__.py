"""Feature views, one file a business subject."""

from strata.conf.banks import Bank
from strata.conf.banks.modules import bank_module
from strata.features.definitions.feature import Feature
from strata.features.definitions.lineage import Origin, origins, shared_origins
from strata.features.definitions.view import FeatureView
from strata.features.views.accounts.balance import balance
from strata.features.views.accounts.household import household
from strata.features.views.accounts.income import income
from strata.features.views.accounts.spending import spending
from strata.features.views.accounts.tenure import activity, tenure
from strata.features.views.common import ACCOUNT, CUSTOMER
from strata.features.views.credit.applications import applications
from strata.features.views.credit.bureau import bureau
from strata.features.views.credit.collection import collection, promises
from strata.features.views.credit.ratios import burden, consistency, life_events, reliability
from strata.features.views.credit.repayments import arrears, loans, repayments
from strata.features.views.devices.app import app
from strata.features.views.devices.device import device, device_history
from strata.features.views.devices.entry import entry
from strata.features.views.devices.sdk import sdk
from strata.features.views.finances.business import business
from strata.features.views.finances.consumption import consumption
from strata.features.views.finances.contributions import fund, social
from strata.features.views.finances.earnings import earnings
from strata.features.views.finances.employment import employment
from strata.features.views.finances.flows import flows
from strata.features.views.finances.home import home
from strata.features.views.finances.sales import sales
from strata.features.views.finances.wealth import wealth
from strata.features.views.identity.identity import identity
from strata.features.views.identity.listings import person_listing, phone_listing
from strata.features.views.identity.schooling import schooling
from strata.features.views.identity.stability import stability, standing
from strata.features.views.location.addresses import addresses
from strata.features.views.location.location import location
from strata.features.views.location.presence import presence
from strata.features.views.marketing.interests import interests
from strata.features.views.marketing.marketing import marketing
from strata.features.views.marketing.permissions import permissions
from strata.features.views.marketing.scenes import scenes
from strata.features.views.relations.calls import calls, contact_calls
from strata.features.views.relations.contacts import contact_arrears, contacts
from strata.features.views.relations.contagion import contagion

__all__ = [
    "ACCOUNT",
    "CUSTOMER",
    "account_views",
    "all_views",
    "activity",
    "balance",
    "bank_views",
    "customer_views",
    "household",
    "income",
    "network_views",
    "own_views",
    "spending",
    "tenure",
]


def account_views() -> tuple[FeatureView, ...]:
    """Every view of accounts: over postings and the account itself, the tables with dates."""
    return (spending, income, balance, tenure, activity, household)


def customer_views() -> tuple[FeatureView, ...]:
    """Every view of customers: over tables that name the customer, or an account, loan, firm or phone of theirs."""
    return (
        standing, stability, employment, social, fund, schooling, identity, bureau, person_listing, phone_listing,
        earnings, consumption, flows, home, applications, loans, repayments, arrears, collection, promises, business,
        sales, wealth, device, device_history, app, entry, sdk, location, presence, addresses, contacts,
        contact_arrears, calls, contact_calls, interests, scenes, marketing, permissions, burden, consistency,
        reliability, life_events,
    )  # fmt: skip


def network_views() -> tuple[FeatureView, ...]:
    """Every view of what the network job has written: there once it has run."""
    return (contagion,)


def all_views() -> tuple[FeatureView, ...]:
    """Every view that there is: each has a table, whether or not a bank can fill it."""
    return (*account_views(), *customer_views(), *network_views())


def bank_views(bank: Bank) -> tuple[FeatureView, ...]:
    """The views of the bank's entities that its feeds can fill: the standard ones, then those of its own folder.

    A view is filled where its tables are, with the columns of its keys, clocks and links, and with those of at least
    one of its features.
    """
    return tuple(view for view in (*account_views(), *customer_views(), *own_views(bank)) if is_filled(view, bank))


def own_views(bank: Bank) -> tuple[FeatureView, ...]:
    """The feature views in the files of the ``views`` folder of the bank's own. Raises ``BankModuleError``."""
    standard = {view.name for view in all_views()}
    modules = (bank_module(path) for path in sorted(bank.folder.glob("views/*.py")))
    values = [value for module in modules for value in vars(module).values() if isinstance(value, FeatureView)]
    return tuple({view.name: view for view in values if view.name not in standard}.values())


def is_filled(view: FeatureView, bank: Bank) -> bool:
    """Whether the bank's feeds fill what the view is computed from."""
    if view.entity.name not in bank.entities or not set(view.tables) <= set(bank.tables):
        return False
    needed = shared_origins(view, bank.silver)
    if not all(bank.fills_column(origin.table, origin.column) for origin in needed if not _may_lack(origin, bank)):
        return False
    return any(is_feature_filled(feature, view, bank) for feature in view.features)


def is_feature_filled(feature: Feature, view: FeatureView, bank: Bank) -> bool:
    """Whether all columns that the feature is computed from are filled."""
    return all(bank.fills_column(origin.table, origin.column) for origin in origins(feature, view, bank.silver))


def _may_lack(origin: Origin, bank: Bank) -> bool:
    """Whether a column may be null in every row: a preparation that names it copes with that."""
    return next(c.nullable for c in bank.silver[origin.table].columns if c.name == origin.column)
