"""Everything that ties between people say, in the order in which one thing rests on another."""

from __future__ import annotations

from strata.jobs.network import fraud_alerts as alerts
from strata.jobs.network import guarantee_tables as guarantees
from strata.jobs.network import people_tables as people
from strata.jobs.network import referral_tables as referrals
from strata.jobs.runtime.job import Context


def judge(context: Context) -> None:
    """Who is who, ties, contagion, groups, circles, alerts; then referrals, which keep away from who is in an alert."""
    people.identify(context)
    people.tie(context)
    people.spread(context)
    people.spread_to_applicants(context)
    people.group(context)
    standing, owed = guarantees.standing(context), guarantees.exposures(context)
    guarantees.circles(context, standing, owed)
    guarantees.clients(context, standing, owed)
    alerts.raise_alerts(context, guarantees.evidence(standing))
    ties, persons = referrals.warm(context, context.as_of)
    referrals.introduce(context, ties, persons)
    referrals.choose_seeds(context, ties, persons)
