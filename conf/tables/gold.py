"""Gold: what other systems read, with or without Spark. Change data feed is on for every table here."""

from __future__ import annotations

from strata.conf.contracts import Column, Layer, Personal, Table, col, rule

AS_OF = col("as_of_date", "date", "the bank day the row speaks of: only what was known by its first moment")
CUSTOMER = col("customer_id", "bigint", "the customer", personal=Personal.QUASI)
ACCOUNT = col("account_id", "bigint", "the account")
MONEY = "decimal(18,2)"
PROBABILITY = rule("probability BETWEEN 0 AND 1", "probability is outside of 0 to 1")
REASONS = tuple(
    col(
        f"reason_{number}",
        "string",
        f"feature that cost most against the best attainable, number {number}",
        nullable=True,
    )
    for number in (1, 2, 3)
)


def _gold(
    name: str, grain: str, description: str, key: tuple[str, ...], columns: tuple[Column, ...], **more: object
) -> Table:
    return Table(name=name, layer=Layer.GOLD, grain=grain, description=description, key=key, columns=columns, **more)


scores = _gold(
    "scores",
    "one row a customer, model and day",
    "Scores of the champion model with their reasons.",
    ("as_of_date", "customer_id", "model"),
    (
        AS_OF,
        CUSTOMER,
        ACCOUNT,
        col("model", "string", "registered model"),
        col("model_version", "int", "its version in the registry"),
        col("score", "int", "higher is safer"),
        col("probability", "double", "of going bad over the loan's term"),
        col("grade", "string", "band of the score, A is safest"),
        *REASONS,
    ),
    checks=(PROBABILITY,),
    snapshot_by="as_of_date",
    owner="risk",
)

customer_segment = _gold(
    "customer_segment",
    "one row a customer and day",
    "How customers behave: recency, frequency and monetary classes, and the cluster of their behaviour.",
    ("as_of_date", "customer_id"),
    (
        AS_OF,
        CUSTOMER,
        ACCOUNT,
        col("recency_days", "double", "days since the last own payment", unit="days", nullable=True),
        col("frequency_cnt", "double", "own payments in 90 days", nullable=True),
        col("monetary_amt", "double", "amount of them", unit="CZK", nullable=True),
        col("recency_score", "int", "5 is the most recent fifth"),
        col("frequency_score", "int", "5 is the most frequent fifth"),
        col("monetary_score", "int", "5 is the largest fifth"),
        col("rfm_segment", "string", "named combination of the three"),
        col("cluster", "int", "cluster of the behaviour"),
        col("cluster_name", "string", "what sets the cluster apart, in words"),
    ),
    snapshot_by="as_of_date",
    owner="marketing",
)

customer_tier = _gold(
    "customer_tier",
    "one row a customer and day",
    "The risk-return matrix: value tier by risk tier, and how such customers are treated.",
    ("as_of_date", "customer_id"),
    (
        AS_OF,
        CUSTOMER,
        ACCOUNT,
        col(
            "value_amt",
            "double",
            "what the value tier was ranked by: mean balance of 90 days",
            unit="CZK",
            nullable=True,
        ),
        col("probability", "double", "what the risk tier was cut by", nullable=True),
        col("value_tier", "string", "high, medium, low or unknown"),
        col("risk_tier", "string", "low, medium, high or unknown"),
        col("treatment", "string", "what the policy says to do"),
    ),
    snapshot_by="as_of_date",
    owner="marketing",
)

application_decision = _gold(
    "application_decision",
    "one row an application",
    "Decisions on the loans of the book, each as of its own application day, by out-of-fold scores: a backtest.",
    ("application_id",),
    (
        col("application_id", "bigint", "the application: the loan's number"),
        CUSTOMER,
        ACCOUNT,
        AS_OF,
        col("requested_amount", MONEY, "amount asked for", unit="CZK"),
        col("term_months", "int", "term asked for", unit="months"),
        col("instalment_amt", MONEY, "monthly instalment", unit="CZK"),
        col("monthly_income_amt", "double", "mean monthly income before the day", unit="CZK", nullable=True),
        col("has_whole_history", "boolean", "whether every posting before the day is there"),
        col("probability", "double", "out-of-fold probability of bad; null without whole history", nullable=True),
        col("score", "int", "its score", nullable=True),
        col("grade", "string", "its grade", nullable=True),
        col("decision", "string", "approve, refer or decline"),
        col("price_band", "string", "band of the price; null when declined or unknown", nullable=True),
        col("annual_rate", "decimal(6,4)", "yearly rate, a fraction", nullable=True),
        col("expected_loss_amt", MONEY, "PD x LGD x EAD", unit="CZK", nullable=True),
        col("instalment_to_income_ratio", "double", "instalment over monthly income", nullable=True),
        col("rules", "array<string>", "codes of the rules that fired"),
        col("trace", "array<string>", "the decision explained, with its figures"),
        col("policy_version", "string", "the policy in force"),
    ),
    checks=(rule("decision IN ('approve', 'refer', 'decline')", "unknown decision"),),
    owner="risk",
)

application_score = _gold(
    "application_score",
    "one row an application with whole history and a model",
    "Out-of-fold scores: each made by models that never saw the application, averaged over repeats.",
    ("application_id", "model"),
    (
        col("application_id", "bigint", "the application: the loan's number"),
        CUSTOMER,
        col("model", "string", "scorecard or boosted"),
        col("probability", "double", "of going bad"),
        col("is_bad", "int", "how it went"),
    ),
    checks=(PROBABILITY,),
    owner="risk",
)

model_validation = _gold(
    "model_validation",
    "one row a measured variant and metric",
    "What each model and variant is worth on applications it has not seen, with intervals.",
    ("variant", "metric"),
    (
        col("variant", "string", "model, features and population"),
        col("metric", "string", "auc, ks, gini or a paired difference"),
        col("estimate", "double", "mean over repeated folds"),
        col("low", "double", "lower end of the 95 % interval"),
        col("high", "double", "upper end of the 95 % interval"),
        col("rows", "bigint", "applications"),
        col("bads", "bigint", "of which bad"),
        col("note", "string", "how it was measured"),
    ),
    owner="risk",
)

segment_profile = _gold(
    "segment_profile",
    "one row a cluster and day",
    "The behaviour clusters described, and how stable their number is: adjusted Rand index over bootstraps.",
    ("as_of_date", "cluster"),
    (
        AS_OF,
        col("cluster", "int", "the cluster"),
        col("name", "string", "what sets it apart, in words"),
        col("description", "string", "a sentence with its centre's figures"),
        col("customer_cnt", "bigint", "customers in it"),
        col("share", "double", "of all customers"),
    ),
    snapshot_by="as_of_date",
    owner="marketing",
)

segment_trial = _gold(
    "segment_trial",
    "one row a number of clusters tried and day",
    "Why there are as many clusters as there are.",
    ("as_of_date", "k"),
    (
        AS_OF,
        col("k", "int", "number of clusters"),
        col("silhouette", "double", "mean silhouette"),
        col("stability", "double", "mean adjusted Rand index between bootstraps"),
        col("stability_low", "double", "lowest of them"),
        col("smallest_share", "double", "share of the smallest cluster"),
        col("chosen", "boolean", "whether this is the number used"),
    ),
    snapshot_by="as_of_date",
    owner="marketing",
)

decision_fairness = _gold(
    "decision_fairness",
    "one row a protected attribute and group",
    "Decisions and outcomes by gender and age band, which no model reads: scored applications alone.",
    ("attribute", "group"),
    (
        col("attribute", "string", "gender or age_band"),
        col("group", "string", "the group"),
        col("count", "bigint", "scored applications"),
        col("approval_rate", "double", "share approved", nullable=True),
        col("bad_rate", "double", "share bad", nullable=True),
        col("approved_bad_rate", "double", "share bad among the approved", nullable=True),
        col("adverse_impact_ratio", "double", "approval rate over the reference group's", nullable=True),
        col("adverse_impact_ratio_low", "double", "lower end of its 95 % interval", nullable=True),
        col("adverse_impact_ratio_high", "double", "upper end", nullable=True),
        col("verdict", "string", "reference, fair, adverse, inconclusive or too few"),
    ),
    owner="risk",
)
