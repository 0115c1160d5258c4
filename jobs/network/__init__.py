"""The steps of the network job: the day's tables of ties, identities, contagion, groups, alerts, referrals."""
