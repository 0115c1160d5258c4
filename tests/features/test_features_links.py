"""Links: rows of accounts and loans as rows of people, from when both were known."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from pyspark.sql import SparkSession

from strata.features import FeatureError, FeatureView, Link, windowed
from strata.features.definitions.feature import Entity
from strata.features.definitions.links import follow
from strata.features.engine.compute import compute

DAY = datetime(2025, 1, 10)
OWNER = Link("holder", (("account_id", "account"),), ("customer_id",), "role = 'owner'")
LOAN = Link("loan", (("loan_id", "loan_id"),), ("account_id",))


def _day(day: int | None) -> datetime | None:
    return None if day is None else datetime(2025, 1, day)


def holders(spark: SparkSession, *rows: tuple[int, int, str, int | None]):
    kinds = "account bigint, customer_id bigint, role string, known_ts timestamp"
    return spark.createDataFrame([(a, c, role, _day(k)) for a, c, role, k in rows], kinds)


def loans(spark: SparkSession, *rows: tuple[int, int, int]):
    return spark.createDataFrame(
        [(loan, account, _day(known)) for loan, account, known in rows],
        "loan_id bigint, account_id bigint, known_ts timestamp",
    )


def payments(spark: SparkSession, *rows: tuple[int, int, int, int | None]):
    return spark.createDataFrame(
        [(number, loan, _day(on), _day(known)) for number, loan, on, known in rows],
        "payment_id bigint, loan_id bigint, event_ts timestamp, known_ts timestamp",
    )


def view(**more) -> FeatureView:
    return FeatureView(
        name="paying", version=1, entity=Entity("customer", ("customer_id",), "customer", "since"), source="payment",
        items=(windowed("payment_id", label="paid", aggs=("count",), days=(30,)),), description="Payments.",
        owner="tests", purposes=("credit_risk",), event_ts="event_ts", known_ts="known_ts",
        event_id=("payment_id", "customer_id"), links=(LOAN, OWNER), **more,
    )  # fmt: skip


def test_a_row_is_usable_once_it_and_its_owner_are_known(spark: SparkSession):
    rows = loans(spark, (1, 10, 3), (2, 10, 9), (3, 11, 3), (4, 12, 3))
    table = holders(spark, (10, 7, "owner", 5), (10, 7, "owner", 8), (10, 8, "joint", 2), (12, 9, "owner", None))
    found = follow(rows, OWNER, table, "known_ts").select("loan_id", "customer_id", "known_ts").collect()
    # The first time that it was said counts; account 11 is nobody's and that of 12 was never known.
    assert sorted((one[0], one[1], one[2]) for one in found) == [(1, 7, _day(5)), (2, 7, _day(9))]


def test_two_owners_both_have_the_row_and_an_unknown_row_stays_unknown(spark: SparkSession):
    table = holders(spark, (10, 7, "owner", 1), (10, 8, "owner", 2))
    rows = spark.createDataFrame([(1, 10, None)], "loan_id bigint, account_id bigint, known_ts timestamp")
    found = follow(rows, OWNER, table, "known_ts").collect()
    assert sorted(one["customer_id"] for one in found) == [7, 8]
    assert all(one["known_ts"] is None for one in found)


def test_of_many_owners_the_first_few_count_whoever_comes_later(spark: SparkSession):
    link = Link("holder", OWNER.on, OWNER.brings, at_most=2)
    table = holders(spark, (10, 9, "a", 1), (10, 7, "a", 3), (10, 8, "a", 3), (10, 6, "a", 8), (10, 9, "a", 9))
    found = follow(loans(spark, (1, 10, 1)), link, table, "known_ts")
    assert sorted(row["customer_id"] for row in found.collect()) == [7, 9]


def test_of_versions_that_wait_for_an_owner_the_later_known_counts(spark: SparkSession):
    """By the amount the one that was known first would come last."""
    kinds = "payment_id bigint, account_id bigint, amount int, event_ts timestamp, known_ts timestamp"
    given = [(1, 10, 90, _day(2), _day(3)), (1, 10, 40, _day(2), _day(5)), (2, 10, 7, _day(2), _day(9))]
    one = FeatureView(**{
        **_fields(view()), "links": (OWNER,), "event_id": "payment_id",
        "items": (windowed("amount", aggs=("sum",), days=(30,)),),
    })  # fmt: skip
    spine = spark.createDataFrame([(7, date(2025, 1, day)) for day in (7, 9, 11)], "customer_id bigint, at date")
    found = compute(one, spine, spark.createDataFrame(given, kinds), holders(spark, (10, 7, "owner", 8)))
    assert {row["at"].day: row["paying_amount_sum_30d"] for row in found.collect()} == {7: 0, 9: 40, 11: 47}


def test_links_are_followed_one_after_the_other(spark: SparkSession):
    spine = spark.createDataFrame([(7, date(2025, 1, day)) for day in (4, 6, 8, 20)], "customer_id bigint, at date")
    given = payments(spark, (100, 1, 2, 2), (101, 1, 7, 7), (102, 2, 7, 7), (103, 9, 7, 7), (104, 1, 7, None))
    found = compute(view(), spine, given, loans(spark, (1, 10, 3), (2, 11, 3)), holders(spark, (10, 7, "owner", 5)))
    assert {row["at"].day: row["paying_paid_count_30d_cnt"] for row in found.collect()} == {4: 0, 6: 1, 8: 2, 20: 2}


def test_a_view_names_all_its_tables_and_its_plan_scans_them():
    from strata.features.engine.compute import Pass

    assert view().tables == ("payment", "loan", "holder")
    assert "scans: payment 1, loan 1, holder 1, spine 1, shuffles 8" in str(Pass(view(), view().features))


def test_another_link_is_another_definition():
    other = FeatureView(**{**_fields(view()), "links": (LOAN, Link("holder", OWNER.on, OWNER.brings))})
    assert other.definition_hash != view().definition_hash


def _fields(one: FeatureView) -> dict:
    return {name: value for name, value in vars(one).items() if name not in ("_compiled", "definition_hash")}


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (Link("holder", (("number", "account"),), ("customer_id",)), "no column 'number'"),
        (Link("holder", (("account_id", "number"),), ("customer_id",)), "no column 'number'"),
        (Link("holder", (("account_id", "account"),), ("known_ts",)), "has known_ts already"),
    ],
)
def test_a_link_that_cannot_be_followed_says_why(spark: SparkSession, link: Link, message: str):
    with pytest.raises(FeatureError, match=message):
        follow(loans(spark, (1, 10, 3)), link, holders(spark, (10, 7, "owner", 5)), "known_ts")


def test_links_need_a_known_time():
    with pytest.raises(FeatureError, match="links need known_ts"):
        FeatureView(**{**_fields(view()), "known_ts": None, "event_id": None})
