"""Features as of a day for every open account with whole history, and the training set as of each grant."""

from __future__ import annotations

import sys

from strata.features.contracts import feature_table
from strata.features.store import FeatureStore
from strata.features.views import berka_views
from strata.jobs.runtime.run import Context, Job, run
from strata.jobs.steps import features as steps
from strata.models.specs import loan_default as loans

SOURCES = ("account", "account_holder", "transaction", "transaction_coverage", "loan", "loan_outcome")


def body(context: Context) -> None:
    """Read silver, compute the snapshot and the training set, replace them with statistics and manifest."""
    accounts, holders, _, coverage, granted, outcomes = (context.lake.read(name) for name in SOURCES)
    store = FeatureStore(context.spark, context.lake, views=berka_views())
    book = loans.open_accounts(accounts, holders, coverage, context.as_of.isoformat())
    steps.write_snapshot(context, store, book)
    asked = loans.applications(granted, accounts, holders, coverage, outcomes)
    steps.write_training_set(context, store, asked)


JOB = Job(
    "features",
    "features of every account as of a day, and the training set as of each grant",
    body,
    reads=SOURCES,
    writes=(
        *(feature_table(v).name for v in berka_views()),
        "feature_statistics",
        loans.TRAINING_SET,
        "training_manifest",
    ),
)

if __name__ == "__main__":
    sys.exit(run(JOB))
