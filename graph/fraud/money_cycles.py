"""Walks of money: a transfer, then within hours another of nearly the same amount from where it came in, and so on.

A step is two transfers: the second leaves the account that the first came into, strictly later, at most
``within_hours`` later, with an amount between ``keep[0]`` and ``keep[1]`` of the first one's. Chains and cycles are
walks of steps. Amounts are compared as decimals of two places. An account that has more than ``day_cap`` transfers
in or out on a day (of the session's zone) makes no step with that day's transfers; ``busy_days`` names such days.

Frames called ``transfers`` are those of ``graph.transfers``. Whatever is in one counts: cut it to what was known first.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.graph.algorithms.inputs import GraphError, check_whole
from strata.graph.algorithms.vertex_measures import strongly_connected_components
from strata.graph.ties.transfers import COLUMNS, HOUR, moves

KEEP = (0.8, 1.0)
DAY_CAP = 50
MAX_WALKS = 20_000_000

Keep = tuple[float, float]


def busy_days(transfers: DataFrame, *, day_cap: int = DAY_CAP) -> DataFrame:
    """Days on which an account makes no steps: account, day, in_cnt, out_cnt, cap, reason. One shuffle."""
    check_whole("day_cap", day_cap, 1)
    ends = _ends(moves(transfers), "dst", into=1).unionByName(_ends(moves(transfers), "src", into=0))
    counted = ends.groupBy("account", "day").agg(
        F.sum("into").alias("in_cnt"), F.sum(1 - F.col("into")).alias("out_cnt")
    )
    text = "%d transfers in and %d out on %s, more than the cap of %d"
    cap = F.lit(day_cap)
    reason = F.format_string(text, "in_cnt", "out_cnt", F.col("day").cast("string"), cap)
    over = counted.where(F.greatest("in_cnt", "out_cnt") > cap)
    return over.select("account", "day", "in_cnt", "out_cnt", cap.alias("cap"), reason.alias("reason"))


def money_steps(transfers: DataFrame, *, within_hours: float, keep: Keep = KEEP, day_cap: int = DAY_CAP) -> DataFrame:
    """All steps, one row each: ``came`` and ``went``, structs of the two transfers.

    A range join made an equality: time is cut into buckets of ``within_hours``, and what came in looks into its own
    bucket and the next, so an account compares at most ``day_cap`` transfers of a day with as many of another.
    Two shuffles (by account and bucket) beside that of ``busy_days``. Raises ``GraphError``.
    """
    span = _span(within_hours)
    low, high = (F.lit(Decimal(str(share))) for share in _checked_keep(keep))
    busy = busy_days(transfers, day_cap=day_cap).select(F.col("account").alias("via"), "day")
    rows = moves(transfers).withColumn("day", F.to_date("event_ts"))
    bucket, one = _bucket(span), F.struct(*COLUMNS)
    came = rows.withColumn("via", F.col("dst")).join(busy, on=["via", "day"], how="left_anti")
    came = came.select("via", one.alias("came"), F.explode(F.array(bucket, bucket + span)).alias("bucket"))
    went = rows.withColumn("via", F.col("src")).join(busy, on=["via", "day"], how="left_anti")
    pairs = came.join(went.select("via", one.alias("went"), bucket.alias("bucket")), on=["via", "bucket"], how="inner")
    waited = F.unix_micros("went.event_ts") - F.unix_micros("came.event_ts")
    fits = F.col("went.amount").between(F.col("came.amount") * low, F.col("came.amount") * high)
    return pairs.where((waited > 0) & (waited <= span) & fits).select("came", "went")


def transfer_chains(
    transfers: DataFrame, *, hops: int = 12, within_hours: float, keep: Keep = KEEP, day_cap: int = DAY_CAP
) -> DataFrame:
    """The longest chains of at least two transfers, each step within the hours; an account may come again.

    Columns: chain_id (long, of its transfers), hop_cnt, members (accounts in order of first sight), links (those
    it came into and left), transfer_ids, amounts, times (arrays in order), started, ended, known_ts (when all of it
    was known), kept_ratio (last amount / first).

    Every transfer that ends a step has one longest chain to it (among equals the latest step before, then the
    largest id); told are those that no other told chain goes on from, so there are never more chains than
    transfers. A walk of more than ``hops`` transfers shows as overlapping chains of ``hops``. Plan:
    ``money_steps``, then at most ``hops`` - 1 joins and aggregations of what still goes on. Raises ``GraphError``.
    """
    check_whole("hops", hops, 2)
    steps = money_steps(transfers, within_hours=within_hours, keep=keep, day_cap=day_cap).localCheckpoint()
    walks, levels = _starts(steps), []
    for _ in range(hops - 1):
        walks = _longest(_grown(walks, steps)).localCheckpoint()
        levels.append(walks)
        if walks.isEmpty():
            break
    return _told(_unfinished(levels, hops), "chain_id")


def transfer_cycles(
    transfers: DataFrame, *, hops: int = 6, within_hours: float, keep: Keep = KEEP, day_cap: int = DAY_CAP
) -> DataFrame:
    """Every cycle of 2 to ``hops`` transfers, through as many accounts, from first to last within the hours.

    Columns as of ``transfer_chains``, with cycle_id for chain_id; members begin with the account that the earliest
    transfer left. Times rise strictly, so a cycle has one earliest transfer and stands once. All are found, but
    those through an account on one of its ``busy_days``.

    Plan: ``money_steps``; strong components of the transfers in steps, within windows of twice the hours, which
    any cycle fits into, drop what can't come back; then at most ``hops`` - 1 joins of open walks with the steps.
    Raises ``GraphError``, also when more than ``MAX_WALKS`` walks are open at once.
    """
    check_whole("hops", hops, 2)
    span = _span(within_hours)
    steps = money_steps(transfers, within_hours=within_hours, keep=keep, day_cap=day_cap).localCheckpoint()
    steps = _coming_back(steps, span).localCheckpoint()
    walks, closed = _starts(steps), []
    for _ in range(hops - 1):
        grown = _round_trips(_grown(walks, steps), span).localCheckpoint()
        closed.append(grown.where("home"))
        walks = grown.where("NOT home").drop("home")
        if not _open(walks):
            break
    return _told(reduce(DataFrame.unionByName, closed), "cycle_id")


def _span(within_hours: float) -> int:
    if isinstance(within_hours, bool) or not isinstance(within_hours, int | float) or not 0 < within_hours < 1e6:
        raise GraphError(f"within_hours: a number of hours above 0 is expected, not {within_hours!r}")
    return round(within_hours * HOUR)


def _checked_keep(keep: Keep) -> Keep:
    low, high = keep
    if not 0 < low <= high < 100:
        raise GraphError(f"keep: two shares, 0 < least <= most, are expected, not {keep!r}")
    return low, high


def _ends(moved: DataFrame, end: str, into: int) -> DataFrame:
    return moved.select(F.col(end).alias("account"), F.to_date("event_ts").alias("day"), F.lit(into).alias("into"))


def _bucket(span: int) -> Column:
    """The start of the bucket that ``event_ts`` lies in, in microseconds."""
    at = F.unix_micros("event_ts")
    return at - F.pmod(at, F.lit(span))


def _starts(steps: DataFrame) -> DataFrame:
    return steps.select("came").distinct().select(F.array("came").alias("walk"))


def _grown(walks: DataFrame, steps: DataFrame) -> DataFrame:
    """Walks with each transfer that may follow: walk, went."""
    # The field before the element: of an array just made, the code that Spark makes the other way doesn't compile.
    at = walks.withColumn("at", F.element_at(F.col("walk")["transfer_id"], -1))
    return at.join(steps.withColumn("at", F.col("came.transfer_id")), on="at", how="inner").select("walk", "went")


def _longest(grown: DataFrame) -> DataFrame:
    """Of walks of one length, one for each last transfer."""
    last = F.element_at("walk", -1)
    best = F.max(F.struct(last["event_ts"], last["transfer_id"], F.concat("walk", F.array("went")).alias("walk")))
    return grown.groupBy("went.transfer_id").agg(best.alias("best")).select("best.walk")


def _unfinished(levels: Sequence[DataFrame], hops: int) -> DataFrame:
    """The longest walk to each transfer, unless another goes on from it."""
    rows = reduce(DataFrame.unionByName, levels).withColumn("at", F.element_at("walk", -1)["transfer_id"])
    found = rows.groupBy("at").agg(F.max_by("walk", F.size("walk")).alias("walk"))
    gone_on = found.select(F.element_at("walk", -2)["transfer_id"].alias("at")).distinct()
    ends = found.join(gone_on.withColumn("gone_on", F.lit(True)), on="at", how="left")
    return ends.where(F.col("gone_on").isNull() | (F.size("walk") == hops)).select("walk")


def _coming_back(steps: DataFrame, span: int) -> DataFrame:
    """The steps whose transfers both lie on a cycle of some window's graph, whatever the order of times."""
    moved = steps.select(F.explode(F.array("came", "went")).alias("one")).distinct().select("one.*")
    seen = moved.withColumn("window", F.explode(F.array(_bucket(span) - span, _bucket(span))))
    ends = {end: F.concat_ws(":", "window", end) for end in ("src", "dst")}
    edges = seen.select("transfer_id", *(name.alias(end) for end, name in ends.items())).localCheckpoint()
    vertices = edges.select(F.explode(F.array("src", "dst")).alias("id")).distinct()
    parts = strongly_connected_components(vertices, edges)
    for end in ("src", "dst"):
        part = parts.select(F.col("id").alias(end), F.col("component").alias(f"{end}_part"))
        edges = edges.join(part, on=end, how="inner")
    kept = edges.where("src_part = dst_part").select("transfer_id").distinct()
    for side in ("came", "went"):
        one = kept.select(F.col("transfer_id").alias(f"_{side}"))
        steps = steps.withColumn(f"_{side}", F.col(f"{side}.transfer_id")).join(one, on=f"_{side}", how="left_semi")
    return steps.select("came", "went")


def _round_trips(grown: DataFrame, span: int) -> DataFrame:
    """The grown walks that are in time and either come home or into an account that they weren't in: walk, home."""
    first, been = F.element_at("walk", 1), F.transform("walk", lambda one: one["src"])
    home = F.col("went.dst") == first["src"]
    in_time = F.unix_micros("went.event_ts") - F.unix_micros(first["event_ts"]) <= span
    kept = grown.where(in_time & (home | ~F.array_contains(been, F.col("went.dst"))))
    return kept.select(F.concat("walk", F.array("went")).alias("walk"), home.alias("home"))


def _open(walks: DataFrame) -> int:
    number = walks.count()
    if number > MAX_WALKS:
        raise GraphError(
            f"transfers: {number} walks are open, more than {MAX_WALKS}; narrow keep or within_hours, or lower day_cap"
        )
    return number


def _told(walks: DataFrame, name: str) -> DataFrame:
    def each(field: str) -> Column:
        return F.transform("walk", lambda one: one[field])

    first, last = F.element_at("walk", 1), F.element_at("walk", -1)
    return walks.select(
        F.xxhash64(each("transfer_id")).alias(name),
        F.size("walk").alias("hop_cnt"),
        F.array_distinct(F.concat(F.array(first["src"]), each("dst"))).alias("members"),
        F.array_intersect(each("src"), each("dst")).alias("links"),
        each("transfer_id").alias("transfer_ids"),
        each("amount").alias("amounts"),
        each("event_ts").alias("times"),
        first["event_ts"].alias("started"),
        last["event_ts"].alias("ended"),
        F.array_max(each("known_ts")).alias("known_ts"),
        (last["amount"].cast("double") / first["amount"].cast("double")).alias("kept_ratio"),
    )
