"""pandas: customers in turns, each spine row merged with its customer's events, an aggregate a window by groupby.

Turns keep the merge in memory. A rolling window by group has no ``last`` and can't ask whether an event was known.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from features_common import answer, job, timed

GIVEN = job()
CUSTOMERS_A_TURN = 5_000
ZERO_WHEN_EMPTY = ("sum", "count")


def read(table: str) -> pd.DataFrame:
    """One of the tables; money as floats, for pandas has no decimals of its own."""
    rows = pq.read_table(f"{GIVEN['folder']}/{table}")
    for place, field in enumerate(rows.schema):
        if pa.types.is_decimal(field.type):
            rows = rows.set_column(place, field.name, rows.column(place).cast(pa.float64()))
    return rows.to_pandas()


def windows() -> None:
    """Answer turn by turn, all into one file."""
    spine, events = read("spine"), read("events").sort_values("event_ts")
    lowest = spine["customer_id"].min()
    by_turn = dict(iter(events.groupby((events["customer_id"] - lowest) // CUSTOMERS_A_TURN)))
    answers = [
        turn_answers(points, by_turn[turn])
        for turn, points in spine.groupby((spine["customer_id"] - lowest) // CUSTOMERS_A_TURN)
    ]
    pd.concat(answers).to_parquet(GIVEN["output"], index=False)


def turn_answers(points: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """The spine rows of some customers with their aggregates."""
    met = points.merge(events, on="customer_id", sort=False)
    in_time = met["event_ts"] < met["at"]
    if GIVEN["known"]:
        in_time &= met["known_ts"] <= met["at"]
    met = met.loc[in_time, ["row", "at", "event_ts", "amount"]]
    age = (met["at"] - met["event_ts"]).to_numpy()
    found = points.set_index("row")
    for days in sorted(GIVEN["days"], reverse=True):
        inside = age <= np.timedelta64(days, "D")
        met, age = met[inside], age[inside]
        grouped = met.groupby("row", sort=False)["amount"].agg(GIVEN["aggs"])
        grouped = grouped.reindex(found.index)
        for agg in GIVEN["aggs"]:
            values = grouped[agg]
            found[f"amount_{agg}_{days}d"] = values.fillna(0) if agg in ZERO_WHEN_EMPTY else values
    return found.reset_index()


if __name__ == "__main__":
    answer(GIVEN, {"seconds": timed(windows)})
