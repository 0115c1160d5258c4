"""Loans looked at again and again: which are open on each observation date and how they stand, as known then.

One row a loan and observation date, with a key of its own. Models of a loan's life take their cases from here, and
their outcomes by ``label_cases``; they differ in how often they look, whom they leave out and what they wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from strata.conf.contracts import Personal, col
from strata.features.outcomes.performance_labels import LabelSpec, label

READS = ("loan", "delinquency", "account_holder")
# How long month ends have to have been reported before the first observation, and how far back a loan's own state goes.
HISTORY_DAYS, LOOK_BACK_DAYS = 92, 184
# A loan of which nothing has been reported for so long is no longer open: two month ends, and some to be late.
FRESH_DAYS = 70
# Reports of the last month end of a window may come so late; until then its cases are immature.
SETTLE_DAYS = 5
# A Monday: dates that are so many days apart are counted from it, so that a later start moves none.
_ORIGIN = "1970-01-05"
_TERMS = ("account_id", "opened_on", "product_code", "principal", "term_months", "instalment_amt", "annual_rate")

STATE_COLUMNS = (
    col("dpd_now", "int", "days past due at the last month end known", unit="days"),
    col("dpd_worst_184d", "int", "most days past due at a month end of 184 days", unit="days"),
    col("months_late_184d", "int", "month ends of 184 days with anything past due"),
    col("months_on_book", "int", "whole months since the grant", unit="months"),
    col("balance_now", "decimal(18,2)", "principal outstanding at the last month end known"),
    col("repaid_ratio", "double", "share of the principal that is paid back"),
    col("product_code", "string", "the product", nullable=True),
    col("principal", "decimal(18,2)", "amount granted"),
    col("term_months", "int", "agreed term", unit="months"),
    col("instalment_amt", "decimal(18,2)", "monthly instalment"),
    col("annual_rate", "decimal(9,6)", "annual rate", nullable=True),
    col("other_open_loans", "int", "other open loans of the customer"),
    col("other_dpd_worst", "int", "most days past due of the customer's other loans, also written-off", nullable=True),
    col("other_balance", "decimal(18,2)", "principal outstanding of the customer's other open loans"),
)
CASE_COLUMNS = (
    col("case_id", "bigint", "the loan as of the observation date: a hash of both"),
    col("loan_id", "bigint", "the loan"),
    col("customer_id", "bigint", "the borrower; folds never separate the cases of one", personal=Personal.QUASI),
    col("at", "timestamp", "the observation date: the midnight that begins it"),
    *STATE_COLUMNS,
)
# What a model may learn from, beside features of the store.
STATE_NAMES = tuple(column.name for column in STATE_COLUMNS)


def loan_panel(tables: Mapping[str, DataFrame], as_of: date, *, every: int | None = None) -> DataFrame:
    """Every open loan on every observation date up to ``as_of``: the columns of ``CASE_COLUMNS``, as known then.

    Observation dates are the first of each month (the morning after its month end), or every so many days; the first
    is 92 days after the first report of a month end. Of each month end the version counts that was known last by then.
    A loan is open while the newest month end that is known is no older than 70 days, says that something is owed and
    not that it is written off: a loan younger than its first report is not in yet. The borrower is the account's owner.

    One shuffle of each table, one join by loan, one by account, one shuffle of the panel by customer and date.
    """
    morning = F.lit(as_of.isoformat()).cast("timestamp")
    known = {name: tables[name].where(F.col("known_ts") <= morning) for name in READS}
    first = known["delinquency"].agg(F.to_date(F.min("known_ts")).alias("_first"))
    loans = _terms(known["loan"]).join(_records(known["delinquency"]), "loan_id").crossJoin(F.broadcast(first))
    seen = loans.withColumn("at", F.explode(_dates(as_of, every)))
    fresh = F.col("state_at") >= F.col("at") - F.make_interval(days=F.lit(FRESH_DAYS))
    standing = _standing(seen).where(F.col("loan").isNotNull() & fresh)
    return _with_others(_owned(standing, known["account_holder"])).where("_is_open").select(
        F.xxhash64("loan_id", F.to_date("at")).alias("case_id"), *(column.name for column in CASE_COLUMNS[1:])
    )  # fmt: skip


def month_end_states(delinquency: DataFrame) -> DataFrame:
    """The table with ``state_at``: a month end's days past due are those of the midnight that ends its last day."""
    return delinquency.withColumn("state_at", F.date_add("month_end", 1).cast("timestamp"))


def label_cases(cases: DataFrame, delinquency: DataFrame, spec: LabelSpec, as_of: date) -> DataFrame:
    """The cases with ``<name>`` (1 bad, 0 good, else null) and ``outcome_state`` by the definition, from ``at`` on.

    A case is immature until its window, and five days in which the last report may come, have ended by ``as_of``.
    One shuffle of each table by loan, one join.
    """
    told = label(cases, delinquency, spec, at="at", known_until=as_of)
    name, state, since, until = spec.columns
    settled = F.col(until) + F.make_interval(days=F.lit(SETTLE_DAYS)) <= F.lit(as_of.isoformat()).cast("timestamp")
    open_ = ~settled & F.col(state).isin("good", "bad", "indeterminate", "unknown")
    return told.withColumns(
        {name: F.when(~open_, F.col(name)), "outcome_state": F.when(open_, "immature").otherwise(F.col(state))}
    ).drop(state, since, until)


def _terms(loans: DataFrame) -> DataFrame:
    """A row a loan: ``terms``, its versions; ``_since``, the day on which the first was known."""
    version = F.struct("known_ts", *_TERMS)
    return loans.groupBy("loan_id").agg(
        F.collect_list(version).alias("terms"), F.to_date(F.min("known_ts")).alias("_since")
    )


def _records(delinquency: DataFrame) -> DataFrame:
    """A row a loan: ``records``, its month ends, each version with ``until``, when the next was known; ``_last``."""
    versions = Window.partitionBy("loan_id", "month_end").orderBy("known_ts", "days_past_due", "balance")
    dated = month_end_states(delinquency).withColumn("until", F.lead("known_ts").over(versions))
    record = F.struct("state_at", "days_past_due", "balance", "is_written_off", "known_ts", "until")
    return dated.groupBy("loan_id").agg(
        F.collect_list(record).alias("records"), F.to_date(F.max("state_at")).alias("_last")
    )


def _dates(as_of: date, every: int | None) -> Column:
    """The observation dates of a loan: from when it and enough history are known, while its reports are fresh."""
    start = F.greatest(F.date_add("_first", HISTORY_DAYS), "_since")
    end = F.least(F.lit(as_of.isoformat()).cast("date"), F.date_add("_last", FRESH_DAYS))
    if every is None:
        begin, step = F.add_months(F.trunc(F.date_sub(start, 1), "month"), 1), F.expr("INTERVAL 1 MONTH")
    else:
        past = F.pmod(-F.datediff(start, F.lit(_ORIGIN).cast("date")), F.lit(every))
        begin, step = F.date_add(start, past), F.expr(f"INTERVAL {every} DAY")
    days = F.when(begin <= end, F.sequence(begin, end, step))
    return F.transform(days, lambda day: day.cast("timestamp"))


def _standing(seen: DataFrame) -> DataFrame:
    """How each loan stands on each date, by the versions that were known then."""
    at = F.col("at")
    known = seen.select("loan_id", "at", _terms_then(at).alias("loan"), _records_then(at).alias("known"))
    recent = F.filter("known", lambda r: r["state_at"] > at - F.make_interval(days=F.lit(LOOK_BACK_DAYS)))
    days_late = F.transform(recent, lambda r: r["days_past_due"])
    rows = known.select("loan_id", "at", "loan", F.array_max("known").alias("now"), days_late.alias("late"))
    owed, lent = (F.col(name).cast("double") for name in ("now.balance", "loan.principal"))
    return rows.select(
        "loan_id",
        "at",
        "loan",
        *(F.col(f"loan.{name}").alias(name) for name in _TERMS),
        F.col("now.state_at").alias("state_at"),
        F.col("now.days_past_due").alias("dpd_now"),
        F.array_max("late").alias("dpd_worst_184d"),
        F.size(F.filter("late", lambda days: days > 0)).alias("months_late_184d"),
        F.floor(F.months_between(F.to_date("at"), "loan.opened_on")).cast("int").alias("months_on_book"),
        F.col("now.balance").alias("balance_now"),
        (1 - owed / lent).alias("repaid_ratio"),
        ((F.col("now.balance") > 0) & ~F.col("now.is_written_off")).alias("_is_open"),
    )


def _terms_then(at: Column) -> Column:
    """The terms of a loan that were known last at a moment."""
    return F.array_max(F.filter("terms", lambda t: t["known_ts"] <= at))


def _records_then(at: Column) -> Column:
    """The month ends of a loan that had passed at a moment, each as it was known last, without withdrawn ones."""

    def counts(record: Column) -> Column:
        is_last = record["until"].isNull() | (record["until"] > at)
        has_passed = (record["state_at"] <= at) & (record["known_ts"] <= at)
        return has_passed & is_last & record["days_past_due"].isNotNull()

    return F.filter("records", counts)


def _owned(standing: DataFrame, holders: DataFrame) -> DataFrame:
    """The rows whose account has an owner that was known on the date, with ``customer_id``: the one known last."""
    owners = holders.where("role = 'owner'").groupBy("account_id").agg(
        F.collect_list(F.struct("known_ts", "customer_id")).alias("owners")
    )  # fmt: skip
    last = F.array_max(F.filter("owners", lambda o: o["known_ts"] <= F.col("at"))).getField("customer_id")
    return standing.join(owners, "account_id").withColumn("customer_id", last).where("customer_id IS NOT NULL")


def _with_others(rows: DataFrame) -> DataFrame:
    """How the customer's other loans stand on the same date."""
    others = Window.partitionBy("customer_id", "at").orderBy("loan_id")
    before, after = others.rowsBetween(Window.unboundedPreceding, -1), others.rowsBetween(1, Window.unboundedFollowing)
    everybody = Window.partitionBy("customer_id", "at")
    own = F.when(F.col("_is_open"), F.col("balance_now")).otherwise(0)
    return rows.withColumn("_own", own).withColumns(
        {
            "other_open_loans": (F.count_if("_is_open").over(everybody) - F.col("_is_open").cast("int")).cast("int"),
            "other_dpd_worst": F.greatest(F.max("dpd_now").over(before), F.max("dpd_now").over(after)),
            "other_balance": (F.sum("_own").over(everybody) - F.col("_own")).cast("decimal(18,2)"),
        }
    )
