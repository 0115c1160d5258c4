"""Consent given and withdrawn: golden cases, random statements against brute force, refusals."""

from __future__ import annotations

import random
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from pyspark.sql import functions as F

from strata.conf.tables import people
from strata.features import FeatureError, FeatureTypeError
from strata.features.governance.consent import ConsentPolicy, PurposeRule, consented
from strata.features.governance.purposes import CONSENT_KEY, PURPOSES, STANDARD_POLICY
from tests.conftest import in_zone

CONSENT = "who string, purpose string, granted boolean, valid_from timestamp, known_ts timestamp"
NOW = datetime(2024, 6, 1, tzinfo=UTC)
GIVEN = [True, True, True, False, False, None]


@pytest.fixture(autouse=True)
def utc(spark):
    with in_zone(spark, "UTC"):
        yield


def _day(month, day=1):
    return datetime(2024, month, day, tzinfo=UTC)


def _said(given, month, known=None, purpose="marketing"):
    return purpose, given, _day(month), _day(known or month)


# What was said, and whether an observation of 1 March has consent on 1 June; None is what the default says.
GOLDEN = {
    "nothing said": ([], None),
    "given before": ([_said(True, 1)], True),
    "given on the day": ([_said(True, 3)], True),
    "given later": ([_said(True, 4)], None),
    "given before, known later": ([_said(True, 1, known=4)], None),
    "given for another purpose": ([_said(True, 1, purpose="research")], None),
    "withdrawn before": ([_said(True, 1), _said(False, 2)], False),
    "withdrawn after": ([_said(True, 1), _said(False, 5)], False),
    "withdrawn without having given": ([_said(False, 5)], False),
    "withdrawn after today": ([_said(True, 1), _said(False, 7, known=5)], True),
    "withdrawn before, known after today": ([_said(True, 1), _said(False, 2, known=7)], True),
    "withdrawn before, known after the day": ([_said(True, 1), _said(False, 2, known=5)], False),
    "withdrawn after and given again": ([_said(True, 1), _said(False, 4), _said(True, 5)], True),
    "withdrawn before and given again after": ([_said(True, 1), _said(False, 2), _said(True, 5)], False),
    "given and withdrawn at once": ([_said(True, 1), _said(False, 1)], False),
    "corrected to given": ([_said(False, 1), _said(True, 1, known=2)], True),
    "unclear": ([_said(None, 1)], False),
}


@pytest.mark.parametrize("default", [True, False])
def test_consent_golden_cases(spark, default):
    consents = spark.createDataFrame([(who, *row) for who, (rows, _) in GOLDEN.items() for row in rows], CONSENT)
    spine = spark.createDataFrame([(who, _day(3)) for who in GOLDEN], "who string, at timestamp")
    asked = {"key": "who", "at": "at", "purpose": "marketing", "default": default, "now": NOW}
    found = {row["who"]: row["has_consent"] for row in consented(spine, consents, **asked).collect()}
    expected = {who: default if want is None else want for who, (_, want) in GOLDEN.items()}
    assert found == expected


def _moment(rng, missing=0.05):
    return None if rng.random() < missing else NOW + timedelta(hours=rng.randrange(-12, 6))


def _who(rng, case):
    return case, rng.choice(["a", "a", "a", "a", "b", None]), rng.choice(["sms", "sms", "sms", "post"])


def _statement(rng, case):
    start = _moment(rng)
    known = None if start is None or rng.random() < 0.05 else start + timedelta(hours=rng.choice([-3, 0, 0, 1, 4]))
    return (*_who(rng, case), rng.choice(["marketing", "marketing", "research"]), rng.choice(GIVEN), start, known)


def _brute(row, statements, at, default):
    """The last statement of all that were in force and known at a moment, read one by one."""
    last = None
    for case, who, channel, purpose, given, start, known in statements:
        if (case, who, channel) != row or purpose != "marketing" or None in (start, known) or max(start, known) > at:
            continue
        rank = (start, known, not given)
        last = rank if last is None else max(last, rank)
    return default if last is None else not last[2]


@pytest.mark.parametrize("default", [True, False])
def test_consent_agrees_with_brute_force(spark, default):
    rng = random.Random(3)
    statements = [_statement(rng, case) for case in range(400) for _ in range(rng.randrange(16))]
    by_case = {case: [s for s in statements if s[0] == case] for case in range(400)}
    spine_rows = []
    for case in range(400):
        spine_rows += [(*_who(rng, case), _moment(rng))] * rng.choice([1, 1, 2])
    spine = spark.createDataFrame(
        [(n, *row) for n, row in enumerate(spine_rows)], "row long, case int, who string, channel string, at timestamp"
    )
    consents = spark.createDataFrame(
        statements,
        "case int, who string, channel string, purpose string, granted boolean, valid_from timestamp, "
        "known_ts timestamp",
    )
    asked = {"key": ["case", "who", "channel"], "at": "at", "purpose": "marketing", "default": default, "now": NOW}
    found = consented(spine, consents, **asked)
    assert found.columns == [*spine.columns, "has_consent"]
    rows = found.collect()
    assert sorted(row["row"] for row in rows) == list(range(len(spine_rows)))
    answers = {row["row"]: row["has_consent"] for row in rows}
    stopped = 0
    for number, (case, who, channel, at) in enumerate(spine_rows):
        key, want = (case, who, channel), False
        if who is not None and at is not None:
            then, today = (_brute(key, by_case[case], moment, default) for moment in (at, NOW))
            want, stopped = then and today, stopped + (then and not today)
        assert answers[number] == want, (key, at, by_case[case])
    assert stopped > 10 and 50 < sum(answers.values()) < 400


def test_consent_takes_dates_in_the_banks_zone(spark):
    spark.conf.set("spark.sql.session.timeZone", "Asia/Shanghai")
    consents = spark.sql(
        "SELECT 1L AS id, 'marketing' AS purpose, false AS granted, "
        "timestamp'2024-03-02 00:00:00' AS valid_from, date'2024-01-01' AS known_ts"
    )
    spine = spark.sql("SELECT 1 AS id, date'2024-02-01' AS at")
    asked = {"key": "id", "at": "at", "purpose": "marketing", "default": True}
    for now, want in (
        (date(2024, 3, 2), False),
        (datetime(2024, 3, 1, 23, 59, 59), True),
        (datetime(2024, 3, 1, 16, tzinfo=UTC), False),
    ):
        assert consented(spine, consents, now=now, **asked).first()["has_consent"] is want, now


def test_consent_policy_knows_which_purposes_ask(spark):
    policy = ConsentPolicy(
        {
            "marketing": PurposeRule(needed=True),
            "monitoring": PurposeRule(needed=True, default=True),
            "reporting": PurposeRule(needed=False),
        }
    )
    spine = spark.createDataFrame([("silent", _day(3)), ("against", _day(3))], "who string, at timestamp")
    against = [("against", purpose, False, _day(1), _day(1)) for purpose in policy.purposes]
    consents = spark.createDataFrame(against, CONSENT)
    asked = {"key": "who", "at": "at", "now": NOW}
    for purpose, want in (("marketing", set()), ("monitoring", {"silent"}), ("reporting", {"silent", "against"})):
        rows = policy.consented(spine, consents, purpose=purpose, **asked).where("has_consent").collect()
        assert {row["who"] for row in rows} == want, purpose
    with pytest.raises(FeatureError, match="purpose: 'fun' has no rule; there are: marketing, monitoring, reporting"):
        policy.consented(spine, consents, purpose="fun", **asked)


def test_consent_by_channel_is_asked_of_the_channel_that_the_spine_names_or_of_any(spark):
    rng = random.Random(11)
    statements = [_statement(rng, case) for case in range(200) for _ in range(rng.randrange(10))]
    spine_rows = [(case, rng.choice(["a", "a", "b", None]), _moment(rng)) for case in range(200) for _ in range(2)]
    consents = spark.createDataFrame(
        statements,
        "case int, who string, channel string, purpose string, granted boolean, valid_from timestamp, "
        "known_ts timestamp",
    )
    rule = PurposeRule(needed=True, statement="marketing", by=("channel",))
    policy = ConsentPolicy({"campaign": rule})
    asked = {"key": ["case", "who"], "at": "at", "purpose": "campaign", "now": NOW}
    spine = spark.createDataFrame(
        [(n, *row) for n, row in enumerate(spine_rows)], "row long, case int, who string, at timestamp"
    )

    def allows(case, who, channel, at):
        key = (case, who, channel)
        return all(_brute(key, statements, moment, False) for moment in (at, NOW))

    found = policy.consented(spine, consents, **asked)
    assert found.columns == [*spine.columns, "has_consent"]
    rows = found.collect()
    assert sorted(row["row"] for row in rows) == list(range(len(spine_rows)))
    answers = {row["row"]: row["has_consent"] for row in rows}
    for number, (case, who, at) in enumerate(spine_rows):
        known = who is not None and at is not None
        want = known and any(allows(case, who, channel, at) for channel in ("sms", "post"))
        assert answers[number] == want, (case, who, at)
    assert 20 < sum(answers.values()) < 300
    by_post = policy.consented(spine.selectExpr("*", "'post' AS channel"), consents, **asked).collect()
    for row in by_post:
        known = row["who"] is not None and row["at"] is not None
        want = known and allows(row["case"], row["who"], "post", spine_rows[row["row"]][2])
        assert row["has_consent"] == want, row
    assert sum(row["has_consent"] for row in by_post) < sum(answers.values())


def test_consent_standard_policy_rests_on_statements_that_the_table_has(spark):
    asked = {rule.statement for rule in STANDARD_POLICY.purposes.values() if rule.needed}
    assert asked <= set(people.PURPOSES)
    assert set(STANDARD_POLICY.purposes) == set(PURPOSES)
    said = [
        (1, "app", "credit_assessment", True, _day(1)), (1, "phone", "credit_assessment", False, _day(2)),
        (2, "app", "credit_assessment", True, _day(1)), (2, "app", "marketing", False, _day(1)),
        (2, "sms", "marketing", True, _day(1)), (3, "app", "marketing", False, _day(1)),
    ]  # fmt: skip
    consents = spark.createDataFrame(
        said, "customer_id long, channel string, purpose string, granted boolean, valid_from timestamp"
    ).withColumn("known_ts", F.col("valid_from"))
    spine = spark.createDataFrame([(who, _day(3)) for who in (1, 2, 3, 4)], "customer_id long, at timestamp")
    for purpose, want in (
        # Withdrawn by phone, whatever the app was told; who said nothing is assessed by the contract.
        ("credit_risk", {2, 3, 4}),
        ("marketing", {2}),
        ("monitoring", {1, 2, 3, 4}),
        ("collection", {1, 2, 3, 4}),
        ("fraud", {1, 2, 3, 4}),
    ):
        rows = STANDARD_POLICY.consented(spine, consents, key=CONSENT_KEY, at="at", purpose=purpose, now=NOW)
        assert {row["customer_id"] for row in rows.where("has_consent").collect()} == want, purpose


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"now": "today"}, FeatureTypeError, "now: a date or datetime is expected, not str"),
        ({"default": None}, FeatureTypeError, "default: bool is expected, not NoneType"),
        ({"purpose": ["marketing"]}, FeatureTypeError, "purpose: str is expected, not list"),
        ({"key": "id"}, FeatureError, "key: spine has no column 'id'"),
        ({"granted": "'yes'"}, FeatureTypeError, "consents: column 'granted' is string; boolean is expected"),
        ({"spine": "has_consent"}, FeatureError, "spine: column 'has_consent' would be added but is there already"),
    ],
)
def test_consent_refusals_name_the_argument(spark, change, error, message):
    asked = {"key": "who", "at": "at", "purpose": "marketing", "default": True, "now": NOW}
    asked |= {"granted": "true", "spine": "other", **change}
    spine = spark.sql(f"SELECT 'a' AS who, date'2024-01-01' AS at, 1 AS {asked.pop('spine')}")
    consents = spark.sql(
        f"SELECT 'a' AS who, 'm' AS purpose, {asked.pop('granted')} AS granted, "
        "date'2024-01-01' AS valid_from, date'2024-01-01' AS known_ts"
    )
    with pytest.raises(error, match=re.escape(message)):
        consented(spine, consents, **asked)
