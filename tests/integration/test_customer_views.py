"""Views of customers on the simulated bank, against the same questions asked one by one in pandas."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from strata.features import FeatureStore
from strata.features.contracts import feature_table
from strata.features.definitions import Feature, FeatureView
from strata.features.inputs import key_list
from strata.features.views import customer_views
from strata.jobs import feature_commands
from strata.jobs.runtime.slices import FeatureTables
from strata.jobs.runtime.tables import Lake
from tests.conftest import Bank, in_zone

# In the midst of the simulated months, so that much has happened, or become known, only afterwards.
AT = date(2025, 3, 10)
AGGREGATES: dict[str, Callable[[pd.Series], object]] = {
    "sum": lambda values: values.sum(),
    "count": lambda values: values.count(),
    "mean": lambda values: values.mean(),
    "max": lambda values: values.max(),
    "min": lambda values: values.min(),
    "std": lambda values: values.std(),
    "distinct": lambda values: values.nunique(),
}


@pytest.fixture(scope="module")
def asked(ingested: Bank) -> pd.DataFrame:
    """A row a customer of some, with all features as of ``AT``."""
    with in_zone(ingested.spark, ingested.settings.bank_timezone):
        tables = ingested.tables()
        store = FeatureStore(ingested.spark, FeatureTables(tables), views=customer_views())
        spine = tables.read("customer").select("customer_id").distinct().where("customer_id % 3 = 0")
        spine = spine.withColumn("at", F.lit(AT))
        parts = [
            store.training_set(spine, [feature.name for feature in view.features], purpose=view.purposes[0])
            for view in customer_views()
        ]
        rows = [part.drop("at").toPandas().set_index("customer_id").sort_index() for part in parts]
    return pd.concat(rows, axis=1)


def test_every_feature_is_asked_for(asked: pd.DataFrame):
    assert list(asked.columns) == [feature.name for view in customer_views() for feature in view.features]
    assert len(asked.columns) >= 600 and len(asked) > 200


@pytest.mark.parametrize("view", customer_views(), ids=lambda view: view.name)
def test_views_are_what_pandas_says(ingested: Bank, asked: pd.DataFrame, view: FeatureView):
    plain = [feature for feature in view.features if feature.kind != "derived"]
    with in_zone(ingested.spark, ingested.settings.bank_timezone):
        rows = known(view, measured(view, plain, ingested.tables()), pd.Timestamp(AT))
    told = 0
    for feature in plain:
        found = asked[feature.name]
        wanted = answers(feature, rows.rename(columns={feature.name: "value"}), found.index)
        told += int(found.notna().any())
        if feature.agg == "last" or view.valid_from:
            wrong = [who for who in found.index if not any(same(found[who], one) for one in wanted[who])]
        else:
            wrong = [who for who in found.index if not same(found[who], wanted[who])]
        assert not wrong, (feature.name, [(who, found[who], wanted[who]) for who in wrong[:3]])
    assert told > len(plain) * 0.6, "most features have values"


def measured(view: FeatureView, features: list[Feature], tables: Lake) -> pd.DataFrame:
    """The source's rows with every feature's measure, whole keys and clocks, and whose they are."""
    source = tables.read(view.source)
    rows = source if view.prepare is None else view.prepare(source)
    joins = [ours for link in view.links for ours, _ in link.on if ours in rows.columns]
    kept = dict.fromkeys([*(name for name in ("customer_id",) if name in rows.columns), "event_ts", "known_ts", *joins])
    ids = [name for name in (key_list(view.event_id, "event_id") if view.event_id else []) if name in rows.columns]
    values = [F.expr(feature.measure).alias(feature.name) for feature in features]
    found = rows.select(*kept, *(F.col(name).alias(f"id {name}") for name in ids), *values).toPandas()
    for link in view.links:
        said = tables.read(link.table).where(link.where or "true").toPandas().dropna(subset=[link.on[0][1]])
        keys, brought = [theirs for _, theirs in link.on], list(link.brings)
        first = said.sort_values("known_ts").drop_duplicates([*keys, *brought])[[*keys, *brought, "known_ts"]]
        first = first.sort_values(["known_ts", *brought]).groupby(keys).head(link.at_most or len(first))
        first = first.rename(columns={theirs: ours for ours, theirs in link.on} | {"known_ts": "linked"})
        found = found.merge(first, on=[ours for ours, _ in link.on])
        found["known_ts"] = found[["known_ts", "linked"]].max(axis=1)
        found = found.drop(columns="linked")
    if view.event_id and "customer_id" in view.event_id:
        found["id customer"] = found["customer_id"]
    return found


def known(view: FeatureView, rows: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    """Of each event the version known last by ``at``; only those that had happened."""
    rows = rows[rows["known_ts"] <= at].sort_values("known_ts")
    ids = [name for name in rows.columns if name.startswith("id ")]
    if ids:
        rows = rows.drop_duplicates(ids, keep="last")
    happened = rows["event_ts"] < at if view.event_ts else rows["event_ts"] <= at
    return rows[happened]


def answers(feature: Feature, rows: pd.DataFrame, people: pd.Index) -> dict[int, object]:
    """The feature of each person: a value, or for the last one all values that have an equal claim."""
    if feature.days:
        rows = rows[rows["event_ts"] >= pd.Timestamp(AT) - pd.Timedelta(days=feature.days)]
    groups = dict(tuple(rows.groupby("customer_id")))
    empty = rows.iloc[:0]
    found = {}
    for who in people:
        mine = groups.get(who, empty)
        if feature.agg is None:
            newest = mine[mine["event_ts"] == mine["event_ts"].max()]
            found[who] = list(newest[newest["known_ts"] == newest["known_ts"].max()]["value"]) or [None]
        elif feature.agg == "last":
            there = mine[mine["value"].notna()]
            found[who] = list(there[there["event_ts"] == there["event_ts"].max()]["value"]) or [None]
        else:
            values = mine["value"].dropna()
            values = values.astype(float) if feature.agg in ("sum", "mean", "std") else values
            found[who] = AGGREGATES[feature.agg](values)
    return found


def same(one: object, other: object) -> bool:
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    # A mean of money has six decimals.
    return bool(np.isclose(float(one), float(other), rtol=1e-9, atol=1e-6))


def test_shares_and_evenness_lie_between_nothing_and_all(asked: pd.DataFrame):
    names = [name for name in asked if "_share" in name or "_spread" in name]
    values = asked[names].astype(float)
    assert len(names) > 20 and values.notna().any().all()
    assert (values.min() >= 0).all() and (values.max() <= 1 + 1e-12).all()


def test_slices_of_customers_are_published(ingested: Bank, capsys: pytest.CaptureFixture[str]):
    build = next(job for job in feature_commands.JOBS if job.name == "features build")
    assert ingested.run(build, "--from", "2025-03-10", "--to", "2025-03-11", "--views", "social", "standing") == 0
    lake = ingested.tables()
    for view in (view for view in customer_views() if view.name in ("social", "standing")):
        rows = lake.read(feature_table(view).name).groupBy("as_of_date").count().toPandas()
        assert set(rows["as_of_date"]) == {date(2025, 3, 10), date(2025, 3, 11)} and rows["count"].min() > 700
    listed = next(job for job in feature_commands.JOBS if job.name == "features list")
    assert ingested.run(listed, "marketing_*") == 0
    assert "marketing_unanswered_90d_cnt" in capsys.readouterr().out
