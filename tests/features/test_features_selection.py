"""Which features names, patterns and ``allowed:`` patterns mean, and how a wrong one is refused."""

from __future__ import annotations

import re
from datetime import date

import pytest

from strata.conf.contracts import Personal
from strata.features import FeatureError, FeatureStore, FeatureTypeError, FeatureView, windowed
from strata.features.views import ACCOUNT


class NoTables:
    """A port that fails as soon as it is asked for data: what is refused here is refused before any is read."""

    def read(self, name: str, version: int | None = None):
        raise AssertionError(f"{name} was read")

    def version(self, name: str) -> int | None:
        raise AssertionError(f"the version of {name} was asked for")


def _view(name: str, purposes: tuple[str, ...], *items) -> FeatureView:
    return FeatureView(
        name=name, version=1, entity=ACCOUNT, source="transaction", description="Money.", owner="tests",
        purposes=purposes, event_ts="event_ts", known_ts="known_ts",
        items=items or (windowed("amount", aggs=["sum"], days=[30, 90], unit="amt"),),
    )  # fmt: skip


@pytest.fixture
def store(spark) -> FeatureStore:
    person = (
        windowed("amount", label="named", aggs=["sum"], days=[30], unit="amt", personal=Personal.DIRECT),
        windowed("amount", label="women", where="gender = 'F'", aggs=["sum"], days=[30], unit="amt"),
        windowed("amount", label="rest", aggs=["sum"], days=[30], unit="amt"),
    )
    views = (
        _view("income", ("credit_risk", "marketing")),
        _view("spending", ("credit_risk",)),
        _view("person", ("credit_risk", "fraud"), *person),
    )
    return FeatureStore(spark, NoTables(), views=views)


@pytest.mark.parametrize(
    ("purpose", "patterns", "expected"),
    [
        ("marketing", "allowed:*", {"income_amount_sum_30d_amt", "income_amount_sum_90d_amt"}),
        ("marketing", ["allowed:*_30d_*"], {"income_amount_sum_30d_amt"}),
        ("fraud", "allowed:*", {"person_rest_sum_30d_amt"}),
        ("credit_risk", "allowed:person_*", {"person_rest_sum_30d_amt"}),
        (
            "credit_risk",
            ["allowed:person_*", "spending_amount_sum_30d_amt"],
            {"person_rest_sum_30d_amt", "spending_amount_sum_30d_amt"},
        ),
    ],
)
def test_allowed_patterns_mean_what_the_purpose_may_use(store, purpose, patterns, expected):
    assert {feature.name for feature in store.chosen(patterns, purpose=purpose)} == expected


def test_allowed_patterns_need_a_purpose_that_may_use_something(spark, store):
    spine = spark.sql("SELECT 1L AS account_id, DATE '2025-01-01' AS at")
    without = "features: 'allowed:*' means the features that a purpose may use, and no purpose was given; pass purpose="
    for ask in (
        lambda: store.chosen("allowed:*"),
        lambda: store.plan("allowed:*"),
        lambda: store.snapshot("account", date(2025, 1, 1), "allowed:*"),
        lambda: store.describe(["income_*", "allowed:*"]),
    ):
        with pytest.raises(FeatureError, match=re.escape(without)):
            ask()
    nothing = (
        "features: none of the 2 features of 'allowed:spending_*' may be used for 'marketing'; the first reason is"
    )
    for ask in (
        lambda: store.training_set(spine, "allowed:spending_*", purpose="marketing"),
        lambda: store.manifest(spine, "allowed:spending_*", purpose="marketing"),
        lambda: store.snapshot("account", date(2025, 1, 1), "allowed:spending_*", purpose="marketing"),
    ):
        with pytest.raises(FeatureError, match=re.escape(nothing)):
            ask()


def test_a_feature_named_outright_is_still_checked(store):
    with pytest.raises(FeatureError, match="spending_amount_sum_30d_amt of view spending is not for 'marketing'"):
        store.chosen(["allowed:*", "spending_*"], purpose="marketing")


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("incme_*", "the nearest are income_*"),
        ("spending_amount_sum_30_amt", "spending_amount_sum_30d_amt"),
        ("allowed:persn_*", "nothing is called 'persn_*'; the nearest are person_*"),
        ("zzz", "features: nothing is called 'zzz'; search() finds names by words"),
    ],
)
def test_a_pattern_that_means_nothing_names_the_nearest(spark, store, pattern, near):
    spine = spark.sql("SELECT 1L AS account_id, DATE '2025-01-01' AS at")
    with pytest.raises(FeatureError, match=re.escape(near)):
        store.training_set(spine, ["income_*", pattern], purpose="credit_risk")


@pytest.mark.parametrize("features", [None, 3, {"income_*"}, ["income_*", None]])
def test_a_request_that_is_no_text_is_refused(store, features):
    with pytest.raises(FeatureTypeError, match="features: a name, a pattern or a list of them is expected, not"):
        store.chosen(features)


def test_no_feature_at_all_is_refused(store):
    with pytest.raises(FeatureError, match="features: at least one name or pattern is expected"):
        store.chosen([])
