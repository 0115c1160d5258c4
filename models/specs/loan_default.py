"""Loan default on the Berka bank: who is asked about, when, and what counts as bad."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.features.coverage import with_whole_history

NAME = "loan_default"
TARGET = "is_bad"
# One person's loans never stand on both sides of a fold.
GROUP = "customer_id"
# Known when a loan is asked for, but about the loan, not the person: tried as an addition, not scored.
LOAN_TERMS = ("principal", "term_months", "instalment_amt")


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


def open_accounts(accounts: DataFrame, holders: DataFrame, coverage: DataFrame, as_of: str) -> DataFrame:
    """One row an account opened before ``as_of`` (a day): account_id, customer_id, ``at``, has_whole_history."""
    owners = holders.where("role = 'owner'").select("account_id", "customer_id")
    asked = accounts.where(F.col("opened_on") < F.lit(as_of).cast("date")).select(
        "account_id",
        "opened_on",
        F.lit(as_of).cast("date").alias("as_of_date"),
        F.lit(as_of).cast("timestamp").alias("at"),
    )
    placed = asked.join(owners, "account_id", "left")
    return with_whole_history(placed, coverage, key="account_id", since="opened_on", until="as_of_date")
