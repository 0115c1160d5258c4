"""The page that lays the simulated bank beside a real one: the same figures of both, and how far they are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.jobs.reports.charts import charts, vintage_charts
from strata.jobs.reports.pages.page import Figure, Page, Section, Sheet, Tile
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.tables import Lake

REAL = ("transaction", "customer", "loan", "loan_outcome")
READS = ("transaction", "customer", "loan", "delinquency", "contact_book")
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
    """All sections; the lead says which figures are far apart. What several sections read is kept while it is made."""
    banks = Banks(
        {name: latest(context.lake.read(name), KEYS[name]) for name in READS},
        {name: latest(real.read(name), KEYS[name]) for name in REAL},
    )
    read_often = (*banks.each("transaction").values(), banks.simulated["loan"], banks.simulated["delinquency"])
    kept = [rows.persist(StorageLevel.MEMORY_AND_DISK) for rows in read_often]
    try:
        return _page(banks, context.lake.root)
    finally:
        for rows in kept:
            rows.unpersist()


def _page(banks: Banks, root: str) -> Page:
    sections, apart = [], {}
    for made in (digits, sizes, activity, weekdays, payees, ages):
        section, distance = made(banks)
        sections.append(section)
        apart[section.title] = distance
    loans, months = banks.simulated["loan"], banks.simulated["delinquency"]
    outcomes = banks.real["loan"].select("loan_id", "opened_on").join(banks.real["loan_outcome"], "loan_id", "inner")
    sections += [
        vintage_charts.vintages(loans, months, outcomes),
        vintage_charts.grades(loans, months),
        vintage_charts.rolls(months),
    ]
    sections.append(contacts(banks.simulated["contact_book"]))
    rows = [(name, distance, "far" if distance > FAR else "near") for name, distance in apart.items()]
    sheet = Sheet(("figure", "largest difference of shares", "verdict"), rows)
    first = Section("How far apart", _verdict(apart), sheets=[sheet])
    return Page("The simulated bank beside a real one", _lead(), _tiles(banks), [first, *sections], {"Lake": root})


KEYS = {
    "transaction": ("transaction_id",),
    "customer": ("customer_id", "valid_from"),
    "loan": ("loan_id",),
    "loan_outcome": ("loan_id",),
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
        found[name] = _shares(rows.where("amount > 0"), first.cast("int"), 1, 9)
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
        found[name] = _cumulated(by, "count", 40)
    svg = charts.lines(
        {name: (list(range(1, 41)), shares) for name, shares in found.items()},
        xlabel="postings of an account in a month",
        ylabel="share with as many or fewer",
    )
    lead = "Accounts of today are used more than those of the nineties: card payments came later."
    return Section("Postings a month", lead, figures=[Figure(svg, "Forty and more are one.")]), _largest(found)


def _shares(rows: DataFrame, number: Column | str, first: int, last: int) -> list[float]:
    """Shares of rows by a whole number; those of more than ``last`` count as ``last``. One shuffle."""
    known = F.least(number, F.lit(last)).cast("int").alias("n")
    counts = rows.groupBy(known).count().toPandas().set_index("n")["count"].reindex(range(first, last + 1)).fillna(0)
    return [float(share) for share in counts / counts.sum()]


def _cumulated(rows: DataFrame, number: Column | str, most: int) -> list[float]:
    """Shares with as many or fewer, from 1 to ``most``."""
    return [float(share) for share in np.cumsum(_shares(rows, number, 1, most))]


def weekdays(banks: Banks) -> tuple[Section, float]:
    """Payments by day of the week: what the bank books itself says nothing of people."""
    found = {}
    for name, rows in banks.each("transaction").items():
        paid = rows.where("direction = 'debit' AND channel <> 'internal'")
        found[name] = _shares(paid, F.weekday("event_ts"), 0, 6)
    svg = charts.lines(
        {name: (list(range(7)), shares) for name, shares in found.items()},
        xlabel="0 is Monday",
        ylabel="share of payments",
    )
    ends = {name: sum(shares[5:]) for name, shares in found.items()}
    lead = (
        f"At weekends {ends[SIMULATED]:.1%} of the simulated payments are made, and {ends[BERKA]:.1%} of the real "
        "ones; spread evenly it were 28.6%."
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
        found[name] = _cumulated(met, "n", tops)
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
        decade = F.greatest(F.floor(F.datediff(F.lit(day), "birth_date") / 3652.5), F.lit(1))
        found[name] = _cumulated(people, decade, 8)
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


def contacts(book: DataFrame) -> Section:
    """Contacts of an owner: the tail of the social graph."""
    degree = book.groupBy("owner_id").agg(F.count("*").alias("n"))
    below = _cumulated(degree, "n", 60)
    svg = charts.lines(
        {SIMULATED: (list(range(1, 61)), below)}, xlabel="contacts of an owner", ylabel="share with as many or fewer"
    )
    middle = next(n for n, value in enumerate(below, start=1) if value >= 0.5)
    return Section(
        "Contacts",
        f"Half of the owners have {middle} contacts or fewer, a few very many.",
        figures=[Figure(svg, "Sixty and more are one.")],
    )
