"""From tables to a case's page: what it rests on, who is in it, what else is known of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from strata.graph.risk.contagion import DEFAULT_DPD
from strata.graph.ties.person_ties import STRONG_TIES, person_ties_as_of
from strata.jobs.daily_tables import is_of_day, loan_standings, start_of_day
from strata.jobs.reports.pages.case_page import Case, Event, Node, Tie
from strata.jobs.reports.pages.page import Sheet, Tile
from strata.jobs.runtime.errors import UsageError
from strata.jobs.runtime.job import Context

READS = (
    "fraud_alert", "network_evidence", "network_group", "person_tie", "guarantee_circle", "guarantee_unwinding",
    "connected_group", "large_exposure", "referral_candidate", "referral_path", "loan_application", "delinquency",
    "loan", "account_holder",
)  # fmt: skip
# A case is looked at by people: more evidence than this is no case, and is said to be cut.
MOST_TIES = 500
DIRECTED = ("transfer", "guarantee")
HELD_TOGETHER = {
    "circle": "Circle of guarantees", "exposure": "Connected clients", "group": "Group of people",
}  # fmt: skip
WORDS = {"customer": "customer", "account": "account", "counterparty": "outside account"}


@dataclass
class Known:
    """What is to be said of somebody in the case, and what happened to them."""

    words: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


People = dict[str, Known]


def case_of(context: Context, case_id: str) -> Case:
    """The page of a case of the day. Raises ``UsageError`` when there is none of that name."""
    rows = _evidence(context, case_id)
    if not rows:
        raise UsageError(f"--case: there is no case {case_id!r} on {context.as_of}; {_some(context)}")
    # What somebody owes is nothing for who looks for new customers.
    people = {} if case_id.startswith("referral:") else _people(context, rows)
    nodes = {key: _node(key, people) for row in rows for key in (row["src_key"], row["dst_key"])}
    title, lead = _told(context, case_id)
    cut = f" Only the first {MOST_TIES:,} pieces of evidence are shown." if len(rows) == MOST_TIES else ""
    return Case(
        title=title,
        lead=lead + cut,
        nodes=list(nodes.values()),
        ties=[_tie(row) for row in rows],
        events=[*_happened(rows), *(event for known in people.values() for event in known.events)],
        sheets=[_sheet(rows), *_members(people), *_more(context, case_id)],
        tiles=[
            Tile(f"{sum(key.startswith('customer:') for key in nodes)}", "customers"),
            Tile(f"{len(nodes)}", "points in the picture"),
            Tile(f"{len(rows)}", "pieces of evidence"),
        ],
        facts={"Case": case_id, "Day": context.as_of.isoformat(), "Run": context.run_id},
    )


def _evidence(context: Context, case_id: str) -> Sequence[Row]:
    kind, _, about = case_id.partition(":")
    if kind == "group" and about.isdigit():
        rows = _within_group(context, int(about))
    elif kind == "referral" and about.isdigit():
        rows = _ways(context, int(about))
    else:
        rows = context.lake.read("network_evidence").where(is_of_day(context) & (F.col("case_id") == case_id))
    found = rows.orderBy("event_ts", "src_key", "dst_key", "kind").limit(MOST_TIES).collect()
    return [Row(**{**row.asDict(), "event_ts": _at_the_bank(context, row["event_ts"])}) for row in found]


def _at_the_bank(context: Context, moment: datetime) -> datetime:
    """A collected moment, which is in this machine's zone, as a clock of the bank shows it."""
    return moment.astimezone(ZoneInfo(context.settings.bank_timezone)).replace(tzinfo=None)


def _within_group(context: Context, group_id: int) -> DataFrame:
    """The strong ties between the members of a stable group, each pair once."""
    members = context.lake.read("network_group").where(is_of_day(context) & (F.col("group_id") == group_id))
    ties = person_ties_as_of(context.lake.read("person_tie"), context.as_of).where(F.col("kind").isin(*STRONG_TIES))
    ties = ties.where((F.col("kind") == "guarantee") | (F.col("customer_id") < F.col("neighbour_id")))
    inside = ties.join(members.select("customer_id"), "customer_id", "left_semi")
    return inside.select(
        F.concat(F.lit("customer:"), "customer_id").alias("src_key"),
        F.concat(F.lit("customer:"), "neighbour_id").alias("dst_key"), "kind",
        F.col("known_ts").alias("event_ts"), F.coalesce("amount", F.lit(0)).alias("amount"),
    )  # fmt: skip


def _ways(context: Context, customer_id: int) -> DataFrame:
    """The ties by which a customer reaches the prospects that may be asked for."""
    ways = context.lake.read("referral_path").where(is_of_day(context) & (F.col("customer_id") == customer_id))
    told = ways.select("src_key", "dst_key", "kind", F.col("known_ts").alias("event_ts"), F.lit(0).alias("amount"))
    return told.distinct()


def _some(context: Context) -> str:
    """A few names of cases that there are."""
    rows = context.lake.read("network_evidence").where(is_of_day(context))
    first = rows.groupBy(F.substring_index("case_id", ":", 1).alias("kind")).agg(F.min("case_id").alias("case_id"))
    names = [row["case_id"] for row in first.orderBy("kind").collect()]
    return f"there are for example {', '.join(names)}" if names else "run strata network for that day first"


def _people(context: Context, rows: Iterable[Row]) -> People:
    """Of each customer in the case, and each owner of an account in it: what to say (words) and what happened."""
    keys = {key for row in rows for key in (row["src_key"], row["dst_key"])}
    owners = _owners(context, [key for key in keys if key.startswith("account:")])
    wanted = sorted({int(key.partition(":")[2]) for key in keys if key.startswith("customer:")} | set(owners.values()))
    known: People = {f"customer:{who}": Known() for who in wanted}
    asked = context.lake.read("loan_application").where(F.col("known_ts") <= start_of_day(context))
    asked = asked.where(F.col("customer_id").isin(wanted)).groupBy("application_id", "customer_id")
    applied = asked.agg(F.min("event_ts").alias("at"), F.max_by("decision", "known_ts").alias("decision"))
    for row in applied.orderBy("at").collect():
        told = f"applied for credit, {row['decision']}"
        _note(known, row["customer_id"], _at_the_bank(context, row["at"]), "applied", told)
    late = loan_standings(context).where(F.col("customer_id").isin(wanted) & (F.col("days_past_due") >= DEFAULT_DPD))
    late = late.where(F.col("known_ts") <= start_of_day(context)).groupBy("customer_id", "loan_id")
    for row in late.agg(F.min("known_ts").alias("at")).orderBy("at").collect():
        told = f"loan {row['loan_id']} {DEFAULT_DPD} days past due"
        _note(known, row["customer_id"], _at_the_bank(context, row["at"]), "bad", told)
    for account, who in owners.items():
        known[account] = Known([f"of customer {who}", *known[f"customer:{who}"].words])
    return known


def _owners(context: Context, accounts: Sequence[str]) -> dict[str, int]:
    """Account keys to their owners."""
    numbers = [int(key.partition(":")[2]) for key in accounts]
    holders = context.lake.read("account_holder").where("role = 'owner'").where(F.col("account_id").isin(numbers))
    return {f"account:{row['account_id']}": row["customer_id"] for row in holders.collect()}


def _note(known: People, who: int, at: datetime, kind: str, words: str) -> None:
    key = f"customer:{who}"
    known[key].words.append(f"{at:%Y-%m-%d}: {words}")
    known[key].events.append(Event(key, at, kind, words))


def _node(key: str, people: People) -> Node:
    entity, _, name = key.partition(":")
    words = tuple(people.get(key, Known()).words)
    label = name if entity in ("customer", "account") else f"{entity} {name.rpartition(':')[2][:6]}"
    return Node(key, label, words, any("past due" in word for word in words))


def _tie(row: Row) -> Tie:
    money = f", {row['amount']:,.2f}" if row["amount"] else ""
    words = f"{row['kind'].replace('_', ' ')}, {row['event_ts']:%Y-%m-%d %H:%M}{money}"
    return Tie(row["src_key"], row["dst_key"], row["kind"], words, row["kind"] in DIRECTED)


def _happened(rows: Iterable[Row]) -> list[Event]:
    return [
        Event(
            row["src_key"], row["event_ts"], "money" if row["kind"] == "transfer" else "tie",
            f"{row['kind'].replace('_', ' ')} with {_short(row['dst_key'])}"
            + (f", {row['amount']:,.2f}" if row["amount"] else ""),
        )
        for row in rows
    ]  # fmt: skip


def _short(key: str) -> str:
    entity, _, name = key.partition(":")
    return f"{WORDS.get(entity, entity)} {name if entity in ('customer', 'account') else name.rpartition(':')[2][:6]}"


def _sheet(rows: Sequence[Row]) -> Sheet:
    shown = [
        (_short(row["src_key"]), _short(row["dst_key"]), row["kind"].replace("_", " "),
         f"{row['event_ts']:%Y-%m-%d %H:%M}", row["amount"] or None)
        for row in rows
    ]  # fmt: skip
    return Sheet(("from", "to", "tie", "when", "amount"), shown, "Ties that the case rests on")


def _members(people: People) -> list[Sheet]:
    rows = [(_short(key), "; ".join(known.words) or None) for key, known in sorted(people.items())]
    return [Sheet(("who", "what is known"), rows, "People of the case")] if rows else []


def _told(context: Context, case_id: str) -> tuple[str, str]:
    """The title, and what was found in words."""
    kind, _, about = case_id.partition(":")
    if kind in HELD_TOGETHER:
        return f"{HELD_TOGETHER[kind]} {about}", "Everybody whom the ties below hold together, as known on the day."
    if kind == "referral":
        return f"Whom customer {about} can introduce", "Prospects that may be asked for, and who knows them."
    row = context.lake.read("fraud_alert").where(is_of_day(context) & (F.col("case_id") == case_id)).collect()[0]
    titles = {"ring": "Ring", "mule": "Mule account", "cycle": "Money in a circle"}
    return f"{titles[kind]}: {about}", f"{row['reason']}. Score {row['score']:.2f}."


def _more(context: Context, case_id: str) -> list[Sheet]:
    """What else there is to say of a case of its kind."""
    kind, _, about = case_id.partition(":")
    told = {"circle": _cascades, "exposure": _owed, "referral": _prospects}.get(kind)
    return told(context, int(about)) if told else []


def _cascades(context: Context, circle_id: int) -> list[Sheet]:
    """What each member's default would do to a circle, and which guarantee to have replaced first."""
    members = context.lake.read("guarantee_circle").where(is_of_day(context) & (F.col("circle_id") == circle_id))
    columns = ("customer_id", "guaranteed_amt", "backed_amt", "net_worth_amt", "failed_cnt", "loss_amt", "debt_rank")
    titles = ("customer", "guarantees", "is backed by", "owns", "others that fail with it", "loss", "DebtRank")
    rows = [
        [str(row[0]), *row[1:]] for row in members.orderBy(F.desc("loss_amt"), "customer_id").select(*columns).collect()
    ]
    unwound = context.lake.read("guarantee_unwinding").where(is_of_day(context) & (F.col("circle_id") == circle_id))
    first = unwound.orderBy("rank").select("rank", "guarantor_id", "borrower_id", "amount", "loss_fall_amt").collect()
    order = [(row[0], str(row[1]), str(row[2]), *row[3:]) for row in first]
    ending = ("order", "guarantor", "borrower", "amount", "mean loss falls by")
    return [
        Sheet(titles, rows, "What the default of each member would do"),
        Sheet(ending, order, "Which guarantee to have replaced first"),
    ]


def _owed(context: Context, group_id: int) -> list[Sheet]:
    """What each of a group of connected clients owes, and the group against the limit, where it is large."""
    members = context.lake.read("connected_group").where(is_of_day(context) & (F.col("group_id") == group_id))
    owed = members.orderBy(F.desc("exposure_amt"), "customer_id").select("customer_id", "exposure_amt").collect()
    sheets = [Sheet(("customer", "owes"), [(str(row[0]), row[1]) for row in owed], "What each of them owes")]
    if context.settings.tier1_capital is None:
        return sheets
    large = context.lake.read("large_exposure").where(is_of_day(context) & (F.col("group_id") == group_id))
    columns = ("group_exposure_amt", "capital_ratio", "limit_amt", "headroom_amt")
    rows = [tuple(row) for row in large.select(*columns).collect()]
    titles = ("the group owes", "by tier 1 capital", "may owe", "is left")
    return [*sheets, Sheet(titles, rows, "Against the limit of a group")] if rows else sheets


def _prospects(context: Context, customer_id: int) -> list[Sheet]:
    """Whom the customer may be asked for, the best first."""
    pairs = context.lake.read("referral_candidate").where(is_of_day(context) & (F.col("customer_id") == customer_id))
    columns = ("place", "prospect_key", "step_cnt", "score", "reason")
    found = pairs.where("is_allowed").orderBy("place").select(*columns).collect()
    rows = [(row[0], _short(row[1]), *row[2:]) for row in found]
    return [Sheet(("place", "prospect", "steps", "score", "why they may know each other"), rows, "Prospects")]
