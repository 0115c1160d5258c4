"""The purposes for which features may be used, and what each needs of the people whom the data describe."""

from __future__ import annotations

from strata.features.governance.consent import ConsentPolicy, PurposeRule

PURPOSES = ("credit_risk", "monitoring", "collection", "fraud", "marketing")
CONSENT_TABLE, CONSENT_KEY = "consent", ("customer_id",)

# What people say is stored in the table `consent` by customer, channel and statement (marketing, credit_assessment,
# data_sharing). No purpose rests on data_sharing: it is about giving data to others, and features are not given away.
STANDARD_POLICY = ConsentPolicy(
    {
        # Opt-in, for each channel: who has said nothing is not approached (PIPL 24 and 29; GDPR 6(1)(a)).
        "marketing": PurposeRule(needed=True, default=False, statement="marketing", by=("channel",)),
        # Assessing who owes or asks to owe rests on the contract and on the bank's duty of prudence, so nobody has to
        # opt in. Where a bank does ask for it, a refusal or a withdrawal counts, by whatever channel it came.
        "credit_risk": PurposeRule(needed=True, default=True, statement="credit_assessment"),
        # The contract and the law ask for these (servicing a debt, detecting fraud and money laundering), so that no
        # objection stops them.
        "monitoring": PurposeRule(needed=False),
        "collection": PurposeRule(needed=False),
        "fraud": PurposeRule(needed=False),
    }
)
