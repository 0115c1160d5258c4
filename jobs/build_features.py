"""Features as of a day for every open account with whole history, and the training set as of each grant."""

from __future__ import annotations

import sys

from strata.features.contracts import feature_table
from strata.features.views import account_views
from strata.jobs.runtime.run import Context, Job, run
from strata.jobs.steps import features as steps
from strata.models.specs import loan_default as loans

SOURCES = ("account", "account_holder", "transaction", "transaction_coverage", "loan", "loan_outcome")


def body(context: Context) -> None:
    """Say who can be asked about, publish the day's slices, make the training set; each with what tells its origin."""
    accounts, holders, _, coverage, granted, outcomes = (context.lake.read(name) for name in SOURCES)
    context.lake.replace("account_book", loans.account_book(accounts, coverage))
    store = steps.store(context)
    steps.publish(context, store, context.as_of, context.as_of)
    asked = loans.applications(granted, accounts, holders, coverage, outcomes)
    steps.write_training_set(context, store, asked)


JOB = Job(
    "features",
    "features of every account as of a day, and the training set as of each grant",
    body,
    reads=SOURCES,
    writes=(
        "account_book",
        *(feature_table(v).name for v in account_views()),
        "feature_slice",
        "feature_statistics",
        loans.TRAINING_SET,
        "training_manifest",
    ),
)

if __name__ == "__main__":
    sys.exit(run(JOB))
