"""Delivered texts in other notations: Spark's reading and plain Python's are the same, and right where it is known."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pyspark.sql import functions as F

from strata.conf.banks import Feed, Source
from strata.conf.banks.notation import Notation
from strata.conf.contracts import Layer, Table, col
from strata.jobs.runtime.tokens import tokeniser
from strata.jobs.sources.bank_setup.plain_reading import delivered_text, plain_value
from strata.jobs.sources.mapping import TOKEN, mapping_of, texts_of
from tests.conftest import in_zone

pytestmark = pytest.mark.oracle

ZONE = "Asia/Shanghai"
# Name, type, how it is declared, and texts with their right value.
CASES = {
    "plain": ("decimal(18,2)", {}, {"-12.50": Decimal("-12.50"), "1,5": None, "1.234": None, "+7": Decimal(7)}),
    "german": ("decimal(18,2)", {"decimal": ",", "thousands": "."},
               {"1.234,50": Decimal("1234.50"), "12.34": None, "1234,5": Decimal("1234.5"), "1.23.456": None}),
    "behind": ("decimal(18,2)", {"sign": "behind"}, {"120-": Decimal(-120), "-120": None, "3.10+": Decimal("3.10")}),
    "brackets": ("decimal(18,2)", {"sign": "parentheses", "thousands": ","},
                 {"(1,120.05)": Decimal("-1120.05"), "(5": None, "-5": Decimal(-5)}),
    "cents": ("decimal(18,2)", {"unit": "0.01"}, {"12345": Decimal("123.45"), "1.5": None, "-1": Decimal("-0.01")}),
    "thousands_of": ("bigint", {"unit": "1000"}, {"1.5": Decimal(1500), "2": Decimal(2000), "1.2345": None}),
    "spaced": ("int", {"thousands": " "}, {"12 345": Decimal(12345), "3000000000": None, "1 23": None}),
    "real": ("double", {"decimal": ","}, {"1,5e3": 1500.0, "1.5": None, ",5": 0.5}),
    "slashes": ("date", {"days": "dd/MM/yyyy"},
                {"31/12/2024": date(2024, 12, 31), "30/02/2024": None, "1/2/2024": None}),
    "loose": ("date", {"days": "d.M.yy", "century": 1900}, {"1.2.99": date(1999, 2, 1), "01.02.1999": None}),
    "oracle": ("date", {"days": "dd-MMM-yyyy"},
               {"05-MAR-2024": date(2024, 3, 5), "05-mar-2024": date(2024, 3, 5), "05-XXX-2024": None}),
    "suffixed": ("date", {"days": "yyMMdd '00:00:00'", "century": 1900}, {"940331 00:00:00": date(1994, 3, 31)}),
    "serial": ("date", {"days": "excel_days"}, {"45292": date(2024, 1, 1), "x": None}),
    "iso": ("timestamp", {}, {"2024-07-01T08:15:00.5": datetime(2024, 7, 1, 0, 15, 0, 500000, UTC),
                              "2024-07-01 08:15:00+02:00": datetime(2024, 7, 1, 6, 15, tzinfo=UTC),
                              "2024-07-01T08:15:00Z": datetime(2024, 7, 1, 8, 15, tzinfo=UTC),
                              "2024-07-01T25:00:00": None}),
    "elsewhere": ("timestamp", {"times": "dd.MM.yyyy HH:mm", "zone": "Europe/Berlin"},
                  {"01.07.2024 08:15": datetime(2024, 7, 1, 6, 15, tzinfo=UTC),
                   "01.01.2024 08:15": datetime(2024, 1, 1, 7, 15, tzinfo=UTC), "01.01.2024 8:15": None}),
    "epoch": ("timestamp", {"times": "epoch_millis"}, {"1719821700500": datetime(2024, 7, 1, 8, 15, 0, 500000, UTC)}),
    "switch": ("boolean", {"map": {"J": True, "N": False}}, {"J": True, "N": False, "true": None}),
    "code": ("string", {"map": {"02": "credit", "it's": "a\\b"}}, {"02": "credit", "2": None, "it's": "a\\b"}),
    "sign": ("string", {"by_sign": {"positive": "credit", "negative": "debit"}, "sign": "behind"},
             {"12-": "debit", "0": "credit", "x": None}),
    "size": ("decimal(18,2)", {"absolute": True}, {"-3": Decimal(3), "3.10": Decimal("3.10")}),
}  # fmt: skip
LETTERS = "0123456789.,-+() /:eEJNTZ'"


def texts(known, count=120):
    """The known texts, changed copies of them, and noise."""
    draw = random.Random(7)
    found = list(known)
    while len(found) < count:
        base = list(draw.choice([*known, "".join(draw.choices(LETTERS, k=6))]))
        for _ in range(draw.randrange(3)):
            base[draw.randrange(len(base))] = draw.choice(LETTERS)
        found.append("".join(base))
    return found


@pytest.fixture(scope="module")
def readings(spark):
    """Of each case its texts, with Spark's value and plain Python's."""
    columns = [col(name, kind, name, nullable=True) for name, (kind, *_) in CASES.items()]
    table = Table(
        name="t", layer=Layer.SILVER, grain="g", description="d",
        columns=(*columns, col("event_ts", "timestamp", "e"), col("known_ts", "timestamp", "k")),
    )  # fmt: skip
    sources = {name: Source(**{"from": name, **said}) for name, (_, said, _) in CASES.items()}
    feed = Feed(kind="f", fills=[{"table": "t", "fields": sources}], columns=list(CASES), missing=["n/a"])
    given = {name: texts(known) for name, (_, _, known) in CASES.items()}
    rows = [(n, *(given[name][n] for name in CASES)) for n in range(120)]
    spark.udf.register(TOKEN, tokeniser(spark, b"k" * 32))
    with in_zone(spark, ZONE):
        raw = spark.createDataFrame(rows, ", ".join(["n long", *(f"{name} string" for name in CASES)]))
        mapping = mapping_of(feed, feed.fills[0], {"t": table})
        marked = raw.selectExpr("*", texts_of(feed))
        instants = [name for name, (kind, *_) in CASES.items() if kind == "timestamp"]
        read = marked.select("n", *(field.column() for field in mapping.fields))
        read = read.withColumns({name: F.unix_micros(name) for name in instants})
        found = {row["n"]: row for row in read.collect()}
    answer = {}
    for name, (kind, _, _) in CASES.items():
        source = feed.fills[0].fields[name]
        notation = source.within(Notation())
        plain = [plain_value(delivered_text(text, feed, name), kind, source, notation, ZONE) for text in given[name]]
        answer[name] = list(zip(given[name], [found[n][name] for n in range(120)], plain, strict=True))
    return answer


def instant(value):
    return round(value.timestamp() * 1_000_000) if isinstance(value, datetime) else value


@pytest.mark.parametrize("name", CASES)
def test_both_readings_agree_and_are_right_where_it_is_known(readings, name):
    _, _, known = CASES[name]
    for text, spark_value, plain in readings[name]:
        assert instant(plain) == spark_value, text
        if text in known:
            assert instant(known[text]) == spark_value, text
    assert sum(value is not None for _, value, _ in readings[name]) >= 1
