"""DuckDB: two ways for windows (RANGE frames, or an inequality join with FILTER), its ASOF join for states.

Times are compared as whole microseconds, which spares it the calendar; no window here crosses a change of clocks.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
from features_common import DAY_MICROS, answer, job, timed

GIVEN = job()
MEMORY = "12GB"
# In its words, over a value ``amount`` at a time ``event_us``.
AGGREGATES = {
    "sum": "sum(amount)",
    "count": "count(amount)",
    "mean": "avg(amount)",
    "max": "max(amount)",
    "min": "min(amount)",
}


def ranged() -> str:
    """Spine and events in one relation, a frame a window; it can't ask whether an event was known."""
    frames = ", ".join(
        f"w{d} AS (PARTITION BY customer_id ORDER BY event_us RANGE BETWEEN {d * DAY_MICROS} PRECEDING AND 1 PRECEDING)"
        for d in GIVEN["days"]
    )
    words = AGGREGATES | {"last": "last_value(amount IGNORE NULLS)"}
    answers = {name(agg, d): f"{words[agg]} OVER w{d}" for d in GIVEN["days"] for agg in GIVEN["aggs"]}
    return f"""
        WITH stacked AS (
            SELECT customer_id, epoch_us(event_ts) AS event_us, amount, NULL AS "row", NULL AS "at"
            FROM {table("events")}
            UNION ALL
            SELECT customer_id, epoch_us("at"), NULL, "row", "at" FROM {table("spine")}
        )
        SELECT "row", customer_id, "at", {zeroed(answers)} FROM stacked WINDOW {frames} QUALIFY "row" IS NOT NULL
    """


def joined() -> str:
    """Every spine row meets the events of the longest window; each aggregate lets its own window through."""
    words = AGGREGATES | {"last": "arg_max(amount, event_us)"}
    answers = {
        name(agg, d): f"{words[agg]} FILTER (event_us >= at_us - {d * DAY_MICROS})"
        for d in GIVEN["days"]
        for agg in GIVEN["aggs"]
    }
    known = "AND epoch_us(e.known_ts) <= epoch_us(s.at)" if GIVEN["known"] else ""
    return f"""
        WITH met AS (
            SELECT s.row, epoch_us(s.at) AS at_us, epoch_us(e.event_ts) AS event_us, e.amount
            FROM {table("spine")} s JOIN {table("events")} e ON e.customer_id = s.customer_id
            AND epoch_us(e.event_ts) < epoch_us(s.at) {known}
            AND epoch_us(e.event_ts) >= epoch_us(s.at) - {max(GIVEN["days"]) * DAY_MICROS}
        ), found AS (SELECT row, {listed(answers)} FROM met GROUP BY row)
        SELECT s.*, {zeroed({one: f"found.{one}" for one in answers})}
        FROM {table("spine")} s LEFT JOIN found ON found.row = s.row
    """


def asof() -> str:
    """One ASOF join a table. It has room for one inequality, so states that never were the newest known go before."""
    columns, joins = [], []
    for state in GIVEN["tables"]:
        rows, since = (newest(state), "usable_ts") if GIVEN["known"] else (table(state), "valid_from")
        joins.append(
            f"ASOF LEFT JOIN {rows} {state} ON {state}.customer_id = s.customer_id AND s.at >= {state}.{since}"
        )
        columns += [f"{state}.{column} AS {state}__{column}" for column in GIVEN["columns"]]
    return f"SELECT s.*, {', '.join(columns)} FROM {table('spine')} s {' '.join(joins)}"


def newest(state: str) -> str:
    """The states of a table from when they can be used, without those that then were older than one already known."""
    return f"""(
        SELECT *, greatest(valid_from, known_ts) AS usable_ts FROM {table(state)}
        QUALIFY valid_from >= max(valid_from) OVER (
            PARTITION BY customer_id ORDER BY greatest(valid_from, known_ts) ROWS UNBOUNDED PRECEDING
        )
    )"""


def table(name: str) -> str:
    """Its files."""
    return f"read_parquet('{GIVEN['folder']}/{name}/*.parquet')"


def name(agg: str, days: int) -> str:
    """What an answer is called."""
    return f"amount_{agg}_{days}d"


def listed(answers: dict[str, str]) -> str:
    """Expressions under their names."""
    return ", ".join(f"{expression} AS {one}" for one, expression in answers.items())


def zeroed(answers: dict[str, str]) -> str:
    """Counts and sums over nothing are 0."""
    zero = ("amount_sum_", "amount_count_")
    return listed({one: f"coalesce({text}, 0)" if one.startswith(zero) else text for one, text in answers.items()})


def main() -> None:
    """Do the job on two threads."""
    connection = duckdb.connect(config={"threads": 2, "memory_limit": MEMORY})
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(f"SET temp_directory = '{Path(GIVEN['output']).parent}'")
    query = {"range": ranged, "join": joined, "asof": asof}[GIVEN["way"]]()
    copy = f"COPY ({query}) TO '{GIVEN['output']}' (FORMAT parquet)"
    answer(GIVEN, {"seconds": timed(lambda: connection.execute(copy))})


if __name__ == "__main__":
    main()
