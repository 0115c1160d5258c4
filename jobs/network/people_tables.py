"""What the network says of people: who is who, their ties, what those around them were known to be, their groups."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.graph.algorithms.components import connected_components
from strata.graph.communities.groups import group_history, stable_groups
from strata.graph.fraud.identity import resolve_identities
from strata.graph.risk.contagion import contagion_features, listings
from strata.graph.ties.person_ties import STRONG_TIES, person_ties, person_ties_as_of
from strata.jobs.daily_tables import is_of_day, known_customers, loan_standings, start_of_day, write_daily
from strata.jobs.runtime.job import Context


def identify(context: Context) -> None:
    """Which records are one person."""
    with context.progress.step("identities") as step:
        found = resolve_identities(context.lake.read("customer"), context.as_of)
        told = F.array_join(F.transform("evidence", lambda one: F.concat_ws(" ", one["rule"], one["tied_to"])), "; ")
        written = write_daily(context, "person_identity", found.withColumn("evidence", told))
        merged = (
            context.lake.read("person_identity").where(is_of_day(context)).where("customer_id <> person_id").count()
        )
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
        spine = known_customers(context).withColumn("as_of_ts", start_of_day(context))
        found = contagion_features(spine, lake.read("person_tie"), loan_standings(context), listed)
        clocks = {"event_ts": F.col("as_of_ts"), "known_ts": F.col("as_of_ts")}
        step.says(
            f"{write_daily(context, 'network_contagion', found.withColumns(clocks).drop('as_of_ts')):,} customers"
        )


def spread_to_applicants(context: Context) -> None:
    """Each applicant's contagion as of the moment of the application, for the models of applications."""
    lake = context.lake
    with context.progress.step("applicants' contagion") as step:
        listed = listings(lake.read_optional("blacklist"), lake.read("customer"))
        asked = lake.read_optional("loan_application").where(F.col("known_ts") <= start_of_day(context))
        spine = asked.select("application_id", "customer_id", F.col("event_ts").alias("as_of_ts")).distinct()
        found = contagion_features(spine, lake.read("person_tie"), loan_standings(context), listed)
        written = lake.replace("feature_application_contagion", found.drop("customer_id", "as_of_ts"))
        step.says(f"{written.rows:,} applications")


def group(context: Context) -> None:
    """Groups over strong ties, under the names of the newest earlier day, and what became of that day's groups."""
    with context.progress.step("groups") as step:
        ties = person_ties_as_of(context.lake.read("person_tie"), context.as_of).where(F.col("kind").isin(*STRONG_TIES))
        pairs = ties.select(F.col("customer_id").alias("src"), F.col("neighbour_id").alias("dst")).localCheckpoint()
        tied = pairs.select(F.explode(F.array("src", "dst")).alias("id")).distinct()
        before, highest = _groups_before(context)
        today = stable_groups(connected_components(tied, pairs), before, highest=highest).localCheckpoint()
        rows = write_daily(context, "network_group", today.withColumnRenamed("id", "customer_id"))
        events = group_history(today, today.limit(0) if before is None else before, context.as_of).drop("day")
        named = {end: F.coalesce(end, F.lit(-1)) for end in ("from_group", "to_group")}
        moves = write_daily(context, "network_group_event", events.withColumns(named))
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
