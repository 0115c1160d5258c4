"""Feast with a local offline store (dask, its own; or duckdb): historical features of one view a table.

Known times are its created timestamps. It loses spine rows whose key has only later states; here is none such.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.data_format import ParquetFormat
from feast.types import Float64, Int64, String
from feast.value_type import ValueType
from features_common import answer, job, timed

GIVEN = job()
KINDS = {"limit_amt": Float64, "late_cnt": Int64, "used_ratio": Float64, "grade": String}


def store(folder: Path) -> FeatureStore:
    """A new store in ``folder`` with the views registered."""
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store=None,
        offline_store={"type": GIVEN["way"]},
        entity_key_serialization_version=3,
    )
    made = FeatureStore(config=config)
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
    made.apply([customer, *(view(table, customer) for table in GIVEN["tables"])])
    return made


def view(table: str, customer: Entity) -> FeatureView:
    """One of the tables, its states holding until the next."""
    return FeatureView(
        name=table,
        entities=[customer],
        ttl=timedelta(0),
        schema=[Field(name=name, dtype=KINDS[name]) for name in GIVEN["columns"]],
        source=FileSource(
            path=f"{GIVEN['folder']}/{table}",
            file_format=ParquetFormat(),
            timestamp_field="valid_from",
            created_timestamp_column="known_ts" if GIVEN["known"] else None,
        ),
        online=False,
    )


def states(made: FeatureStore) -> None:
    """The spine with the columns of every table."""
    spine = pd.read_parquet(f"{GIVEN['folder']}/spine").rename(columns={"at": "event_timestamp"})
    features = [f"{table}:{name}" for table in GIVEN["tables"] for name in GIVEN["columns"]]
    found = made.get_historical_features(
        entity_df=spine, features=features, full_feature_names=True, filter_by_created_timestamp=GIVEN["known"]
    ).to_df()
    found.rename(columns={"event_timestamp": "at"}).to_parquet(GIVEN["output"], index=False)


def main() -> None:
    """Register the views, which isn't timed, and do the job."""
    with tempfile.TemporaryDirectory() as folder:
        made = store(Path(folder))
        answer(GIVEN, {"seconds": timed(lambda: states(made))})


if __name__ == "__main__":
    main()
