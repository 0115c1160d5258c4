"""Gold: what other systems read, with or without Spark. Change data feed is on for every table here."""

from __future__ import annotations

from strata.conf.contracts import Column, Layer, Personal, Table, col, rule
from strata.conf.tables.shapes import CURRENCY

AS_OF = col("as_of_date", "date", "the bank day the row speaks of: only what was known by its first moment")
CUSTOMER = col("customer_id", "bigint", "the customer", personal=Personal.QUASI)
ACCOUNT = col("account_id", "bigint", "the account")
ITS_ACCOUNT = col("account_id", "bigint", "the account; null where the model is about people", nullable=True)
MODEL = col("model", "string", "registered model")
MODEL_VERSION = col("model_version", "int", "its version in the registry")
SCORE = (
    col("score", "int", "higher is safer"),
    col("probability", "double", "chance of going bad"),
    col("grade", "string", "band of the score, A is safest"),
)
MONEY = "decimal(18,2)"
PROBABILITY = rule("probability BETWEEN 0 AND 1", "probability is outside of 0 to 1")
SCORED_BY = "out of fold: by a model like this one that never saw the case; model: by this one"
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
    "one row per customer (and account, where the model is about accounts), model and day",
    "Scores of the champion models with their reasons. A model's run replaces the model's rows of the day alone.",
    ("as_of_date", "model", "customer_id", "account_id"),
    (AS_OF, MODEL, MODEL_VERSION, CUSTOMER, ITS_ACCOUNT, *SCORE, *REASONS),
    checks=(PROBABILITY,),
    slice_by=("as_of_date", "model"),
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
    slice_by=("as_of_date",),
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
    slice_by=("as_of_date",),
    owner="marketing",
)

application_decision = _gold(
    "application_decision",
    "one row per application and deciding model",
    "Decisions on applications, each as of its own day, by the champion's scores: of past ones a backtest.",
    ("model", "application_id"),
    (
        MODEL,
        MODEL_VERSION,
        col("application_id", "bigint", "the application"),
        CUSTOMER,
        ITS_ACCOUNT,
        col("as_of_date", "date", "the day of the application: nothing known later had a part in its decision"),
        col("requested_amount", MONEY, "amount applied for", unit=CURRENCY, nullable=True),
        col("term_months", "int", "term applied for", unit="months", nullable=True),
        col("instalment_amt", MONEY, "monthly instalment", unit=CURRENCY, nullable=True),
        col("monthly_income_amt", "double", "mean monthly income before the day", unit=CURRENCY, nullable=True),
        col("has_whole_history", "boolean", "whether every posting before the day is there"),
        col("scored_by", "string", SCORED_BY, nullable=True),
        col("probability", "double", "probability of bad; null where the case can't be scored", nullable=True),
        col("score", "int", "its score", nullable=True),
        col("grade", "string", "its grade", nullable=True),
        *REASONS,
        col("decision", "string", "approve, refer or decline"),
        col("price_band", "string", "band of the price; null when declined or unknown", nullable=True),
        col("annual_rate", "decimal(6,4)", "yearly rate, a fraction", nullable=True),
        col("expected_loss_amt", MONEY, "PD x LGD x EAD", unit=CURRENCY, nullable=True),
        col("instalment_to_income_ratio", "double", "instalment over monthly income", nullable=True),
        col("rules", "array<string>", "codes of the rules that fired"),
        col("trace", "array<string>", "the decision explained, with its figures"),
        col("policy_version", "string", "the policy in force"),
    ),
    checks=(rule("decision IN ('approve', 'refer', 'decline')", "unknown decision"),),
    slice_by=("model",),
    owner="risk",
)

application_score = _gold(
    "application_score",
    "one row per case, model and version",
    "Scores of the cases of a model: of those it was trained on out of fold, of all others by the model itself.",
    ("model", "model_version", "application_id"),
    (
        MODEL,
        MODEL_VERSION,
        col("scored_by", "string", SCORED_BY),
        col("application_id", "bigint", "the case: an application or loan"),
        CUSTOMER,
        ITS_ACCOUNT,
        col("as_of_date", "date", "the day of the case: nothing known later is in its score"),
        *SCORE,
        *REASONS,
        col("outcome_state", "string", "good, bad, or why the outcome is not known"),
        col("is_bad", "int", "1 bad, 0 good; null where the outcome is not known", nullable=True),
    ),
    checks=(PROBABILITY, rule("scored_by IN ('out of fold', 'model')", "unknown way of scoring")),
    slice_by=("model", "model_version", "scored_by"),
    owner="risk",
)

model_validation = _gold(
    "model_validation",
    "one row per measured variant and metric of a model and day of training",
    "What each model and variant is worth on cases it has not seen, with intervals.",
    ("as_of_date", "model", "variant", "metric"),
    (
        col("as_of_date", "date", "the bank day of the training"),
        MODEL,
        col("model_version", "int", "the registered version that this is; null for what was only tried", nullable=True),
        col("variant", "string", "kind of model, features and population"),
        col("metric", "string", "auc, ks, or a paired difference"),
        col("estimate", "double", "mean over repeated folds"),
        col("low", "double", "lower end of the 95 % interval"),
        col("high", "double", "upper end of the 95 % interval"),
        col("rows", "bigint", "cases"),
        col("bads", "bigint", "of which bad"),
        col("note", "string", "how it was measured"),
    ),
    slice_by=("as_of_date", "model"),
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
    slice_by=("as_of_date",),
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
    slice_by=("as_of_date",),
    owner="marketing",
)

decision_fairness = _gold(
    "decision_fairness",
    "one row per deciding model, protected attribute and group",
    "Decisions and outcomes by gender and age band, which no model reads: scored applications alone.",
    ("model", "attribute", "group"),
    (
        MODEL,
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
    slice_by=("model",),
    owner="risk",
)
