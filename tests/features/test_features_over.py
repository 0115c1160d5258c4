"""Views over other views, streaks of months, and public holidays."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from strata.conf.contracts import Personal
from strata.features import Entity, FeatureError, FeatureView, Link, derived, windowed
from strata.features.engine.compute import compute_features, plan_passes
from strata.features.governance.permissions import check_use
from strata.features.views.common import streak, with_holidays

WHO = Entity("customer", ("customer_id",), "customer", "since")
SHARED = {"version": 1, "entity": WHO, "owner": "tests", "event_ts": "event_ts", "known_ts": "known_ts"}
PAID = "customer_id bigint, event_ts timestamp, known_ts timestamp, amount decimal(18,2)"


def _view(name: str, *, purposes=("credit_risk", "marketing"), **more) -> FeatureView:
    items = (windowed("amount", aggs=("sum", "mean"), days=(30,), unit="amt"),)
    return FeatureView(
        name=name, source=name, items=items, description=name, purposes=purposes, **{**SHARED, **more}
    )  # fmt: skip


INS, OUTS = _view("ins", personal=Personal.QUASI), _view("outs", purposes=("credit_risk",))
BURDEN = FeatureView(
    name="burden", version=1, entity=WHO, source="", description="Out to in.", owner="tests",
    purposes=("credit_risk",), over=(INS, OUTS),
    items=(
        derived("share", "outs_amount_sum_30d_amt / nullif(ins_amount_sum_30d_amt, 0)", unit="ratio"),
        derived("double", "2 * burden_share_ratio + outs_amount_mean_30d_amt", unit="ratio"),
    ),
)  # fmt: skip


def _rows(spark: SparkSession, *rows: tuple[int, int, str]):
    moments = [(who, datetime(2025, 1, day), datetime(2025, 1, day), Decimal(amount)) for who, day, amount in rows]
    return spark.createDataFrame(moments, PAID)


def test_a_view_over_others_is_made_of_what_they_offer(spark: SparkSession):
    spine = spark.createDataFrame([(1, date(2025, 1, 20)), (2, date(2025, 1, 20))], "customer_id bigint, at date")
    sources = {"ins": _rows(spark, (1, 3, "10"), (1, 4, "30")), "outs": _rows(spark, (1, 5, "8"), (2, 5, "3"))}
    # The views that it is over need not be named beside it.
    found = compute_features(list(BURDEN.features), [BURDEN], spine, sources).orderBy("customer_id").collect()
    assert [float(row["burden_share_ratio"] or -1) for row in found] == [0.2, -1]
    assert [row["burden_double_ratio"] for row in found] == [8.4, None]
    passes, later = plan_passes(BURDEN.features, [BURDEN])
    assert {step.view.name for step in passes} == {"ins", "outs"} and len(later) == 2
    assert BURDEN.tables == ("ins", "outs")
    assert all(feature.personal is Personal.QUASI for feature in BURDEN.features)


def test_its_hash_follows_those_that_it_is_over():
    other = replace(OUTS, items=(windowed("amount", aggs=("sum", "mean"), days=(30, 60), unit="amt"),))
    assert replace(BURDEN, over=(INS, other)).definition_hash != BURDEN.definition_hash
    assert replace(BURDEN, over=(INS, replace(OUTS, owner="others"))).definition_hash == BURDEN.definition_hash


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"purposes": ("marketing",)}, "view burden: purposes: outs is not for marketing"),
        ({"source": "ins"}, "view burden: a view over others has derived features alone"),
        ({"items": INS.items}, "view burden: a view over others has derived features alone"),
        ({"entity": replace(WHO, name="account")}, "view burden: ins is of another entity, or over others itself"),
        ({"items": (derived("x", "nothing / 2"),)}, "view burden: derived burden_x uses no feature"),
    ],
)
def test_one_that_makes_no_sense_is_refused(changes, words):
    with pytest.raises(FeatureError, match=words):
        replace(BURDEN, **changes)
    with pytest.raises(FeatureError, match="burden is of another entity, or over others itself"):
        replace(BURDEN, name="more", over=(BURDEN,), items=(derived("x", "2 * burden_share_ratio"),))


def test_a_sensitive_column_is_found_under_the_name_that_a_link_gives_it():
    link = Link("person", (("customer_id", "number"),), (("gender", "kind"),))
    hidden = _view("hidden", links=(link,))
    hidden = replace(hidden, items=(windowed("CAST(kind = 'F' AS int)", label="f", aggs=("last",), days=(30,)),))
    over = replace(BURDEN, over=(hidden,), items=(derived("x", "2 * hidden_f_last_30d"),))
    for view in (hidden, over):
        views = {one.name: one for one in view.by_name.values()}
        with pytest.raises(FeatureError, match="made of the sensitive column 'gender'"):
            check_use(view.features, views, "credit_risk", {"gender"})


def test_a_streak_ends_before_the_month_asked_in_and_breaks_at_a_gap(spark: SparkSession):
    view = replace(
        INS, items=streak("ins", "in_a_row", 6, "months", label="paid"), name="ins", version=1,
    )  # fmt: skip
    late = replace(INS, items=streak("ins", "in_a_row", 6, "months", label="paid", late=2))
    months = {1: (8, 10, 11, 12), 2: (11,), 3: (6, 7, 8, 9, 10, 11, 12), 4: ()}
    rows = [
        (who, datetime(2024, month, 28), datetime(2024, month, 28), Decimal(1))
        for who, paid in months.items()
        for month in paid
    ]
    paid = spark.createDataFrame(rows, PAID)
    spine = spark.createDataFrame([(who, date(2025, 1, 1)) for who in months], "customer_id bigint, at date")

    def found(one):
        rows = compute_features(list(one.features), [one], spine, {"ins": paid}).collect()
        return {row["customer_id"]: row["ins_in_a_row_months"] for row in rows}

    # Of who has paid in each of seven months, six are looked at; late: those of October and before.
    assert found(view) == {1: 3, 2: 0, 3: 6, 4: 0}
    assert found(late) == {1: 1, 2: 0, 3: 5, 4: 0}


def test_a_streak_runs_over_more_months_than_a_number_has_bits_for(spark: SparkSession):
    view = replace(INS, items=streak("ins", "in_a_row", 24, "months", label="paid"))
    rows = [
        (1, datetime(2018 + month // 12, month % 12 + 1, 5), datetime(2018, 1, 1), Decimal(1)) for month in range(84)
    ]
    spine = spark.createDataFrame(
        [(1, date(2018 + month // 12, month % 12 + 1, 3)) for month in range(1, 84)], "customer_id bigint, at date"
    )
    found = compute_features(list(view.features), [view], spine, {"ins": spark.createDataFrame(rows, PAID)}).collect()
    assert {row["at"]: row["ins_in_a_row_months"] for row in found} == {
        date(2018 + month // 12, month % 12 + 1, 3): min(month, 24) for month in range(1, 84)
    }


def test_holidays_are_those_of_the_notice(spark: SparkSession):
    """Spring Festival of 2025 was from 28 January to 4 February."""
    days = [date(2025, 1, day) for day in range(24, 32)] + [date(2025, 2, day) for day in range(1, 10)]
    rows = spark.createDataFrame([(day,) for day in days], "day date").selectExpr("CAST(day AS timestamp) event_ts")
    found = with_holidays(rows).where("is_holiday").selectExpr("to_date(event_ts) AS day").collect()
    assert sorted(row["day"] for row in found) == days[4:12]
