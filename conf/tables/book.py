"""The book: who can be asked about, and when."""

from __future__ import annotations

from strata.conf.contracts import Layer, Table, col, rule

account_book = Table(
    name="account_book",
    layer=Layer.FEATURES,
    grain="one row an account with any whole history",
    description="From when to when features of an account can be asked for: it is open, and its history is whole.",
    key=("account_id",),
    columns=(
        col("account_id", "bigint", "the account"),
        col("since", "timestamp", "the midnight after the day of its opening"),
        col("until", "timestamp", "the first midnight from which history is no longer whole"),
    ),
    checks=(rule("until > since", "it ends before it begins"),),
)
