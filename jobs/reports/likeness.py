"""The page that lays the simulated bank beside a real one: the same figures of both, and how far they are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.jobs.reports import charts
from strata.jobs.reports.page import Figure, Page, Section, Sheet, Tile
from strata.jobs.runtime.run import Context
from strata.jobs.runtime.tables import Lake

REAL = ("transaction", "customer", "loan")
READS = (*REAL, "delinquency", "contact_book")
BENFORD = [float(np.log10(1 + 1 / digit)) for digit in range(1, 10)]
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SHARES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
FAR = 0.10
SIMULATED, BERKA = "simulated", "Berka (Czech, 1993 on)"


@dataclass(frozen=True)
class Banks:
    """Tables of the simulated bank, and of a real one."""

    simulated: Mapping[str, DataFrame]
    real: Mapping[str, DataFrame]

    def each(self, name: str) -> dict[str, DataFrame]:
        """A table of both, by the bank's name; of several versions of a row the latest."""
        return {SIMULATED: self.simulated[name], BERKA: self.real[name]}


def page(context: Context, real: Lake) -> Page:
    """All sections; the lead says which figures are far apart."""
    banks = Banks(
        {name: latest(context.lake.read(name), key) for name, key in KEYS.items()},
        {name: latest(real.read(name), KEYS[name]) for name in REAL},
    )
    sections, apart = [], {}
    for made in (digits, sizes, activity, weekdays, payees, ages):
        section, distance = made(banks)
        sections.append(section)
        apart[section.title] = distance
    sections += [arrears(banks.simulated["delinquency"]), contacts(banks.simulated["contact_book"])]
    rows = [(name, distance, "far" if distance > FAR else "near") for name, distance in apart.items()]
    sheet = Sheet(("figure", "largest difference of shares", "verdict"), rows)
    first = Section("How far apart", _verdict(apart), sheets=[sheet])
    return Page(
        "The simulated bank beside a real one", _lead(), _tiles(banks), [first, *sections], {"Lake": context.lake.root}
    )


KEYS = {
    "transaction": ("transaction_id",),
    "customer": ("customer_id", "valid_from"),
    "loan": ("loan_id",),
    "delinquency": ("loan_id", "month_end"),
    "contact_book": ("owner_id", "contact_phone_hash"),
}


def latest(rows: DataFrame, key: tuple[str, ...]) -> DataFrame:
    """Of the versions of each row the one known last. One shuffle."""
    whole = F.max_by(F.struct(*rows.columns), "known_ts").alias("row")
    return rows.groupBy(*key).agg(whole).select("row.*")


def _lead() -> str:
    return (
        "The simulated bank is set from published Chinese figures (conf/simulation.yml names each source); "
        "the real bank here is Czech and thirty years old, so levels differ by design and shapes should not."
    )


def _verdict(apart: Mapping[str, float]) -> str:
    far = [name for name, distance in apart.items() if distance > FAR]
    near = [name for name in apart if name not in far]
    text = f"Near (within {FAR:.0%} at every point): {', '.join(near) or 'none'}. "
    return text + f"Far: {', '.join(far) or 'none'}; each section says why."


def _tiles(banks: Banks) -> list[Tile]:
    return [
        Tile(f"{banks.simulated['customer'].select('customer_id').distinct().count():,}", "simulated customers"),
        Tile(f"{banks.simulated['transaction'].count():,}", "their postings"),
        Tile(f"{banks.simulated['loan'].count():,}", "their loans"),
        Tile(f"{banks.real['transaction'].count():,}", "real postings beside them"),
    ]


def digits(banks: Banks) -> tuple[Section, float]:
    """First digits of amounts, against Benford's law."""
    found = {}
    for name, rows in banks.each("transaction").items():
        first = F.substring(F.regexp_replace(F.col("amount").cast("string"), "[0.]", ""), 1, 1)
        counted = rows.where("amount > 0").groupBy(first.cast("int").alias("digit")).count().toPandas()
        share = counted.set_index("digit")["count"].reindex(range(1, 10)).fillna(0)
        found[name] = list(share / share.sum())
    curves = {name: (list(range(1, 10)), shares) for name, shares in {**found, "Benford": BENFORD}.items()}
    distance = _largest(found)
    svg = charts.lines(curves, xlabel="first digit of the amount", ylabel="share of postings")
    away = {
        name: max(abs(one - law) for one, law in zip(shares, BENFORD, strict=True)) for name, shares in found.items()
    }
    lead = f"From Benford's law simulated amounts are at most {away[SIMULATED]:.1%} away, real ones {away[BERKA]:.1%}."
    why = "Real ones have fees of one amount and round withdrawals; simulated ones are products of many chances."
    return Section("First digits", lead, figures=[Figure(svg, why)]), distance


def sizes(banks: Banks) -> tuple[Section, float]:
    """Amounts by their median: the spread, whatever the currency."""
    found = {}
    for name, rows in banks.each("transaction").items():
        cut = (
            rows.where("amount > 0")
            .agg(F.percentile_approx(F.col("amount").cast("double"), SHARES, 10_000).alias("q"))
            .first()
        )
        middle = cut.q[SHARES.index(0.5)]
        found[name] = [float(np.log10(value / middle)) for value in cut.q]
    svg = charts.lines(
        {name: (values, SHARES) for name, values in found.items()},
        xlabel="amount by the median, powers of ten",
        ylabel="share below",
    )
    grid = np.linspace(-2, 2, 81)
    shares = {name: list(np.interp(grid, values, SHARES, left=0, right=1)) for name, values in found.items()}
    lead = "Amounts spread over two powers of ten in both; the simulated ones are many small card payments."
    return Section(
        "Sizes of payments", lead, figures=[Figure(svg, "The steeper the curve the more alike the amounts.")]
    ), _largest(shares)


def activity(banks: Banks) -> tuple[Section, float]:
    """Postings of an account and month."""
    found = {}
    for name, rows in banks.each("transaction").items():
        by = rows.groupBy("account_id", F.trunc("event_ts", "month").alias("month")).count()
        share = by.groupBy(F.least("count", F.lit(40)).alias("n")).agg(F.count("*").alias("rows")).toPandas()
        found[name] = _cumulated(share, 40)
    svg = charts.lines(
        {name: (list(range(1, 41)), shares) for name, shares in found.items()},
        xlabel="postings of an account in a month",
        ylabel="share with as many or fewer",
    )
    lead = "Accounts of today are used more than those of the nineties: card payments came later."
    return Section("Postings a month", lead, figures=[Figure(svg, "Forty and more are one.")]), _largest(found)


def _cumulated(share: pd.DataFrame, most: int) -> list[float]:
    counts = share.set_index("n")["rows"].reindex(range(1, most + 1)).fillna(0)
    return list((counts / counts.sum()).cumsum())


def weekdays(banks: Banks) -> tuple[Section, float]:
    """Payments by day of the week: what the bank books itself says nothing of people."""
    found = {}
    for name, rows in banks.each("transaction").items():
        paid = rows.where("direction = 'debit' AND channel <> 'internal'")
        counted = paid.groupBy(F.weekday("event_ts").alias("day")).count().toPandas()
        share = counted.set_index("day")["count"].reindex(range(7)).fillna(0)
        found[name] = list(share / share.sum())
    svg = charts.lines(
        {name: (list(range(7)), shares) for name, shares in found.items()},
        xlabel="0 is Monday",
        ylabel="share of postings",
    )
    lead = (
        "People spend more at the weekend; the Czech bank booked standing orders by the calendar and knew no weekends."
    )
    table = Sheet(
        ("day", *found), [(day, *(shares[place] for shares in found.values())) for place, day in enumerate(DAYS)]
    )
    return Section(
        "Days of the week", lead, figures=[Figure(svg, "Weekends are the last two.")], sheets=[table]
    ), _largest(found)


def payees(banks: Banks) -> tuple[Section, float]:
    """Counterparties of an account: the degrees of the payment network."""
    found, tops = {}, 30
    for name, rows in banks.each("transaction").items():
        met = (
            rows.where("counterparty_hash IS NOT NULL")
            .groupBy("account_id")
            .agg(F.countDistinct("counterparty_hash").alias("n"))
        )
        share = met.groupBy(F.least("n", F.lit(tops)).alias("n")).agg(F.count("*").alias("rows")).toPandas()
        found[name] = _cumulated(share, tops)
    svg = charts.lines(
        {name: (list(range(1, tops + 1)), shares) for name, shares in found.items()},
        xlabel="counterparties of an account",
        ylabel="share with as many or fewer",
    )
    lead = "The real source names only the other sides of transfers, a few an account; the simulated one shops too."
    return Section("Counterparties", lead, figures=[Figure(svg, "Thirty and more are one.")]), _largest(found)


def ages(banks: Banks) -> tuple[Section, float]:
    """Ages of customers, each bank's by its own latest day."""
    found = {}
    for name, rows in banks.each("customer").items():
        day = banks.each("transaction")[name].agg(F.max(F.to_date("event_ts"))).first()[0]
        people = rows.groupBy("customer_id").agg(F.max("birth_date").alias("birth_date"))
        age = F.least(F.greatest(F.floor(F.datediff(F.lit(day), "birth_date") / 3652.5), F.lit(1)), F.lit(8))
        share = people.groupBy(age.cast("int").alias("n")).agg(F.count("*").alias("rows")).toPandas()
        found[name] = _cumulated(share, 8)
    svg = charts.lines(
        {name: ([10 * n + 10 for n in range(1, 9)], shares) for name, shares in found.items()},
        xlabel="age, years",
        ylabel="share younger",
    )
    lead = "Czech customers of the nineties are spread evenly over ages; Chinese customers with an app are younger."
    return Section("Ages", lead, figures=[Figure(svg, "Ten years a step.")]), _largest(found)


def _largest(found: Mapping[str, list[float]]) -> float:
    """The largest difference between the two banks' shares."""
    one, other = (np.array(shares) for shares in found.values())
    return float(np.abs(one - other).max())


def arrears(months: DataFrame) -> Section:
    """Roll rates of the simulated loans: the real bank's source has none."""
    key = F.struct("loan_id", "month_end")
    after = months.select(
        "loan_id", F.last_day(F.add_months("month_end", -1)).alias("month_end"), F.col("bucket").alias("to")
    )
    rolled = months.select("loan_id", "month_end", F.col("bucket").alias("from")).join(
        after, ["loan_id", "month_end"], "inner"
    )
    counts = rolled.groupBy("from", "to").agg(F.count(key).alias("n")).toPandas()
    table = counts.pivot(index="from", columns="to", values="n").fillna(0)
    shares = table.div(table.sum(axis=1), axis=0)
    rows = [(name, *(float(value) for value in row)) for name, row in zip(shares.index, shares.to_numpy(), strict=True)]
    cured = float(shares.loc["M1", "M0"]) if "M1" in shares.index else 0.0
    lead = f"Of loans in M1 {cured:.0%} are up to date a month later; what reaches M3 mostly goes on."
    return Section(
        "Roll rates",
        lead,
        sheets=[Sheet(("from", *shares.columns), rows, "Share of loans from one month end to the next")],
    )


def contacts(book: DataFrame) -> Section:
    """Contacts of an owner: the tail of the social graph."""
    degree = book.groupBy("owner_id").agg(F.count("*").alias("n"))
    share = degree.groupBy(F.least("n", F.lit(60)).alias("n")).agg(F.count("*").alias("rows")).toPandas()
    below = _cumulated(share, 60)
    svg = charts.lines(
        {SIMULATED: (list(range(1, 61)), below)}, xlabel="contacts of an owner", ylabel="share with as many or fewer"
    )
    middle = next(n for n, value in enumerate(below, start=1) if value >= 0.5)
    return Section(
        "Contacts",
        f"Half of the owners have {middle} contacts or fewer, a few very many.",
        figures=[Figure(svg, "Sixty and more are one.")],
    )
