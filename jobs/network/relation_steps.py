"""Everything that ties between people say, in the order in which one thing rests on another."""

from __future__ import annotations

from strata.jobs.network import fraud_alerts, guarantee_tables, people_tables, referral_tables
from strata.jobs.runtime.job import Context


def judge(context: Context) -> None:
    """Who is who, ties, contagion, groups, circles, alerts; then referrals, which keep away from who is in an alert."""
    people_tables.identify(context)
    people_tables.tie(context)
    people_tables.spread(context)
    people_tables.spread_to_applicants(context)
    people_tables.group(context)
    standing, owed = guarantee_tables.standing(context), guarantee_tables.exposures(context)
    guarantee_tables.circles(context, standing, owed)
    guarantee_tables.clients(context, standing, owed)
    fraud_alerts.raise_alerts(context, guarantee_tables.evidence(standing))
    ties, persons = referral_tables.warm(context, context.as_of)
    referral_tables.introduce(context, ties, persons)
    referral_tables.choose_seeds(context, ties, persons)
