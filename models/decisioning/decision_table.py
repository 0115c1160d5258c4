"""Credit decisions: a decision table over scored applications, with the price and a trace in words.

Every rule of the policy is tested on every application; the worst outcome of those that fire decides
(decline before refer before approve). The same application and policy always give the same decision.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.conf.policies import CreditPolicy, Policy, PricePolicy, Rule
from strata.models.decisioning.pricing import MONEY, annual_rate, expected_loss, needed_rate, price_band

REQUIRED = (
    "requested_amount",
    "term_months",
    "instalment_amt",
    "monthly_income_amt",
    "probability",
)
DECISION_COLUMNS = (
    "decision",
    "price_band",
    "annual_rate",
    "expected_loss_amt",
    "instalment_to_income_ratio",
    "rules",
    "trace",
    "policy_version",
)
DERIVED = ("instalment_to_income_ratio", "needed_rate")
_COMPARED = {"above": "above", "at_least": "at or above", "below": "below"}


def decide_credit(applications: DataFrame, policy: Policy) -> DataFrame:
    """Decide each application (one row each); all its columns are kept and these are added:

    ``decision`` approve | refer | decline; ``price_band`` and ``annual_rate`` (``decimal(6,4)``, a fraction a
    year; for a referred application indicative, null when declined or when the risk or term is unknown);
    ``expected_loss_amt`` (``decimal(18,2)``); ``instalment_to_income_ratio``; ``rules`` (codes that fired, in
    the policy's order); ``trace`` (sentences with the figures); ``policy_version``.

    Needs ``requested_amount``, ``term_months``, ``instalment_amt``, ``monthly_income_amt``, ``probability``
    (of bad) and the columns that the policy's rules name; all may hold nulls. ``score`` and ``grade`` are
    told in the trace when present. Column expressions only: one pass, no shuffle, no Python.
    Raises ``ValueError`` naming a column that is missing or of a wrong type.
    """
    credit = policy.credit
    _check(applications, credit)
    measured = _measures(applications, credit)
    for position, rule in enumerate(credit.table()):
        measured = measured.withColumn(f"__fired_{position}", _fires(rule))
    fired = [(rule, F.col(f"__fired_{position}")) for position, rule in enumerate(credit.table())]
    decided = measured.withColumn("decision", _outcome(fired))
    decided = _priced(decided, credit.price)
    told = decided.withColumns(
        {
            "instalment_to_income_ratio": F.col("__instalment_to_income_ratio"),
            "rules": F.array_compact(F.array(*[F.when(fires, F.lit(rule.code)) for rule, fires in fired])),
            "trace": _trace(fired, policy, applications.columns),
            "policy_version": F.lit(policy.version),
        }
    )
    kept = [name for name in applications.columns if name not in DECISION_COLUMNS]
    return told.select(*[F.col(f"`{name}`") for name in kept], *DECISION_COLUMNS)


def _check(applications: DataFrame, credit: CreditPolicy) -> None:
    named = {rule.measure: f"rule {rule.code}" for rule in credit.rules if rule.measure not in DERIVED}
    wanted = {**named, **dict.fromkeys(REQUIRED, "every decision")}
    flags = {rule.measure for rule in credit.rules if rule.test == "not_true"}
    for name, why in wanted.items():
        if name not in applications.columns:
            raise ValueError(f"applications: column {name!r} is missing; {why} needs it")
        kind = T.BooleanType if name in flags else T.NumericType
        if not isinstance(applications.schema[name].dataType, kind):
            expected = "true or false" if name in flags else "a number"
            raise ValueError(f"applications: column {name!r} is not {expected}; {why} needs that")


def _measures(applications: DataFrame, credit: CreditPolicy) -> DataFrame:
    """One hidden column per measure, as the rules compare it: doubles, and null where it makes no sense."""
    named = {rule.measure for rule in credit.rules} - set(DERIVED)
    measures = {name: F.col(f"`{name}`") for name in sorted(named)}
    flags = {rule.measure for rule in credit.rules if rule.test == "not_true"}
    numbers = {name: F.nanvl(column.cast("double"), F.lit(None)) for name, column in measures.items()}
    numbers |= {name: measures[name] for name in flags}
    numbers |= {name: _positive(name) for name in REQUIRED}
    numbers["probability"] = _probability()
    measured = applications.withColumns({f"__{name}": column for name, column in numbers.items()})
    return measured.withColumns(
        {
            "__instalment_to_income_ratio": F.col("__instalment_amt") / F.col("__monthly_income_amt"),
            "__needed_rate": needed_rate(F.col("__probability"), F.col("__term_months"), credit.price),
        }
    )


def _positive(name: str) -> Column:
    value = F.col(name).cast("double")
    return F.when((value > 0) & ~F.isnan(value), value)


def _probability() -> Column:
    return F.when(F.col("probability").between(0, 1), F.col("probability").cast("double"))


def _fires(rule: Rule) -> Column:
    value = F.col(f"__{rule.measure}")
    tests = {
        "above": lambda: value > rule.limit,
        "at_least": lambda: value >= rule.limit,
        "below": lambda: value < rule.limit,
        "missing": lambda: value.isNull(),
        "not_true": lambda: ~value,
    }
    return F.coalesce(tests[rule.test](), F.lit(rule.test == "not_true"))


def _outcome(fired: list[tuple[Rule, Column]]) -> Column:
    declines = F.greatest(*[fires for rule, fires in fired if rule.outcome == "decline"], F.lit(False))
    refers = F.greatest(*[fires for rule, fires in fired if rule.outcome == "refer"], F.lit(False))
    return F.when(declines, "decline").when(refers, "refer").otherwise("approve")


def _priced(decided: DataFrame, price: PricePolicy) -> DataFrame:
    """No price for a declined application, nor where its risk or term is unknown."""
    offered = (F.col("decision") != "decline") & F.col("__needed_rate").isNotNull()
    probability, amount = F.col("__probability"), F.col("__requested_amount")
    return decided.withColumns(
        {
            "price_band": F.when(offered, price_band(probability, price)),
            "annual_rate": F.when(offered, annual_rate(F.col("__needed_rate"), price)),
            "expected_loss_amt": expected_loss(probability, amount, price),
        }
    )


def _trace(fired: list[tuple[Rule, Column]], policy: Policy, columns: list[str]) -> Column:
    rules = [F.when(fires, _told(rule)) for rule, fires in fired]
    none = F.when(~F.greatest(*[fires for _, fires in fired]), F.lit("No rule fired."))
    price = policy.credit.price
    sentences = [_asked(), _risk(columns), *rules, none, _price(price), _loss(price), _decided(policy)]
    return F.array_compact(F.array(*sentences))


def _asked() -> Column:
    return F.concat(
        F.lit("Asked for: "), _figure("requested_amount", "amount"),
        F.lit(" over "), _figure("term_months", "months"),
        F.lit(", instalment "), _figure("instalment_amt", "amount"),
        F.lit(", monthly income "), _figure("monthly_income_amt", "amount"), F.lit("."),
    )  # fmt: skip


def _risk(columns: list[str]) -> Column:
    told = [
        F.when(F.col(name).isNotNull(), F.concat(F.lit(f", {name} "), F.col(name).cast("string")))
        for name in ("score", "grade")
        if name in columns
    ]
    extras = [F.coalesce(column, F.lit("")) for column in told]
    return F.concat(F.lit("Probability of default: "), _figure("probability", "share"), *extras, F.lit("."))


def _told(rule: Rule) -> Column:
    start = f"{rule.code} {rule.outcome}: {rule.words}"
    if rule.limit is None:
        return F.lit(f"{start}.")
    limit = _format(F.lit(rule.limit), rule.unit)
    compared = _COMPARED[rule.test]
    return F.concat(F.lit(f"{start} is "), _figure(rule.measure, rule.unit), F.lit(f", {compared} "), limit, F.lit("."))


def _price(price: PricePolicy) -> Column:
    risk = F.col("__needed_rate") - F.lit(price.costs)
    parts = (
        ("funding", price.funding_rate),
        ("operating", price.operating_rate),
        ("capital", price.capital_share * price.capital_cost),
        ("margin", price.margin),
    )
    costs = ", ".join(f"{name} {100 * rate:.2f}" for name, rate in parts)
    built = F.concat(
        F.lit("Price band "), F.col("price_band"), F.lit(": "), _rate(F.col("annual_rate")),
        F.lit(" % a year; needed "), _rate(F.col("__needed_rate")), F.lit(": risk "), _rate(risk),
        F.lit(f", {costs}; held between {100 * price.lowest_rate:.2f} and {100 * price.highest_rate:.2f}."),
    )  # fmt: skip
    why_none = F.when(F.col("decision") == "decline", "No price: the application is declined.").otherwise(
        "No price: the risk or the term is not known."
    )
    return F.coalesce(built, why_none)


def _loss(price: PricePolicy) -> Column:
    return F.concat(
        F.lit("Expected loss: "), F.format_number(F.col("expected_loss_amt").cast(MONEY), 2),
        F.lit(f" with {100 * price.loss_given_default:.1f} % lost of the {100 * price.exposure_share:.1f} % "),
        F.lit("still owed at default."),
    )  # fmt: skip


def _decided(policy: Policy) -> Column:
    return F.concat(F.lit("Decision: "), F.col("decision"), F.lit(f", by policy {policy.version}."))


def _figure(measure: str, unit: str) -> Column:
    return F.coalesce(_format(F.col(f"__{measure}"), unit), F.lit("unknown"))


def _format(value: Column, unit: str) -> Column:
    if unit == "share":
        return F.when(value.isNotNull(), F.format_string("%.1f %%", value * 100))
    if unit == "months":
        return F.concat(F.format_number(value, 0), F.lit(" months"))
    return F.format_number(value, 2 if unit == "amount" else 0)


def _rate(value: Column) -> Column:
    return F.when(value.isNotNull(), F.format_string("%.2f", value.cast("double") * 100))
