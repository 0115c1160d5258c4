"""Published slices of a year, then of one day more, then mended after late rows: what each costs."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

from features_common import answer, job, timed
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.contracts import Layer, Table, col
from strata.features import Entity, FeatureStore, FeatureView, windowed
from strata.jobs import local_session
from strata.jobs.runtime.slices import FeatureTables
from strata.jobs.runtime.tables import Lake
from strata.jobs.table_catalog import lake_at

GIVEN = job()
LAKE = Path(GIVEN["output"])
# The spine asks about the second year of the events, so this is its last day.
LAST = date.fromisoformat(GIVEN["last"])
YEAR = 365
LATE = 1_000


def _table(name: str, *columns: tuple[str, str]) -> Table:
    made = tuple(col(column, kind, column) for column, kind in columns)
    return Table(name=name, layer=Layer.SILVER, grain="one row", description=name, columns=made)


EVENT = _table(
    "event", ("event_id", "bigint"), ("customer_id", "bigint"), ("event_ts", "timestamp"), ("known_ts", "timestamp"),
    ("amount", "decimal(18,2)"),
)  # fmt: skip
CUSTOMER = _table("customer_since", ("customer_id", "bigint"), ("since", "timestamp"))
VIEW = FeatureView(
    name="amounts",
    version=1,
    entity=Entity("customer", ("customer_id",), "customer_since", "since"),
    source="event",
    items=(windowed("amount", aggs=GIVEN["aggs"], days=GIVEN["days"], unit="amt"),),
    description="Amounts.",
    owner="bench",
    purposes=("bench",),
    event_ts="event_ts",
    known_ts="known_ts",
)


def store() -> tuple[FeatureStore, Lake]:
    """A run of its own: what it reads is pinned anew."""
    lake = lake_at(SPARK, str(LAKE), "bench")
    for table in (EVENT, CUSTOMER):
        lake.declare(table)
    return FeatureStore(SPARK, FeatureTables(lake), views=[VIEW]), lake


def land(rows: DataFrame) -> None:
    """More events."""
    store()[1].append("event", rows.select(*EVENT.names))


def build(first: date, last: date) -> float:
    """Seconds that publishing these days takes."""
    features, _ = store()
    return timed(lambda: features.materialize("*", first, last))


if __name__ == "__main__":
    shutil.rmtree(LAKE, ignore_errors=True)
    SPARK = local_session(cores=2)
    events = SPARK.read.parquet(f"{GIVEN['folder']}/events")
    before, today = (
        events.where(F.to_date("known_ts") < F.lit(LAST)),
        events.where(F.to_date("known_ts") == F.lit(LAST)),
    )
    land(before)
    customers = events.select("customer_id").distinct().withColumn("since", F.lit("2000-01-01").cast("timestamp"))
    store()[1].replace("customer_since", customers)
    found = {"year_seconds": build(LAST - timedelta(days=YEAR - 1), LAST)}
    answer(GIVEN, found)
    land(today)
    found["day_seconds"] = build(LAST + timedelta(days=1), LAST + timedelta(days=1))
    answer(GIVEN, found)
    # Events of a month ago that come to light now, as if they had been known then.
    late = before.where(F.to_date("event_ts") == F.lit(LAST - timedelta(days=30))).limit(LATE)
    land(late.withColumn("event_id", F.col("event_id") + 10**12))
    found["late_rows"] = float(late.count())
    found["mend_seconds"] = build(LAST - timedelta(days=YEAR - 1), LAST + timedelta(days=1))
    answer(GIVEN, found)
    SPARK.stop()
