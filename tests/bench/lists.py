"""Part lists: offers under limits at three sizes, beside HiGHS on the whole problem and beside greedy by value.

Made-up candidates: each customer belongs to a branch, richer or poorer, and may be asked some of the offers, on a
channel each; every branch has a least and a most, every offer and the online channel a most.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy import sparse
from scipy.optimize import linprog

from strata.jobs import local_session
from strata.models import assign_offers
from tests.bench.kept import HERE, RESULTS, SCRATCH, Measurement, apart, kept, stamp_of, table, write

ENGINE = HERE.parents[1] / "models" / "marketing"
# Customers, offers, branches.
SIZES = ((20_000, 5, 50), (200_000, 8, 200), (1_000_000, 10, 500))
# HiGHS alone is asked up to so many customers: beyond it takes hours.
HIGHS_CUSTOMERS = 20_000
ALLOWED, LEAST, SHARE = 0.8, 5, 0.12
TITLES = [
    "customers x offers, branches",
    "method",
    "seconds",
    "value",
    "below the bound",
    "minimums missed",
    "peak, GB",
]


def run() -> None:
    """Every size in a process of its own, kept; then the table."""
    found = {size: kept(_path(size), stamp_of(ENGINE, Path(__file__)), lambda size=size: apart("lists", *size))
             for size in SIZES}  # fmt: skip
    (RESULTS / "lists.md").write_text(f"{HEAD}\n{table(TITLES, [row for size in SIZES for row in _rows(size, found)])}")


HEAD = f"""# Lists under limits

`make bench PART=lists`, two cores. Each customer belongs to a branch and may be asked {ALLOWED:.0%} of the offers, on a
channel each; a branch takes half to twice its even share, an offer at most twice its own, online at most {SHARE:.0%}
of the customers. `assign_offers` is timed from Parquet to its answer, the others from arrays in memory; GB is the peak
of its process without the JVM. No assignment within the limits is worth more than the bound.
"""


def _path(size: tuple[int, int, int]) -> Path:
    return RESULTS / "lists" / f"{'_'.join(map(str, size))}.json"


def _rows(size: tuple[int, int, int], found: dict[tuple[int, int, int], Measurement]) -> list[list[str]]:
    one = found[size]
    rows = []
    for name, figures in one["methods"].items():
        below = f"{(one['bound'] - figures['value']) / one['bound']:.5%}"
        peak = f"{one['peak_gb']:.1f}" if name == "assign_offers" else ""
        what = f"{size[0]:,} x {size[1]}, {size[2]}"
        rows.append([what, name, f"{figures['seconds']:.1f}", f"{figures['value']:,.0f}", below,
                     str(figures["missed"]), peak])  # fmt: skip
    return rows


def candidates(customers: int, offers: int, units: int) -> pd.DataFrame:
    """One row per customer and allowed offer, worth more for later offers and in richer branches, or less than 0."""
    rng = np.random.default_rng(1)
    wealth = np.exp(rng.normal(0, 0.5, units))
    rows = pd.DataFrame(
        {
            "customer": np.repeat(np.arange(customers), offers),
            "offer": np.tile(np.arange(offers), customers),
            "unit": np.repeat(rng.integers(units, size=customers), offers),
            "channel": np.where(rng.random(customers * offers) < 0.5, "online", "branch"),
        }
    )
    rows["value"] = wealth[rows["unit"]] * rng.lognormal(2, 0.8, len(rows)) * (1 + 0.3 * rows["offer"]) - 8
    return rows[rng.random(len(rows)) < ALLOWED].reset_index(drop=True)


def limits(customers: int, offers: int, units: int) -> pd.DataFrame:
    """A least and a most per branch, a most per offer, a most online."""
    share = SHARE * customers / units
    rows = [(float(unit), None, None, int(share / 2), int(2 * share)) for unit in range(units)]
    rows += [(None, float(offer), None, None, int(2 * SHARE * customers / offers)) for offer in range(offers)]
    return pd.DataFrame(
        [*rows, (None, None, "online", None, int(SHARE * customers))],
        columns=["unit", "offer", "channel", "minimum", "maximum"],
    )


def measure(size: tuple[int, int, int]) -> Measurement:
    """Ours, greedy, and HiGHS where it can: value, seconds, minimums missed."""
    rows, ends = candidates(*size), limits(*size)
    place = SCRATCH / "lists" / f"{'_'.join(map(str, size))}.parquet"
    place.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(place)
    methods = {"greedy by value": _greedy(rows, ends)}
    if size[0] <= HIGHS_CUSTOMERS:
        methods["HiGHS, linear programme"] = _highs(rows, ends)
    del rows
    spark = local_session(memory="8g", conf={"spark.driver.maxResultSize": "4g"})
    spark.read.parquet(str(place)).count()
    began = time.monotonic()
    read = spark.read.parquet(str(place))
    found = assign_offers(
        read, customer="customer", offer="offer", value="value", unit="unit", channel="channel",
        limits=_in_spark(spark, ends),
    )  # fmt: skip
    seconds = time.monotonic() - began
    missed = int(found.shortfalls["missing"].sum())
    methods["assign_offers"] = {"value": found.value, "seconds": seconds, "missed": missed}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"bound": found.bound, "peak_gb": peak, "methods": methods}


def _in_spark(spark: SparkSession, ends: pd.DataFrame) -> DataFrame:
    columns = "unit double, offer double, channel string, minimum double, maximum double"
    plain = ends.astype(object).where(ends.notna(), None)
    plain[["minimum", "maximum"]] = plain[["minimum", "maximum"]].map(lambda end: None if end is None else float(end))
    read = spark.createDataFrame(plain, columns)
    return read.withColumns({name: F.col(name).cast("long") for name in ("unit", "offer")})


def _members(rows: pd.DataFrame, ends: pd.DataFrame) -> sparse.csr_array:
    """Candidates x limits."""
    units, offers = int(ends["unit"].max()) + 1, int(ends["offer"].max()) + 1
    row = np.arange(len(rows))
    online = np.flatnonzero(rows["channel"] == "online")
    places = [rows["unit"].to_numpy(), units + rows["offer"].to_numpy(), np.full(len(online), units + offers)]
    member = np.concatenate([row, row, online]), np.concatenate(places)
    return sparse.csr_array((np.ones(len(member[0])), member), shape=(len(rows), len(ends)))


def _greedy(rows: pd.DataFrame, ends: pd.DataFrame) -> Measurement:
    """The dearest candidate that still fits, again and again; minimums are not looked at."""
    began = time.monotonic()
    member = _members(rows, ends)
    left = ends["maximum"].fillna(np.inf).to_numpy(np.float64).tolist()
    value, customer = rows["value"].to_numpy(), rows["customer"].to_numpy()
    pointer, column = member.indptr.tolist(), member.indices.tolist()
    taken, total, used = set(), 0.0, np.zeros(len(ends))
    for place in np.argsort(-value, kind="stable").tolist():
        if value[place] <= 0:
            break
        kinds = column[pointer[place] : pointer[place + 1]]
        if customer[place] not in taken and all(left[kind] >= 1 for kind in kinds):
            taken.add(customer[place])
            total += value[place]
            for kind in kinds:
                left[kind] -= 1
                used[kind] += 1
    missed = np.maximum(ends["minimum"].fillna(0).to_numpy(np.float64) - used, 0).sum()
    return {"value": float(total), "seconds": time.monotonic() - began, "missed": int(missed)}


def _highs(rows: pd.DataFrame, ends: pd.DataFrame) -> Measurement:
    began = time.monotonic()
    count, member = len(rows), _members(rows, ends)
    customers = np.unique(rows["customer"], return_inverse=True)[1]
    blocks = sparse.csr_array((np.ones(count), (customers, np.arange(count))))
    least = ends["minimum"].fillna(0).to_numpy(np.float64)
    matrix = sparse.vstack([blocks, member.T, -member.T[least > 0]])
    upper = np.concatenate([np.ones(blocks.shape[0]), ends["maximum"].to_numpy(np.float64), -least[least > 0]])
    found = linprog(-rows["value"], A_ub=matrix, b_ub=upper, bounds=(0, 1), method="highs")
    return {"value": float(-found.fun), "seconds": time.monotonic() - began, "missed": 0}


if __name__ == "__main__":
    write(Path(sys.argv[-1]), measure((int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
