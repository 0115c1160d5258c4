"""Mule accounts: money that many send, and that goes on within hours.

``transfers`` are as in ``cycles``. Everything is as of a moment, from what was known by then. Of accounts outside the
bank only their dealings with the bank's customers are seen, so their features are those of a part.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from strata.graph.algorithms.inputs import GraphError, check_whole
from strata.graph.fraud.money_cycles import DAY_CAP, KEEP, Keep, transfer_chains
from strata.graph.ties.dated_edges import instant
from strata.graph.ties.transfers import HOUR, Moment, days_before, money, money_flows, moves, sides, transfers_as_of


@dataclass(frozen=True)
class MuleRules:
    """What counts: the days looked back, the hours in which money goes on, and what amounts are told of.

    ``hours`` are windows; the first one is that of chains and of alerts. ``keep``, ``day_cap`` and ``hops`` are those
    of ``transfer_chains``. An amount is near a limit from ``near`` of it up to just below. Limits are by default
    those above which cash and transfers of persons are reported in China (PBoC order 3 of 2016), in yuan.
    """

    days: int = 30
    hours: tuple[int, ...] = (24, 72)
    keep: Keep = KEEP
    day_cap: int = DAY_CAP
    hops: int = 12
    round_to: int = 1_000
    limits: tuple[int, ...] = (50_000, 200_000, 500_000)
    near: float = 0.9

    def __post_init__(self) -> None:
        for name in ("days", "day_cap", "round_to"):
            check_whole(name, getattr(self, name), 1)
        for hours in self.hours:
            check_whole("hours", hours, 1)
        if not self.hours or not self.limits:
            raise GraphError("rules: hours and limits: give at least one")


RULES = MuleRules()


def mule_features(transfers: DataFrame, as_of: Moment, *, rules: MuleRules = RULES) -> DataFrame:
    """One row an account with transfers in the days up to ``as_of``; all columns are of those days.

    - account; mule_in_amt, mule_out_amt, mule_in_cnt, mule_out_cnt;
    - mule_sender_cnt, mule_receiver_cnt: distinct; mule_new_sender_cnt: senders never known before;
    - mule_round_ratio, mule_near_limit_ratio: share of its transfers that are round, or just below a limit;
    - mule_dwell_hours: mean wait of the money that went on (``money_flows``), by amount, null when none did;
      mule_kept_ratio: share of the money in that didn't go on, null without money in;
    - mule_chain_cnt: transfers of the longest chain that goes through it (``transfer_chains``), 0 without one;

    and for each h of ``rules.hours``

    - mule_passed_<h>h_ratio: share of the money in that went on within h hours, null without money in;
    - mule_gather_<h>h_cnt: most distinct senders in the h hours up to any transfer out;
    - mule_scatter_<h>h_cnt: most distinct receivers in any h hours;
    - mule_split_<h>h_cnt: most transfers with one other side, one way, in any h hours;
    - mule_burst_<h>h_ratio: share of the money in that came in the h hours in which most came.

    A transfer is seen for h hours and then forgotten, so running sums over the moments of both tell what is seen at
    any moment, and an account's work grows with its transfers alone. Copies the transfers of the days once; then four
    aggregations by account, one of them over two windows of one shuffle, and ``transfer_chains``.
    """
    recent = transfers_as_of(transfers, as_of, days=rules.days).localCheckpoint()
    return _features(transfers, recent, money_flows(recent), _chains(recent, rules), as_of, rules)


def mule_alerts(
    transfers: DataFrame, as_of: Moment, *, rules: MuleRules = RULES, least: float = 0.3, evidence: int = 20
) -> DataFrame:
    """Accounts that pass money on: account, score, relay_score, chain_score, evidence, reason.

    With h the first of ``rules.hours``, s the senders of mule_gather_<h>h_cnt and n the transfers of mule_chain_cnt:
    relay_score = mule_passed_<h>h_ratio * (1 - 1 / s), so that who moves one payer's money on (a salary to another
    bank) has none; chain_score = 1 - 1 / (n - 1), so that a chain through one account has none; score = 1 - (1 -
    relay_score) * (1 - chain_score). All are from 0 to 1; told are scores from ``least`` on.

    ``evidence``: the transfers that caused it (transfer_id, src, dst, amount, event_ts), by time, at most so many,
    the largest: those by which money came and went on within h hours, and those of the chains through the account.
    """
    check_whole("evidence", evidence, 1)
    recent = transfers_as_of(transfers, as_of, days=rules.days).localCheckpoint()
    flows, chains = money_flows(recent).localCheckpoint(), _chains(recent, rules).localCheckpoint()
    scored = _scored(_features(transfers, recent, flows, chains, as_of, rules), rules.hours[0])
    alerts = scored.where(F.col("score") >= least).localCheckpoint()
    causes = _causes(flows.where(F.col("waited_hours") <= rules.hours[0]), chains)
    causes = causes.join(alerts.select("account"), on="account", how="left_semi")
    told = alerts.join(_evidence(causes, recent, evidence), on="account", how="left")
    return told.select("account", "score", "relay_score", "chain_score", "evidence", _reason(rules.hours[0]))


def _chains(recent: DataFrame, rules: MuleRules) -> DataFrame:
    return transfer_chains(recent, hops=rules.hops, within_hours=rules.hours[0], keep=rules.keep, day_cap=rules.day_cap)


def _features(
    transfers: DataFrame, recent: DataFrame, flows: DataFrame, chains: DataFrame, as_of: Moment, rules: MuleRules
) -> DataFrame:
    seen = sides(recent)
    parts = [
        _totals(seen, rules),
        _newcomers(transfers, as_of, rules.days),
        _peaks(seen, rules.hours),
        _waits(flows, rules.hours),
        _reached(chains),
    ]
    table = reduce(lambda left, right: left.join(right, on="account", how="left"), parts)
    came = F.nullif(F.col("mule_in_amt").cast("double"), F.lit(0.0))

    def share(amount: str) -> Column:
        return F.coalesce(F.col(amount).cast("double"), F.lit(0.0)) / came

    ratios = {"mule_kept_ratio": 1 - share("_passed")}
    for hours in rules.hours:
        ratios[f"mule_passed_{hours}h_ratio"] = share(f"_passed_{hours}")
        ratios[f"mule_burst_{hours}h_ratio"] = share(f"_burst_{hours}")
    whole = table.fillna(0, subset=[name for name in table.columns if name.endswith("_cnt")])
    plain = [name for name in whole.columns if not name.startswith("_")]
    return whole.select(*plain, *(ratio.alias(name) for name, ratio in ratios.items()))


def _totals(seen: DataFrame, rules: MuleRules) -> DataFrame:
    into, amount = F.col("into"), money(F.col("cents"))
    near = [amount.between(limit * Decimal(str(rules.near)), limit - Decimal("0.01")) for limit in rules.limits]
    is_round = F.col("cents") % (rules.round_to * 100) == 0
    nothing = F.lit(0).cast("decimal(28,2)")
    return seen.groupBy("account").agg(
        F.coalesce(F.sum(F.when(into, amount)), nothing).alias("mule_in_amt"),
        F.coalesce(F.sum(F.when(~into, amount)), nothing).alias("mule_out_amt"),
        F.count_if(into).alias("mule_in_cnt"),
        F.count_if(~into).alias("mule_out_cnt"),
        F.countDistinct(F.when(into, F.col("other"))).alias("mule_sender_cnt"),
        F.countDistinct(F.when(~into, F.col("other"))).alias("mule_receiver_cnt"),
        F.avg(is_round.cast("double")).alias("mule_round_ratio"),
        F.avg(reduce(Column.__or__, near).cast("double")).alias("mule_near_limit_ratio"),
    )


def _newcomers(transfers: DataFrame, as_of: Moment, days: int) -> DataFrame:
    """Senders whose first transfer to the account, of all known, lies in the days."""
    end = instant(as_of)
    known = moves(transfers).where((F.col("known_ts") <= end) & (F.col("event_ts") <= end))
    first = known.groupBy(F.col("dst").alias("account"), "src").agg(F.min("event_ts").alias("first_ts"))
    new = first.where(F.col("first_ts") > days_before(as_of, days))
    return new.groupBy("account").agg(F.count(F.lit(1)).alias("mule_new_sender_cnt"))


def _peaks(seen: DataFrame, hours: tuple[int, ...]) -> DataFrame:
    """The most that is seen at any moment, when each transfer is seen for the hours and then forgotten."""
    lines = seen.repartition("account").withColumn("hours", F.explode(F.array(*(F.lit(h) for h in hours))))
    lines = lines.withColumn("step", F.explode(F.array(F.lit(1), F.lit(-1))))
    into, new = F.col("into"), F.col("step") == 1
    # What is forgotten at a moment isn't seen at it any more, and money comes before it goes.
    order = F.when(~new, 0).when(into, 1).otherwise(2)
    lines = lines.withColumn("at", F.col("at") + F.when(new, 0).otherwise(F.col("hours") * F.lit(HOUR)))
    so_far = (Window.unboundedPreceding, Window.currentRow)
    pair = Window.partitionBy("account", "hours", "other", "into").orderBy("at", "step").rowsBetween(*so_far)
    met = F.col("met")
    lines = lines.withColumn("order", order).withColumn("met", F.sum("step").over(pair))
    lines = lines.withColumn("turn", F.when(new & (met == 1), 1).when(~new & (met == 0), -1).otherwise(0))
    line = Window.partitionBy("account", "hours").orderBy("at", "order").rowsBetween(*so_far)
    senders, receivers = (F.sum(F.when(side, F.col("turn")).otherwise(0)).over(line) for side in (into, ~into))
    in_cents = F.sum(F.when(into, F.col("cents") * F.col("step")).otherwise(0)).over(line)
    lines = lines.withColumns({"senders": senders, "receivers": receivers, "in_cents": in_cents}).where(new)
    return lines.groupBy("account").agg(*(peak for h in hours for peak in _peaks_of(h)))


def _peaks_of(hours: int) -> list[Column]:
    mine = F.col("hours") == hours
    return [
        F.max(F.when(mine & ~F.col("into"), F.col("senders"))).alias(f"mule_gather_{hours}h_cnt"),
        F.max(F.when(mine, F.col("receivers"))).alias(f"mule_scatter_{hours}h_cnt"),
        F.max(F.when(mine, F.col("met"))).alias(f"mule_split_{hours}h_cnt"),
        money(F.max(F.when(mine, F.col("in_cents")))).alias(f"_burst_{hours}"),
    ]


def _waits(flows: DataFrame, hours: tuple[int, ...]) -> DataFrame:
    amount, waited = F.col("amount"), F.col("waited_hours")
    weight = amount.cast("double")
    return flows.groupBy("account").agg(
        F.sum(amount).alias("_passed"),
        (F.sum(weight * waited) / F.sum(weight)).alias("mule_dwell_hours"),
        *(F.sum(F.when(waited <= h, amount)).alias(f"_passed_{h}") for h in hours),
    )


def _reached(chains: DataFrame) -> DataFrame:
    through = chains.select(F.explode("links").alias("account"), "hop_cnt")
    return through.groupBy("account").agg(F.max("hop_cnt").alias("mule_chain_cnt"))


def _scored(features: DataFrame, hours: int) -> DataFrame:
    senders, transfers = F.col(f"mule_gather_{hours}h_cnt"), F.col("mule_chain_cnt")
    passed = F.coalesce(F.col(f"mule_passed_{hours}h_ratio"), F.lit(0.0))
    relay = passed * (1 - 1 / F.greatest(senders, F.lit(1)))
    chain = 1 - 1 / (F.greatest(transfers, F.lit(2)) - 1)
    scored = features.withColumns({"relay_score": relay, "chain_score": chain})
    return scored.withColumn("score", 1 - (1 - F.col("relay_score")) * (1 - F.col("chain_score")))


def _causes(flows: DataFrame, chains: DataFrame) -> DataFrame:
    """The transfers that make the two scores: account, transfer_id."""
    relayed = flows.select("account", F.explode(F.array("in_id", "out_id")).alias("transfer_id"))
    walked = chains.where("hop_cnt > 2").select(F.explode("links").alias("account"), "transfer_ids")
    return relayed.unionByName(walked.select("account", F.explode("transfer_ids").alias("transfer_id"))).distinct()


def _evidence(causes: DataFrame, recent: DataFrame, most: int) -> DataFrame:
    largest = Window.partitionBy("account").orderBy(F.desc("amount"), "event_ts", "transfer_id")
    rows = causes.join(recent, on="transfer_id", how="inner").withColumn("place", F.row_number().over(largest))
    told = F.struct("event_ts", "transfer_id", "src", "dst", "amount")
    return (
        rows.where(F.col("place") <= most).groupBy("account").agg(F.sort_array(F.collect_list(told)).alias("evidence"))
    )


def _reason(hours: int) -> Column:
    relay = F.format_string(
        f"%d senders within {hours} hours, and %d %% of the money in went on within {hours} hours",
        f"mule_gather_{hours}h_cnt", F.round(100 * F.col(f"mule_passed_{hours}h_ratio")).cast("int"),
    )  # fmt: skip
    chain = F.format_string("on a chain of %d transfers, each within %d hours", "mule_chain_cnt", F.lit(hours))
    parts = [F.when(F.col("relay_score") > 0, relay), F.when(F.col("chain_score") > 0, chain)]
    return F.concat_ws("; ", *parts).alias("reason")
