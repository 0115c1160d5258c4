"""Views of customers on the simulated bank, against the same questions asked one by one in pandas."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType, TimestampType

from strata.features import FeatureStore, Manifest
from strata.features.definitions.feature import Feature
from strata.features.definitions.links import Link
from strata.features.definitions.view import WORD, FeatureView
from strata.features.engine.inputs import key_list
from strata.features.store.slice_contracts import feature_table
from strata.features.views import customer_views
from strata.jobs import feature_commands
from strata.jobs.runtime.slices import FeatureTables
from strata.jobs.runtime.tables import Lake
from tests.conftest import Bank, in_zone

pytestmark = pytest.mark.integration

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
    "bits": lambda values: np.bitwise_or.reduce(values.astype(int)) if len(values) else None,
}


def opened(view: FeatureView) -> FeatureView:
    """The view with all that it is made of offered, so that tests can see it."""
    below = tuple(opened(one) for one in view.over)
    return replace(view, items=tuple(replace(item, intermediate=False) for item in view.items), over=below)


VIEWS = tuple(opened(view) for view in customer_views())


@pytest.fixture(scope="module")
def asked(ingested: Bank) -> pd.DataFrame:
    """A row a customer of some, with all features as of ``AT``, also those that are only made use of."""
    with in_zone(ingested.spark, ingested.settings.bank_timezone):
        tables = ingested.tables()
        store = FeatureStore(ingested.spark, FeatureTables(tables), views=VIEWS, consents=None)
        spine = tables.read("customer").select("customer_id").distinct().where("customer_id % 3 = 0")
        spine = spine.withColumn("at", F.lit(AT))
        parts = [
            store.training_set(spine, [feature.name for feature in view.features], purpose=view.purposes[0])
            for view in VIEWS
        ]
        rows = [as_asked(part).set_index("customer_id").sort_index() for part in parts]
    return pd.concat(rows, axis=1)


def as_asked(rows: DataFrame) -> pd.DataFrame:
    """In pandas; bits as texts, because whole numbers beside nulls become floats there, which have too few digits."""
    bits = {feature.name for view in VIEWS for feature in view.features if feature.agg == "bits"}
    return rows.select(
        *(F.col(name).cast("string").alias(name) if name in bits else name for name in rows.columns if name != "at")
    ).toPandas()


def test_every_feature_is_asked_for(asked: pd.DataFrame):
    assert list(asked.columns) == [feature.name for view in VIEWS for feature in view.features]
    assert sum(len(view.features) for view in customer_views()) >= 700 and len(asked) > 200


@pytest.mark.parametrize("view", [view for view in VIEWS if not view.over], ids=lambda view: view.name)
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
    words = {word for feature in features for word in WORD.findall(feature.measure)}
    ids = key_list(view.event_id, "event_id") if view.event_id else []
    joins = [ours for link in view.links for ours, _ in link.on]
    kept = dict.fromkeys(["customer_id", "event_ts", "known_ts", *joins, *ids, *sorted(words)])
    rows = rows.select(*(name for name in kept if name in rows.columns))
    brought = {name for link in view.links for name in link.renamed}
    if not words & brought:
        rows = with_measures(rows, features)
    found = linked(rows.toPandas(), view, tables)
    if words & brought:
        fields = [
            StructField("own", TimestampType()),
            *rows.schema.fields,
            *(brought_field(link, name, tables) for link in view.links for name in link.renamed),
        ]
        types = StructType([next(field for field in fields if field.name == name) for name in found.columns])
        # Times stay as pandas has them, in the session's zone; all else goes back as objects, nulls as nulls.
        times = [name for name in found.columns if found[name].dtype.kind == "M"]
        found = found.dropna(subset=times)
        others = found.drop(columns=times).astype(object)
        back = pd.concat([found[times], others.where(others.notna(), None)], axis=1)[list(found.columns)]
        found = with_measures(rows.sparkSession.createDataFrame(back, types), features).toPandas()
    return found.rename(columns={name: f"id {name}" for name in ids}).assign(
        customer_id=found["customer_id"], event_ts=found["event_ts"]
    )


def with_measures(rows: DataFrame, features: list[Feature]) -> DataFrame:
    return rows.select("*", *(F.expr(feature.measure).alias(feature.name) for feature in features))


def brought_field(link: Link, name: str, tables: Lake) -> StructField:
    return StructField(name, tables.read(link.table).schema[link.renamed[name]].dataType)


def linked(found: pd.DataFrame, view: FeatureView, tables: Lake) -> pd.DataFrame:
    """Rows once for each owner; known when both were, of which the rows' own time tells versions apart."""
    found["own"] = found["known_ts"]
    for link in view.links:
        said = tables.read(link.table).where(link.where or "true").toPandas().dropna(subset=[link.on[0][1]])
        keys = [theirs for _, theirs in link.on]
        said = said.assign(**{name: said[theirs] for name, theirs in link.renamed.items()}, linked=said["known_ts"])
        said = said.assign(**{f"on {theirs}": said[theirs] for theirs in keys})
        keys, brought = [f"on {theirs}" for theirs in keys], list(link.renamed)
        first = said.sort_values("linked").drop_duplicates([*keys, *brought])[[*keys, *brought, "linked"]]
        first = first.sort_values(["linked", *brought]).groupby(keys).head(link.at_most or len(first))
        found = found.merge(first, left_on=[ours for ours, _ in link.on], right_on=keys).drop(columns=keys)
        found["known_ts"] = found[["known_ts", "linked"]].max(axis=1)
        found = found.drop(columns="linked")
    return found


def known(view: FeatureView, rows: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    """Of each event the version known last by ``at``; only those that had happened."""
    rows = rows[rows["known_ts"] <= at].sort_values(["known_ts", "own"])
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
    if isinstance(one, date):
        return pd.Timestamp(one) == pd.Timestamp(other)
    # A mean of money has six decimals.
    return bool(np.isclose(float(one), float(other), rtol=1e-9, atol=1e-6))


def test_derived_features_are_what_their_words_say(asked: pd.DataFrame):
    """In DuckDB, over the features that they are made of; evenness and streaks, which it can't read, by hand."""
    values = asked.apply(plain_of)
    derived = [feature for view in VIEWS for feature in view.features if feature.kind == "derived"]
    by_hand = {"aggregate(filter(": (evenness, values), "aggregate(sequence(": (streak_of, asked)}
    plain = [feature for feature in derived if "aggregate(" not in feature.measure]
    wanted = in_duckdb(values, plain)
    for feature in derived:
        for words, (answer, rows) in by_hand.items():
            if words in feature.measure:
                wanted[feature.name] = rows.apply(lambda row, of=answer, one=feature: of(row, one), axis=1)
    assert len(wanted.columns) == len(derived) > 140
    for feature in derived:
        ours, theirs = values[feature.name].astype(float), wanted[feature.name].astype(float)
        wrong = ~np.isclose(ours, theirs, rtol=1e-6, atol=1e-6, equal_nan=True)
        assert not wrong.any(), (feature.name, feature.measure, ours[wrong].head(3), theirs[wrong].head(3))


def plain_of(column: pd.Series) -> pd.Series:
    """Times as times, all else as floats."""
    told = column.dropna()
    is_time = column.dtype.kind == "M" or (len(told) and isinstance(told.iloc[0], date))
    return pd.to_datetime(column) if is_time else column.astype(float)


def in_duckdb(values: pd.DataFrame, features: list[Feature]) -> pd.DataFrame:
    with duckdb.connect() as database:
        database.execute("CREATE MACRO days(a, b) AS date_diff('day', CAST(b AS DATE), CAST(a AS DATE))")
        database.register("asked", values)
        texts = [
            f"({feature.measure.replace('datediff(', 'days(').replace(':at', f'TIMESTAMP {AT.isoformat()!r}')}) "
            f'AS "{feature.name}"'
            for feature in features
        ]
        return database.execute(f"SELECT {', '.join(texts)} FROM asked").df().set_index(values.index)


def evenness(row: pd.Series, feature: Feature) -> float:
    parts = np.array([max(row[name], 0) if row[name] == row[name] else 0.0 for name in feature.inputs])
    shares = parts[parts > 0] / parts.sum() if parts.sum() else parts[:0]
    return float(-(shares * np.log(shares)).sum() / np.log(len(parts))) if len(shares) else np.nan


def streak_of(row: pd.Series, feature: Feature) -> int:
    """Back from the month before ``AT``, or from earlier where the source comes late, while its bit is set."""
    bits = int(row[feature.inputs[0]] or 0)
    late = int(re.search(r"month\(:at\) - (\d+)", feature.measure)[1])
    longest = int(re.search(r"sequence\(1, (\d+)\)", feature.measure)[1])
    month = 12 * AT.year + AT.month - late
    return next((k for k in range(longest) if not bits >> ((month - 1 - k) % 60) & 1), longest)


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


def test_the_banks_own_store_looks_consent_up(ingested: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lake, today = ingested.tables(), date(2025, 3, 31)
    people = lake.read("customer").select("customer_id").distinct().toPandas()
    with in_zone(ingested.spark, ingested.settings.bank_timezone):
        said = lake.read("consent").where("known_ts <= timestamp'2025-03-31' AND valid_from <= timestamp'2025-03-31'")
        said = said.where("purpose = 'credit_assessment'").orderBy("valid_from", "granted").toPandas()
    last = said.groupby("customer_id").tail(1)
    against = set(last[~last["granted"]]["customer_id"])
    assert 20 < len(against) < len(people)
    people.assign(at=today).to_csv(tmp_path / "spine.csv", index=False)
    make = next(job for job in feature_commands.JOBS if job.name == "features training-set")
    asked = ("--spine", str(tmp_path / "spine.csv"), "--features", "standing_*", "--purpose", "credit_risk")
    asked += ("--output", str(tmp_path / "out"), "--as-of", str(today))
    assert ingested.run(make, *asked) == 2
    refused = f"spine: {len(against):,} of {len(people):,} rows have no consent for 'credit_risk'"
    assert refused in capsys.readouterr().err
    assert ingested.run(make, *asked, "--drop-without-consent") == 0
    written = ingested.spark.read.format("delta").load(str(tmp_path / "out" / "training_set")).toPandas()
    assert set(written["customer_id"]) == set(people["customer_id"]) - against
    manifest = Manifest.from_json((tmp_path / "out" / "manifest.json").read_text())
    assert manifest.spine_rows == len(written)
