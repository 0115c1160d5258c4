"""How loans go bad: by vintage and months on book, by price, from bucket to bucket."""

from __future__ import annotations

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.reports.charts import charts
from strata.jobs.reports.pages.page import Figure, Section, Sheet

BAD_DAYS = 90
GRADES = 5
# A chart of more curves than these is hard to read.
VINTAGES = 4


def vintages(loans: DataFrame, months: DataFrame, outcomes: DataFrame | None = None) -> Section:
    """Cumulated share of each half-year's loans ever more than 90 days past due, by months on book.

    ``outcomes`` are of another bank, with ``opened_on`` and ``is_bad``. One join and one shuffle of the loans.
    """
    table = _first_bad(loans, months)
    curves = {}
    for vintage, rows in list(table.groupby("vintage"))[-VINTAGES:]:
        last = int(rows["watched"].min())
        bad = [float(rows.loc[rows["bad_at"] <= month, "n"].sum() / rows["n"].sum()) for month in range(last + 1)]
        curves[f"{vintage}, {rows['n'].sum():,} loans"] = (list(range(last + 1)), bad)
    svg = charts.lines(curves, xlabel="months on book", ylabel=f"share ever over {BAD_DAYS} days past due")
    whole = table.assign(bad=table["n"].where(table["bad_at"].notna(), 0)).groupby("vintage")[["n", "bad"]].sum()
    rows = [(name, int(n), bad / n) for name, (n, bad) in whole.iterrows()]
    sheets = [Sheet(("vintage", "loans", "bad so far"), rows, "Simulated, by half-year of the grant")]
    if outcomes is not None:
        by_year = outcomes.groupBy(F.year("opened_on").alias("year"))
        real = by_year.agg(F.count("*").alias("n"), F.avg("is_bad").alias("bad")).orderBy("year").collect()
        sheets.append(Sheet(("vintage", "loans", "bad"), [(str(r.year), r.n, r.bad) for r in real], "Berka, by year"))
    lead = (
        "The sources in conf/simulation.yml give 2 to 5 % in twelve months on book, most of it from the fourth month "
        "on. Berka's loans, few and without month ends, end in default more often."
    )
    return Section(
        "Default by vintage", lead, figures=[Figure(svg, "Drawn as far as a whole vintage is seen.")], sheets=sheets
    )


def _first_bad(loans: DataFrame, months: DataFrame) -> pd.DataFrame:
    """A row a vintage, month on book of going bad (none for those that didn't) and months watched, with ``n`` loans."""
    last = months.agg(F.max("month_end").alias("last"))
    rows = _with_fate(loans.select("loan_id", "opened_on"), months).crossJoin(F.broadcast(last))
    half = F.concat(F.year("opened_on"), F.lit(" H"), F.ceil(F.month("opened_on") / 6))

    def on_book(day: str) -> Column:
        return F.floor(F.months_between(day, F.last_day("opened_on"))).cast("int")

    keys = {"vintage": half, "bad_at": on_book("bad_on"), "watched": on_book("last")}
    counted = rows.groupBy(*(value.alias(name) for name, value in keys.items())).agg(F.count("*").alias("n"))
    return counted.orderBy("vintage").toPandas()


def _with_fate(loans: DataFrame, months: DataFrame) -> DataFrame:
    """Loans with ``bad_on``, the first month end at which they were bad; null for those that never were."""
    bad = months.where(F.col("days_past_due") > BAD_DAYS).groupBy("loan_id").agg(F.min("month_end").alias("bad_on"))
    return loans.join(bad, "loan_id", "left")


def grades(loans: DataFrame, months: DataFrame) -> Section:
    """Share ever more than 90 days past due by fifths of the rate: what the bank thought against what came.

    One join of the loans.
    """
    cuts = loans.approxQuantile("annual_rate", [n / GRADES for n in range(1, GRADES)], 0.001)
    grade = sum(((F.col("annual_rate") > cut).cast("int") for cut in cuts), start=F.lit(1))
    bad = F.avg(F.col("bad_on").isNotNull().cast("int")).alias("bad")
    graded = _with_fate(loans, months).groupBy(grade.alias("grade"))
    found = graded.agg(F.count("*").alias("n"), F.avg("annual_rate").alias("rate"), bad).orderBy("grade").collect()
    svg = charts.bars(
        [f"{row.grade}: {row.rate:.1%}" for row in found],
        [row.bad for row in found],
        label=f"share ever over {BAD_DAYS} days past due, by fifth of the rate",
        text="{:.1%}",
    )
    lead = (
        f"Of the cheapest fifth {found[0].bad:.1%} have gone bad so far, of the dearest {found[-1].bad:.1%}: rates "
        "follow the product, and the old policy saw only a part of the risk."
    )
    rows = [(row.grade, row.n, row.rate, row.bad) for row in found]
    sheet = Sheet(("grade", "loans", "mean rate", "bad so far"), rows, "1 is the cheapest fifth")
    return Section("Default by grade", lead, figures=[Figure(svg, "Grade and its mean rate.")], sheets=[sheet])


def rolls(months: DataFrame) -> Section:
    """From bucket to bucket, one month end to the next. One join of the month ends."""
    after = months.select(
        "loan_id", F.last_day(F.add_months("month_end", -1)).alias("month_end"), F.col("bucket").alias("to")
    )
    before = months.select("loan_id", "month_end", F.col("bucket").alias("from"))
    counts = before.join(after, ["loan_id", "month_end"], "inner").groupBy("from", "to").count().toPandas()
    table = counts.pivot(index="from", columns="to", values="count").fillna(0)
    shares = table.div(table.sum(axis=1), axis=0)
    rows = [(name, *(float(value) for value in row)) for name, row in zip(shares.index, shares.to_numpy(), strict=True)]
    cured = float(shares.loc["M1", "M0"]) if "M1" in shares.index else 0.0
    lead = f"Of loans in M1 {cured:.0%} are up to date a month later; what reaches M3 mostly goes on."
    sheet = Sheet(("from", *shares.columns), rows, "Share of loans from one month end to the next")
    return Section("Roll rates", lead, sheets=[sheet])
