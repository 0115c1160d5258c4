"""What the network says of people: who is who, their ties, what those around them were known to be, their groups."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.graph.algorithms.components import connected_components
from strata.graph.communities.groups import group_history, stable_groups
from strata.graph.fraud.identity import resolve_identities
from strata.graph.risk.contagion import contagion_features, listings, standings
from strata.graph.ties.person_ties import person_ties, person_ties_as_of
from strata.jobs.runtime.run import Context

# Ties by which people belong together; an address book or an employer is none.
STRONG = ("family", "guarantee", "co_account", "shared_phone", "shared_device")


def identify(context: Context) -> None:
    """Which records are one person."""
    with context.progress.step("identities") as step:
        found = resolve_identities(context.lake.read("customer"), context.as_of)
        told = F.array_join(F.transform("evidence", lambda one: F.concat_ws(" ", one["rule"], one["tied_to"])), "; ")
        written = keep(context, "person_identity", found.withColumn("evidence", told))
        merged = context.lake.read("person_identity").where(of_day(context)).where("customer_id <> person_id").count()
        step.says(f"{written:,} records, {merged:,} of them another record's person")


def tie(context: Context) -> None:
    """The dated ties between people, hubs left out."""
    lake = context.lake
    with context.progress.step("ties between people") as step:
        rows = person_ties(lake.read("vertex"), lake.read("relationship"), lake.read("hub_register"))
        step.says(f"{lake.replace('person_tie', rows).rows:,}")


def spread(context: Context) -> None:
    """The day's contagion of every customer known by then: it re-enters the feature store as a view."""
    lake = context.lake
    with context.progress.step("contagion of the day") as step:
        listed = listings(lake.read_optional("blacklist"), lake.read("customer"))
        spine = everybody(context).withColumn("as_of_ts", morning(context))
        found = contagion_features(spine, lake.read("person_tie"), loans_standing(context), listed)
        clocks = {"event_ts": F.col("as_of_ts"), "known_ts": F.col("as_of_ts")}
        step.says(f"{keep(context, 'network_contagion', found.withColumns(clocks).drop('as_of_ts')):,} customers")


def spread_to_applicants(context: Context) -> None:
    """Each applicant's contagion as of the moment of the application, for the models of applications."""
    lake = context.lake
    with context.progress.step("applicants' contagion") as step:
        listed = listings(lake.read_optional("blacklist"), lake.read("customer"))
        asked = lake.read_optional("loan_application").where(F.col("known_ts") <= morning(context))
        spine = asked.select("application_id", "customer_id", F.col("event_ts").alias("as_of_ts")).distinct()
        found = contagion_features(spine, lake.read("person_tie"), loans_standing(context), listed)
        written = lake.replace("feature_application_contagion", found.drop("customer_id", "as_of_ts"))
        step.says(f"{written.rows:,} applications")


def group(context: Context) -> None:
    """Groups over strong ties, under the names of the newest earlier day, and what became of that day's groups."""
    with context.progress.step("groups") as step:
        ties = person_ties_as_of(context.lake.read("person_tie"), context.as_of).where(F.col("kind").isin(*STRONG))
        pairs = ties.select(F.col("customer_id").alias("src"), F.col("neighbour_id").alias("dst")).localCheckpoint()
        tied = pairs.select(F.explode(F.array("src", "dst")).alias("id")).distinct()
        before, highest = _groups_before(context)
        today = stable_groups(connected_components(tied, pairs), before, highest=highest).localCheckpoint()
        rows = keep(context, "network_group", today.withColumnRenamed("id", "customer_id"))
        events = group_history(today, today.limit(0) if before is None else before, context.as_of).drop("day")
        named = {end: F.coalesce(end, F.lit(-1)) for end in ("from_group", "to_group")}
        moves = keep(context, "network_group_event", events.withColumns(named))
        step.says(f"{rows:,} people in groups, {moves:,} changes since the day before that was looked at")


def _groups_before(context: Context) -> tuple[DataFrame | None, int]:
    """The groups of the newest earlier day (id, group_id), none on the first, and the highest name ever given."""
    lake = context.lake
    if not lake.exists("network_group"):
        return None, 0
    # The newest version, not one pinned as an input: what this job writes itself would make every run look new.
    groups = lake.read("network_group", lake.version("network_group"))
    earlier = groups.where(F.col("as_of_date") < F.lit(context.as_of))
    row = earlier.agg(F.max("as_of_date"), F.max("group_id")).collect()[0]
    if row[0] is None:
        return None, 0
    newest = earlier.where(F.col("as_of_date") == F.lit(row[0]))
    return newest.select(F.col("customer_id").alias("id"), "group_id"), row[1]


def everybody(context: Context) -> DataFrame:
    """customer_id of who was known by the day."""
    known = context.lake.read("customer").where(F.col("known_ts") <= morning(context))
    return known.select("customer_id").distinct()


def loans_standing(context: Context) -> DataFrame:
    """How each borrower's loans were known to stand, month by month."""
    lake = context.lake
    return standings(
        lake.read_optional("delinquency"), lake.read_optional("loan"), lake.read_optional("account_holder")
    )


def morning(context: Context) -> Column:
    """The first moment of the day: what is known later is not known yet."""
    return F.lit(context.as_of.isoformat()).cast("timestamp")


def of_day(context: Context) -> Column:
    """Rows of the day's slice."""
    return F.col("as_of_date") == F.lit(context.as_of)


def keep(context: Context, name: str, rows: DataFrame) -> int:
    """Write the day's slice of a table; how many rows it has."""
    day: date = context.as_of
    return context.lake.replace(name, rows.withColumn("as_of_date", F.lit(day)), slice={"as_of_date": day}).rows or 0
