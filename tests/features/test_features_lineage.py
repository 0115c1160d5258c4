"""What a feature is made of, and what it is when there is nothing to make it of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strata.conf.contracts import Layer, Table, col
from strata.features.definitions.feature import Entity
from strata.features.definitions.items import derived, state, windowed
from strata.features.definitions.lineage import Origin, origins, shared_origins, words_of
from strata.features.definitions.links import Link
from strata.features.definitions.missing_values import missing_rule
from strata.features.definitions.view import FeatureView

PERSON = Entity("person", ("person_id",), "person", "event_ts")


def _table(name, *columns):
    listed = tuple(col(column, "string", column) for column in columns)
    return Table(name=name, layer=Layer.SILVER, grain="one row a row", description=name, columns=listed)


TABLES = {
    "payment": _table(
        "payment", "payment_id", "account_id", "amount", "day", "purpose", "food", "event_ts", "known_ts"
    ),
    "holder": _table("holder", "account_id", "person_id", "role", "since", "known_ts"),
}
HOLDER = Link("holder", (("account_id", "account_id"),), ("person_id", "since"), "role = 'owner'")


def _view(*items, **more):
    given = {"links": (HOLDER,), "event_ts": "event_ts", **more}
    return FeatureView(
        name="paid", version=1, entity=PERSON, source="payment", items=items, description="Payments.", owner="risk",
        purposes=("credit_risk",), known_ts="known_ts", event_id="payment_id", **given,
    )  # fmt: skip


FOOD = windowed("amount", label="food", where="purpose = 'food'", aggs=("sum",), days=(90,), unit="amt")
ALL = windowed("amount", label="all", aggs=("sum", "mean", "std"), days=(90,), unit="amt")
SHARE = derived("share", "paid_food_sum_90d_amt / nullif(paid_all_sum_90d_amt, 0)", unit="ratio")
TWICE = derived("twice", "2 * paid_share_ratio", unit="ratio")


def _columns(view, name):
    return [f"{one.table}.{one.column}" for one in origins(view.all_features[name], view, TABLES)]


def test_words_of_sql_are_neither_texts_nor_functions():
    assert words_of("CASE WHEN day(event_ts) = 1 AND purpose = 'it''s amount' THEN amount END") >= {
        "event_ts", "purpose", "amount",
    }  # fmt: skip
    assert not words_of("day (event_ts)") & {"day"}
    assert not words_of("purpose = 'food'") & {"food"}


def test_columns_come_through_filters_inputs_and_links():
    view = _view(FOOD, ALL, windowed("since", label="held", aggs=("min",), days=(30,)), SHARE, TWICE)
    assert _columns(view, "paid_food_sum_90d_amt") == ["payment.amount", "payment.purpose"]
    assert _columns(view, "paid_all_sum_90d_amt") == ["payment.amount"]
    assert _columns(view, "paid_held_min_30d") == ["holder.since"]
    assert _columns(view, "paid_twice_ratio") == _columns(view, "paid_share_ratio")
    assert _columns(view, "paid_share_ratio") == ["payment.amount", "payment.purpose"]
    assert origins(view.all_features["paid_share_ratio"], view, {}) == ()


def test_a_view_over_others_has_their_columns_and_reads_without_casts():
    hidden = Link("holder", HOLDER.on, ("person_id", ("since", "begun")), "role = 'owner'")
    view = _view(ALL, windowed("begun", label="held", aggs=("min",), days=(30,)), links=(hidden,))
    text = "paid_all_sum_90d_amt / nullif(datediff(:at, paid_held_min_30d), 0)"
    over = FeatureView(
        name="over", version=1, entity=PERSON, source="", items=(derived("pace", text),), description="Over.",
        owner="risk", purposes=("credit_risk",), over=(view,),
    )  # fmt: skip
    assert _columns(over, "over_pace") == ["payment.amount", "holder.since"]
    assert shared_origins(over, TABLES) == shared_origins(view, TABLES)
    assert over.features[0].formula == text != over.features[0].measure
    words = "null where datediff(:at, paid_held_min_30d) is 0; null where paid_held_min_30d is null"
    assert missing_rule(over.features[0], over) == words


def test_all_features_depend_on_keys_clocks_and_links():
    shared = shared_origins(_view(ALL), TABLES)
    assert {one.column for one in shared if one.table == "payment"} == {
        "payment_id", "account_id", "event_ts", "known_ts",
    }  # fmt: skip
    assert Origin("holder", "role") in shared and Origin("holder", "person_id") in shared
    prepared = replace(_view(ALL), prepare=_by_day)
    assert Origin("payment", "day") in shared_origins(prepared, TABLES)


def _by_day(rows):
    return rows.withColumn("noon", rows["day"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("paid_food_sum_90d_amt", "0 when nothing counts within 90 days"),
        ("paid_all_mean_90d_amt", "null when nothing counts within 90 days"),
        ("paid_all_std_90d_amt", "null when fewer than two values count within 90 days"),
        ("paid_share_ratio", "null where paid_all_sum_90d_amt is 0"),
        ("paid_twice_ratio", "null where paid_share_ratio is null"),
        ("paid_any_flag", "never null: what it is made of is 0 when nothing counts"),
        ("paid_known_amt", "never null: the formula says what a missing input is worth"),
        ("paid_wide", "null where greatest(paid_food_sum_90d_amt, paid_all_sum_90d_amt) is 0"),
        ("paid_some", "null unless paid_all_sum_90d_amt > 0"),
    ],
)
def test_missing_is_said_in_words(name, words):
    view = _view(
        FOOD, ALL, SHARE, TWICE,
        derived("any", "CAST(paid_all_sum_90d_amt > 0 AS int)", unit="flag"),
        derived("known", "coalesce(paid_all_mean_90d_amt, 0)", unit="amt"),
        derived("wide", "1 / nullif(greatest(paid_food_sum_90d_amt, paid_all_sum_90d_amt), 0)"),
        derived("some", "CASE WHEN paid_all_sum_90d_amt > 0 THEN ln(paid_all_sum_90d_amt) END"),
    )  # fmt: skip
    assert missing_rule(view.all_features[name], view) == words


def test_states_are_missing_before_the_first():
    view = _view(state("amount"), links=(), event_ts=None, valid_from="event_ts")
    assert missing_rule(view.features[0], view).startswith("null before the first state")
