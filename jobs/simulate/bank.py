"""The whole bank: which generator makes which feed, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.simulate import behaviour, bureau, collection, credit, marketing, money, structure, ties, work
from strata.jobs.simulate.delivery import AT
from strata.jobs.simulate.people import people
from strata.jobs.simulate.world import World


@dataclass
class Bank:
    """A world and its tables that several feeds read, each made once, when it is first asked for."""

    world: World

    @cached_property
    def people(self) -> DataFrame:
        """A row a position."""
        return self._kept(people(self.world))

    @cached_property
    def asked(self) -> DataFrame:
        """Applications with all that decides them."""
        return self._kept(credit.applications(self.world, self.people))

    @cached_property
    def lent(self) -> DataFrame:
        """Loans with their fates."""
        return self._kept(credit.loans(self.world, self.asked))

    @cached_property
    def due(self) -> DataFrame:
        """Instalments with what was paid when."""
        return self._kept(credit.instalments(self.world, self.lent))

    @cached_property
    def paid(self) -> DataFrame:
        """Repayments."""
        return credit.repayments(self.world, self.due)

    @cached_property
    def account_months(self) -> DataFrame:
        """People × months with an open account."""
        return self._kept(money.account_months(self.world, self.people))

    @cached_property
    def known(self) -> DataFrame:
        """Contacts."""
        return ties.contacts(self.world, self.people)

    def _kept(self, rows: DataFrame) -> DataFrame:
        """Made once and cut off from how: with it, the plans of all that is read from here would be long to analyse.

        Spark gives the space back when nobody holds the table any more.
        """
        return rows.localCheckpoint()

    def feeds(self) -> Mapping[str, Callable[[], DataFrame]]:
        """What makes each feed, by its kind: rows with the feed's columns and ``_at``."""
        world = self.world
        return {
            "org_district": lambda: self._standing(structure.districts(world)),
            "org_branch": lambda: self._standing(structure.branches(world)),
            "org_manager": lambda: self._standing(structure.managers(world)),
            "org_product": lambda: self._standing(structure.products(world)),
            "org_campaign": lambda: structure.campaigns(world).withColumn(AT, F.col("started_on").cast("timestamp")),
            "crm_employer": lambda: self._standing(structure.employers(world)),
            "crm_customer": lambda: work.customers(world, self.people),
            "crm_education": lambda: work.education_records(world, self.people),
            "gov_security_check": lambda: work.security_checks(world, self.people),
            "gov_social_insurance": lambda: work.social_insurance(world, self.people),
            "gov_housing_fund": lambda: work.housing_fund(world, self.people),
            "crm_business": lambda: work.businesses(world, self.people),
            "tax_business_sales": lambda: work.sales(world, self.people),
            "crm_consent": lambda: marketing.consents(world, self.people),
            "core_account": lambda: money.accounts(world, self.people, self.lent),
            "core_account_holder": lambda: money.holders(world, self.people),
            "core_transaction": lambda: money.transactions(
                world, self.account_months, self.people, self.lent, self.paid
            ),
            "wealth_holding": lambda: money.holdings(world, self.people),
            "credit_application": lambda: credit.application_rows(self.asked),
            "credit_loan": lambda: credit.booked(self.lent),
            "credit_schedule": lambda: credit.booked(self.due),
            "credit_repayment": lambda: self.paid,
            "credit_delinquency": lambda: credit.delinquencies(world, self.due),
            "collect_action": lambda: collection.actions(world, self.due, self.lent),
            "crm_tie": lambda: ties.declared(world, self.people, self.lent),
            "bureau_report": lambda: bureau.reports(world, self.asked, self.people),
            "bureau_blacklist": lambda: bureau.blacklist(world, self.lent, self.people),
            "app_device": lambda: behaviour.devices(world, self.people),
            "app_event": lambda: behaviour.app_events(world, self.people),
            "app_contact": lambda: ties.contact_rows(world, self.known),
            "app_call": lambda: ties.calls(world, self.known),
            "crm_address": lambda: behaviour.addresses(world, self.people),
            "app_location": lambda: behaviour.pings(world, self.people),
            "web_interest": lambda: behaviour.interests(world, self.people, self.asked),
            "partner_visit": lambda: behaviour.visits(world, self.people),
            "crm_marketing": lambda: marketing.touches(world, self.people),
        }

    def _standing(self, rows: DataFrame) -> DataFrame:
        """What has been there from before the start."""
        eve = F.lit(self.world.start).cast("timestamp") - F.expr("INTERVAL 12 HOURS")
        return rows.withColumn(AT, eve)
