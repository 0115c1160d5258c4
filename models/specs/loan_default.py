"""Loan default on the Berka bank: who is asked about, when, and what counts as bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.contracts import Layer, Personal, Table, col
from strata.conf.tables.network import NEIGHBOURS
from strata.features.contracts import feature_columns
from strata.features.coverage import whole_until, with_whole_history
from strata.features.views import account_views
from strata.models.boosting import BoostingSpec
from strata.models.scorecard import Scorecard, ScorecardSpec

NAME = "loan_default"
TARGET = "is_bad"
# One person's loans never stand on both sides of a fold.
GROUP = "customer_id"
# Known when a loan is asked for, but about the loan, not the person: tried as an addition, not scored.
NETWORK = tuple(column.name for column in NEIGHBOURS)
LOAN_TERMS = ("principal", "term_months", "instalment_amt")
PURPOSE = "credit_risk"
TRAINING_SET = "training_set_loan_default"


def training_table() -> Table:
    """The contract of the training set: the spine, every feature of the bank's views, the label last."""
    spine = (
        col("loan_id", "bigint", "the loan"),
        col("account_id", "bigint", "the account it was granted on"),
        col("customer_id", "bigint", "the owner: folds never part one", personal=Personal.QUASI),
        col("at", "timestamp", "the midnight that begins the day of the grant"),
        col("opened_on", "date", "day of the grant"),
        col("principal", "decimal(18,2)", "amount granted", unit="CZK"),
        col("term_months", "int", "agreed term", unit="months"),
        col("instalment_amt", "decimal(18,2)", "monthly instalment", unit="CZK"),
        col("status", "string", "A, B, C or D"),
        col("is_running", "boolean", "whether the loan was still running at the extract"),
    )
    features = tuple(column for view in account_views() for column in feature_columns(view))
    return Table(
        name=TRAINING_SET,
        layer=Layer.FEATURES,
        grain="one row a loan with whole history before its grant",
        description="Features as of the grant and what became of the loan. Loans without whole history are not in it.",
        key=("loan_id",),
        columns=(*spine, *features, col(TARGET, "int", "1 when the loan went bad")),
        owner="risk",
    )


def applications(
    loans: DataFrame, accounts: DataFrame, holders: DataFrame, coverage: DataFrame, outcomes: DataFrame
) -> DataFrame:
    """One row a granted loan, asked about at the midnight that begins the day of its grant.

    Columns: loan_id, account_id, customer_id (the owner), ``at`` (timestamp), opened_on, the loan
    terms, has_whole_history (every posting since the account's opening is there), status, is_bad,
    is_running (null where the outcome isn't known). Three joins on account_id, one on loan_id.
    """
    owners = holders.where("role = 'owner'").select("account_id", "customer_id")
    openings = accounts.select("account_id", F.col("opened_on").alias("_account_opened_on"))
    asked = loans.select("loan_id", "account_id", "opened_on", *LOAN_TERMS).withColumn(
        "at", F.to_timestamp("opened_on")
    )
    placed = asked.join(owners, "account_id", "left").join(openings, "account_id", "left")
    whole = with_whole_history(placed, coverage, key="account_id", since="_account_opened_on", until="opened_on")
    known = outcomes.select("loan_id", "status", TARGET, "is_running")
    return whole.drop("_account_opened_on").join(known, "loan_id", "left")


def account_book(accounts: DataFrame, coverage: DataFrame) -> DataFrame:
    """From when to when each account can be asked about: since the day after its opening, while history is whole.

    Columns account_id, ``since``, ``until`` (exclusive; midnights). Accounts without a whole day are not in it.
    """
    whole = whole_until(accounts.select("account_id", "opened_on"), coverage, key="account_id", since="opened_on")
    return whole.where("whole_until > opened_on").select(
        "account_id",
        F.date_add("opened_on", 1).cast("timestamp").alias("since"),
        # Features of a day need the days before it alone, so the first day that isn't whole can still be asked about.
        F.date_add("whole_until", 1).cast("timestamp").alias("until"),
    )


def features() -> tuple[str, ...]:
    """What a person's score may be made of: every feature of the bank's views."""
    return tuple(feature.name for view in account_views() for feature in view.features)


def scorecard_spec(names: Sequence[str] = ()) -> ScorecardSpec:
    """A small card, as 35 bads allow: few bins, each with a tenth of the rows, ridge on the coefficients."""
    return ScorecardSpec(
        TARGET,
        tuple(names) or features(),
        max_bins=4,
        min_share=0.1,
        max_features=8,
        max_correlation=0.75,
        max_vif=5.0,
        signs="right",
        penalty=1.0,
        reasons=3,
    )


def boosting_spec(card: Scorecard) -> BoostingSpec:
    """The challenger on the same features, each as monotone as the scorecard's bins found it."""
    trends = {name: trend for name, trend in card.binning.trends().items() if trend}
    return BoostingSpec(target=TARGET, features=features(), trends=trends, reasons=3)


@dataclass(frozen=True)
class Variant:
    """A scorecard tried beside the champion: other features, or another population."""

    name: str
    features: tuple[str, ...]
    where: str | None = None
    note: str = ""


def variants() -> tuple[Variant, ...]:
    """What is tried, the champion's own spec first."""
    person = features()
    return (
        Variant("scorecard", person, note="features of the person alone; running loans in good order count as good"),
        Variant("scorecard without running C", person, "status <> 'C'", "only finished loans and running ones in debt"),
        Variant("scorecard with loan terms", (*person, *LOAN_TERMS), note="amount, term and instalment added"),
        Variant("scorecard with network", (*person, *NETWORK), note="neighbours as of the grant added"),
        Variant("loan terms alone", LOAN_TERMS, note="what a bank knows of a stranger"),
    )
