"""Everything that ties between people say, in the order in which one thing rests on another."""

from __future__ import annotations

from strata.jobs.runtime.run import Context
from strata.jobs.steps import alerts, guarantees, people, referrals


def judge(context: Context) -> None:
    """Who is who, ties, contagion, groups, circles, alerts; then referrals, which keep away from who is in an alert."""
    people.identify(context)
    people.tie(context)
    people.spread(context)
    people.group(context)
    standing = guarantees.standing(context)
    guarantees.circles(context, standing)
    guarantees.clients(context, standing)
    alerts.raise_alerts(context, guarantees.evidence(standing))
    referrals.introduce(context)
    referrals.choose_seeds(context)
