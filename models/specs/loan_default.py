"""Loan default of granted loans, as of the grant: whom the model is about, when, and what counts as bad."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.contracts import Personal, col
from strata.conf.tables.network import NEIGHBOURS
from strata.features.store.coverage import whole_until, with_whole_history
from strata.features.views import account_views
from strata.models.boosting.trees import BoostingSpec
from strata.models.model_spec import STATE, Beside, ModelSpec, Outcome, Population, Tables, TimeSplit, Variant
from strata.models.scorecard.scorecard import Scorecard, ScorecardSpec

# Known when a loan is applied for, but about the loan, not the person: tried as an addition, not scored.
LOAN_TERMS = ("principal", "term_months", "instalment_amt")
NETWORK = tuple(column.name for column in NEIGHBOURS)


def applications(loans: DataFrame, accounts: DataFrame, holders: DataFrame, coverage: DataFrame) -> DataFrame:
    """One row per granted loan, as of the midnight that begins the day of its grant.

    Columns: loan_id, account_id, customer_id (the owner), ``at`` (timestamp), opened_on, the loan terms,
    has_whole_history (every posting since the account's opening is there). Three joins on account_id.
    """
    owners = holders.where("role = 'owner'").select("account_id", "customer_id")
    openings = accounts.select("account_id", F.col("opened_on").alias("_account_opened_on"))
    granted = loans.select("loan_id", "account_id", "opened_on", *LOAN_TERMS).withColumn(
        "at", F.to_timestamp("opened_on")
    )
    placed = granted.join(owners, "account_id", "left").join(openings, "account_id", "left")
    whole = with_whole_history(placed, coverage, key="account_id", since="_account_opened_on", until="opened_on")
    return whole.drop("_account_opened_on")


def with_outcomes(cases: DataFrame, outcomes: DataFrame) -> DataFrame:
    """The cases with status, is_bad, is_running and ``outcome_state``, null and unknown where no outcome is recorded.

    One join on loan_id.
    """
    known = outcomes.select("loan_id", "status", "is_bad", "is_running")
    state = F.when(F.col("is_bad") == 1, "bad").when(F.col("is_bad") == 0, "good").otherwise("unknown")
    return cases.join(known, "loan_id", "left").withColumn(STATE, state)


def account_book(accounts: DataFrame, coverage: DataFrame) -> DataFrame:
    """From when to when features of each account can be computed: after its opening, while history is whole.

    Columns account_id, ``since``, ``until`` (exclusive; midnights). Accounts without a whole day are not in it.
    """
    whole = whole_until(accounts.select("account_id", "opened_on"), coverage, key="account_id", since="opened_on")
    return whole.where("whole_until > opened_on").select(
        "account_id",
        F.date_add("opened_on", 1).cast("timestamp").alias("since"),
        # Features of a day need only the days before it, so the first day that isn't whole is still possible.
        F.date_add("whole_until", 1).cast("timestamp").alias("until"),
    )


def _cases(tables: Tables, as_of: date) -> DataFrame:
    """All loans of the extract, also those granted after ``as_of``: it is one file, delivered when all had ended."""
    return applications(*(tables[name] for name in POPULATION.reads))


def _label(cases: DataFrame, tables: Tables, as_of: date) -> DataFrame:
    return with_outcomes(cases, tables["loan_outcome"])


POPULATION = Population(
    description="Granted loans whose account has whole history before the grant, as of the morning of the grant.",
    key="loan_id",
    columns=(
        col("loan_id", "bigint", "the loan"),
        col("account_id", "bigint", "the account it was granted on"),
        col("customer_id", "bigint", "the owner; folds never separate the cases of one", personal=Personal.QUASI),
        col("at", "timestamp", "the midnight that begins the day of the grant"),
        col("opened_on", "date", "day of the grant"),
        col("principal", "decimal(18,2)", "amount granted", unit="CZK"),
        col("term_months", "int", "agreed term", unit="months"),
        col("instalment_amt", "decimal(18,2)", "monthly instalment", unit="CZK"),
        col("has_whole_history", "boolean", "whether every posting before the grant is there"),
    ),
    reads=("loan", "account", "account_holder", "transaction_coverage"),
    cases=_cases,
    eligible="has_whole_history",
)

SPEC = ModelSpec(
    name="loan_default",
    title="Default of a granted loan",
    entity="account",
    population=POPULATION,
    outcome=Outcome(
        description="Bad: finished unpaid, or running in debt at the extract; running in good order counts as good.",
        reads=("loan_outcome",),
        label=_label,
        columns=(
            col("status", "string", "A, B, C or D", nullable=True),
            col("is_running", "boolean", "whether the loan was still running at the extract", nullable=True),
        ),
    ),
    features=("allowed:*",),
    purpose="credit_risk",
    beside=(Beside("feature_application_network", NEIGHBOURS),),
    # A small card, as 35 bads allow: few bins, each with a tenth of the rows, ridge on the coefficients.
    card={
        "max_bins": 4,
        "min_share": 0.1,
        "max_features": 8,
        "max_correlation": 0.75,
        "max_vif": 5.0,
        "signs": "right",
        "penalty": 1.0,
        "reasons": 3,
    },
    challenger="monotone",
    # The last year's loans had least time to go bad; few bads, so this test is an illustration.
    split=TimeSplit(start=date(1998, 1, 1)),
    variants=(
        Variant(
            "scorecard without running C", ("allowed:*",), "status <> 'C'",
            "only finished loans and running ones in debt",
        ),
        Variant(
            "scorecard with loan terms", ("allowed:*", *LOAN_TERMS), note="amount, term and instalment added",
            is_compared=True,
        ),
        Variant(
            "scorecard with network", ("allowed:*", *NETWORK), note="neighbours as of the grant added", is_compared=True
        ),
        Variant("loan terms alone", LOAN_TERMS, note="what a bank knows of a stranger"),
        # Hardly anybody has a neighbour, so no bin holds them and the selection drops what they say.
        Variant("neighbours alone", risk="network_neighbour_cnt", note="their number as the score, no model"),
    ),
    decision={
        "requested_amount": "principal",
        "term_months": "term_months",
        "instalment_amt": "instalment_amt",
        "monthly_income_amt": "CAST(income_monthly_mean_180d_amt AS DOUBLE)",
        "has_whole_history": "has_whole_history",
        "neighbour_default_ratio": "network_neighbour_default_ratio",
        # Groups are cut for the day of a run, not for each application's own day; a null fires no rule.
        "component_size": "CAST(NULL AS BIGINT)",
    },
    notes=(
        "So few bads leave wide intervals: differences of a few hundredths say nothing.",
        "Most good loans are status C, still running when the data end; without them only finished loans and those in "
        "debt are left, and the task is harder.",
        "Every one of these loans was granted by the bank of the time, so nothing is known of those it refused.",
    ),
    published=(
        ("logistic on 7 balance and transaction aggregates, 391 loans", 0.908),
        ("getML's notebook, all 682 loans and all transactions", 0.9465),
        ("another published model, all data, low end", 0.882),
        ("logistic on amount, duration and payments, 682 loans", 0.639),
    ),
)  # fmt: skip
NAME, TARGET, PURPOSE, TRAINING_SET = SPEC.name, SPEC.target, SPEC.purpose, SPEC.training_set
GROUP = POPULATION.person


def features() -> tuple[str, ...]:
    """What the score of a person may be made of: every feature of the bank's account views."""
    return tuple(feature.name for view in account_views() for feature in view.features)


def scorecard_spec(names: Sequence[str] = ()) -> ScorecardSpec:
    """The scorecard of ``SPEC`` on these features, by default on all."""
    return SPEC.scorecard(tuple(names) or features())


def boosting_spec(card: Scorecard) -> BoostingSpec:
    """The challenger on the same features, each as monotone as the scorecard's bins found it."""
    trends = {name: trend for name, trend in card.binning.trends().items() if trend}
    return BoostingSpec(target=TARGET, features=features(), trends=trends, reasons=3)
