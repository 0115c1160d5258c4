"""Everything that ties between people say, in the order in which one thing rests on another."""

from __future__ import annotations

from strata.jobs.runtime.run import Context
from strata.jobs.steps import alerts, guarantees, people, referrals


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
