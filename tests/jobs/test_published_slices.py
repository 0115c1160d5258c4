"""Slices kept up by increments are those of a build from nothing, row for row, whatever has happened to the sources."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import functions as F

from strata.conf.contracts import Layer, Table, col
from strata.features import Entity, FeatureError, FeatureStore, FeatureView, Link, derived, state, windowed
from strata.features.store.slice_contracts import feature_table
from strata.jobs.runtime.slices import FeatureTables
from strata.jobs.table_catalog import lake_at
from tests.conftest import in_zone
from tests.plans import count, plan_of, static_plans

pytestmark = pytest.mark.integration

FIRST = date(2024, 3, 20)
DAYS = [FIRST + timedelta(days=n) for n in range(15)]
PEOPLE = 40


def _table(name, *columns, key=()):
    return Table(
        name=name, layer=Layer.SILVER, grain="one row", description=name, key=key,
        columns=tuple(col(c, kind, c) if c in key else col(c, kind, c).model_copy(update={"nullable": True})
                      for c, kind in columns),
    )  # fmt: skip


PERSON = _table("person", ("person_id", "bigint"), ("since", "timestamp"), ("until", "timestamp"))
PAYMENT = _table(
    "payment", ("payment_id", "bigint"), ("person_id", "bigint"), ("paid_ts", "timestamp"), ("known_ts", "timestamp"),
    ("amount", "decimal(12,2)"), ("shop", "string"),
)  # fmt: skip
ADDRESS = _table(
    "address", ("person_id", "bigint"), ("moved_on", "date"), ("left_on", "date"), ("known_ts", "timestamp"),
    ("district", "int"),
)  # fmt: skip
PARCEL = _table("parcel", ("parcel_id", "bigint"), ("box", "int"), ("sent_ts", "timestamp"), ("known_ts", "timestamp"))
BOX = _table("box", ("number", "int"), ("person_id", "bigint"), ("role", "string"), ("known_ts", "timestamp"))
TABLES = (PERSON, PAYMENT, ADDRESS, PARCEL, BOX)
WHO = Entity("person", ("person_id",), "person", "since", until="until")
SHARED = {"version": 1, "entity": WHO, "owner": "tests", "purposes": ("credit_risk",), "known_ts": "known_ts"}

paying = FeatureView(
    name="paying", source="payment", event_ts="paid_ts", event_id="payment_id", description="Payments.", **SHARED,
    items=(
        windowed("amount", aggs=("sum", "count", "mean", "max"), days=(1, 3, 7), unit="amt"),
        windowed("shop", aggs=("distinct",), days=(7,)),
        windowed("amount", label="at_x", where="shop = 'x'", aggs=("last", "min"), days=(5,), unit="amt"),
        derived("trend", "paying_amount_sum_1d_amt / nullif(paying_amount_sum_7d_amt, 0)", unit="ratio"),
    ),
)  # fmt: skip
visits = FeatureView(
    name="visits", source="payment", event_ts="paid_ts", description="Payments as rows, versions and all.", **SHARED,
    items=(windowed("shop", aggs=("count",), days=(2, 10)), windowed("amount", aggs=("std",), days=(10,), unit="amt")),
)  # fmt: skip
living = FeatureView(
    name="living", source="address", valid_from="moved_on", valid_to="left_on", description="Where.", **SHARED,
    items=(state("district"), derived("even", "living_district % 2", unit="flag")),
)  # fmt: skip
parcels = FeatureView(
    name="parcels", source="parcel", event_ts="sent_ts", event_id=("parcel_id", "person_id"), description="Mail.",
    items=(windowed("parcel_id", label="sent", aggs=("count", "max"), days=(2, 6), unit="id", type="bigint"),),
    links=(Link("box", (("box", "number"),), ("person_id",), "role = 'holder'", at_most=2),), **SHARED,
)  # fmt: skip
# Money divided by a count, a mean of money and a state, each as it is published.
both = FeatureView(
    name="both", version=1, entity=WHO, source="", description="Across.", owner="tests", purposes=("credit_risk",),
    items=(
        derived("a_visit", "paying_amount_sum_7d_amt / nullif(visits_shop_count_10d_cnt, 0)", unit="ratio"),
        derived("mean", "paying_amount_mean_7d_amt / nullif(both_a_visit_ratio, 0) + living_district", unit="ratio"),
    ),
    over=(paying, visits, living),
)  # fmt: skip
VIEWS = (paying, visits, living, parcels, both)


class Bank:
    """A small bank that things happen to; its rows as plain tuples."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.people = [self._person(n) for n in range(PEOPLE)]
        self.payments = [self._payment() for _ in range(500)]
        self.addresses = [self._address() for _ in range(70)]
        self.boxes = [self._box() for _ in range(90)]
        self.parcels = [self._parcel() for _ in range(200)]

    def _moment(self, first=-12, last=16):
        hours = self.rng.choice([0, 0, 5, 14, 23])
        return datetime(2024, 3, 20) + timedelta(days=self.rng.randrange(first, last), hours=hours)

    def _person(self, number):
        since = datetime(2024, 3, 1) if self.rng.random() < 0.8 else self._moment(0)
        return (number, since, None if self.rng.random() < 0.8 else since + timedelta(days=self.rng.randrange(1, 15)))

    def _payment(self, number=None):
        paid = self._moment()
        known = paid + timedelta(hours=self.rng.choice([0, 1, 24, 90]))
        who = self.rng.choice([*range(PEOPLE + 2), None])
        number = self.rng.choice([None, self.rng.randrange(600)]) if number is None else number
        amount = self.rng.choice([None, Decimal(self.rng.randrange(-10_000, 90_000)) / 100])
        return (number, who, self.rng.choice([paid] * 30 + [None]), known, amount, self.rng.choice(["x", "y", None]))

    def _address(self):
        moved = self._moment().date()
        left = None if self.rng.random() < 0.6 else moved + timedelta(days=self.rng.randrange(1, 9))
        known = datetime.combine(moved, datetime.min.time()) + timedelta(hours=self.rng.choice([-5, 0, 30]))
        return (self.rng.randrange(PEOPLE), moved, left, known, self.rng.randrange(9))

    def _box(self):
        number, who = self.rng.choice([*range(60), None]), self.rng.choice([*range(PEOPLE), None])
        known = self.rng.choice([self._moment(-12, 0)] * 6 + [self._moment(), None])
        return (number, who, self.rng.choice(["holder"] * 3 + ["guest"]), known)

    def _parcel(self, number=None):
        sent = self._moment()
        known = self.rng.choice([sent + timedelta(hours=self.rng.choice([0, 1, 50]))] * 20 + [None])
        number = self.rng.choice([None, self.rng.randrange(250)]) if number is None else number
        return (number, self.rng.choice([*range(62), None]), sent, known)

    def happens(self):
        """Late rows, corrections, restated and lost rows; people who turn out to have existed, or to have left."""
        rng = self.rng
        self.payments += [self._payment() for _ in range(6)]
        self.payments += [self._payment(number=rng.choice(self.payments)[0]) for _ in range(4)]
        for _ in range(3):
            place = rng.randrange(len(self.payments))
            self.payments[place] = (*self.payments[place][:4], Decimal("7.77"), "x")
        del self.payments[rng.randrange(len(self.payments))]
        self.addresses[rng.randrange(len(self.addresses))] = self._address()
        self.addresses.append(self._address())
        place = rng.randrange(PEOPLE)
        self.people[place] = self._person(place)
        # Parcels and the boxes that they were for are lost, and found to be somebody else's, in one go.
        lost = rng.choice([one[1] for one in self.parcels if one[1] is not None])
        self.parcels = [one for one in self.parcels if one[1] != lost] + [self._parcel() for _ in range(3)]
        self.boxes = [one for one in self.boxes if one[0] != lost] + [self._box() for _ in range(2)]
        self.boxes[rng.randrange(len(self.boxes))] = self._box()
        self.parcels.append(self._parcel(number=rng.choice(self.parcels)[0]))

    def land(self, spark, lake):
        for table, rows in zip(
            TABLES, (self.people, self.payments, self.addresses, self.parcels, self.boxes), strict=True
        ):
            lake.declare(table)
            lake.replace(
                table.name, spark.createDataFrame(rows, ", ".join(f"{c.name} {c.type}" for c in table.columns))
            )


def _store(spark, root, views=VIEWS):
    """A run of its own: what it reads is pinned anew."""
    lake = lake_at(spark, str(root), "test")
    for table in TABLES:
        lake.declare(table)
    return FeatureStore(spark, FeatureTables(lake), views=views), lake


def _rows(lake, view):
    table = feature_table(view)
    rows = lake.read(table.name)
    return rows.select(
        *(F.round(c.name, 6).alias(c.name) if c.type == "double" else F.col(c.name) for c in table.columns)
    )


def _same(one, two, views=VIEWS):
    for view in views:
        left, right = _rows(one, view), _rows(two, view)
        assert left.exceptAll(right).limit(3).collect() == [], view.name
        assert right.exceptAll(left).limit(3).collect() == [], view.name


@pytest.fixture
def zoned(spark):
    """In Prague the slices cross the beginning of daylight saving."""
    with in_zone(spark, "Europe/Prague"):
        yield spark


def test_slices_kept_up_are_those_built_from_nothing(zoned, tmp_path):
    bank = Bank(3)
    store, lake = _store(zoned, tmp_path / "kept")
    bank.land(zoned, lake)
    # A hole in the days, filled later; two changes of every source lie between one build and the next.
    store.materialize("*", DAYS[0], DAYS[2])
    done = store.materialize("*", DAYS[5], DAYS[7])
    assert [len(one.built) for one in done] == [3, 3, 3, 3, 3]
    for _ in range(2):
        bank.happens()
        store, lake = _store(zoned, tmp_path / "kept")
        bank.land(zoned, lake)
    planned = store.plan_build(DAYS[0], DAYS[8])
    done = store.materialize("*", DAYS[0], DAYS[8])
    assert [len(one.built) for one in done] == [len(plan.missing) for plan in planned] == [3, 3, 3, 3, 3]
    assert all(one.mended for one in done[:2]), done
    fresh, other = _store(zoned, tmp_path / "fresh")
    bank.land(zoned, other)
    fresh.materialize("*", DAYS[0], DAYS[8])
    _same(lake, other)
    day = DAYS[7]
    computed = fresh.snapshot("person", day, ["paying_*"]).exceptAll(store.published("person", day, ["paying_*"]))
    assert computed.selectExpr("person_id").count() == 0
    # Nothing has changed since, so nothing is written.
    versions = [lake.version(feature_table(view).name) for view in VIEWS]
    store, lake = _store(zoned, tmp_path / "kept")
    assert all(not one.built and not one.mended for one in store.materialize("*", DAYS[0], DAYS[8]))
    assert [lake.version(feature_table(view).name) for view in VIEWS] == versions


def test_slices_are_mended_only_where_a_change_can_reach(spark, tmp_path):
    bank = Bank(5)
    store, lake = _store(spark, tmp_path)
    bank.land(spark, lake)
    store.materialize("*", DAYS[4], DAYS[13])
    # Known as the 25th begins, so that midnight is the first to see it, and the last is as far as the windows reach.
    zone = ZoneInfo(spark.conf.get("spark.sql.session.timeZone"))
    paid, known = datetime(2024, 3, 22, 12, tzinfo=zone), datetime(2024, 3, 25, tzinfo=zone)
    bank.payments.append((10_000, 1, paid, known, Decimal("5.00"), "x"))
    store, lake = _store(spark, tmp_path)
    bank.land(spark, lake)
    done = {one.view: one for one in store.materialize("*", DAYS[4], DAYS[13])}
    reach = {
        "paying": [day for day in DAYS if date(2024, 3, 25) <= day <= date(2024, 3, 29)],
        "visits": [day for day in DAYS if date(2024, 3, 25) <= day <= date(2024, 4, 1)],
        "living": [],
        "parcels": [],
        "both": [day for day in DAYS if date(2024, 3, 25) <= day <= date(2024, 4, 1)],
    }
    assert {name: list(one.mended) for name, one in done.items()} == reach
    assert all(not one.built for one in done.values())


def test_slices_of_another_definition_need_another_version(spark, tmp_path):
    bank = Bank(6)
    store, lake = _store(spark, tmp_path)
    bank.land(spark, lake)
    store.materialize("living", DAYS[0], DAYS[2])
    changed = replace(living, items=(state("district * 10", label="district"),))
    other, _ = _store(spark, tmp_path, [changed])
    with pytest.raises(FeatureError, match="view living: its definition is not the one that .* raise its version to 2"):
        other.materialize("living", DAYS[0], DAYS[2])
    second = replace(changed, version=2)
    other, lake = _store(spark, tmp_path, [second])
    lake.declare(feature_table(living))
    other.materialize("living", DAYS[0], DAYS[1])
    assert feature_table(second).name == "feature_person_living_v2"
    old, new = _rows(lake, living).where(f"as_of_date <= '{DAYS[1]}'"), _rows(lake, second)
    assert old.count() == new.count() > 0
    assert old.selectExpr("sum(living_district) * 10").first()[0] == new.selectExpr("sum(living_district)").first()[0]


def test_slices_serve_training_sets_and_say_what_is_not_there(spark, tmp_path):
    bank = Bank(7)
    store, lake = _store(spark, tmp_path)
    bank.land(spark, lake)
    # Over views of which no slice stands yet, and then from their slices.
    store.materialize("both", DAYS[0], DAYS[1])
    alone = _rows(lake, both).localCheckpoint()
    store.materialize("*", DAYS[0], DAYS[3])
    store.materialize("both", DAYS[0], DAYS[1], rebuild=True)
    again = _rows(lake, both).where(F.col("as_of_date") <= F.lit(DAYS[1]))
    assert alone.exceptAll(again).count() == again.exceptAll(alone).count() == 0 < alone.count()
    asked = [(n, n % PEOPLE, DAYS[n % 4]) for n in range(60)] + [(60, None, None)]
    days = spark.createDataFrame(asked, "row long, person_id long, at date")
    spine = days.withColumn("at", F.col("at").cast("timestamp"))
    wanted = {"purpose": "credit_risk"}
    with static_plans(spark):
        plan = plan_of(store.training_set(spine, ["paying_*", "living_*"], published=True, **wanted))
    # The spine, and the slices of each of the two views.
    assert count(plan, "Exchange") == 3 and count(plan, "FileScan") == 2
    slices = store.training_set(spine, ["paying_*", "living_*"], published=True, **wanted).orderBy("row").collect()
    exact = store.training_set(spine, ["paying_*", "living_*"], **wanted).orderBy("row").collect()
    alive = {row.person_id: row for row in lake.read("person").collect()}
    compared = 0
    for ours, theirs in zip(slices, exact, strict=True):
        person = alive.get(ours["person_id"])
        if person and person.since <= ours["at"] and (person.until is None or ours["at"] < person.until):
            assert _numbers(ours) == pytest.approx(_numbers(theirs))
            compared += 1
        else:
            assert ours["paying_amount_count_7d_cnt"] is None
    assert compared > 30
    # An hour later the same slice answers: that is what a system that reads slices saw.
    later = spine.withColumn("at", F.expr("at + INTERVAL 1 HOUR"))
    assert _values(store.training_set(later, "paying_*", published=True, **wanted)) == _values(
        store.training_set(spine, "paying_*", published=True, **wanted)
    )
    manifest = store.manifest(spine, "paying_*", published=True, **wanted)
    bank.happens()
    store, lake = _store(spark, tmp_path)
    bank.land(spark, lake)
    store.materialize("*", DAYS[0], DAYS[3])
    again = _values(store.rebuild(spine, manifest))
    assert again == [{name: row[name] for name in again[0]} for row in slices]
    late = spark.createDataFrame([(1, datetime.combine(DAYS[9], datetime.min.time()))], "person_id long, at timestamp")
    with pytest.raises(FeatureError, match="view paying: 1 of 1 days asked for have not been published"):
        store.training_set(late, "paying_*", published=True, **wanted)
    shifted = store.drift("person", DAYS[0], DAYS[3], "paying_*").collect()
    assert len(shifted) == len(paying.features)
    assert shifted[0]["psi"] >= shifted[-1]["psi"] >= 0


def _values(rows):
    """Row by row in the spine's order, without the time that was asked about."""
    return [row.asDict() for row in rows.drop("at").orderBy("row").collect()]


def _numbers(row):
    """Features as floats: a slice holds a mean of money as a double, the exact answer is a decimal."""
    return {name: None if value is None else float(value) for name, value in row.asDict().items() if name != "at"}
