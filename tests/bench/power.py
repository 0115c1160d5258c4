"""Part feature_power: what customers' features tell of default, response and fraud, on the simulated bank's truth.

Features are exact as of each question. What the part keeps: ``feature_power/`` beside the bank (the features of every
question), ``results/feature_power.json`` (all figures) and ``results/feature_power.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial, reduce
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.features import FeatureStore, TableClock, leakage_check, point_in_time_join, proxy_report
from strata.features.definitions.view import FeatureView
from strata.features.views import customer_views
from strata.jobs.runtime.session import open_session
from strata.jobs.runtime.slices import FeatureTables
from strata.jobs.runtime.tables import Lake
from strata.jobs.table_catalog import lake_at
from strata.models import Binning, fit_binning
from tests.bench.bank import prepared, settings_of
from tests.bench.kept import HERE, RESULTS, Measurement, apart, kept, stamp_of, write
from tests.bench.power_figures import drivers, redundancy, subjects, unsteady
from tests.bench.power_table import power_table

CUSTOMERS = 10_000
Build = Callable[[DataFrame, Mapping[str, DataFrame]], DataFrame]
# In the midst of a campaign, whose answers are still to come.
MOMENT = datetime(2026, 5, 15, tzinfo=ZoneInfo("Asia/Shanghai"))
# Month ends at which people are asked about: a year of history before the first.
MONTH_ENDS = tuple(f"{2026 + month // 12}-{month % 12 + 1:02d}-01" for month in range(1, 13))
# What people of different means want differs by product, so one is asked about.
PRODUCT = "WMP"
# What each outcome's models may be made of.
PURPOSE = {"default": "credit_risk", "standard": "credit_risk", "response": "marketing", "fraud": "fraud"}


def run() -> None:
    """Measure what is missing, then print and keep the table."""
    root = HERE.parents[1]
    stamp = stamp_of(root / "features", *HERE.glob("power*.py"))
    found = kept(RESULTS / "feature_power.json", stamp, partial(apart, "power", CUSTOMERS))
    text = power_table(found)
    (RESULTS / "feature_power.md").write_text(text)
    print(text)


def questions(lake: Lake, truth: dict[str, DataFrame]) -> DataFrame:
    """A row a question: ``row``, ``kind``, ``customer_id``, ``at``, ``outcome``, ``truth``: its true chance."""
    chances = truth["truth_response"].where(F.col("product_code") == PRODUCT)
    chances = chances.select("customer_id", "channel", F.col("treated").alias("truth"))
    touches = _touches(lake).join(chances, ["customer_id", "channel"], "inner").drop("channel")
    rows = reduce(DataFrame.unionByName, [_applications(lake, truth), touches, _everybody(lake, truth)])
    return rows.withColumn("row", F.xxhash64("kind", "customer_id", "at", "place")).drop("place")


def _applications(lake: Lake, truth: dict[str, DataFrame]) -> DataFrame:
    """Every application as it came in, granted or not: would it have gone 90 days past due in a year?"""
    first = lake.read("loan_application").groupBy("application_id", "customer_id").agg(F.min("event_ts").alias("at"))
    true = truth["truth_credit"].select(
        "application_id", "true_pd", F.col("would_default").cast("int").alias("outcome")
    )
    asked = first.join(true, on="application_id", how="inner").where("at >= '2025-07-01'")
    return asked.selectExpr(
        "'default' AS kind", "customer_id", "at", "outcome", "true_pd AS truth", "application_id AS place"
    )


def _touches(lake: Lake) -> DataFrame:
    """Everybody approached for one product: did they take it up, as was known at the end?"""
    campaigns = lake.read("campaign").where(F.col("product_code") == PRODUCT).select("campaign_id").distinct()
    treated = lake.read("marketing_contact").join(campaigns, "campaign_id", "left_semi")
    treated = treated.where("treatment = 'treated' AND event_ts >= '2025-07-01'")
    last = treated.groupBy("contact_id", "customer_id", "channel").agg(
        F.min("event_ts").alias("at"), F.max_by("response", "known_ts").alias("response")
    )
    return last.where("response IS NOT NULL").select(
        F.lit("response").alias("kind"), "customer_id", "at",
        (F.col("response") == "take_up").cast("int").alias("outcome"), "channel", F.col("contact_id").alias("place"),
    )  # fmt: skip


def _everybody(lake: Lake, truth: dict[str, DataFrame]) -> DataFrame:
    """Each customer once, at one of the month ends, drawn by a hash: is it a member of a ring?"""
    people = lake.read("customer").groupBy("customer_id").agg(F.min("known_ts").alias("since"))
    rings = truth["truth_group"].where("kind LIKE 'ring_%'").select("customer_id", F.lit(1).alias("ring")).distinct()
    months = F.array(*(F.lit(day).cast("timestamp") for day in MONTH_ENDS))
    drawn = F.pmod(F.xxhash64("customer_id", F.lit(7)), F.lit(len(MONTH_ENDS))).cast("int")
    rows = people.withColumn("at", F.element_at(months, drawn + 1)).where("since <= at")
    rows = rows.join(F.broadcast(rings), "customer_id", "left")
    return rows.select(
        F.lit("fraud").alias("kind"), "customer_id", "at", F.coalesce("ring", F.lit(0)).alias("outcome"),
        F.lit(None).cast("double").alias("truth"), F.lit(0).cast("bigint").alias("place"),
    )  # fmt: skip


def features_of(store: FeatureStore, view: FeatureView, asked: DataFrame, folder: Path) -> pd.DataFrame:
    """A view's features of every question, computed once and kept."""
    path = folder / f"{view.name}_{view.definition_hash}.parquet"
    if not path.exists():
        print(f"bench: {view.name}", flush=True)
        names = [feature.name for feature in view.features]
        rows = store.training_set(asked.select("row", "customer_id", "at"), names, purpose=view.purposes[0])
        doubles = rows.select("row", *(F.col(name).cast("double").alias(name) for name in names))
        doubles.write.mode("overwrite").parquet(str(path))
    return pd.read_parquet(path).set_index("row")


def measure(customers: int) -> Measurement:
    """All figures."""
    prepared(customers)
    settings = settings_of(customers)
    spark = open_session(settings)
    lake = lake_at(spark, settings.lake)
    home = Path(settings.lake).parent
    # Beside the bank that they are of, and gone with it; of other questions in another folder.
    folder = home / "feature_power" / stamp_of(Path(__file__))
    folder.mkdir(parents=True, exist_ok=True)
    truth = {
        path.name: spark.read.format("delta").load(str(path)) for path in (home / "truth").iterdir() if path.is_dir()
    }
    spine = folder / "questions.parquet"
    if not spine.exists():
        questions(lake, truth).write.parquet(str(spine))
    asked = spark.read.parquet(str(spine))
    views = customer_views()
    store = FeatureStore(spark, FeatureTables(lake), views=views, consents=None)
    table = pd.concat([features_of(store, view, asked, folder) for view in views], axis=1)
    rows = asked.toPandas().set_index("row").loc[table.index]
    people = truth["truth_person"].toPandas().set_index("customer_id")
    chosen = {kind: (rows[rows["kind"] == kind], table[rows["kind"] == kind]) for kind in PURPOSE}
    whole, values = chosen["fraud"]
    chosen["standard"] = (standard_loans(whole, people), values)
    return {
        "customers": customers,
        "features": table.shape[1],
        "outcomes": {kind: outcome(spark, views, *chosen[kind], PURPOSE[kind]) for kind in PURPOSE},
        "drivers": drivers(values, people.loc[whole["customer_id"]]),
        "redundant": redundancy(views, values),
        "unsteady": unsteady(views, values, whole["at"].dt.date),
        "leaks": leaks(lake),
        "proxies": proxies(spark, lake, whole, values),
    }


def outcome(
    spark: SparkSession, views: tuple[FeatureView, ...], rows: pd.DataFrame, table: pd.DataFrame, purpose: str
) -> Measurement:
    """The power of each subject, and of all together, for one outcome."""
    allowed = [feature.name for view in views for feature in view.features if purpose in feature.purposes]
    late = (rows["at"] >= rows["at"].quantile(0.65, interpolation="higher")).to_numpy()
    data = spark.createDataFrame(table[allowed].assign(outcome=rows["outcome"].astype(int), late=late)).persist()
    binning = fit_binning(data.where("NOT late"), target="outcome", features=allowed)
    return subjects(views, binning, coded(data, binning), rows, late)


def coded(data: DataFrame, binning: Binning) -> pd.DataFrame:
    """The WOE of every feature, in the rows' order: some columns at a time, as no compiler likes hundreds of them."""
    names, parts = list(binning.features), []
    for some in (names[place : place + 60] for place in range(0, len(names), 60)):
        part = Binning({name: binning.features[name] for name in some}).transform(data.select(*some))
        parts.append(part.select(*(F.col(f"{name}_woe").alias(name) for name in some)).toPandas())
    return pd.concat(parts, axis=1)


def standard_loans(asked: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Everybody once more: would a standard consumer loan go bad? Drawn from each person's true chance."""
    chance = people.loc[asked["customer_id"], "standard_pd"].to_numpy()
    drawn = np.random.default_rng(7).random(len(asked)) < chance
    return asked.assign(outcome=drawn.astype(int), truth=chance)


def leaks(lake: Lake) -> list[Measurement]:
    """Planted columns brought in by joins without clocks, and as known then: what the leakage check names."""
    owners = lake.read("account_holder").where("role = 'owner'").select("account_id", "customer_id").distinct()
    states = lake.read("account").join(owners, "account_id", "inner")
    states = states.select("customer_id", "event_ts", "known_ts", F.col("status").alias("account_status"))
    touches = lake.read("marketing_contact").where("treatment = 'treated'")
    touches = touches.select("contact_id", "event_ts", "known_ts", F.col("response").alias("marketing_response"))
    people = states.select("customer_id").distinct().withColumn("at", F.lit(MOMENT))
    touched = touches.groupBy("contact_id").agg(F.min("known_ts").alias("at"))
    clock = TableClock("event_ts", "known_ts", is_state=True)

    def newest(key: str, value: str) -> Build:
        def build(spine: DataFrame, tables: Mapping[str, DataFrame]) -> DataFrame:
            last = tables["table"].groupBy(key).agg(F.max_by(value, "known_ts").alias(value))
            return spine.join(last, key, "left")

        return build

    def then(key: str, value: str) -> Build:
        def build(spine: DataFrame, tables: Mapping[str, DataFrame]) -> DataFrame:
            found = point_in_time_join(spine, tables, key=key, at="at", valid_from="event_ts", known_ts="known_ts")
            return found.select(*spine.columns, F.col(f"table__{value}").alias(value))

        return build

    answers = []
    for spine, table, key, value in (
        (people, states, "customer_id", "account_status"),
        (touched, touches, "contact_id", "marketing_response"),
    ):
        for how, build in (("the newest row of each", newest), ("as known then", then)):
            report = leakage_check(
                build(key, value), spine, {"table": table}, {"table": clock}, moment=MOMENT, row_id=key
            )
            answers.append({"column": value, "how": how, "rows": report.rows, "changed": dict(report.changed)})
    return answers


def proxies(spark: SparkSession, lake: Lake, rows: pd.DataFrame, table: pd.DataFrame) -> list[Measurement]:
    """Features that stand in for gender, the strongest first."""
    genders = (
        lake.read("customer").groupBy("customer_id").agg(F.max_by("gender", "known_ts").alias("gender")).toPandas()
    )
    told = rows[["customer_id"]].merge(genders, on="customer_id", how="left")["gender"].to_numpy()
    found = proxy_report(spark.createDataFrame(table.assign(gender=told)), list(table.columns), ["gender"]).toPandas()
    return [
        {"feature": row.feature, "v": row.cramers_v, "noise": row.noise, "is_proxy": bool(row.is_proxy)}
        for row in found.sort_values("cramers_v", ascending=False).head(12).itertuples()
    ]


if __name__ == "__main__":
    write(Path(sys.argv[2]), measure(int(sys.argv[1])))
