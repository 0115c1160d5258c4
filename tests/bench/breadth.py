"""Part customer_features: what a day of all customers' features costs, and the day after it, by subject and size.

Larger banks are the bank of 10,000 customers copied under new keys. Each size runs in a process of its own:
``python -m tests.bench.breadth CUSTOMERS COPIES ANSWER``.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial, reduce
from pathlib import Path

import numpy as np
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.features import FeatureStore
from strata.features.engine.compute import pass_key
from strata.features.store.statistics import feature_statistics, measurable
from strata.features.views import customer_views
from strata.jobs.runtime.session import open_session
from strata.jobs.runtime.slices import FeatureTables
from strata.jobs.runtime.tables import Lake
from strata.jobs.table_catalog import lake_at
from tests.bench.bank import prepared, settings_of
from tests.bench.kept import HERE, RESULTS, SCRATCH, Measurement, apart, kept, stamp_of, table, write
from tests.bench.meter import metered
from tests.bench.simulation import MONTHS

CUSTOMERS = 10_000
COPIES = (1, 3, 10)
# A day near the end of the months, with whole history before it; the one after is what a night has to do.
DAY = date(2026, 12, 1)
# Numbers of the bank's own structure: the same in every copy.
SHARED = {"branch_id", "manager_id", "employer_id", "partner_id", "campaign_id", "district_id"}
BETWEEN_COPIES = 10**16


@dataclass(frozen=True)
class Sizes:
    """How many customers the bank that is copied has, how often it is copied, and where results are kept."""

    customers: int
    copies: tuple[int, ...]
    folder: Path


FULL = Sizes(CUSTOMERS, COPIES, RESULTS)
SMALL = Sizes(500, (1, 2), SCRATCH / "results_small")


def run(sizes: Sizes = FULL) -> None:
    """Measure what is missing; print and keep the table, from the second size on."""
    stamp = stamp_of(HERE.parents[1] / "features")
    measured = []
    for copies in sizes.copies:
        path = sizes.folder / "customer_features" / f"{copies}.json"
        measured.append(kept(path, stamp, partial(apart, "breadth", sizes.customers, copies)))
        if len(measured) > 1:
            (sizes.folder / "customer_features.md").write_text(breadth_table(measured))
    print(breadth_table(measured))


def copies_of(rows: DataFrame, copies: int, shared: Collection[str] = SHARED) -> DataFrame:
    """The rows and their copies, each under keys of its own."""
    return reduce(DataFrame.unionByName, [copied(rows, number, shared) for number in range(copies)])


def copied(rows: DataFrame, number: int, shared: Collection[str]) -> DataFrame:
    """The rows under new keys: numbers moved on, tokens lengthened; what the bank itself is made of stays."""

    def moved(name: str, kind: str) -> Column:
        if name.endswith("_hash"):
            return F.concat(F.col(name), F.lit(f"+{number}"))
        is_key = name.endswith("_id") and kind == "bigint" and name not in shared
        return F.col(name) + F.lit(number * BETWEEN_COPIES) if is_key else F.col(name)

    return rows if number == 0 else rows.select(*(moved(name, kind).alias(name) for name, kind in rows.dtypes))


def multiply(small: Lake, large: Lake, copies: int) -> Iterator[tuple[str, DataFrame]]:
    """Write the views' tables of the copies as known by ``DAY``; yield what became known then, to be added later."""
    for name in sorted({name for view in customer_views() for name in (view.entity.source, *view.tables)}):
        whole = copies_of(small.read(name), copies)
        known = F.to_date("known_ts")
        path = large.path(name)
        whole.where(known < F.lit(DAY)).write.format("delta").option("delta.enableChangeDataFeed", "true").save(path)
        yield path, whole.where(known == F.lit(DAY))


def measure(customers: int, copies: int) -> Measurement:
    """Publish the day subject by subject; of the smallest bank then the day after it, when its rows have come."""
    prepared(customers)
    settings = settings_of(customers)
    spark = open_session(settings)
    large = SCRATCH / "customer_features" / f"{customers}_{copies}"
    shutil.rmtree(large, ignore_errors=True)
    later = list(multiply(lake_at(spark, settings.lake), lake_at(spark, str(large)), copies))
    rows = {Path(path).name: spark.read.format("delta").load(path).count() for path, _ in later}
    first = _published(spark, large, DAY)
    with metered(spark) as statistics:
        whole = _store(spark, large).published("customer", DAY)
        names = measurable(whole, [feature.name for view in customer_views() for feature in view.features])
        feature_statistics(whole, names).collect()
    added, second = 0, {}
    if copies == 1:
        for path, more in later:
            more.write.format("delta").mode("append").save(path)
            added += more.count()
        second = _published(spark, large, DAY + timedelta(days=1))
    shutil.rmtree(large)
    return {
        "customers": customers * copies, "rows": sum(rows.values()), "postings": rows["transaction"],
        "added": added, "features": len(names), "memory": settings.spark.memory,
        "first": first, "second": second, "statistics": vars(statistics),
    }  # fmt: skip


def _store(spark: SparkSession, root: Path) -> FeatureStore:
    return FeatureStore(spark, FeatureTables(lake_at(spark, str(root))), views=customer_views())


def _published(spark: SparkSession, root: Path, day: date) -> dict[str, Measurement]:
    """What a slice of a day costs, views of one pass together, in a run of its own."""
    store, costs = _store(spark, root), {}
    for names in _passes():
        with metered(spark) as reading:
            store.materialize(names, day, day)
        costs[", ".join(names)] = vars(reading)
        print(f"bench: {', '.join(names)} {reading.seconds:.0f} s", flush=True)
    return costs


def _passes() -> list[list[str]]:
    """The views' names, those together that one scan serves."""
    together: dict[tuple[object, ...], list[str]] = {}
    for view in customer_views():
        together.setdefault(pass_key(view), []).append(view.name)
    return list(together.values())


def breadth_table(measured: list[Measurement]) -> str:
    """A row a subject, the whole, the day after, and the exponents."""
    titles = ["subject", *(f"{one['customers']:,}: s / shuffled MB / peak GB" for one in measured)]
    rows = [[view, *(_cell(one["first"][view]) for one in measured)] for view in measured[0]["first"]]
    rows.append(["statistics", *(_cell(one["statistics"]) for one in measured)])
    rows.append(["**whole day**", *(_cell(_whole([*one["first"].values(), one["statistics"]])) for one in measured)])
    after = [_cell(_whole(one["second"].values())) if one["second"] else "" for one in measured]
    rows.append(["**day after**, without statistics", *after])
    sizes = np.log([one["customers"] for one in measured])
    last = measured[-1]
    told = []
    for figure in ("seconds", "shuffle_bytes"):
        values = [_whole(one["first"].values())[figure] for one in measured]
        slope = np.polyfit(sizes, np.log(values), 1)[0]
        end = np.log(values[-1] / values[-2]) / (sizes[-1] - sizes[-2])
        told.append(f"{figure.replace('_', ' ')} {slope:.2f} (between the last two sizes {end:.2f})")
    first = measured[0]
    lead = (
        f"{last['features']} features in {len(customer_views())} views of one day, from {MONTHS - 1} months. "
        f"The largest bank has {last['rows']:,} rows, {last['postings']:,} of them postings; those over the first size "
        f"are copies of it under new keys. 2 cores, local mode, {last['memory']} driver; one run, a pass at a time, "
        "in a session that has run nothing else. The day after is the next slice of every view, when "
        f"{first['added']:,} rows more are known."
    )
    exponents = f"Exponents with customers: {'; '.join(told)}."
    return f"# What customers' features cost\n\n{lead}\n\n{table(titles, rows)}\n{exponents}\n"


def _whole(costs: Iterable[Measurement]) -> Measurement:
    parts = list(costs)
    return {
        "seconds": sum(one["seconds"] for one in parts), "shuffle_bytes": sum(one["shuffle_bytes"] for one in parts),
        "peak_bytes": max(one["peak_bytes"] for one in parts),
    }  # fmt: skip


def _cell(one: Measurement) -> str:
    return f"{one['seconds']:.1f} / {one['shuffle_bytes'] / 1e6:,.0f} / {one['peak_bytes'] / 1e9:.1f}"


if __name__ == "__main__":
    write(Path(sys.argv[3]), measure(int(sys.argv[1]), int(sys.argv[2])))
