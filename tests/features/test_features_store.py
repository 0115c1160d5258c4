"""The store over a small bank: what it registers, finds, plans, refuses, computes, and makes again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.contracts import Personal
from strata.features import (
    ConsentPolicy,
    Consents,
    FeatureError,
    FeatureStore,
    FeatureView,
    Manifest,
    PurposeRule,
    TableClock,
    derived,
    leakage_check,
    windowed,
)
from strata.features.engine.compute import compute, plan_passes
from strata.features.governance.purposes import STANDARD_POLICY
from strata.features.views import ACCOUNT, account_views
from strata.features.views.accounts.tenure import tenure
from tests.conftest import in_zone

PRAGUE = ZoneInfo("Europe/Prague")
T = datetime(1994, 3, 31, tzinfo=PRAGUE)
TRANSACTION = (
    "transaction_id long, account_id long, event_ts timestamp, known_ts timestamp, amount decimal(18,2), "
    "direction string, channel string, purpose string, counterparty_bank string, counterparty_hash string, "
    "balance_after decimal(18,2)"
)


class Versions:
    """Tables in memory, each a list of versions."""

    def __init__(self, **tables: DataFrame):
        self.tables = {name: [frame] for name, frame in tables.items()}

    def read(self, name: str, version: int | None = None) -> DataFrame:
        return self.tables[name][-1 if version is None else version]

    def version(self, name: str) -> int | None:
        return len(self.tables[name]) - 1 if name in self.tables else None


def _posting(number, account, days_ago, amount, direction, balance, channel="transfer", purpose=None, payee=None):
    day = T - timedelta(days=days_ago)
    known = day + timedelta(days=1)
    return (
        (number, account, day, known, Decimal(amount), direction, channel, purpose)
        + (None if payee is None else "AB", payee)
        + (Decimal(balance),)
    )


@pytest.fixture(scope="module")
def bank(spark):
    with in_zone(spark, str(PRAGUE)):
        yield _tables(spark)


def _tables(spark):
    postings = [
        _posting(1, 1, 1, "100", "debit", "900", "cash"),
        _posting(2, 1, 2, "300", "debit", "1000", purpose="household", payee="p"),
        _posting(3, 1, 40, "200", "debit", "-50", purpose="insurance", payee="q"),
        _posting(4, 1, 40, "7", "debit", "-60", "internal", "penalty_interest"),
        _posting(5, 1, 80, "100", "debit", "10", "cash"),
        _posting(6, 1, 300, "900", "debit", "10", payee="r"),
        *(_posting(10 + n, 1, 30 * n + 10, "600", "credit", "1300", purpose="pension") for n in range(6)),
        _posting(20, 1, 0, "5000", "credit", "6000"),
        _posting(21, 2, -3, "5000", "debit", "-6000"),
        _posting(22, 3, 30, "50", "credit", "50", purpose="interest"),
    ]
    transactions = spark.createDataFrame(postings, TRANSACTION)
    opened = [(n, T - timedelta(days=days)) for n, days in ((1, 400), (2, 100), (3, 90), (4, -2))]
    accounts = spark.createDataFrame(opened, "account_id long, event_ts timestamp").select(
        "account_id",
        F.lit(1).alias("district_id"),
        F.lit("monthly").alias("statement_frequency"),
        F.to_date("event_ts").alias("opened_on"),
        "event_ts",
        F.col("event_ts").alias("known_ts"),
    )
    book = accounts.select("account_id", F.col("event_ts").alias("since"), F.lit(None).cast("timestamp").alias("until"))
    return {"transaction": transactions, "account": accounts, "account_book": book}


def _spine(spark, *ids, at=T):
    return spark.createDataFrame(
        [(n, i, at, n % 2) for n, i in enumerate(ids)], "row int, account_id long, at timestamp, bad int"
    )


def _store(spark, bank):
    return FeatureStore(spark, Versions(**bank), views=account_views())


def test_features_of_an_account_are_these(spark, bank):
    found = _store(spark, bank).training_set(_spine(spark, 1), "*", purpose="credit_risk").first().asDict()
    expected = {
        "spending_outflow_sum_30d_amt": 400,
        "spending_outflow_sum_90d_amt": 707,
        "spending_outflow_sum_365d_amt": 1607,
        "spending_outflow_count_90d_cnt": 5,
        "spending_outflow_max_90d_amt": 300,
        "spending_outflow_cash_sum_90d_amt": 200,
        "spending_payees_distinct_90d_cnt": 2,
        "spending_payees_distinct_365d_cnt": 3,
        "income_inflow_sum_90d_amt": 1800,
        "income_pension_count_90d_cnt": 3,
        "income_pension_90d_flag": 1,
        "income_monthly_mean_180d_amt": 600,
        "income_monthly_std_180d_amt": 0,
        "income_months_with_income_180d_cnt": 6,
        "income_since_last_credit_days": 10,
        "balance_posted_min_90d_amt": -60,
        "balance_posted_last_365d_amt": 900,
        "balance_penalty_interest_count_90d_cnt": 1,
        "tenure_account_days": 400,
        "activity_since_first_posting_365d_days": 300,
        "activity_since_last_posting_days": 1,
        "household_paid_household_sum_90d_amt": 300,
        "household_paid_insurance_count_180d_cnt": 1,
        "household_committed_sum_90d_amt": 500,
    }
    assert {name: float(found[name]) for name in expected} == expected
    assert float(found["household_committed_share_180d_ratio"]) == pytest.approx(500 / 707, abs=1e-6)
    assert float(found["balance_negative_share_90d_ratio"]) == pytest.approx(1 / 6)
    assert float(found["spending_outflow_trend_30d_to_90d_ratio"]) == pytest.approx(1200 / 707, abs=1e-6)


def test_features_of_silent_and_unknown_accounts_are_missing_or_zero(spark, bank):
    spine = _spine(spark, 2, 2, 99, None)
    rows = _store(spark, bank).training_set(spine, "*", label="bad", purpose="credit_risk").orderBy("row").collect()
    assert [row["account_id"] for row in rows] == [2, 2, 99, None]
    assert [row["bad"] for row in rows] == [0, 1, 0, 1]
    assert [row["tenure_account_days"] for row in rows] == [100, 100, None, None]
    for row in rows:
        assert row["spending_outflow_sum_365d_amt"] == 0
        assert row["spending_outflow_to_inflow_90d_ratio"] is None
        assert row["income_months_with_income_180d_cnt"] == 0
        assert row["activity_since_last_posting_days"] is None
    assert list(rows[0].asDict())[-1] == "bad"


def test_features_are_forty_to_sixty_with_units_and_no_undated_table():
    features = [feature for view in account_views() for feature in view.features]
    assert 40 <= len(features) <= 65
    assert {view.source for view in account_views()} == {"transaction", "account"}
    assert all(feature.name.endswith(("_amt", "_cnt", "_days", "_ratio", "_flag")) for feature in features)
    assert all(feature.description for feature in features)


def test_features_of_one_table_share_one_pass(spark, bank):
    store = _store(spark, bank)
    chosen = [feature for view in store.views for feature in view.features]
    passes, _ = plan_passes(chosen, store.views)
    assert [step.view.source for step in passes] == ["transaction", "account"]
    text = store.plan()
    assert text.splitlines()[0] == f"{len(chosen)} features, 2 passes, 3 shuffles"
    assert "windows up to 365 days without a join, scans: transaction 1, spine 1, shuffles 2" in text


def test_features_snapshot_has_accounts_of_that_morning(spark, bank):
    snapshot = _store(spark, bank).snapshot("account", date(1994, 3, 31), ["tenure_*", "spending_outflow_sum_30d_amt"])
    rows = {row["account_id"]: row.asDict() for row in snapshot.collect()}
    assert sorted(rows) == [1, 2, 3]
    assert rows[1]["spending_outflow_sum_30d_amt"] == 400
    assert {row["as_of_date"] for row in rows.values()} == {date(1994, 3, 31)}
    with pytest.raises(FeatureError, match="entity: no chosen feature describes 'person'; there are: account"):
        _store(spark, bank).snapshot("person", date(1994, 3, 31))


def test_features_manifest_rebuilds_the_same_rows_after_later_data_arrived(spark, bank):
    port = Versions(**bank)
    store = FeatureStore(spark, port, views=account_views())
    spine, asked = _spine(spark, 1, 2, 3), ["spending_*", "tenure_*"]
    manifest = Manifest.from_json(store.manifest(spine, asked, "bad", purpose="credit_risk").to_json())
    before = store.training_set(spine, asked, "bad", purpose="credit_risk").collect()
    restated = bank["transaction"].withColumn("amount", (F.col("amount") * 2).cast("decimal(18,2)"))
    port.tables["transaction"].append(restated)
    now = store.training_set(spine, asked, "bad", purpose="credit_risk").collect()
    again = store.rebuild(spine.orderBy(F.desc("row")), manifest).collect()
    assert manifest.tables == {"transaction": 0, "account": 0}
    assert sorted(again) == sorted(before) != sorted(now)
    with pytest.raises(FeatureError, match="manifest: spine_rows was 3 and is 2 now"):
        store.rebuild(_spine(spark, 1, 2), manifest)
    with pytest.raises(FeatureError, match="manifest: spine_hash"):
        store.rebuild(_spine(spark, 1, 2, 2), manifest)


def _view(name="money", version=1, purposes=("credit_risk",), personal=Personal.NONE, days=(30,)):
    return FeatureView(
        name=name,
        version=version,
        entity=ACCOUNT,
        source="transaction",
        items=(
            windowed("amount", aggs=["sum"], days=days, unit="amt", personal=personal),
            derived("double", f"2 * {name}_amount_sum_{days[0]}d_amt", unit="amt"),
        ),
        description="Money.",
        owner="tests",
        purposes=purposes,
        event_ts="event_ts",
        known_ts="known_ts",
    )


def test_features_are_refused_for_other_purposes_and_when_they_identify_people(spark, bank):
    store = FeatureStore(spark, Versions(**bank), views=[_view()])
    with pytest.raises(FeatureError, match="feature money_amount_sum_30d_amt of view money is not for 'marketing'"):
        store.training_set(_spine(spark, 1), "*", purpose="marketing")
    store = FeatureStore(spark, Versions(**bank), views=[_view(personal=Personal.DIRECT)])
    # A derived feature is as personal as what it is made from.
    with pytest.raises(FeatureError, match="money_double_amt of view money identifies a person"):
        store.training_set(_spine(spark, 1), ["money_double_amt"], purpose="credit_risk")
    with pytest.raises(FeatureError, match="features: nothing is called 'nobody"):
        store.training_set(_spine(spark, 1), ["nobody_*"], purpose="credit_risk")
    with pytest.raises(FeatureError, match="label: spine has no column 'gone'"):
        store.training_set(_spine(spark, 1), "*", label="gone", purpose="credit_risk")


def test_features_made_of_sensitive_columns_are_refused(spark, bank):
    view = replace(
        _view(),
        items=(
            windowed("amount", label="women", where="gender = 'F'", aggs=["sum"], days=[30], unit="amt"),
            derived("double", "2 * money_women_sum_30d_amt", unit="amt"),
        ),
    )
    for name in ("money_women_sum_30d_amt", "money_double_amt"):
        with pytest.raises(
            FeatureError, match=f"features: {name} of view money is made of the sensitive column 'gender'"
        ):
            FeatureStore(spark, Versions(**bank), views=[view]).training_set(
                _spine(spark, 1), [name], purpose="credit_risk"
            )
    # What is sensitive is what the contracts protect, unless the store is told.
    store = FeatureStore(spark, Versions(**bank), views=[_view()], sensitive=["amount"])
    with pytest.raises(FeatureError, match="sensitive column 'amount'"):
        store.training_set(_spine(spark, 1), "*", purpose="credit_risk")


def test_features_need_consent_where_the_purpose_does(spark, bank):
    said = [(1, "marketing", True, T - timedelta(days=5)), (2, "marketing", False, T - timedelta(days=5))]
    consents = spark.createDataFrame(said, "account_id long, purpose string, granted boolean, valid_from timestamp")
    tables = Versions(**bank, consent=consents.withColumn("known_ts", F.col("valid_from")))
    policy = ConsentPolicy({"marketing": PurposeRule(needed=True), "credit_risk": PurposeRule(needed=False)})
    view = _view(purposes=("marketing", "credit_risk"))
    store = FeatureStore(spark, tables, views=[view], consents=Consents(policy, "consent", ("account_id",)))
    spine, today = _spine(spark, 1, 2, 3), date(1994, 4, 1)
    with pytest.raises(FeatureError, match="spine: 2 of 3 rows have no consent for 'marketing'; keep those"):
        store.training_set(spine, "*", purpose="marketing", now=today)
    with pytest.raises(FeatureError, match="now: 'marketing' needs consent, so say on which day"):
        store.training_set(spine, "*", purpose="marketing")
    with pytest.raises(FeatureError, match="purpose: 'scoring' has no rule"):
        store.consented(spine, "scoring", now=today)
    asked = store.consented(spine, "marketing", now=today).where("has_consent").drop("has_consent")
    assert [row["account_id"] for row in store.training_set(asked, "*", purpose="marketing", now=today).collect()] == [
        1
    ]
    assert store.training_set(spine, "*", purpose="credit_risk").count() == 3


def test_features_for_a_purpose_to_opt_in_to_are_refused_without_a_word_about_consents(spark, bank):
    view = _view(purposes=("marketing", "credit_risk", "research"))
    spine, tables = _spine(spark, 1, 2), Versions(**bank)
    unsaid = FeatureStore(spark, tables, views=[view])
    refused = "consents: 'marketing' may only use rows of people who have consented, and this store was made without"
    for ask in (
        lambda: unsaid.training_set(spine, "*", purpose="marketing", now=date(1994, 4, 1)),
        lambda: unsaid.training_set(spine, "allowed:*", purpose="marketing"),
        lambda: unsaid.manifest(spine, "*", purpose="marketing"),
        lambda: unsaid.snapshot("account", date(1994, 3, 31), purpose="marketing"),
    ):
        with pytest.raises(FeatureError, match=refused):
            ask()
    with pytest.raises(FeatureError, match="consents: the store was made without a table of consents; pass consents="):
        unsaid.consented(spine, "marketing", now=date(1994, 4, 1))
    for purpose in ("credit_risk", "research"):
        assert unsaid.training_set(spine, "*", purpose=purpose).count() == 2
    outright = FeatureStore(spark, tables, views=[view], consents=None)
    assert outright.training_set(spine, "*", purpose="marketing").count() == 2
    asked = outright.consented(spine, "marketing", now=date(1994, 4, 1)).collect()
    assert [row["has_consent"] for row in asked] == [True, True]


def test_features_of_a_snapshot_for_a_purpose_are_those_of_who_consented(spark, bank):
    said = [(1, "app", T - timedelta(days=5), True), (2, "app", T - timedelta(days=5), True)]
    said += [(2, "app", T + timedelta(days=1), False), (3, "sms", T - timedelta(days=5), False)]
    statements = spark.createDataFrame(
        said, "account_id long, channel string, valid_from timestamp, granted boolean"
    ).selectExpr("*", "'marketing' AS purpose", "valid_from AS known_ts")
    view = _view(purposes=("marketing", "credit_risk"))
    consents = Consents(STANDARD_POLICY, "consent", ("account_id",))
    store = FeatureStore(spark, Versions(**bank, consent=statements), views=[view], consents=consents)

    def kept(now):
        return {row[0] for row in store.snapshot("account", date(1994, 3, 31), purpose="marketing", now=now).collect()}

    assert kept(date(1994, 3, 31)) == {1, 2}
    assert kept(date(1994, 4, 2)) == {1}
    with pytest.raises(FeatureError, match="now: 'marketing' needs consent, so say on which day"):
        store.snapshot("account", date(1994, 3, 31), purpose="marketing")
    assert store.snapshot("account", date(1994, 3, 31)).count() == 3
    by_sms = _spine(spark, 1).withColumn("channel", F.lit("sms"))
    with pytest.raises(FeatureError, match="spine: 1 of 1 rows have no consent for 'marketing'"):
        store.training_set(by_sms, "*", purpose="marketing", now=date(1994, 4, 2))
    by_customer = FeatureStore(
        spark, Versions(**bank, consent=statements), views=[view], consents=replace(consents, key=("customer_id",))
    )
    with pytest.raises(FeatureError, match="spine: it has no column 'customer_id', by which consent to 'marketing' is"):
        by_customer.training_set(_spine(spark, 1), "*", purpose="marketing", now=date(1994, 4, 2))


def test_features_are_published_only_through_a_port_that_writes(spark, bank):
    store = _store(spark, bank)
    with pytest.raises(FeatureError, match="tables: Versions publishes no slices"):
        store.materialize("*", date(1994, 3, 1), date(1994, 3, 2))
    with pytest.raises(FeatureError, match="ds: 1994-03-01 has not been published for each of income"):
        store.published("account", date(1994, 3, 1), "income_*")
    assert store.published_days() == frozenset()


def test_features_a_changed_definition_needs_a_new_version(spark, bank):
    store = FeatureStore(spark, Versions(**bank), views=[_view()])
    store.register(_view())
    with pytest.raises(FeatureError, match="view money: definition differs from version 1; raise its version"):
        store.register(_view(days=(60,)))
    store.register(_view(days=(60,), version=2))
    assert [view.version for view in store.views] == [2]
    assert replace(_view(), description="Other words.").definition_hash == _view().definition_hash
    assert replace(_view(), where="amount > 0").definition_hash != _view().definition_hash


def test_features_are_found_and_described(spark, bank):
    store = _store(spark, bank)
    assert "income_pension_90d_flag" in store.search("Pension flag")
    row = store.describe("income_pension_90d_flag").first()
    assert (row["view"], row["unit"], row["personal"], row["source"]) == ("income", "flag", "quasi", "transaction")
    assert "credit_risk" in row["purposes"]
    assert row["missing"] == "never null: what it is made of is 0 when nothing counts"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: windowed("amount", aggs=["median"], days=[1]), "aggs: .*median"),
        (lambda: windowed("amount", aggs=["sum"], days=[0]), "days: whole numbers"),
        (lambda: windowed("amount", aggs=["sum"], days=[1], by=("channel", ["it's"])), "by: .* is no feature name"),
        (lambda: windowed("amount * 2", aggs=["sum"], days=[1]), "label: 'amount \\* 2' is no feature name"),
        (lambda: replace(_view(), event_ts=None), "view money: give event_ts"),
        (lambda: replace(_view(), purposes=()), "view money: purposes"),
        (lambda: replace(_view(), items=(derived("x", "1 + 1"),)), "derived money_x uses no feature"),
        (lambda: replace(_view(), items=_view().items * 2), "is defined twice"),
    ],
)
def test_features_refuse_definitions_that_make_no_sense(make, words):
    with pytest.raises(FeatureError, match=words):
        make()


def test_features_of_all_views_ignore_whatever_comes_after(spark, bank):
    store = _store(spark, bank)
    features = [feature.name for view in store.views for feature in view.features]

    def build(spine, tables):
        return FeatureStore(spark, Versions(**tables), views=account_views()).training_set(
            spine, features, purpose="credit_risk"
        )

    spine = _spine(spark, 1, 2, 3, 4).unionByName(
        _spine(spark, 1, at=T - timedelta(days=20)).withColumn("row", F.lit(9))
    )
    clocks = {
        "transaction": TableClock("event_ts", "known_ts", event_id="transaction_id"),
        "account": TableClock("event_ts", "known_ts", is_state=True),
    }
    report = leakage_check(build, spine, bank, clocks, moment=T, row_id="row")
    assert report.ok, report.changed
    assert report.rows == 5
    assert report.removed == 3
    assert report.planted > 20

    def leaky(spine, tables):
        known = tables["transaction"].groupBy("account_id").agg(F.sum("amount").alias("all_amt"))
        return compute(tenure, spine, tables["account"]).join(known, on="account_id", how="left")

    caught = leakage_check(leaky, spine, bank, clocks, moment=T, row_id="row")
    assert set(caught.changed) == {"all_amt"}
    with pytest.raises(FeatureError, match="row_id: account_id is not unique"):
        leakage_check(build, spine, bank, clocks, moment=T, row_id="account_id")


def test_features_of_a_state_view_alone(spark, bank):
    found = compute(tenure, _spine(spark, 3, 4), bank["account"]).orderBy("row").collect()
    assert [row["tenure_account_days"] for row in found] == [90, None]
