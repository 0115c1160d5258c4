"""Which spine rows look at time before the data begin, view by view, against a reading row by row in plain Python."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from pyspark.sql import DataFrame

from strata.features import (
    Begin,
    Coverage,
    Entity,
    FeatureError,
    FeatureStore,
    FeatureView,
    FeatureWarning,
    Manifest,
    derived,
    state,
    windowed,
)
from tests.conftest import in_zone

ACCOUNT = Entity("account", ("account_id",), "book", "opened_on")
FIRST = date(2024, 3, 1)
SPANS = [
    # Whole; a hole from 10 to 15 May; from April on; not at all.
    (1, date(2024, 1, 1), date(2024, 9, 1)),
    (2, date(2024, 1, 1), date(2024, 5, 10)),
    (2, date(2024, 5, 15), date(2024, 9, 1)),
    (3, date(2024, 4, 1), date(2024, 6, 1)),
    (3, date(2024, 5, 20), date(2024, 9, 1)),
]
OPENED = {1: date(2020, 1, 1), 2: date(2020, 1, 1), 3: date(2024, 4, 1), 4: date(2024, 6, 20)}
VIEWS = {"short": 7, "long": 90, "standing": 0, "both": 90}


class Tables:
    """Tables in memory, all of one version."""

    def __init__(self, **tables: DataFrame):
        self.tables = tables

    def read(self, name: str, version: int | None = None) -> DataFrame:
        return self.tables[name]

    def version(self, name: str) -> int | None:
        return 0 if name in self.tables else None


def _view(name: str, *items, **more) -> FeatureView:
    clocks = {"event_ts": "event_ts"} if "over" not in more else {"known_ts": None}
    return FeatureView(
        **{"name": name, "version": 1, "entity": ACCOUNT, "source": "posting", "items": items, "description": "…",
           "owner": "tests", "purposes": ("fraud",), "known_ts": "known_ts", **clocks, **more}
    )  # fmt: skip


def _views() -> tuple[FeatureView, ...]:
    short = _view("short", windowed("amount", aggs=["count"], days=[7]))
    long = _view("long", windowed("amount", aggs=["count"], days=[30, 90]))
    standing = _view("standing", state("status"), source="status", event_ts=None, valid_from="event_ts")
    both = _view(
        "both",
        derived("pace", "short_amount_count_7d_cnt / nullif(long_amount_count_90d_cnt, 0)"),
        source="",
        over=(short, long),
    )
    return short, long, standing, both


@pytest.fixture(scope="module")
def tables(spark) -> Tables:
    with in_zone(spark, "Asia/Shanghai"):
        posting = spark.sql(
            "SELECT 1L AS account_id, 5.0D AS amount, TIMESTAMP '2024-03-01 10:00:00' AS event_ts, "
            "TIMESTAMP '2024-03-02 06:00:00' AS known_ts"
        )
        status = spark.sql(
            "SELECT 1L AS account_id, 2.0D AS status, TIMESTAMP '2023-01-01' AS event_ts, "
            "TIMESTAMP '2024-04-10' AS known_ts"
        )
        book = spark.createDataFrame(list(OPENED.items()), "account_id long, opened_on date")
        spans = spark.createDataFrame(SPANS, "account_id long, covered_from date, covered_to date")
        yield Tables(posting=posting, status=status, book=book, spans=spans)


KNOWN = Coverage(
    begins={"posting": Begin(FIRST, date(2024, 3, 2)), "status": Begin(date(2023, 1, 1), date(2024, 4, 10))},
    spans={"posting": ("spans", ("account_id",))},
)


def _store(spark, tables: Tables, coverage: Coverage | None = KNOWN) -> FeatureStore:
    return FeatureStore(spark, tables, views=_views(), coverage=coverage)


def _is_whole(account: int | None, at: datetime | None, view: str) -> bool:
    """Day by day: is each day of the window, from the opening on, known of and in a span?"""
    if account is None or at is None:
        return True
    if view == "standing":
        return at.date() >= date(2024, 4, 10)
    if at.date() < date(2024, 3, 2):
        return False
    start = max(at.date() - timedelta(days=VIEWS[view]), OPENED.get(account, date.min))
    last = at.date() if at.time() > datetime.min.time() else at.date() - timedelta(days=1)
    days = [start + timedelta(days=n) for n in range((last - start).days + 1)]
    spans = [(begin, end) for who, begin, end in SPANS if who == account]
    return start >= FIRST and all(any(begin <= day < end for begin, end in spans) for day in days)


def _spine(spark, count: int = 400) -> tuple[DataFrame, list[tuple[int, int | None, datetime | None]]]:
    rng = random.Random(5)
    rows = []
    for number in range(count):
        at = datetime(2024, 2, 15) + timedelta(days=rng.randrange(160), hours=rng.choice([0, 0, 15]))
        rows.append((number, rng.choice([1, 1, 2, 3, 4, 99, None]), None if rng.random() < 0.05 else at))
    texts = [(n, who, None if at is None else str(at)) for n, who, at in rows]
    spine = spark.createDataFrame(texts, "row long, account_id long, text string")
    return spine.selectExpr("row", "account_id", "CAST(text AS timestamp) AS at"), rows


@pytest.fixture(autouse=True)
def zone(spark):
    with in_zone(spark, "Asia/Shanghai"):
        yield


def test_flags_agree_with_a_reading_day_by_day(spark, tables):
    spine, rows = _spine(spark)
    found = _store(spark, tables).training_set(spine, "*", purpose="fraud", coverage="flag")
    assert found.columns[-4:] == ["short_is_whole", "long_is_whole", "standing_is_whole", "both_is_whole"]
    answers = {row["row"]: row for row in found.collect()}
    assert len(answers) == len(rows) == found.count()
    for number, account, at in rows:
        for view in VIEWS:
            assert answers[number][f"{view}_is_whole"] == _is_whole(account, at, view), (account, at, view)
    shares = [sum(row[f"{view}_is_whole"] for row in answers.values()) / len(rows) for view in VIEWS]
    assert all(0.1 < share < 0.95 for share in shares) and shares[0] > shares[1] == shares[3]


def test_features_are_null_where_their_view_is_not_whole(spark, tables):
    spine, rows = _spine(spark)
    store = _store(spark, tables)
    asked = {"features": "*", "purpose": "fraud"}
    flagged = {row["row"]: row for row in store.training_set(spine, coverage="flag", **asked).collect()}
    nulled = store.training_set(spine, coverage="null", **asked)
    assert not [name for name in nulled.columns if name.endswith("_is_whole")]
    view_of = {feature.name: feature.view for feature in store.chosen("*")}
    for row in nulled.collect():
        before = flagged[row["row"]]
        for name, view in view_of.items():
            assert row[name] == (before[name] if before[f"{view}_is_whole"] else None)
    assert any(before["short_amount_count_7d_cnt"] == 0 and not before["short_is_whole"] for before in flagged.values())


def _has_begun(account: int | None, at: datetime | None, view: str) -> bool:
    """Whether anything could be seen: the day before is one of the data's, and in a span."""
    if _is_whole(account, at, view):
        return True
    last = at.date() if at.time() > datetime.min.time() else at.date() - timedelta(days=1)
    spans = [(begin, end) for who, begin, end in SPANS if who == account]
    return at.date() >= date(2024, 3, 2) and last >= FIRST and any(begin <= last < end for begin, end in spans)


def test_rows_from_before_the_data_are_refused_with_their_number_and_the_views(spark, tables):
    spine, rows = _spine(spark)
    store = _store(spark, tables)
    before = {view: [n for n, *row in rows if not _has_begun(*row, view)] for view in ("short", "long")}
    assert 10 < len(before["short"]) <= len(before["long"]) < len(rows)
    either = set(before["short"]) | set(before["long"])
    words = (
        f"spine: {len(either)} of {len(rows)} rows lie outside the time of which there are data, so that nothing could "
        f"be seen: short in {len(before['short'])} rows (7 days before each; posting begins on 2024-03-01), "
        f"long in {len(before['long'])} rows (90 days before each; posting begins on 2024-03-01)"
    )
    with pytest.raises(FeatureError, match=re.escape(words)):
        store.training_set(spine, ["short_*", "long_*"], purpose="fraud")
    later = spine.where(~spine["row"].isin(list(either)))
    cut = [n for n, *row in rows if n not in either and not _is_whole(*row, "long")]
    words = f"spine: {len(cut)} of {len(rows) - len(either)} rows have windows that the data hold in part alone: long"
    with pytest.warns(FeatureWarning, match=re.escape(words)):
        assert store.training_set(later, "long_*", purpose="fraud").count() == len(rows) - len(either)
    with pytest.raises(FeatureError, match=re.escape(words)):
        store.training_set(later, "long_*", purpose="fraud", coverage="strict")
    whole = [n for n, *row in rows if _is_whole(*row, "long")]
    kept = store.training_set(spine.where(spine["row"].isin(whole)), "long_*", purpose="fraud", coverage="strict")
    assert {row["row"] for row in kept.collect()} == set(whole)


def test_the_window_is_that_of_the_features_asked_for(spark, tables):
    store = _store(spark, tables)
    spine = spark.sql("SELECT 1L AS account_id, DATE '2024-04-15' AS at")
    assert store.training_set(spine, "long_amount_count_30d_cnt", purpose="fraud", coverage="strict").count() == 1
    with pytest.raises(FeatureError, match="long in 1 rows .90 days before each; posting begins on 2024-03-01"):
        store.training_set(spine, "long_*", purpose="fraud", coverage="strict")


def test_nothing_is_checked_where_nothing_is_known(spark, tables):
    spine, rows = _spine(spark)
    for coverage in (None, Coverage(), replace(KNOWN, begins={}, spans={"posting": ("spans", ("customer_id",))})):
        store = _store(spark, tables, coverage)
        assert store.training_set(spine, "*", purpose="fraud").count() == len(rows)
        flags = store.training_set(spine, "short_*", purpose="fraud", coverage="flag").select("short_is_whole")
        assert {row[0] for row in flags.collect()} == {None}


def test_openings_may_stand_in_another_table(spark, tables):
    register = spark.sql("SELECT 99L AS account_id, TIMESTAMP '2024-05-01 09:00:00' AS began")
    more = Tables(**tables.tables, register=register)
    known = replace(KNOWN, spans={}, openings={"account": ("register", "began")})
    spine = spark.sql("SELECT 99L AS account_id, DATE '2024-05-10' AS at UNION ALL SELECT 1L, DATE '2024-05-10'")
    rows = _store(spark, more, known).training_set(spine, "long_*", purpose="fraud", coverage="flag").collect()
    assert {row["account_id"]: row["long_is_whole"] for row in rows} == {99: True, 1: False}


def test_a_snapshot_is_checked_when_asked_to_be(spark, tables):
    store = _store(spark, tables)
    plain = store.snapshot("account", date(2024, 5, 1), "long_*")
    assert {row["account_id"]: row["long_amount_count_90d_cnt"] for row in plain.collect()} == {1: 1, 2: 0, 3: 0}
    flagged = store.snapshot("account", date(2024, 5, 1), "long_*", coverage="flag").collect()
    assert {row["account_id"]: row["long_is_whole"] for row in flagged} == {1: False, 2: False, 3: True}
    with pytest.raises(FeatureError, match="spine: 2 of 3 rows have windows that the data hold in part alone"):
        store.snapshot("account", date(2024, 5, 1), "long_*", coverage="strict")
    with pytest.raises(FeatureError, match="spine: 2 of 2 rows lie outside the time of which there are data"):
        store.snapshot("account", date(2024, 3, 1), "long_*", coverage="refuse")


def test_a_manifest_says_how_rows_were_treated(spark, tables):
    spine, _ = _spine(spark, 60)
    store = _store(spark, tables)
    manifest = store.manifest(spine, "long_*", purpose="fraud", coverage="null")
    again = store.rebuild(spine, Manifest.from_json(manifest.to_json()))
    assert sorted(map(str, again.collect())) == sorted(
        map(str, store.training_set(spine, "long_*", purpose="fraud", coverage="null").collect())
    )
    with pytest.raises(FeatureError, match="coverage: 'drop' is unknown; there are: refuse, strict, flag, null"):
        store.training_set(spine, "long_*", purpose="fraud", coverage="drop")
